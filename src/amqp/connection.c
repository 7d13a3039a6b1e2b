/* A connection's life: open, lost with a reason, closed.
 *
 * The first reason sticks. Once it is lost nothing is sent or read any more, so no call can block on
 * a broker that is gone. What rabbitmq-c itself would wait for without a limit is a socket that takes
 * no bytes; TCP_USER_TIMEOUT ends that. */
#include "amqp/internal.h"
#include "amqp/url.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLOSE_TIMEOUT_MS = 500, CHANNELS_MAX = 1 };

static struct timeval from_ms(int ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

/* ---- Lost, and why ------------------------------------------------------- */

tn__amqp_result tn__amqp_lose(tn__amqp *amqp, const char *format, ...)
{
    if (!amqp->lost) {
        va_list args;
        va_start(args, format);
        vsnprintf(amqp->why, sizeof amqp->why, format, args);
        va_end(args);
        amqp->lost = true;
    }
    return TN__AMQP_LOST;
}

tn__amqp_result tn__amqp_lose_status(tn__amqp *amqp, const char *doing, int status)
{
    return tn__amqp_lose(amqp, "%s: %s", doing, amqp_error_string2(status));
}

tn__amqp_result tn__amqp_closed(tn__amqp *amqp, const char *doing, const amqp_method_t *method)
{
    const char *what = "the broker closed the connection";
    amqp_bytes_t text = { 0 };
    unsigned code = 0;
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        what = "the broker refused";
        amqp->refused = true;
        code = close->reply_code;
        text = close->reply_text;
    } else if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = method->decoded;
        code = close->reply_code;
        text = close->reply_text;
        /* The broker waits for this before it lets the socket go. */
        amqp_send_method(amqp->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD,
            &(amqp_connection_close_ok_t){ 0 });
    }
    tn_str said = tn__amqp_str(text);
    return tn__amqp_lose(amqp, "%s%s%s (%u): %.*s", doing != NULL ? doing : "",
        doing != NULL ? ": " : "", what, code, TN_FMT(said));
}

tn__amqp_result tn__amqp_answer(tn__amqp *amqp, const char *doing, amqp_rpc_reply_t reply)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return TN__AMQP_OK;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return tn__amqp_closed(amqp, doing, &reply.reply);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return tn__amqp_lose_status(amqp, doing, reply.library_error);
    default:
        return tn__amqp_lose(amqp, "%s: no answer", doing);
    }
}

tn_str tn__amqp_why(const tn__amqp *amqp)
{
    return tn_str_of(amqp->why);
}

bool tn__amqp_refused(const tn__amqp *amqp)
{
    return amqp->refused;
}

bool tn__amqp_blocked(const tn__amqp *amqp, tn_str *why)
{
    if (why != NULL)
        *why = amqp->blocked ? tn_str_of(amqp->blocked_why) : TN_S("");
    return amqp->blocked;
}

int tn__amqp_fd(const tn__amqp *amqp)
{
    return amqp->fd;
}

/* ---- Open ---------------------------------------------------------------- */

static tn__amqp_result connect_socket(tn__amqp *amqp, const tn__amqp_url *url, int timeout_ms)
{
    amqp_socket_t *socket = url->tls ? amqp_ssl_socket_new(amqp->state)
                                     : amqp_tcp_socket_new(amqp->state);
    if (socket == NULL)
        return tn__amqp_lose(amqp, "no socket could be made");
    if (url->tls && tn__amqp_tls(amqp, socket, url) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    struct timeval timeout = from_ms(timeout_ms);
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &timeout);
    if (status != AMQP_STATUS_OK)
        return tn__amqp_lose_status(amqp, "connecting", status);
    return TN__AMQP_OK;
}

/* Our own descriptor of the socket, and the longest that sent bytes may stay unanswered. */
static tn__amqp_result take_fd(tn__amqp *amqp, int stuck_ms)
{
    amqp->fd = fcntl(amqp_get_sockfd(amqp->state), F_DUPFD_CLOEXEC, 0);
    if (amqp->fd < 0)
        return tn__amqp_lose(amqp, "no file descriptor is free");
    unsigned ms = (unsigned)stuck_ms;
    if (setsockopt(amqp->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms) != 0)
        return tn__amqp_lose(amqp, "TCP_USER_TIMEOUT can't be set");
    amqp->heard_us = tn__mono_us();
    return TN__AMQP_OK;
}

static amqp_table_entry_t entry_of(const char *key, amqp_field_value_t value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(key), .value = value };
}

static amqp_table_entry_t capability(const char *name)
{
    return entry_of(name,
        (amqp_field_value_t){ .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 });
}

