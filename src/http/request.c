/* The life of a request: see request.h.
 *
 * Requests are pooled with their arenas, the one used last first: its memory is still in the caches.
 * A request is given back when the server has said that its answer is out and its coroutine, if it
 * had one, has ended; the server puts the connection aside while the coroutine runs, so the second
 * always comes before the first. */
#include "http/request.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ARENA_FIRST_BYTES = 8 * 1024,
    FREE_REQUESTS_MAX = 256,
    ACTOR_BYTES_MAX = 256,
};

/* ---- Opening ------------------------------------------------------------ */

static tn_req *take(tn__http *http)
{
    tn_req *req = http->free_requests;
    if (req == NULL) {
        req = tn__xmalloc(sizeof *req);
        req->arena = tn__arena_open(ARENA_FIRST_BYTES);
        return req;
    }
    http->free_requests = req->next_free;
    http->n_free_requests--;
    return req;
}

static void give_back(tn__http *http, tn_req *req)
{
    if (http->n_free_requests == FREE_REQUESTS_MAX) {
        tn__arena_close(req->arena);
        free(req);
        return;
    }
    tn__arena_reset(req->arena);
    req->next_free = http->free_requests;
    http->free_requests = req;
    http->n_free_requests++;
}

static void free_pooled(tn__http *http)
{
    while (http->free_requests != NULL) {
        tn_req *req = http->free_requests;
        http->free_requests = req->next_free;
        tn__arena_close(req->arena);
        free(req);
    }
}

void tn__requests_free(tn__http *http)
{
    free_pooled(http);
    http->n_free_requests = 0;
}

/* The target in absolute form (RFC 9112 3.2.2) begins with a scheme and a host. */
static tn_str without_host(tn_str target)
{
    if (!tn__str_has_prefix(target, TN_S("http://")) &&
        !tn__str_has_prefix(target, TN_S("https://")))
        return target;
    const char *host = memchr(target.data, ':', target.len) + 3;
    const char *path = memchr(host, '/', target.len - (size_t)(host - target.data));
    if (path == NULL)
        return TN_S("/");
    return (tn_str){ path, target.len - (size_t)(path - target.data) };
}

tn_req *tn__req_open(tn__http *http, void *connection, tn_str target)
{
    tn_req *req = take(http);
    *req = (tn_req){ .http = http, .arena = req->arena, .connection = connection };
    req->started_us = tn__mono_us();
    req->target = without_host(tn_copy(req->arena, target));
    tn_str rest = req->target;
    tn__str_cut(&rest, '?', &req->path);
    req->query = rest;
    req->body.arena = req->arena;
    tn__metric_add(http->active, 1);
    return req;
}

void *tn__req_connection(const tn_req *req)
{
    return req->connection;
}

void tn__req_field(tn_req *req, tn_str name, tn_str value)
{
    tn__headers_add(&req->headers, req->arena, name, value);
}

/* ---- Names -------------------------------------------------------------- */

tn_str tn__request_id_new(tn_arena *arena)
{
    return tn_uuid_str(arena, tn_uuid_v7());
}

static void name_request(tn_req *req)
{
    tn_str given = tn__req_header(req, TN__H_REQUEST_ID);
    req->request_id = tn__request_id_valid(given) ? tn_copy(req->arena, given)
                                                  : tn__request_id_new(req->arena);
    tn_str actor = tn__req_header(req, TN__H_ACTOR);
    if (actor.len <= ACTOR_BYTES_MAX && tn__utf8_valid(actor))
        req->actor = tn_copy(req->arena, actor);
}

/* ---- Reading ------------------------------------------------------------ */

/* A refusal waits for a body that is short, so that the connection can be used again; a client that
 * asked first (RFC 9110 10.1.1), or whose body has no good end, is told at once. */
static bool body_is_worth_reading(const tn_req *req)
{
    if (req->framing == TN__BODY_AMBIGUOUS || tn__req_header(req, TN__H_EXPECT).data != NULL)
        return false;
    return (size_t)req->content_length <= req->http->options.limits.body_bytes_max;
}

/* Whoever speaks HTTP/1.0 knows no chunks, and may have passed them on unread (RFC 9112 6.1). */
static tn__framing framing_of(tn_req *req)
{
    tn__framing framing = tn__body_framing(&req->headers, &req->content_length);
    bool is_old = tn_str_eq(req->version, TN_S("1.0"));
    return framing == TN__BODY_CHUNKED && is_old ? TN__BODY_AMBIGUOUS : framing;
}

