/* The answer: from a value, a problem or a failure to the status, fields and bytes that go out. */
#include "http/conditional.h"
#include "http/request.h"

#include <assert.h>

enum { BODY_BYTES_FIRST = 512, RETRY_SOON_S = 1, RETRY_LATER_S = 2 };

#define JSON_TYPE "application/json"

/* ---- The parts ---------------------------------------------------------- */

void tn__answer_field(tn_req *req, const char *name, const char *value)
{
    tn__answer *answer = &req->answer;
    assert(answer->n_fields < TN__FIELDS_OUT_MAX);
    answer->fields[answer->n_fields++] = (tn__field_out){ name, value };
}

void tn__answer_reset(tn_req *req)
{
    req->answer = (tn__answer){ .status = 0 };
}

static void add_cors(tn_req *req)
{
    const tn__cors *cors = &req->http->cors;
    if (tn__cors_varies(cors))
        tn__answer_field(req, "Vary", "Origin");
    tn_str allowed = tn__cors_allowed(cors, tn__req_header(req, TN__H_ORIGIN));
    if (allowed.data == NULL)
        return;
    tn__answer_field(req, "Access-Control-Allow-Origin", tn_copy(req->arena, allowed).data);
    tn__answer_field(req, "Access-Control-Expose-Headers", TN__CORS_EXPOSED);
}

void tn__answer_with(tn_req *req, int status, const char *content_type, tn_str body)
{
    assert(!tn__req_answered(req) && status >= 200);
    if (content_type != NULL)
        tn__answer_field(req, "Content-Type", content_type);
    tn__answer_field(req, "X-Request-Id", req->request_id.data);
    add_cors(req);
    req->answer.status = status;
    req->answer.body = body;
}

/* ---- Problems ----------------------------------------------------------- */

void tn__answer_faults(tn_req *req, const tn__problem *problem)
{
    tn__problem whole = *problem;
    tn__buf body = { .arena = req->arena };
    whole.instance = req->path;
    whole.request_id = req->request_id;
    tn__buf_reserve(&body, BODY_BYTES_FIRST);
    tn__problem_write(&body, &whole);
    tn__answer_field(req, "Cache-Control", "no-store");
    tn__answer_with(req, whole.status, TN__PROBLEM_TYPE, tn__buf_str(&body));
}

static void answer_slug(tn_req *req, tn__slug slug, const char *format, va_list args)
{
    tn__problem problem = tn__problem_of(slug, tn_vprintf(req->arena, format, args));
    tn__answer_faults(req, &problem);
}

void tn__answer_problem(tn_req *req, tn__slug slug, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    answer_slug(req, slug, format, args);
    va_end(args);
}

void tn__answer_busy(tn_req *req, tn__slug slug, int retry_after_s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn__answer_field(req, "Retry-After", tn_printf(req->arena, "%d", retry_after_s).data);
    answer_slug(req, slug, format, args);
    va_end(args);
}

static void answer_own(tn_req *req, const tn_problem *own, tn_str detail)
{
    tn__problem problem = {
        .status = own->status,
        .slug = own->type,
        .title = own->title,
        .detail = detail.len > 0 ? detail : tn_str_of(own->title),
    };
    if (own->status == 429 || own->status == 503)
        tn__answer_field(req, "Retry-After", "1");
    tn__answer_faults(req, &problem);
}

/* ---- Failed transactions ------------------------------------------------ */

static const tn_problem *problem_of_constraint(const tn_req *req, tn_str constraint)
{
    const tn_service *service = req->http->options.service;
    for (size_t i = 0; i < service->problems.n; i++) {
        const tn_problem *problem = &service->problems.at[i];
        if (problem->constraint != NULL && tn_str_eq(tn_str_of(problem->constraint), constraint))
            return problem;
    }
    return NULL;
}

/* Class 23: a value that can't be is the client's to mend (23502 not null, 23514 check); what clashes
 * with other rows is a conflict. The constraint's name stays inside. */
static void answer_constraint(tn_req *req, const tn__failure *failure)
{
    const tn_problem *own = problem_of_constraint(req, failure->constraint);
    if (own != NULL) {
        answer_own(req, own, (tn_str){ NULL, 0 });
        return;
    }
    if (!tn_str_eq(failure->sqlstate, TN_S("23502")) &&
        !tn_str_eq(failure->sqlstate, TN_S("23514"))) {
        tn__answer_problem(req, TN__CONFLICT, "The change conflicts with something stored.");
        return;
    }
    tn__problem problem = tn__problem_of(TN__VALIDATION,
        TN_S("A value breaks a rule of what may be stored."));
    tn__faults *faults = tn_alloc(req->arena, sizeof *faults);
    faults->at[faults->n++] = (tn__fault){ TN_S(""), problem.detail };
    problem.faults[TN__IN_BODY] = faults;
    tn__answer_faults(req, &problem);
}

