/* The transport: libmicrohttpd, driven by our loop. Nothing else knows the library.
 *
 * The library runs without a thread of its own. Its epoll descriptor is watched by our loop, and it
 * runs when that is ready, when an answer came for a connection that was put aside, and when its own
 * timeout asks for it. Connections are accepted by us and handed over.
 *
 * What the library can't do, and what is done about it:
 * - It has no deadline for a request to arrive. A sweep over the connections looks how long each has
 *   been at it and answers 408 itself, on the socket.
 * - It can't answer in the middle of a body. What has to be said then is said the same way.
 * - It answers what it can't parse with a page of its own. It logs that first, and in the log's
 *   callback the problem is written before the page can be; the page then meets a socket that is shut.
 * - A connection that is put aside sees neither timeouts nor the client's going. A handler has a
 *   deadline of its own; a stream has a watch for the going.
 *
 * What we write to the socket ourselves is in late.c; accepting is in accept.c. */
#include "http/client.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { STREAM_BLOCK_BYTES = 4096, CUT_AFTER_US = 250 * 1000 };

/* ---- Running the library ------------------------------------------------ */

static void release_held(tn__server *server);

static void run_library(tn__server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(server->daemon);
    if (server->holds)
        release_held(server);
    if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES)
        return;
    if (wait_ms == 0) {
        tn__loop_later(server->loop, &server->run);
        return;
    }
    int64_t at_us = tn__loop_now_us(server->loop) + (int64_t)wait_ms * 1000;
    if (server->wake.slot == 0 || server->wake.at_us > at_us)
        tn__timer_start(server->loop, &server->wake, at_us);
}

static void on_ready(tn__watch *watch, uint32_t events)
{
    (void)events;
    run_library(watch->owner);
}

static void on_run(tn__task *task)
{
    run_library(task->owner);
}

static void on_wake(tn__timer *timer)
{
    run_library(timer->owner);
}

/* ---- Connections -------------------------------------------------------- */

static tn__client *client_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static tn__client *client_open(tn__server *server, struct MHD_Connection *mhd)
{
    tn__client *c = tn__xmalloc(sizeof *c);
    *c = (tn__client){ .server = server, .mhd = mhd, .next = server->clients };
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (server->clients != NULL)
        server->clients->prev = c;
    server->clients = c;
    server->n_clients++;
    tn__sweep_start(server);
    return c;
}

static void stop_watching(tn__client *c)
{
    if (!c->stream_watched)
        return;
    tn__watch_stop(c->server->loop, &c->hangup);
    c->stream_watched = false;
}

static void tell_when_quiet(tn__server *server)
{
    if (!server->draining || server->quiet || server->n_clients > 0)
        return;
    server->quiet = true;
    tn__http_quiet(server->http);
}

static void client_close(tn__client *c)
{
    tn__server *server = c->server;
    assert(c->req == NULL);
    stop_watching(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        server->clients = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    server->n_clients--;
    free(c);
    tell_when_quiet(server);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = client_open(cls, mhd);
    else
        client_close(*context);
}

static void on_message(void *cls, const char *format, va_list args)
{
    char text[512];
    va_list again;
    va_copy(again, args);
    if (strstr(format, "HTTP response code is %u") != NULL) {
        int status = (int)va_arg(again, unsigned);
        tn__refuse_unreadable(cls, status, va_arg(again, const char *));
    } else {
        vsnprintf(text, sizeof text, format, again);
        TN_LOG(TN_DEBUG, "libmicrohttpd", TN_LOG_S("text", tn__str_trim(tn_str_of(text))));
    }
    va_end(again);
}

/* ---- A request, as the library tells it --------------------------------- */

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    tn__server *server = cls;
    tn__client *c = client_of(mhd);
    assert(c->req == NULL);
    c->req = tn__req_open(server->http, c, tn_str_of(uri));
    c->phase = TN__IN_HEAD;
    if (c->reading_since_us == 0)
        c->reading_since_us = tn__loop_now_us(server->loop);
    return c;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
    size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    tn__req_field(cls, (tn_str){ name, name_bytes }, (tn_str){ value, value_bytes });
    return MHD_YES;
}

static ssize_t stream_read(tn__client *c, char *out, size_t n);

static ssize_t on_stream_wanted(void *cls, uint64_t position, char *out, size_t n)
{
    (void)position;
    return stream_read(cls, out, n);
}

