/* What the library can't do: answer a client that is too slow, or in the middle of a body, or that
 * doesn't speak HTTP, as we want it to be answered. Such answers are written to the socket by us. And
 * let go of one that has said its last. */
#include "http/client.h"

#include <assert.h>
#include <sys/socket.h>

enum {
    SWEEPS_A_DEADLINE = 8,
    SWEEP_US_MIN = 20 * 1000,
    SWEEP_US_MAX = 1000 * 1000,
    HELD_MAX = 64,
    LOOKS_A_SECOND_MAX = 10000,
};

static uint64_t begun_of(const tn__client *c, const tn__arrived *arrived)
{
    return arrived->bytes > c->taken ? arrived->bytes - c->taken : 0;
}

uint64_t tn__client_begun(const tn__client *c)
{
    tn__arrived arrived = tn__tcp_arrived(c->fd);
    return begun_of(c, &arrived);
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
static bool has_begun(tn__client *c, const tn__arrived *arrived)
{
    uint64_t begun = begun_of(c, arrived);
    if (c->taken == 0 || c->excused || begun > 2)
        return begun > 0;
    c->excused = begun > 0;
    c->taken += begun;
    return false;
}

static bool is_too_slow(tn__client *c, const tn__arrived *arrived, int64_t now_us)
{
    if (c->reading_since_us == 0 && has_begun(c, arrived))
        c->reading_since_us = now_us;
    return c->reading_since_us != 0 &&
        now_us - c->reading_since_us >= (int64_t)c->server->limits.read_timeout_ms * 1000;
}

/* ---- Gone ---------------------------------------------------------------- */

/* The library reads a part, and waits for the next edge; when the client's end came before it had
 * read, there is none. Two sweeps have to find it so: between them the library has had its turn at
 * what it had read already. */
static bool is_gone(tn__client *c, const tn__arrived *arrived)
{
    bool over = arrived->all && tn__tcp_unread(c->fd) == 0;
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

static void sweep_over(tn__client *c, int64_t now_us)
{
    bool waits = !c->ended && c->phase != TN__AT_WORK && c->phase != TN__ANSWERING;
    if (!waits) {
        c->over = false;
        return;
    }
    tn__arrived arrived = tn__tcp_arrived(c->fd); /* once for both, for it is a system call */
    if (is_gone(c, &arrived)) {
        shutdown(c->fd, SHUT_RDWR); /* which the library sees */
    } else if (is_too_slow(c, &arrived, now_us)) {
        tn__client_end(c, 408, "The request did not arrive in time.");
        shutdown(c->fd, SHUT_RD);
    }
}

static void on_sweep(tn__timer *timer)
{
    tn__server *server = timer->owner;
    int64_t now_us = tn__loop_now_us(server->loop);
    for (tn__client *c = server->clients; c != NULL; c = c->next)
        sweep_over(c, now_us);
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

/* A look at a connection between requests costs system calls: so many are spent in a second. */
static bool may_look(tn__server *server)
{
    int64_t now_us = tn__loop_now_us(server->loop);
    if (now_us - server->looks_since_us >= 1000000) {
        server->looks_since_us = now_us;
        server->looks = 0;
    }
    return server->looks++ < LOOKS_A_SECOND_MAX;
}

typedef enum { NOT_MEANT, PERHAPS_MEANT, NOT_KNOWN } meaning;

/* The library has read some of a head, and perhaps not yet seen the end of its first line. */
static meaning is_in_head(const tn__client *c)
{
    if (c->phase == TN__IN_HEAD)
        return PERHAPS_MEANT;
    if (c->phase != TN__IDLE)
        return NOT_MEANT;
    if (!may_look(c->server))
        return NOT_KNOWN;
    return tn__client_begun(c) > tn__tcp_unread(c->fd) ? PERHAPS_MEANT : NOT_MEANT;
}

static meaning may_be_meant(const tn__client *c, bool about_chunks)
{
    if (c->ended || c->aside)
        return NOT_MEANT;
    if (about_chunks)
        return c->phase == TN__IN_CHUNKS ? PERHAPS_MEANT : NOT_MEANT;
    return is_in_head(c);
}

/* How many there are; of one more than can be held, or where it can't be known, one more. */
static size_t find_meant(tn__server *server, bool about_chunks, tn__client *meant[HELD_MAX])
{
    size_t n = 0;
    for (tn__client *c = server->clients; c != NULL; c = c->next) {
        meaning found = may_be_meant(c, about_chunks);
        if (found == NOT_KNOWN || (found == PERHAPS_MEANT && n == HELD_MAX))
            return HELD_MAX + 1;
        if (found == PERHAPS_MEANT)
            meant[n++] = c;
    }
    return n;
}

void tn__client_refuse(tn__client *c, int status)
{
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

/* The connection that the library doesn't name can only be one whose head has begun, or, when it is
 * about chunks, one that sends chunks. Of several it can't be told yet: none gets to send anything
 * until the library's page is made, and then whose it is can be seen. Of too many, or with too many to
 * look at, the page goes out: both cost system calls, and who sends junk could make us do little
 * else. */
void tn__refuse_unreadable(tn__server *server, int status, const char *why)
{
    tn__client *meant[HELD_MAX];
    size_t n = find_meant(server, strstr(why, "chunk") != NULL, meant);
    if (n == 1)
        tn__client_refuse(meant[0], status);
    else if (n <= HELD_MAX)
        for (size_t i = 0; i < n; i++)
            tn__client_hold(meant[i]);
}
