/* The HTTP server of one worker: transport, router, and all that a request meets on its way.
 *
 * libmicrohttpd stands behind http/server.c alone; everything else deals with tn_req. A request is
 * read whole within its limits, matched, decoded and validated, and its handler runs as a coroutine
 * on the worker's loop. A handler that never waits is answered in place. */
#pragma once

#include "messaging/messaging.h"

typedef struct {
    size_t body_bytes_max;
    size_t header_bytes_max;
    int connections_max;
    int in_flight_max; /* requests with a handler at work; beyond that 503 */
    int streams_max;
    int request_timeout_ms; /* for the handler: 504 */
    int read_timeout_ms;    /* for the client to send its request: 408 */
    int idle_timeout_ms;    /* keep-alive */
    int stream_keepalive_ms;
} tn__http_limits;

/* A page that isn't a route of the contract: /livez, /metrics, /openapi.json, /docs/... */
typedef struct {
    tn_str accept; /* of the request; empty when it didn't say */
    int status;
    const char *content_type;
    const char *content_encoding; /* NULL: none */
    const char *cache_control;    /* NULL: no-store */
    const char *etag;             /* quoted; NULL: none. An If-None-Match that names it: 304 */
    const char *content_security_policy; /* NULL: none */
    int retry_after_s;                   /* 0: none */
    tn_str body;                         /* in the request's arena, or static */
} tn__page;
typedef struct {
    const char *path;
    void (*render)(void *arg, tn_arena *arena, tn__page *page);
    void *arg;
} tn__page_route;

typedef struct {
    const tn_service *service; /* with the chassis's own routes already added */
    tn__pg *pg;
    tn__relay *relay; /* NULL when the service publishes nothing */
    tn__http_limits limits;
    const char *cors_allowed_origins; /* comma-separated origins, "*", or "" for none */
    int idempotency_ttl_s;
    double access_log; /* the part of the requests that is logged, 0 to 1; all 5xx unless it is 0 */
    const tn__page_route *pages;
    size_t n_pages;
    /* Until tn__http_start(), pages are served and routes answer 503 with Retry-After: the tables
     * may not be there yet. */
    bool closed;
} tn__http_options;

typedef struct tn__http tn__http;

/* A listening socket with SO_REUSEPORT; port 0 asks the kernel for a free one. -1 with `why`. */
int tn__http_listen(tn_arena *arena, const char *host, int port, tn_str *why);
int tn__http_port(int listen_fd);

/* Serves on `listen_fd`, which it takes over, on the loop's thread. */
tn__http *tn__http_open(tn__loop *loop, int listen_fd, const tn__http_options *options);
/* Opens the routes of a server that was opened `closed`; from now on commits wake `relay` (which may
 * be NULL). */
void tn__http_start(tn__http *http, tn__relay *relay);
/* Stops accepting, ends streams and idle connections, lets requests in flight finish. Calls
 * done(arg) when there is none left. */
void tn__http_drain(tn__http *http, void (*done)(void *arg), void *arg);
/* Cancels what is still at work. Afterwards drain's done is called soon. */
void tn__http_cancel(tn__http *http);
void tn__http_close(tn__http *http);
size_t tn__http_in_flight(const tn__http *http);
size_t tn__http_streams(const tn__http *http);