static struct MHD_Response *response_of(const tn__outgoing *out, tn__client *c)
{
    if (out->streamed)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
            on_stream_wanted, c, NULL);
    /* The bytes live in the request's arena until on_completed(). */
    return MHD_create_response_from_buffer(out->body.len,
        out->body.len == 0 ? (void *)"" : (void *)out->body.data, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer(tn__client *c)
{
    tn__outgoing out = tn__req_outgoing(c->req);
    struct MHD_Response *response = response_of(&out, c);
    const char *name, *value;
    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; tn__req_outgoing_field(c->req, i, &name, &value); i++)
        MHD_add_response_header(response, name, value);
    if (out.close)
        MHD_add_response_header(response, "Connection", "close");
    c->phase = TN__ANSWERING;
    enum MHD_Result queued = MHD_queue_response(c->mhd, (unsigned)out.status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result head_is_there(tn__client *c, const char *method, const char *version)
{
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, on_field, c->req);
    c->head_bytes = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                        ->header_size;
    tn__verdict verdict = tn__req_head(c->req, tn_str_of(method), tn_str_of(version),
        c->head_bytes);
    if (verdict == TN__ANSWER_NOW) {
        c->unread = true;
        return answer(c);
    }
    c->phase = tn__req_is_chunked(c->req) ? TN__IN_CHUNKS : TN__IN_BODY;
    return MHD_YES;
}

static enum MHD_Result body_is_there(tn__client *c, const char *data, size_t *n)
{
    if (!tn__req_body(c->req, (tn_str){ data, *n })) {
        tn__client_end(c, 413, "The body is longer than is read.");
        return MHD_NO;
    }
    *n = 0;
    return MHD_YES;
}

static void put_aside(tn__client *c)
{
    MHD_suspend_connection(c->mhd);
    c->aside = true;
}

static enum MHD_Result all_is_there(tn__client *c)
{
    if (c->phase != TN__AT_WORK) {
        c->phase = TN__AT_WORK;
        if (!tn__req_run(c->req)) {
            put_aside(c);
            return MHD_YES;
        }
    }
    assert(tn__req_answered(c->req));
    return answer(c);
}

/* Called once when the head is there, then for each part of the body, and at its end. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *n, void **context)
{
    (void)cls, (void)mhd, (void)url;
    tn__client *c = *context;
    if (c->ended)
        return MHD_NO;
    if (c->phase == TN__IN_HEAD)
        return head_is_there(c, method, version);
    if (*n > 0)
        return body_is_there(c, data, n);
    return all_is_there(c);
}

static void take_note_of_bytes(tn__client *c)
{
    if (!tn__req_is_chunked(c->req))
        c->taken += c->head_bytes + tn__req_body_bytes(c->req);
    else
        c->taken = tn__tcp_arrived(c->fd).bytes - tn__tcp_unread(c->fd);
}

/* A client that has sent all and shut its side (RFC 9112 9.6) still waits for the answer. The library
 * finds the end of the input when it takes the connection up again, and drops it, the answer unasked
 * for; it tells us before it shuts the socket. True when there was an answer to send. */
static bool answer_at_the_end(tn__client *c)
{
    tn__buf text = { .arena = NULL };
    if (c->phase != TN__AT_WORK || !tn__req_answered(c->req) || tn__req_outgoing(c->req).streamed)
        return false;
    int status = tn__req_outgoing(c->req).status;
    tn__raw_answer(c->req, MHD_get_reason_phrase_for((unsigned)status), &text);
    tn__tcp_send(c->fd, tn__buf_str(&text));
    tn__buf_deinit(&text);
    return true;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
    enum MHD_RequestTerminationCode why)
{
    (void)cls, (void)mhd;
    tn__client *c = *context;
    if (c == NULL || c->req == NULL)
        return;
    take_note_of_bytes(c);
    stop_watching(c);
    bool sent = c->ended || why == MHD_REQUEST_TERMINATED_COMPLETED_OK || answer_at_the_end(c);
    if (c->unread && !c->ended)
        tn__farewell(c->server->farewells, c->fd);
    tn__req_close(c->req, sent);
    c->req = NULL;
    c->unread = c->excused = false;
    c->phase = TN__IDLE;
    c->reading_since_us = 0;
    if (c->server->draining)
        shutdown(c->fd, SHUT_RDWR); /* a stream could not announce the end in its header */
}

static void resume(tn__client *c)
{
    assert(c->aside);
    stop_watching(c);
    c->aside = false;
    MHD_resume_connection(c->mhd);
    tn__loop_later(c->server->loop, &c->server->run);
}

void tn__server_resume(tn_req *req)
{
    resume(tn__req_connection(req));
}

void tn__client_hold(tn__client *c)
{
    put_aside(c);
    c->held = c->server->holds = true;
}

/* One of them has an answer that nobody gave but the library: it is the one that was refused. */
static void release_held(tn__server *server)
{
    server->holds = false;
    for (tn__client *c = server->clients; c != NULL; c = c->next) {
        if (!c->held)
            continue;
        const union MHD_ConnectionInfo *answer = MHD_get_connection_info(c->mhd,
            MHD_CONNECTION_INFO_HTTP_STATUS);
        c->held = false;
        resume(c);
        if (answer != NULL)
            tn__client_refuse(c, (int)answer->http_status);
    }
}

/* ---- Streams ------------------------------------------------------------ */

static void on_hangup(tn__watch *watch, uint32_t events)
{
    tn__client *c = watch->owner;
    (void)events;
    stop_watching(c);
    tn__stream_hung_up(c->req);
}

static ssize_t stream_read(tn__client *c, char *out, size_t n)
{
    ssize_t got = tn__stream_read(c->req, out, n);
    if (got < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got > 0)
        return got;
    put_aside(c);
    c->hangup = (tn__watch){
        .fd = c->fd,
        .events = EPOLLRDHUP,
        .on_ready = on_hangup,
        .owner = c,
    };
    tn__watch_start(c->server->loop, &c->hangup);
    c->stream_watched = true;
    return 0;
}

void tn__server_stream_resume(tn_req *req)
{
    resume(tn__req_connection(req));
}

/* ---- Beginning and end -------------------------------------------------- */

/* An identity: paths and queries are decoded by us, piece by piece. */
static size_t on_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls, (void)mhd;
    return strlen(s);
}

