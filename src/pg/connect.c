/* How a connection comes about and ends.
 *
 *     OFF --start--> WAITING --attempt--> CONNECTING --> SETUP --> UP
 *                       ^------- failed, timed out, lost -----------'
 *
 * libpq connects without blocking, with one exception that it documents: a host name is resolved
 * within PQconnectStartParams(), which a slow resolver makes slow for the whole worker. An address
 * or a resolver nearby avoids that.
 *
 * Invariants: what is watched is a duplicate of libpq's descriptor, since libpq closes its own when it
 * likes, and the number may be somebody else's in the next moment. While connecting libpq may also
 * change to another socket, so each step watches anew. A connection that is broken is only marked;
 * it ends in a task at the end of the turn, so no caller finds it gone in the middle of its work. */
#include "pg/conn.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TEXT_TYPES                                                                                 \
    "SELECT oid::bigint FROM pg_type WHERE typtype = 'e' OR typname = 'citext' ORDER BY oid"

enum { TAG_TEXT_TYPES = 1 };

static void attempt(tn__timer *timer);
static void attempt_timed_out(tn__timer *timer);
static void end(tn__task *task);
static void on_ready(tn__watch *watch, uint32_t events);

/* ---- Small things ------------------------------------------------------- */

void tn__conn_why(tn__conn *conn, const char *message)
{
    size_t n = strcspn(message, "\n");
    snprintf(conn->why, sizeof conn->why, "%.*s", (int)(n < 255 ? n : 255), message);
}

static void count(tn__conn *conn, double by)
{
    tn__metric_add(conn->counted_used ? conn->common->used : conn->common->idle, by);
}

void tn__conn_set_used(tn__conn *conn, bool used)
{
    if (conn->counted_used == used)
        return;
    bool counted = conn->state == TN__CONN_UP;
    if (counted)
        count(conn, -1);
    conn->counted_used = used;
    if (counted)
        count(conn, 1);
}

static void notice(void *owner, const PGresult *result)
{
    (void)owner;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    TN_LOG(TN_DEBUG, "database notice", TN_LOG_Z("detail", message));
}

/* ---- Watching ----------------------------------------------------------- */

static void watch(tn__conn *conn, uint32_t events)
{
    assert(!conn->watching);
    int fd = fcntl(PQsocket(conn->pq), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        tn__conn_break(conn, "no file descriptor left to watch the connection with");
        return;
    }
    conn->watch = (tn__watch){ .fd = fd, .events = events, .on_ready = on_ready, .owner = conn };
    tn__watch_start(conn->loop, &conn->watch);
    conn->watching = true;
}

static void unwatch(tn__conn *conn)
{
    if (conn->watching) {
        tn__watch_stop(conn->loop, &conn->watch);
        close(conn->watch.fd);
        conn->watching = false;
    }
}

/* ---- The end ------------------------------------------------------------ */

static void close_now(tn__conn *conn)
{
    tn__loop_not_later(conn->loop, &conn->ending);
    if (conn->state == TN__CONN_UP)
        count(conn, -1);
    unwatch(conn);
    tn__timer_stop(conn->loop, &conn->timer);
    PQfinish(conn->pq);
    conn->pq = NULL;
    conn->broken = false;
    conn->state = TN__CONN_OFF;
    tn__pipeline_clear(conn);
}

static int64_t backoff_us(int failures)
{
    int64_t us = TN__BACKOFF_MIN_US;
    for (int i = 1; i < failures && us < TN__BACKOFF_MAX_US; i++)
        us *= 2;
    us = us < TN__BACKOFF_MAX_US ? us : TN__BACKOFF_MAX_US;
    /* A connection that was lost is asked for again at once; replicas still spread out a little. */
    int64_t least = failures == 0 ? 0 : us / 2;
    return least + arc4random_uniform((uint32_t)(us - least));
}

static void wait_for_attempt(tn__conn *conn)
{
    conn->state = TN__CONN_WAITING;
    conn->timer = (tn__timer){ .on_time = attempt, .owner = conn };
    tn__timer_start(conn->loop, &conn->timer, tn__mono_us() + backoff_us(conn->failures));
}

static void end(tn__task *task)
{
    tn__conn *conn = task->owner;
    assert(conn->broken);
    conn->failures = conn->state == TN__CONN_UP ? 0 : conn->failures + 1;
    TN_LOG(TN_DEBUG, "database connection ended", TN_LOG_Z("detail", conn->why),
        TN_LOG_I("attempts", conn->failures));
    close_now(conn);
    wait_for_attempt(conn);
    conn->events->on_down(conn);
}

void tn__conn_break(tn__conn *conn, const char *why)
{
    if (conn->broken || conn->pq == NULL)
        return;
    tn__conn_why(conn, why);
    conn->broken = true;
    tn__loop_later(conn->loop, &conn->ending);
}

