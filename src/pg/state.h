/* What the files of this layer know of a transaction and of a worker's connections. */
#pragma once

#include "pg/bulk.h"
#include "pg/conn.h"
#include "pg/failure.h"
#include "pg/pg.h"
#include "pg/span.h"

/* How long a transaction waits for a lost connection to come back; longer, and all that come are
 * turned away at once until it is there again. */
#define TN__RECONNECT_WAIT_US INT64_C(1000000)
/* How often a transaction that met an error alone which may pass is run again. */
#define TN__ALONE_TRIES_MAX 3
/* How often one is run again because the connection was lost under it: it may be the cause. */
#define TN__LOST_TRIES_MAX 3
/* How often others' faults may undo a transaction before it goes on among fewer. */
#define TN__UNDONE_MAX 3
/* Small batches of those that faults held up: so many in flight beside the ordinary ones. */
#define TN__NARROWED_IN_FLIGHT_MAX 8
/* A batch ends with the transaction that brings it to this many bytes of parameters. */
#define TN__BATCH_BYTES_MAX ((size_t)4 << 20)
/* Rows that tn_all() may read. */
#define TN__ROWS_MAX 10000

typedef struct tn__lane tn__lane;
typedef struct tn__session tn__session;

/* ---- Transactions ------------------------------------------------------- */

typedef enum { TN__WANT_NOTHING, TN__WANT_ONE, TN__WANT_MAYBE, TN__WANT_ALL } tn__want;

/* A statement that is queued, or sent and not answered. */
typedef struct tn__step tn__step;
struct tn__step {
    tn__step *next;
    tn__statement *statement;
    tn__params params;
    tn__want want;
    tn_ref row;    /* of ONE and MAYBE */
    tn_rows *rows; /* of ALL */
    bool *found;   /* of MAYBE */
    bool arrived;
};

typedef struct tn__deferred tn__deferred;
struct tn__deferred {
    tn__deferred *next;
    void (*fn)(tn_tx *tx, void *arg);
    void (*on_commit)(void *arg);
    void *arg;
};

typedef struct {
    tn__deferred *first, *last;
} tn__deferred_list;

/* Where a transaction stands. */
typedef enum {
    TN__AT_HOME,   /* with its coroutine */
    TN__AT_LANE,   /* in a lane's queue */
    TN__AT_BATCH,  /* in a batch that was sent */
    TN__AT_POOL,   /* in the queue for a session */
    TN__AT_SESSION /* its statements are on their way on its session */
} tn__place;

typedef struct {
    tn_tx *first, *last;
    size_t n;
} tn__tx_queue;

struct tn_tx {
    tn__pg *pg;
    tn_arena *arena;
    tn__co *co;
    tn__tx_mode mode;
    int64_t deadline_us;
    void *context;
    const tn__trace *part_of; /* the span that opened it, which outlives it; NULL: none */
    bool ended;
    tn__failure failure;
    tn__met met; /* by the attempt that is under way */

    struct {
        tn__step *first, *last;
    } steps;
    tn__step *cursor; /* the next one whose result comes */
    struct {
        tn__bulk_row *first, *last;
    } rows;
    bool has_first;
    size_t bytes; /* of parameters */
    tn__deferred_list deferred, on_commit;

    tn__place place;
    tn_tx *next, *prev; /* in a queue */
    /* On a lane. */
    tn__lane *lane;
    tn__tx_queue *queue;
    tn_tx **seat;     /* in the batch */
    uint64_t turn;    /* its place in the lane's queue */
    size_t share_max; /* how many may share a batch with it, itself included */
    int times_undone, alone_tries, lost_tries;
    bool uncertain; /* an earlier attempt may have committed */
    /* On a session. */
    tn__session *session;
    bool session_lost;
    bool seen; /* some of its results have been looked at, so it can't be run again */
    bool commit_sent, committed;
};

static inline bool tn__tx_failed(const tn_tx *tx)
{
    return tx->failure.kind != TN__FAIL_NONE;
}

/* Takes the result of the step at the cursor. */
void tn__tx_take(tn_tx *tx, tn__conn *conn, const PGresult *result);
/* Makes ready for sending its steps (again). */
void tn__tx_rewind(tn_tx *tx);
/* It is back home: wakes its coroutine. */
void tn__tx_return(tn_tx *tx);
/* Gives way until it is back home. False, with the failure set, when the deadline or a cancellation
 * came first: whoever had it has let it go. */