static struct MHD_Daemon *start_daemon(tn__server *server)
{
    const tn__http_limits *limits = &server->limits;
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
        MHD_USE_ERROR_LOG;
    /* The head is read into it; what is left takes a node for each field, and the head of the answer.
     * All of it is cleared for each request, so it is no longer than that needs. */
    const size_t memory_bytes = limits->header_bytes_max < 4096 ? limits->header_bytes_max + 4096
                                                                : 2 * limits->header_bytes_max;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
        on_message, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, server, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory_bytes, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)limits->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(limits->idle_timeout_ms + 999) / 1000, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
}

static void on_cut(tn__timer *timer);

tn__server *tn__server_open(tn__loop *loop, int listen_fd, const tn__http_limits *limits,
    tn__http *http)
{
    tn__server *server = tn__xmalloc(sizeof *server);
    *server = (tn__server){ .loop = loop, .http = http, .limits = *limits };
    server->run = (tn__task){ .run = on_run, .owner = server };
    server->wake = (tn__timer){ .on_time = on_wake, .owner = server };
    server->cut = (tn__timer){ .on_time = on_cut, .owner = server };
    server->farewells = tn__farewells_open(loop);
    server->daemon = start_daemon(server);
    assert(server->daemon != NULL); /* the options are constants, and memory is there */
    server->ready = (tn__watch){
        .fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
        .events = EPOLLIN,
        .on_ready = on_ready,
        .owner = server,
    };
    tn__watch_start(loop, &server->ready);
    tn__accept_start(server, listen_fd);
    return server;
}

void tn__server_adopt(tn__server *server, int fd, const struct sockaddr_storage *address,
    unsigned length)
{
    MHD_add_connection(server->daemon, fd, (const struct sockaddr *)address, length);
}

void tn__server_drain(tn__server *server)
{
    tn__accept_end(server);
    server->draining = true;
    for (tn__client *c = server->clients; c != NULL; c = c->next)
        if (c->phase == TN__IDLE && tn__client_begun(c) == 0)
            shutdown(c->fd, SHUT_RDWR);
    tn__loop_later(server->loop, &server->run);
    tell_when_quiet(server);
}

static void on_cut(tn__timer *timer)
{
    tn__server *server = timer->owner;
    for (tn__client *c = server->clients; c != NULL; c = c->next)
        shutdown(c->fd, SHUT_RDWR);
}

void tn__server_cut(tn__server *server)
{
    for (tn__client *c = server->clients; c != NULL; c = c->next)
        if (c->phase != TN__AT_WORK && c->phase != TN__ANSWERING)
            shutdown(c->fd, SHUT_RDWR);
    tn__timer_start(server->loop, &server->cut, tn__loop_now_us(server->loop) + CUT_AFTER_US);
}

void tn__server_close(tn__server *server)
{
    if (!server->draining)
        tn__accept_end(server);
    for (tn__client *c = server->clients; c != NULL; c = c->next)
        if (c->aside)
            resume(c);
    tn__watch_stop(server->loop, &server->ready);
    server->quiet = true; /* nobody is told of these */
    MHD_stop_daemon(server->daemon);
    assert(server->n_clients == 0);
    tn__timer *timers[] = { &server->wake, &server->sweep, &server->pause, &server->cut };
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        tn__timer_stop(server->loop, timers[i]);
    tn__loop_not_later(server->loop, &server->run);
    tn__farewells_close(server->farewells);
    free(server);
}
