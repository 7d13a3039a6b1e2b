/* What the parts of this layer share: the server's state and the request on its way.
 *
 * A request goes through these steps, each in a file of its own; the first that has an answer ends
 * the way.
 *   server.c       reads it within its limits and deadline, and sends the answer
 *   request.c      its life: opened at the request line, closed when the answer is out
 *   admit.c        path, method, media types, length: what the header alone decides
 *   input.c        decodes path, query and body; all faults at once
 *   idempotency.c  a key that was used before is answered from its row
 *   the handler    a coroutine; transaction.c and paging.c are what it calls
 *   answer.c       the status, fields and bytes that go out
 *
 * Invariants: an answer is given once. Memory of the request is in its arena, which lives until the
 * server says that the answer is out or the client gone, and no handler is at work any more. */
#pragma once

#include "http/cors.h"
#include "http/headers.h"
#include "http/http.h"
#include "http/ids.h"
#include "http/problem.h"
#include "http/router.h"
#include "http/server.h"

/* Where the routes of a service are. */
#define TN__API_PREFIX "/api/v1"

/* ---- The answer --------------------------------------------------------- */

#define TN__FIELDS_OUT_MAX 16
typedef struct {
    const char *name;
    const char *value; /* in the arena, or static */
} tn__field_out;

typedef struct {
    int status; /* 0: not answered yet */
    tn_str body;
    tn__field_out fields[TN__FIELDS_OUT_MAX];
    size_t n_fields;
} tn__answer;

/* ---- The request -------------------------------------------------------- */

/* Where in a list a page begins, and how long it is. */
typedef struct {
    bool from_start;
    tn_arg position; /* else */
    int64_t limit;
} tn__page_wanted;

/* A page on its way from tn_page() to the answer. */
typedef struct {
    tn_rows rows;
    size_t n; /* rows that are shown: one more is read to know whether there is a next page */
    tn_str next_cursor;
} tn__page_found;

/* What an idempotency key needs on the way. */
typedef struct {
    tn_str key; /* `data` is NULL: none */
    tn_uuid id;
    tn_str fingerprint;
    bool held;                  /* in the worker's table of keys at work */
    const tn__failure *failure; /* what the request's last transaction met; NULL: nothing */
    tn_req *next;               /* in the table */
} tn__key;

typedef struct tn__stream_run tn__stream_run;

struct tn_req {
    tn__http *http;
    tn_arena *arena;
    void *connection; /* the server's */
    tn_req *next_free;
    int64_t started_us, deadline_us;
    bool waited_for; /* the server has put the connection aside until there is an answer */

    tn_str method_name, version, target, path, query;
    tn_method method;
    bool head;
    tn__headers headers;
    tn__framing framing;
    int64_t content_length;
    tn__match match;
    const tn_route *route; /* NULL when it isn't one */
    tn__buf body;
    size_t body_bytes; /* received, also of a body that is not kept */

    tn_str request_id, actor, traceparent, tracestate;
    tn__trace trace;      /* its span */
    uint8_t parent_id[8]; /* the caller's */
    char trace_id[32], span_id[16];
    tn__log_context log;

    tn__pair *pairs; /* of the query, decoded as text */
    size_t n_pairs;
    void *params, *search, *input; /* decoded: path, query, body */
    tn__patch *patch;              /* instead of `input` where the route takes one */
    tn__page_wanted page;
    bool stream_from_start;
    tn__key key;
    tn_tx *tx; /* the one that is open */

    tn__answer answer;
    tn__stream_run *stream; /* the body, when it is one */
};

static inline tn_str tn__req_header(const tn_req *req, tn__header header)
{
    return req->headers.at[header];
}

/* What an event of the transaction inherits, and how its functions find the request. */
typedef struct {
    tn__origin origin; /* first: messaging reads it through the transaction's context */
    tn_req *req;
} tn__tx_origin;

/* ---- The state of a worker's server ------------------------------------- */

#define TN__KEY_CHAINS 1024 /* of the table of keys at work; a power of two */

/* What may come of an idempotency key. */
typedef enum {
    TN__KEY_STORED,
    TN__KEY_REPLAYED,
    TN__KEY_MISMATCHED,
    TN__KEY_CLASHED
} tn__key_event;
#define TN__KEY_EVENTS (TN__KEY_CLASHED + 1)

typedef struct tn__series tn__series;

struct tn__http {
    tn__loop *loop;
    tn__http_options options;
    tn_arena *arena; /* of what lives as long as the server */
    tn__router *router;
    tn__cors cors;
    tn__digest *digest;
    tn__server *server;
    tn__scope *handlers, *streams;
    size_t n_streams;
    tn__stream_run *first_stream;
    bool listens; /* to the channels of streams */
    tn_req *free_requests;
    size_t n_free_requests;
    tn_req *keys_at_work[TN__KEY_CHAINS];
    tn__series **series; /* by endpoint, and one more for paths that are none */
    tn__metric *active, *keys[TN__KEY_EVENTS];
    bool draining;
    void (*drained)(void *arg);
    void *drained_arg;
    tn__task tell_drained;
};