static void attempt_timed_out(tn__timer *timer)
{
    tn__conn_break(timer->owner, "no connection within the time that it may take");
}

/* ---- The beginning ------------------------------------------------------ */

static void set_up(tn__conn *conn)
{
    PQsetNoticeReceiver(conn->pq, notice, conn);
    if (PQsetnonblocking(conn->pq, 1) != 0 || PQenterPipelineMode(conn->pq) != 1) {
        tn__conn_break(conn, PQerrorMessage(conn->pq));
        return;
    }
    conn->state = TN__CONN_SETUP;
    watch(conn, EPOLLIN);
    if (conn->read_only)
        tn__conn_command(conn, "SET default_transaction_read_only = on", 0);
    tn__conn_command(conn, TEXT_TYPES, TAG_TEXT_TYPES);
    tn__conn_sync(conn);
}

static void poll_connecting(tn__conn *conn)
{
    unwatch(conn);
    switch (PQconnectPoll(conn->pq)) {
    case PGRES_POLLING_READING:
        watch(conn, EPOLLIN);
        return;
    case PGRES_POLLING_WRITING:
        watch(conn, EPOLLOUT);
        return;
    case PGRES_POLLING_OK:
        set_up(conn);
        return;
    default:
        tn__conn_break(conn, PQerrorMessage(conn->pq));
    }
}

static void attempt(tn__timer *timer)
{
    tn__conn *conn = timer->owner;
    assert(conn->pq == NULL);
    conn->pq = PQconnectStartParams(conn->common->keywords, conn->common->values, 1);
    if (conn->pq == NULL)
        tn__xmalloc(SIZE_MAX); /* libpq had no memory: ends the process */
    conn->state = TN__CONN_CONNECTING;
    conn->timer = (tn__timer){ .on_time = attempt_timed_out, .owner = conn };
    tn__timer_start(conn->loop, &conn->timer, tn__mono_us() + conn->common->connect_timeout_us);
    if (PQstatus(conn->pq) == CONNECTION_BAD)
        tn__conn_break(conn, PQerrorMessage(conn->pq));
    else
        watch(conn, EPOLLOUT);
}

static void take_text_types(tn__conn *conn, const PGresult *result)
{
    tn__text_types *types = &conn->common->text_types;
    size_t n = (size_t)PQntuples(result);
    types->at = tn__xrealloc(types->at, n * sizeof *types->at);
    types->n = n;
    for (size_t i = 0; i < n; i++) {
        int64_t oid;
        bool read = tn__i64_parse(tn_str_of(PQgetvalue(result, (int)i, 0)), &oid);
        assert(read);
        (void)read;
        types->at[i] = (Oid)oid;
    }
}

/* While it is being set up a connection is its own owner. */
static void setup_result(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    if (!tn__result_ok(result))
        tn__conn_break(conn, PQresultErrorMessage(result));
    else if (entry->tag == TAG_TEXT_TYPES)
        take_text_types(conn, result);
}

static void setup_sync(tn__conn *conn)
{
    tn__timer_stop(conn->loop, &conn->timer);
    conn->state = TN__CONN_UP;
    conn->failures = 0;
    count(conn, 1);
    conn->events->on_up(conn);
}

const tn__conn_events tn__setup_events = { .on_result = setup_result, .on_sync = setup_sync };

static void on_ready(tn__watch *watch, uint32_t events)
{
    tn__conn *conn = watch->owner;
    if (conn->broken)
        return;
    if (conn->state == TN__CONN_CONNECTING)
        poll_connecting(conn);
    else
        tn__pipeline_ready(conn, events);
}

/* ---- For the owner ------------------------------------------------------ */

void tn__conn_init(tn__conn *conn, tn__loop *loop, tn__conn_common *common,
    const tn__conn_events *events, void *owner)
{
    *conn = (tn__conn){
        .loop = loop,
        .common = common,
        .events = events,
        .owner = owner,
        .ending = { .run = end, .owner = conn },
    };
}

void tn__conn_start(tn__conn *conn)
{
    assert(conn->state == TN__CONN_OFF);
    conn->failures = 0;
    conn->state = TN__CONN_WAITING;
    conn->timer = (tn__timer){ .on_time = attempt, .owner = conn };
    tn__timer_start(conn->loop, &conn->timer, tn__mono_us());
}

void tn__conn_hurry(tn__conn *conn)
{
    if (conn->state == TN__CONN_WAITING)
        tn__timer_start(conn->loop, &conn->timer, tn__mono_us());
}

void tn__conn_stop(tn__conn *conn)
{
    close_now(conn);
}

void tn__conn_deinit(tn__conn *conn)
{
    close_now(conn);
    free(conn->entries);
}
