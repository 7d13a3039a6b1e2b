/* Routes and their handlers.
 *
 * A route is a row of a table: method, path, handler and the schemas of what comes in and goes out.
 * From it come routing, validation, OpenAPI, problem+json errors, idempotent replay, ETags and
 * paging. A handler is straight-line code that runs when its input is valid. */
#pragma once

#include <trunnion/event.h>

typedef enum { TN_GET, TN_POST, TN_PUT, TN_PATCH, TN_DELETE } tn_method;

/* One request, from its first byte to its answer. */
typedef struct tn_req tn_req;

/* What a handler answers: made by tn_commit(), tn_answer() or tn_refuse(), never by hand. */
typedef struct {
    int status;
} tn_reply;

typedef tn_reply tn_handler(tn_req *req);

/* A way to fail that a service adds to those of the chassis (RFC 9457). The member `type` of the
 * answer is the URI reference "/problems/<type>", where the service describes it. When `constraint`
 * is set, a violation of the database constraint of that name is answered with this problem. */
typedef struct {
    const char *constraint;
    int status;
    const char *type, *title;
} tn_problem;

/* Server-sent events (WHATWG HTML 9.2) read from the database. `after` takes the last id seen ($1,
 * bigint; 0 at first) and the most rows wanted ($2) and gives rows in ascending order of `id`.
 * Rows must become visible in the order of their ids, which the service's tables see to.
 * A client resumes with Last-Event-ID; `from` = "now" or "start" is the query parameter that says
 * where one without it begins. `channel` is the LISTEN/NOTIFY channel that wakes the streams. */
typedef struct {
    const tn_query *after;
    const tn_query *newest; /* One row with the column `id`: where "now" is. */
    const tn_schema *data;
    const char *id;    /* The int64_t field that becomes `id:`. */
    const char *event; /* The tn_str field that becomes `event:`. */
    const char *channel;
} tn_stream;

typedef struct {
    tn_method method;
    const char *path;    /* "/items/{id}", below /api/v1 */
    tn_handler *handler; /* NULL for a stream. */
    const char *summary, *description;
    const tn_schema *params; /* What is in braces in the path. */
    const tn_schema *query;
    const tn_schema *body;
    const tn_schema *reply;
    const tn_schema *page;   /* Instead of reply: a list of this, see tn_page(). */
    const tn_stream *stream; /* Instead of reply and handler. */
    int status;              /* Of success; 0 is 200, or 204 when nothing is replied. */
    const char *location;    /* "/items/{id}": Location of a 201, filled from the reply. */
    const char *etag;        /* The int64_t field of the reply that is its version. */
    bool idempotent;         /* Idempotency-Key is required; on PATCH and DELETE it is optional. */
    bool merge_patch;        /* The body is an RFC 7396 merge patch of `body`, see tn_merge(). */
} tn_route;

/* What came in, decoded and valid, as `const struct tag *`, in the request's arena. */
#define TN_PARAMS(req, tag) ((const struct tag *)tn_params_((req), &tag##_schema))
#define TN_QUERY(req, tag)  ((const struct tag *)tn_query_((req), &tag##_schema))
#define TN_BODY(req, tag)   ((const struct tag *)tn_body_((req), &tag##_schema))
const void *tn_params_(tn_req *req, const tn_schema *schema);
const void *tn_query_(tn_req *req, const tn_schema *schema);
const void *tn_body_(tn_req *req, const tn_schema *schema);

/* Lays the request's merge patch (RFC 7396) over `target`, which is of the route's body schema: what
 * the patch names is replaced, null removes an optional member, the rest stays. The result is valid
 * or the transaction fails with 422. */
void tn_merge(tn_tx *tx, tn_ref target);

tn_arena *tn_req_arena(tn_req *req);

/* Who asks, as the proxy vouched for: X-authentik-username; empty when there is no proxy. */
tn_str tn_req_actor(const tn_req *req);

/* The transaction of a request. On a safe method it is read-only, and each statement sees the
 * newest committed state. */
tn_tx *tn_begin(tn_req *req);

/* Fails the transaction with 412 when the request has an If-Match that doesn't name the current
 * version of `current` (RFC 9110 13.1.1), which must have arrived: call tn_wait() before. */
void tn_match(tn_tx *tx, tn_ref current);

/* Fails the transaction with a problem of the service's table. */
void tn_fail(tn_tx *tx, const tn_problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Queues the query of one page: its last two parameters, after `args`, are the position to go on
 * from ($n+1, of the `key` field's type, NULL on the first page) and the rows wanted ($n+2). `key`
 * is the field of the schema that the query orders by, unique. Returns the page to commit. */
tn_ref tn_page(tn_tx *tx, const tn_schema *schema, const char *key, const tn_query *query,
    tn_args args);

/* Makes the transaction durable and answers with `reply` or with the problem that it met. It takes
 * the reply because the idempotency key and the bytes to replay for it are written in this same
 * transaction. TN_NOTHING answers 204. */
tn_reply tn_commit(tn_tx *tx, tn_ref reply);
#define TN_NOTHING ((tn_ref){ NULL, NULL })

/* Answers without a transaction. */
tn_reply tn_answer(tn_req *req, tn_ref reply);
tn_reply tn_refuse(tn_req *req, const tn_problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