bool tn__tx_await(tn_tx *tx);
void tn__tx_fail_as(tn_tx *tx, tn__fail_kind kind);
/* Its coroutine stops waiting for it. */
void tn__tx_give_up(tn_tx *tx, tn__fail_kind kind);
/* Makes what the last attempt met, if anything, its failure: true when there was nothing. */
bool tn__tx_settle(tn_tx *tx);

/* ---- Lanes -------------------------------------------------------------- */

/* Transactions that were sent as one, with one Sync. */
typedef struct {
    tn_tx **members; /* NULL where a coroutine gave up */
    size_t n;
    bool synced;   /* its Sync was handed to libpq: it may commit */
    bool failed;   /* an error was reported: it can't commit */
    bool may_pass; /* the error may pass */
    bool took_long;
    size_t culprit; /* the member at fault; n when none can be named */
    tn__round_trip trip;
} tn__batch;

struct tn__lane {
    tn__pg *pg;
    tn__tx_mode mode;
    tn__conn conn;
    tn__tx_queue shared, alone;
    uint64_t next_turn;
    tn__batch *batches; /* a ring */
    size_t n_batches, oldest, n_in_flight;
    tn__task send;
    tn__timer patience;
    bool hopeless; /* down for longer than TN__RECONNECT_WAIT_US */
};

void tn__lane_open(tn__lane *lane, tn__pg *pg, tn__tx_mode mode);
void tn__lane_close(tn__lane *lane);
/* Queues the transaction; it returns when it has its results or a failure. */
void tn__lane_submit(tn__lane *lane, tn_tx *tx);
/* Its coroutine gives up. */
void tn__lane_leave(tn_tx *tx);

/* ---- The pool ----------------------------------------------------------- */

/* A connection that one transaction at a time has for itself. */
struct tn__session {
    tn__pg *pg;
    tn__conn conn;
    tn_tx *tx;
    size_t n_syncs; /* sent and not answered */
    bool rolling_back;
    tn__session *next_idle;
};

typedef struct {
    tn__session *sessions;
    size_t n;
    tn__session *idle;
    tn_tx *first, *last; /* waiting */
    size_t n_waiting;
    int64_t down_since_us; /* when the last session was lost */
} tn__pool;

void tn__pool_open(tn__pool *pool, tn__pg *pg);
void tn__pool_close(tn__pool *pool);
/* Gets the transaction a session, waiting for one if need be. */
bool tn__pool_take(tn_tx *tx);
/* Its coroutine gives up waiting for one. */
void tn__pool_leave(tn_tx *tx);
/* The session has nothing open: somebody else may have it. */
void tn__pool_give_back(tn__session *session);
/* The session's connection has ended. */
void tn__pool_lost(tn__session *session);
/* Sends the steps on its session, and with `commit` the bulks and COMMIT; waits for the results.
 * False when the transaction has failed. */
bool tn__session_run(tn_tx *tx, bool commit);
extern const tn__conn_events tn__session_events;
/* Gives the session back; what is unfinished is rolled back. */
void tn__session_leave(tn_tx *tx);

/* ---- A worker's connections --------------------------------------------- */

typedef struct tn__listener tn__listener;

struct tn__pg {
    tn__loop *loop;
    tn__pg_options options;
    tn__conn_common common;
    char **texts; /* what `common` points to */
    tn__statements statements;
    tn__bulks bulks;
    tn__lane read, write;
    tn__pool pool;
    tn__listener *listener;
    enum { TN__TOLD_NOTHING, TN__TOLD_UP, TN__TOLD_DOWN } told;
    size_t n_open;             /* transactions */
    int64_t reconnect_wait_us; /* TN__RECONNECT_WAIT_US; more in tests on busy machines */
};

/* A lane went down, or an attempt to make it failed: logs the change, once. */
void tn__pg_note_down(tn__pg *pg, const tn__conn *conn);
/* A lane came up: so will the other connections, now. */
void tn__pg_note_up(tn__pg *pg);
void tn__listener_hurry(tn__pg *pg);
void tn__listener_close(tn__pg *pg);