/* ---- request.c ---------------------------------------------------------- */

tn_str tn__request_id_new(tn_arena *arena);
void tn__requests_free(tn__http *http);

/* ---- trace.c ------------------------------------------------------------ */

/* Names the request's span, and what its log lines and events say of it. */
void tn__req_trace(tn_req *req);
/* Its span, or NULL when it has none. */
const tn__trace *tn__req_own_span(const tn_req *req);
/* The span has ended; status 499: the client had gone. */
void tn__req_span(const tn_req *req, int status, int64_t ended_us);

/* ---- admit.c ------------------------------------------------------------ */

/* What the header decides. The answer is set when it refuses. */
void tn__admit(tn_req *req, size_t header_bytes);

/* ---- input.c ------------------------------------------------------------ */

/* False, with the answer set, when something isn't valid. */
bool tn__input_read(tn_req *req);

/* ---- answer.c ----------------------------------------------------------- */

void tn__answer_field(tn_req *req, const char *name, const char *value);
/* The answer with this body; `content_type` is NULL when there is none. */
void tn__answer_with(tn_req *req, int status, const char *content_type, tn_str body);
void tn__answer_problem(tn_req *req, tn__slug slug, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, with the time after which to try again. */
void tn__answer_busy(tn_req *req, tn__slug slug, int retry_after_s, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tn__answer_faults(tn_req *req, const tn__problem *problem);
/* The route's answer of success, encoded from `ref`, with ETag, Location and Link; 304 or 412 when a
 * condition says so. */
void tn__answer_value(tn_req *req, tn_ref ref);
/* What a failed transaction is answered with. */
void tn__answer_failure(tn_req *req, const tn__failure *failure);
/* Forgets the answer: another takes its place. */
void tn__answer_reset(tn_req *req);
/* The tag of an entity's version; `data` is NULL when the route has none. */
tn_str tn__etag_at(tn_arena *arena, const tn_route *route, tn_ref ref);

/* ---- transaction.c ------------------------------------------------------ */

tn_tx *tn__begin(tn_req *req, tn__tx_mode mode, int64_t deadline_us);
/* Commits the one that is open and keeps what it met in key.failure. */
bool tn__commit(tn_req *req);
/* Ends what the handler left open. */
void tn__tx_leave(tn_req *req);
/* Fails it with 422 for a query parameter. */
void tn__tx_fail_parameter(tn_tx *tx, const char *name, const char *detail);

/* ---- idempotency.c ------------------------------------------------------ */

/* Reads the key of a route that takes one; false, with the answer set, when it may not go on. */
bool tn__key_read(tn_req *req);
/* Takes the key and looks it up: true when the handler is to run, else the answer is set. */
bool tn__key_begin(tn_req *req);
/* Adds the row with the finished answer to the transaction. */
void tn__key_store(tn_req *req, tn_tx *tx);
/* After a handler that didn't succeed: its twin may have, and then its answer is the answer. */
void tn__key_look_again(tn_req *req);
/* Gives the key back. */
void tn__key_end(tn_req *req);
/* True when the failure is that of waiting for the key's own row. */
bool tn__key_at_fault(const tn__failure *failure);

/* ---- paging.c ----------------------------------------------------------- */

extern const tn_schema tn__page_marker; /* the schema of what tn_page() returns */
void tn__page_answer(tn_req *req, const tn__page_found *page, tn__buf *out);

/* ---- stream.c ----------------------------------------------------------- */

/* Finds where the stream begins and sets the answer; in a coroutine. */
void tn__stream_open(tn_req *req);
void tn__stream_close(tn_req *req);
void tn__streams_end(tn__http *http);

/* ---- pages.c, docs.c ---------------------------------------------------- */

void tn__pages_add(tn__http *http);
void tn__page_show(tn_req *req);
const tn__page_route *tn__docs_pages(tn_arena *arena, size_t *n);

/* ---- access.c ----------------------------------------------------------- */

void tn__access_open(tn__http *http);
void tn__access_close(tn__http *http);
void tn__count_key(tn__http *http, tn__key_event event);
/* The method where it is a known one, else _OTHER. */
const char *tn__method_label(tn_str name);
/* What the log calls the status of an answer that didn't go out, because the client had gone. */
#define TN__CLIENT_GONE 499
/* The request is over: one line in the log, one count, one span. `sent` is false when the client had
 * gone. */
void tn__access_end(tn_req *req, bool sent);
/* The same for what never became a request. */
void tn__access_raw(tn__http *http, int status, tn_str request_id);
