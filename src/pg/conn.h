/* One connection in pipeline mode: made without blocking, kept, and spoken to in entries.
 *
 * Whoever owns a connection sends statements, commands and Syncs; for each of them one entry stands
 * in the ring until its result has come, in order. The owner hears of each result, of each Sync, and
 * of the connection's end, after which no entry is left and the connection is made again (or stays
 * away, if the owner stops it). The owner is told of the end at the end of a turn, never from within
 * one of its own calls. */
#pragma once

#include "loop/loop.h"
#include "pg/rows.h"
#include "pg/statement.h"

/* A first attempt to connect again comes at once, later ones after a delay that doubles from MIN to
 * MAX; each is drawn between half of that and all of it, so that replicas spread out. */
#define TN__BACKOFF_MIN_US INT64_C(50000)
#define TN__BACKOFF_MAX_US INT64_C(2000000)
/* What takes longer, from one Sync's result to the next, is logged with the names of its statements,
 * of which so many are listed. */
#define TN__SLOW_US        INT64_C(500000)
#define TN__SLOW_NAMES_MAX 8

typedef struct tn__conn tn__conn;

typedef enum {
    TN__ENTRY_PREPARE,
    TN__ENTRY_STATEMENT,
    TN__ENTRY_COMMAND, /* unprepared: BEGIN, COMMIT, LISTEN and the like */
    TN__ENTRY_SYNC,
} tn__entry_kind;

typedef struct {
    tn__entry_kind kind;
    bool answered;
    int tag;                  /* the owner's */
    unsigned generation;      /* of the prepared statement */
    tn__statement *statement; /* of PREPARE and STATEMENT */
    int64_t sent_us;
    tn__trace part_of;       /* of STATEMENT: its transaction's */
    const tn__trace *shares; /* the span of the round trip; NULL: it has none */
} tn__entry;

typedef struct {
    void (*on_up)(tn__conn *conn);
    /* Good or bad, but never the connection's end. The result is the connection's. */
    void (*on_result)(tn__conn *conn, const tn__entry *entry, const PGresult *result);
    void (*on_sync)(tn__conn *conn);
    void (*on_notify)(tn__conn *conn, const char *channel); /* may be NULL */
    /* It was lost, or an attempt to make it failed; `why` says how. */
    void (*on_down)(tn__conn *conn);
} tn__conn_events;

/* What the connections of a worker have in common. */
typedef struct {
    const char *const *keywords, *const *values; /* for libpq, ended by NULL */
    int64_t connect_timeout_us;
    tn__text_types text_types; /* as the newest connection found them */
    tn__metric *idle, *used;   /* db_client_connections */
} tn__conn_common;

typedef enum {
    TN__CONN_OFF,
    TN__CONN_WAITING,    /* for the next attempt */
    TN__CONN_CONNECTING, /* with libpq */
    TN__CONN_SETUP,      /* connected; learning the database's types */
    TN__CONN_UP,
} tn__conn_state;

struct tn__conn {
    tn__loop *loop;
    tn__conn_common *common;
    const tn__conn_events *events;
    void *owner;
    bool read_only; /* set before the start */

    tn__conn_state state;
    PGconn *pq;
    tn__watch watch;
    bool watching;
    tn__timer timer; /* the next attempt, or the end of this one's time */
    tn__task ending;
    bool broken; /* found dead; `ending` is queued */
    bool counted_used;
    int failures; /* attempts in a row */

    tn__entry *entries; /* a ring of `cap`, a power of two */
    size_t first, n, cap;
    int stray_nulls;
    struct tn__prepared *prepared; /* by the statement's id */
    size_t n_prepared;
    int64_t sending_us, received_us, synced_us;
    tn__trace part_of; /* what is sent now */
    const tn__trace *shares;
    size_t n_executed;
    const tn__statement *since_sync[TN__SLOW_NAMES_MAX]; /* those with results, each once */
    size_t n_since_sync;
    char why[256];
};

void tn__conn_init(tn__conn *conn, tn__loop *loop, tn__conn_common *common,
    const tn__conn_events *events, void *owner);
/* Starts connecting, and goes on until it is up. */
void tn__conn_start(tn__conn *conn);
/* The server is there: if it waits for its next attempt, that comes now. */
void tn__conn_hurry(tn__conn *conn);
/* Closes it at once and leaves it so; the owner isn't told. Not from within an event but on_down. */
void tn__conn_stop(tn__conn *conn);
/* Gives it up as broken: it is closed at the end of the turn, and made again. */
void tn__conn_break(tn__conn *conn, const char *why);
void tn__conn_deinit(tn__conn *conn);

static inline bool tn__conn_is_up(const tn__conn *conn)
{
    return conn->state == TN__CONN_UP && !conn->broken;
}
/* For the metric: whether somebody has it in hand. */
void tn__conn_set_used(tn__conn *conn, bool used);

/* ---- Pipeline ----------------------------------------------------------- */

/* Sends nothing by itself until there is much, or the Sync. What is sent on a broken connection goes
 * nowhere, and the end of the connection is its answer. */
void tn__conn_execute(tn__conn *conn, tn__statement *statement, const tn__params *params, int tag);
/* What the statements that follow are part of (NULL: nothing), and the span of the round trip that
 * they share (NULL: none), which outlives their results. */
void tn__conn_trace(tn__conn *conn, const tn__trace *part_of, const tn__trace *shares);
void tn__conn_command(tn__conn *conn, const char *sql, int tag);
/* False when the Sync could not be handed over, so that nothing since the last one can commit. */
bool tn__conn_sync(tn__conn *conn);

/* The plan for rows of that statement into that schema, or NULL with `why`. */
const tn__plan *tn__conn_plan(tn__conn *conn, tn_arena *arena, const tn__statement *statement,
    const tn_schema *schema, const PGresult *result, tn_str *why);

/* For connect.c. */
void tn__pipeline_ready(tn__conn *conn, uint32_t events);
void tn__pipeline_clear(tn__conn *conn);
/* The first line of a message of libpq's, as `why`. */
void tn__conn_why(tn__conn *conn, const char *message);

static inline bool tn__result_ok(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}
