/* What the library can't do: answer a client that is too slow, or in the middle of a body, or that
 * doesn't speak HTTP, as we want it to be answered. Such answers are written to the socket by us. And
 * let go of one that has said its last. */
#include "http/client.h"

#include <assert.h>
#include <sys/socket.h>

enum { SWEEPS_A_DEADLINE = 8, SWEEP_US_MIN = 20 * 1000, SWEEP_US_MAX = 1000 * 1000 };

uint64_t tn__client_begun(const tn__client *c)
{
    uint64_t arrived = tn__tcp_arrived(c->fd);
    return arrived > c->taken ? arrived - c->taken : 0;
}

void tn__client_end(tn__client *c, int status, const char *detail)
{
    tn__buf text = { .arena = NULL };
    assert(!c->ended && !c->aside);
    tn__raw_problem(c->server->http, c->req, status, detail, &text);
    tn__tcp_send(c->fd, tn__buf_str(&text));
    tn__buf_deinit(&text);
    tn__farewell(c->server->farewells, c->fd);
    c->ended = true;
}

/* ---- Too slow ------------------------------------------------------------ */

/* An empty line after a body is no request (RFC 9112 2.2). */
static bool has_begun(tn__client *c)
{
    uint64_t begun = tn__client_begun(c);
    if (c->taken == 0 || c->excused || begun > 2)
        return begun > 0;
    c->excused = begun > 0;
    c->taken += begun;
    return false;
}

static bool is_too_slow(tn__client *c, int64_t now_us)
{
    if (c->ended || c->phase == TN__AT_WORK || c->phase == TN__ANSWERING)
        return false;
    if (c->reading_since_us == 0 && has_begun(c))
        c->reading_since_us = now_us;
    return c->reading_since_us != 0 &&
        now_us - c->reading_since_us >= (int64_t)c->server->limits.read_timeout_ms * 1000;
}

/* ---- Gone ---------------------------------------------------------------- */

/* The library reads a part, and waits for the next edge; when the client's end came before it had
 * read, there is none. Two sweeps have to find it so: between them the library has had its turn at
 * what it had read already. */
static bool is_gone(tn__client *c)
{
    bool over = !c->ended && c->phase != TN__AT_WORK && c->phase != TN__ANSWERING &&
        tn__tcp_ended(c->fd) && tn__tcp_unread(c->fd) == 0;
    bool twice = over && c->over;
    c->over = over;
    return twice;
}

/* ---- The sweep ----------------------------------------------------------- */

static int64_t sweep_us(const tn__server *server)
{
    int64_t us = (int64_t)server->limits.read_timeout_ms * 1000 / SWEEPS_A_DEADLINE;
    return us < SWEEP_US_MIN ? SWEEP_US_MIN : us > SWEEP_US_MAX ? SWEEP_US_MAX : us;
}

static void on_sweep(tn__timer *timer)
{
    tn__server *server = timer->owner;
    int64_t now_us = tn__loop_now_us(server->loop);
    for (tn__client *c = server->clients; c != NULL; c = c->next) {
        if (is_gone(c)) {
            shutdown(c->fd, SHUT_RDWR); /* which the library sees */
        } else if (is_too_slow(c, now_us)) {
            tn__client_end(c, 408, "The request did not arrive in time.");
            shutdown(c->fd, SHUT_RD);
        }
    }
    if (server->n_clients > 0)
        tn__timer_start(server->loop, timer, now_us + sweep_us(server));
}

void tn__sweep_start(tn__server *server)
{
    if (server->sweep.slot != 0)
        return;
    server->sweep = (tn__timer){ .on_time = on_sweep, .owner = server };
    tn__timer_start(server->loop, &server->sweep, tn__loop_now_us(server->loop) + sweep_us(server));
}

/* ---- Not HTTP ------------------------------------------------------------ */

/* The library has read some of a head, and perhaps not yet seen the end of its first line. */
static bool is_in_head(const tn__client *c)
{
    return c->phase == TN__IN_HEAD ||
        (c->phase == TN__IDLE && tn__client_begun(c) > tn__tcp_unread(c->fd));
}

/* The library is about to refuse what it can't parse, on a connection that it doesn't name. It can
 * only be one whose head has begun, or, when it is about chunks, one that sends chunks. With two of
 * them there is no telling, and the library's page goes out. */
static tn__client *find_refused(tn__server *server, bool about_chunks)
{
    tn__client *found = NULL;
    for (tn__client *c = server->clients; c != NULL; c = c->next) {
        if (c->ended || c->aside)
            continue;
        if (!(about_chunks ? c->phase == TN__IN_CHUNKS : is_in_head(c)))
            continue;
        if (found != NULL)
            return NULL;
        found = c;
    }
    return found;
}

void tn__refuse_unreadable(tn__server *server, int status, const char *why)
{
    tn__client *c = find_refused(server, strstr(why, "chunk") != NULL);
    if (c == NULL)
        return;
    switch (status) {
    case 414:
        tn__client_end(c, 414, "The target is longer than is read.");
        break;
    case 431:
        tn__client_end(c, 431, "The header is longer than is read.");
        break;
    case 413:
        tn__client_end(c, 413, "The body is longer than is read.");
        break;
    default:
        tn__client_end(c, 400, "The request is not valid HTTP/1.1.");
    }
}
