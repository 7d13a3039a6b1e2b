/* The transaction of a request: what joins pg, the outbox and the idempotency key.
 *
 * Its context is a tn__tx_origin: what events inherit, and the way back to the request. A request has
 * at most one open transaction; one that its handler left open ends without effect. */
#include "http/conditional.h"
#include "http/request.h"

#include <assert.h>

static tn_req *req_of(const tn_tx *tx)
{
    const tn__tx_origin *origin = tn__tx_context(tx);
    return origin->req;
}

tn_tx *tn__begin(tn_req *req, tn__tx_mode mode, int64_t deadline_us)
{
    tn__http *http = req->http;
    assert(req->tx == NULL && http->options.pg != NULL);
    tn__tx_origin *origin = tn_alloc(req->arena, sizeof *origin);
    *origin = (tn__tx_origin){
        .origin = {
            .service = http->options.service->name,
            .relay = http->options.relay,
            .correlation_id = req->request_id,
            .idempotency_key = req->key.key,
            .traceparent = req->traceparent,
            .tracestate = req->tracestate,
        },
        .req = req,
    };
    req->tx = tn__tx_open(http->options.pg, req->arena, mode, deadline_us);
    tn__tx_context_set(req->tx, origin);
    return req->tx;
}

bool tn__commit(tn_req *req)
{
    tn_tx *tx = req->tx;
    req->tx = NULL; /* it ends here, whatever comes of it */
    bool done = tn__tx_commit(tx);
    req->key.failure = done ? NULL : tn__tx_failure(tx);
    return done;
}

void tn__tx_leave(tn_req *req)
{
    if (req->tx == NULL)
        return;
    tn__tx_abandon(req->tx);
    req->tx = NULL;
}

tn_tx *tn_begin(tn_req *req)
{
    /* A handler may begin again after it gave one up. */
    tn__tx_leave(req);
    return tn__begin(req, req->method == TN_GET ? TN__READ : TN__WRITE, req->deadline_us);
}

static bool has_failed(const tn_tx *tx)
{
    return tn__tx_failure(tx)->kind != TN__FAIL_NONE;
}

static void fail_with(tn_tx *tx, const tn__problem *problem)
{
    tn__problem *kept = tn_alloc(tn__tx_arena(tx), sizeof *kept);
    *kept = *problem;
    tn__tx_fail(tx, &(tn__failure){ .kind = TN__FAIL_STATUS, .status = kept->status, .tag = kept });
}

void tn__tx_fail_parameter(tn_tx *tx, const char *name, const char *detail)
{
    tn__faults *faults = tn_alloc(tn__tx_arena(tx), sizeof *faults);
    tn__problem problem = tn__problem_of(TN__VALIDATION, tn_str_of(detail));
    faults->at[faults->n++] = (tn__fault){ tn_str_of(name), problem.detail };
    problem.faults[TN__IN_QUERY] = faults;
    fail_with(tx, &problem);
}

void tn_fail(tn_tx *tx, const tn_problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn__tx_fail(tx,
        &(tn__failure){
            .kind = TN__FAIL_PROBLEM,
            .problem = problem,
            .detail = tn_vprintf(tn__tx_arena(tx), format, args),
        });
    va_end(args);
}

void tn_match(tn_tx *tx, tn_ref current)
{
    tn_req *req = req_of(tx);
    if (has_failed(tx))
        return;
    assert(!tn__tx_pending(tx, current.at)); /* tn_wait() comes before */
    tn_str etag = tn__etag_at(req->arena, req->route, current);
    assert(etag.data != NULL); /* the route's `etag` names a field of what is compared */
    tn__condition condition = tn__condition_of(tn__req_header(req, TN__H_IF_MATCH),
        tn__req_header(req, TN__H_IF_NONE_MATCH), etag, false);
    if (condition != TN__PRECONDITION_FAILED)
        return;
    tn__problem problem = tn__problem_of(TN__PRECONDITION,
        tn_printf(req->arena, "The current version is %.*s.", TN_FMT(etag)));
    fail_with(tx, &problem);
}

void tn_merge(tn_tx *tx, tn_ref target)
{
    tn_req *req = req_of(tx);
    if (has_failed(tx))
        return;
    assert(req->patch != NULL && target.schema == req->route->body);
    tn__faults *faults = tn_alloc(req->arena, sizeof *faults);
    if (tn__patch_apply(req->arena, req->patch, target.at, faults))
        return;
    tn__problem problem = tn__problem_of(TN__VALIDATION,
        TN_S("The result of the merge patch would not be valid."));
    problem.faults[TN__IN_BODY] = faults;
    fail_with(tx, &problem);
}

/* The answer to a key goes into the transaction itself, so it is made before the commit; rows that
 * it is made of have to arrive first. */
static void store_answer(tn_req *req, tn_tx *tx, tn_ref reply)
{
    if (reply.at != NULL && tn__tx_pending(tx, reply.at))
        tn_wait(tx);
    if (has_failed(tx))
        return;
    tn__answer_value(req, reply);
    tn__key_store(req, tx);
}

static void answer_failure(tn_req *req, const tn__failure *failure)
{
    tn__answer_reset(req); /* that of success, which was to be stored */
    if (tn__key_at_fault(failure))
        tn__answer_busy(req, TN__KEY_IN_USE, 1,
            "A request with this Idempotency-Key is being worked on elsewhere.");
    else
        tn__answer_failure(req, failure);
}

tn_reply tn_commit(tn_tx *tx, tn_ref reply)
{
    tn_req *req = req_of(tx);
    assert(req->tx == tx && !tn__req_answered(req));
    bool store = req->key.key.data != NULL;
    if (store)
        store_answer(req, tx, reply);
    if (!tn__commit(req))
        answer_failure(req, req->key.failure);
    else if (!store)
        tn__answer_value(req, reply);
    return (tn_reply){ req->answer.status };
}