void tn__answer_failure(tn_req *req, const tn__failure *failure)
{
    switch (failure->kind) {
    case TN__FAIL_NOT_FOUND:
        tn__answer_problem(req, TN__NOT_FOUND, "What the path names does not exist.");
        break;
    case TN__FAIL_CONSTRAINT:
        answer_constraint(req, failure);
        break;
    case TN__FAIL_PROBLEM:
        answer_own(req, failure->problem, failure->detail);
        break;
    case TN__FAIL_STATUS:
        tn__answer_faults(req, failure->tag);
        break;
    case TN__FAIL_BUSY:
        tn__answer_busy(req, TN__UNAVAILABLE, RETRY_SOON_S,
            "The database is busy. Nothing was changed.");
        break;
    case TN__FAIL_UNAVAILABLE:
        tn__answer_busy(req, TN__UNAVAILABLE, RETRY_LATER_S,
            "The database can't be reached. Nothing was changed.");
        break;
    case TN__FAIL_UNKNOWN:
        tn__answer_busy(req, TN__UNAVAILABLE, RETRY_LATER_S,
            "The database was lost before it confirmed: the change may have been made or not. "
            "Trying again with the same Idempotency-Key is safe.");
        break;
    case TN__FAIL_TIMEOUT:
        tn__answer_problem(req, TN__GATEWAY_TIMEOUT, "There was no answer within %d ms.%s",
            req->http->options.limits.request_timeout_ms,
            req->method == TN_GET
                ? ""
                : " Whether the request took effect is not known; trying again with the same "
                  "Idempotency-Key is safe.");
        break;
    case TN__FAIL_CANCELLED:
        tn__answer_busy(req, TN__UNAVAILABLE, RETRY_LATER_S, "The service is stopping.");
        break;
    case TN__FAIL_NONE:
    case TN__FAIL_ERROR:
        tn__answer_problem(req, TN__INTERNAL_ERROR, "The service failed on this request.");
        break;
    }
}

/* ---- Values ------------------------------------------------------------- */

tn_str tn__etag_at(tn_arena *arena, const tn_route *route, tn_ref ref)
{
    const tn_field *field = route == NULL || route->etag == NULL || ref.at == NULL
        ? NULL
        : tn__field_find(ref.schema, tn_str_of(route->etag));
    const int64_t *version = field == NULL ? NULL : tn__field_value(field, ref.at);
    return version == NULL ? (tn_str){ NULL, 0 } : tn__etag_of(arena, *version);
}

/* "/items/{id}" with each name in braces replaced by that field's text. */
static const char *location_of(tn_req *req, tn_ref ref)
{
    tn__buf out = { .arena = req->arena }, text = { .arena = req->arena };
    tn_str rest = tn_str_of(req->route->location), part, name;
    tn__buf_add_z(&out, TN__API_PREFIX);
    while (tn__str_cut(&rest, '{', &part)) {
        tn__buf_add_str(&out, part);
        if (!tn__str_cut(&rest, '}', &name))
            break;
        const tn_field *field = tn__field_find(ref.schema, name);
        assert(field != NULL); /* the check of the tables has seen to it */
        text.len = 0;
        tn__encode_text(&text, field, ref.at);
        tn__percent_encode(&out, tn__buf_str(&text));
    }
    tn__buf_add_char(&out, '\0');
    return out.data;
}

static void add_reply_fields(tn_req *req, tn_ref ref, tn_str etag, int status)
{
    if (etag.data != NULL)
        tn__answer_field(req, "ETag", etag.data);
    if (status == 201 && req->route->location != NULL && ref.at != NULL)
        tn__answer_field(req, "Location", location_of(req, ref));
}

/* True when a condition of a safe request has made the answer. */
static bool condition_answers(tn_req *req, tn_str etag)
{
    if (req->method != TN_GET || etag.data == NULL)
        return false;
    switch (tn__condition_of(tn__req_header(req, TN__H_IF_MATCH),
        tn__req_header(req, TN__H_IF_NONE_MATCH), etag, true)) {
    case TN__GO_ON:
        return false;
    case TN__NOT_MODIFIED:
        tn__answer_field(req, "ETag", etag.data);
        tn__answer_with(req, 304, NULL, (tn_str){ NULL, 0 });
        return true;
    case TN__PRECONDITION_FAILED:
        tn__answer_problem(req, TN__PRECONDITION, "The current version is %s.", etag.data);
        return true;
    }
    return false;
}

void tn__answer_value(tn_req *req, tn_ref ref)
{
    tn__buf body = { .arena = req->arena };
    int status = req->route->status;
    if (ref.schema == NULL) {
        tn__answer_with(req, status != 0 ? status : 204, NULL, (tn_str){ NULL, 0 });
        return;
    }
    status = status != 0 ? status : 200;
    tn__buf_reserve(&body, BODY_BYTES_FIRST);
    if (ref.schema == &tn__page_marker) {
        tn__page_answer(req, ref.at, &body);
    } else {
        tn_str etag = tn__etag_at(req->arena, req->route, ref);
        if (condition_answers(req, etag))
            return;
        tn__encode_json(&body, ref.schema, ref.at);
        add_reply_fields(req, ref, etag, status);
    }
    tn__answer_with(req, status, JSON_TYPE, tn__buf_str(&body));
}

/* ---- What handlers call without a transaction --------------------------- */

tn_reply tn_refuse(tn_req *req, const tn_problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn__tx_leave(req);
    answer_own(req, problem, tn_vprintf(req->arena, format, args));
    va_end(args);
    return (tn_reply){ req->answer.status };
}

tn_reply tn_answer(tn_req *req, tn_ref reply)
{
    tn__tx_leave(req);
    /* The answer to a key is kept even when there was nothing else to write. */
    if (req->key.key.data != NULL)
        return tn_commit(tn__begin(req, TN__WRITE, req->deadline_us), reply);
    tn__answer_value(req, reply);
    return (tn_reply){ req->answer.status };
}