static tn__amqp_result log_in(tn__amqp *amqp, const tn__amqp_options *options,
    const tn__amqp_url *url)
{
    amqp_table_entry_t capabilities[] = {
        capability("publisher_confirms"),
        capability("consumer_cancel_notify"),
        capability("basic.nack"),
        capability("connection.blocked"),
        capability("authentication_failure_close"),
    };
    amqp_table_entry_t properties[] = {
        entry_of("connection_name",
            (amqp_field_value_t){ .kind = AMQP_FIELD_KIND_UTF8,
                .value.bytes = amqp_cstring_bytes(options->connection_name) }),
        entry_of("capabilities",
            (amqp_field_value_t){ .kind = AMQP_FIELD_KIND_TABLE,
                .value.table = { sizeof capabilities / sizeof *capabilities, capabilities } }),
    };
    amqp_table_t table = { sizeof properties / sizeof *properties, properties };
    amqp_rpc_reply_t reply = amqp_login_with_properties(amqp->state, url->vhost, CHANNELS_MAX,
        AMQP_DEFAULT_FRAME_SIZE, options->heartbeat_s, &table, AMQP_SASL_METHOD_PLAIN, url->user,
        url->password);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        amqp->heartbeat_s = amqp_get_heartbeat(amqp->state);
    return tn__amqp_answer(amqp, "logging in", reply);
}

static tn__amqp_result open_channel(tn__amqp *amqp)
{
    amqp_channel_open(amqp->state, TN__CHANNEL);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(amqp->state);
    if (tn__amqp_answer(amqp, "opening a channel", reply) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    amqp_confirm_select(amqp->state, TN__CHANNEL);
    return tn__amqp_answer(amqp, "asking for confirms", amqp_get_rpc_reply(amqp->state));
}

static tn__amqp_result establish(tn__amqp *amqp, const tn__amqp_options *options,
    const tn__amqp_url *url)
{
    struct timeval handshake = from_ms(options->connect_timeout_ms);
    struct timeval rpc = from_ms(options->rpc_timeout_ms);
    int silent_ms = options->heartbeat_s * 2000;
    int stuck_ms = silent_ms > options->rpc_timeout_ms ? silent_ms : options->rpc_timeout_ms;
    amqp_set_handshake_timeout(amqp->state, &handshake);
    amqp_set_rpc_timeout(amqp->state, &rpc);
    tn__amqp_result result = connect_socket(amqp, url, options->connect_timeout_ms);
    if (result == TN__AMQP_OK)
        result = take_fd(amqp, stuck_ms);
    if (result == TN__AMQP_OK)
        result = log_in(amqp, options, url);
    if (result == TN__AMQP_OK)
        result = open_channel(amqp);
    return result;
}

tn__amqp *tn__amqp_open(const tn__amqp_options *options, tn_arena *arena, tn_str *why)
{
    assert(options->connect_timeout_ms > 0 && options->rpc_timeout_ms > 0);
    assert(options->heartbeat_s >= 0);
    tn__amqp_url url;
    if (!tn__amqp_url_parse(arena, options->url, &url, why))
        return NULL;
    tn__amqp *amqp = tn__xcalloc(1, sizeof *amqp);
    amqp->fd = -1;
    amqp->rpc_timeout_ms = options->rpc_timeout_ms;
    amqp->state = amqp_new_connection();
    tn__window_init(&amqp->window);
    if (amqp->state == NULL)
        tn__amqp_lose(amqp, "out of memory");
    else if (establish(amqp, options, &url) == TN__AMQP_OK)
        return amqp;
    *why = tn_printf(arena, "%s:%d: %s", url.host, url.port, amqp->why);
    tn__amqp_close(amqp);
    return NULL;
}

/* ---- Close --------------------------------------------------------------- */

static void say_goodbye(tn__amqp *amqp)
{
    struct timeval timeout = from_ms(CLOSE_TIMEOUT_MS);
    /* A socket that takes nothing more would keep us. */
    unsigned ms = CLOSE_TIMEOUT_MS;
    setsockopt(amqp->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    amqp_set_rpc_timeout(amqp->state, &timeout);
    tn__amqp_flush(amqp);
    amqp_connection_close(amqp->state, AMQP_REPLY_SUCCESS);
}

void tn__amqp_close(tn__amqp *amqp)
{
    if (amqp == NULL)
        return;
    if (amqp->state != NULL && amqp->fd >= 0 && !amqp->lost)
        say_goodbye(amqp);
    if (amqp->state != NULL)
        amqp_destroy_connection(amqp->state);
    if (amqp->fd >= 0)
        close(amqp->fd);
    tn__window_deinit(&amqp->window);
    tn__buf_deinit(&amqp->body);
    tn__buf_deinit(&amqp->queue);
    free(amqp);
}

/* ---- Idle ---------------------------------------------------------------- */

tn__amqp_result tn__amqp_pump(tn__amqp *amqp)
{
    assert(!amqp->consuming);
    return amqp->lost ? TN__AMQP_LOST : tn__amqp_absorb(amqp);
}

/* TCP_CORK makes full packets out of many small messages, so the broker is woken less often. */
void tn__amqp_flush(tn__amqp *amqp)
{
    if (!amqp->corked)
        return;
    amqp->corked = false;
    setsockopt(amqp->fd, IPPROTO_TCP, TCP_CORK, &(int){ 0 }, sizeof(int));
}