tn__verdict tn__req_head(tn_req *req, tn_str method, tn_str version, size_t header_bytes)
{
    req->method_name = tn_copy(req->arena, method);
    tn_str protocol;
    if (tn__str_cut(&version, '/', &protocol))
        req->version = tn_copy(req->arena, version);
    req->framing = framing_of(req);
    name_request(req);
    tn__req_trace(req);
    tn__admit(req, header_bytes);
    if (!tn__req_answered(req))
        return TN__READ_ON;
    if (req->framing == TN__BODY_NONE || body_is_worth_reading(req))
        return TN__READ_ON;
    return TN__ANSWER_NOW;
}

bool tn__req_body(tn_req *req, tn_str bytes)
{
    req->body_bytes += bytes.len;
    if (req->body_bytes > req->http->options.limits.body_bytes_max)
        return false;
    if (tn__req_answered(req))
        return true;
    if (req->body.cap == 0 && req->content_length > 0)
        tn__buf_reserve(&req->body, (size_t)req->content_length);
    tn__buf_add_str(&req->body, bytes);
    return true;
}

size_t tn__req_body_bytes(const tn_req *req)
{
    return req->body_bytes;
}

bool tn__req_is_chunked(const tn_req *req)
{
    return req->framing == TN__BODY_CHUNKED;
}

/* ---- Working ------------------------------------------------------------ */

static void run_handler(tn_req *req)
{
    tn_reply reply = req->route->handler(req);
    tn__tx_leave(req);
    /* A handler ends with tn_commit(), tn_answer() or tn_refuse(), and returns what that gave. */
    assert(tn__req_answered(req) && reply.status == req->answer.status);
    (void)reply;
}

static void run_with_key(tn_req *req)
{
    if (tn__key_begin(req)) {
        run_handler(req);
        if (req->answer.status >= 300)
            tn__key_look_again(req);
    }
    tn__key_end(req);
}

static void work(void *arg)
{
    tn_req *req = arg;
    tn__log_context_set(&req->log);
    if (req->route->stream != NULL)
        tn__stream_open(req);
    else if (req->key.key.data != NULL)
        run_with_key(req);
    else
        run_handler(req);
    tn__log_context_set(NULL);
    if (req->waited_for)
        tn__server_resume(req);
}

static bool is_open(tn_req *req)
{
    if (req->http->options.closed)
        tn__answer_busy(req, TN__UNAVAILABLE, 1, "The service is starting.");
    return !tn__req_answered(req);
}

static void start_work(tn_req *req)
{
    tn__http *http = req->http;
    const tn__http_limits *limits = &http->options.limits;
    if (tn__scope_count(http->handlers) >= (size_t)limits->in_flight_max) {
        tn__answer_busy(req, TN__UNAVAILABLE, 1,
            "%d requests are being worked on, which is as many as may be at a time.",
            limits->in_flight_max);
        return;
    }
    req->deadline_us = tn__mono_us() + (int64_t)limits->request_timeout_ms * 1000;
    tn__scope_start(http->handlers, work, req);
}

bool tn__req_run(tn_req *req)
{
    assert(!req->waited_for);
    if (tn__req_answered(req))
        return true;
    if (req->route == NULL)
        tn__page_show(req);
    else if (is_open(req) && tn__input_read(req) && tn__key_read(req))
        start_work(req);
    req->waited_for = !tn__req_answered(req);
    return !req->waited_for;
}

bool tn__req_answered(const tn_req *req)
{
    return req->answer.status != 0;
}

tn_str tn_req_actor(const tn_req *req)
{
    return req->actor;
}

tn_arena *tn_req_arena(tn_req *req)
{
    return req->arena;
}

/* ---- Ending ------------------------------------------------------------- */

tn__outgoing tn__req_outgoing(const tn_req *req)
{
    assert(tn__req_answered(req));
    return (tn__outgoing){
        .status = req->answer.status,
        .body = req->answer.body,
        .streamed = req->stream != NULL && !req->head,
        .close = req->http->draining,
    };
}

bool tn__req_outgoing_field(const tn_req *req, size_t i, const char **name, const char **value)
{
    if (i >= req->answer.n_fields)
        return false;
    *name = req->answer.fields[i].name;
    *value = req->answer.fields[i].value;
    return true;
}

void tn__req_close(tn_req *req, bool sent)
{
    tn__http *http = req->http;
    assert(req->tx == NULL && !req->key.held);
    tn__stream_close(req);
    tn__access_end(req, sent);
    tn__metric_add(http->active, -1);
    give_back(http, req);
}
