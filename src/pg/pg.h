/* PostgreSQL on an event loop: a worker's connections, and transactions that share round trips.
 *
 * A tn__pg belongs to one loop. It holds two lanes and a pool. The read lane carries single
 * statements of read-only transactions, the write lane carries transactions that ask nothing before
 * their commit: both send all that is queued as one batch with one Sync as soon as a slot is free,
 * with no timer and at most `batches_in_flight_max` in flight. A write batch is one transaction of
 * the server, so it shares one flush, and what is visible is durable. When a batch fails, the member
 * at fault is run alone and the rest again as a batch; when no member can be named, all run alone.
 * Only an error met alone is an answer. A transaction that waits for rows before its commit takes a
 * connection of the pool for itself (BEGIN ... COMMIT). Lost connections are made again with backoff
 * and jitter; what was in flight is tried again when that is safe (reads, and writes that carry a
 * unique key in a bulk row marked `first`), else fails as TN__FAIL_UNKNOWN. */
#pragma once

#include "loop/loop.h"
#include "schema/schema.h"
#include "telemetry/telemetry.h"
#include <trunnion/service.h>

typedef struct {
    const char *url;              /* libpq connection URI */
    const char *application_name; /* as pg_stat_activity shows it */
    int pool_max;                 /* connections for transactions that wait, 1 or more */
    int batch_max;                /* transactions a batch */
    int batches_in_flight_max;
    int queue_max; /* transactions waiting for a slot; beyond that TN__FAIL_BUSY */
    int lock_timeout_ms;
    int statement_timeout_ms;
    int connect_timeout_ms;
} tn__pg_options;

typedef struct tn__pg tn__pg;
tn__pg *tn__pg_open(tn__loop *loop, const tn__pg_options *options);
/* Call when no transaction is left. */
void tn__pg_close(tn__pg *pg);
/* True while the lanes are connected; else `why` (may be NULL) says what the last attempt met. */
bool tn__pg_up(const tn__pg *pg, tn_str *why);

/* The URL's own `options`, with which those of every session begin, so that what the guarantees rest
 * on can't be undone by them; each ends with a space. */
void tn__pg_url_options(tn__buf *out, const char *url);

/* Calls fn on the loop for each NOTIFY on the channel, and once after each reconnect, since some may
 * have been missed. On a connection of its own, opened with the first call. */
void tn__pg_listen(tn__pg *pg, const char *channel, void (*fn)(void *arg), void *arg);

/* ---- Transactions ------------------------------------------------------ */

typedef enum {
    TN__FAIL_NONE,
    TN__FAIL_NOT_FOUND,   /* tn_one() met no row */
    TN__FAIL_CONSTRAINT,  /* `constraint` was violated (SQLSTATE class 23) */
    TN__FAIL_PROBLEM,     /* tn_fail(): `problem` and `detail` */
    TN__FAIL_STATUS,      /* a layer above: `status` and `detail`, `tag` for its own use */
    TN__FAIL_BUSY,        /* a lock or a slot could not be had in time; trying again is right */
    TN__FAIL_UNAVAILABLE, /* no connection; nothing was done */
    TN__FAIL_UNKNOWN,     /* the connection was lost while committing: done or not */
    TN__FAIL_TIMEOUT,     /* the deadline passed; done or not */
    TN__FAIL_CANCELLED,
    TN__FAIL_ERROR, /* any other SQL error: logged, not told to clients */
} tn__fail_kind;

typedef struct {
    tn__fail_kind kind;
    const tn_problem *problem;
    int status;
    const void *tag;
    tn_str constraint, detail, sqlstate, query; /* in the transaction's arena */
} tn__failure;

typedef enum { TN__READ, TN__WRITE } tn__tx_mode;

/* Opens a transaction for the current coroutine; nothing is sent. Memory comes from the arena; the
 * transaction ends with tn__tx_commit() or tn__tx_abandon(), whatever failed. `context` is for the
 * layers above (see messaging.h). */
tn_tx *tn__tx_open(tn__pg *pg, tn_arena *arena, tn__tx_mode mode, int64_t deadline_us);
void tn__tx_context_set(tn_tx *tx, void *context);
void *tn__tx_context(const tn_tx *tx);
tn_arena *tn__tx_arena(tn_tx *tx);

/* The first failure sticks; later ones are ignored. */
void tn__tx_fail(tn_tx *tx, const tn__failure *failure);
const tn__failure *tn__tx_failure(const tn_tx *tx); /* kind TN__FAIL_NONE when all is well */

/* True while `row` is the target of a tn_one() whose row hasn't arrived. */
bool tn__tx_pending(const tn_tx *tx, const void *row);
/* Runs fn(tx, arg) before the commit, once all rows have arrived and only if nothing failed. */
void tn__tx_defer(tn_tx *tx, void (*fn)(tn_tx *tx, void *arg), void *arg);
/* Runs fn(arg) right after the commit succeeded. */
void tn__tx_on_commit(tn_tx *tx, void (*fn)(void *arg), void *arg);

/* A statement whose rows are collected over a batch and sent as one: parameters $1.. are arrays of
 * the kinds' types (text[], bigint[], uuid[], timestamptz[] ...; TN_KIND_JSON is text[]), such as
 * INSERT INTO t SELECT * FROM unnest($1::uuid[], $2::text[]). A bulk marked `first` goes before the
 * transactions' own statements, the others after them. */
typedef struct {
    const char *name, *sql;
    const tn_kind *kinds;
    size_t n_kinds;
    bool first;
} tn__bulk;
/* Adds a row; the bytes that strings point to must live as long as the arena. */
void tn__tx_bulk(tn_tx *tx, const tn__bulk *bulk, tn_args row);

/* Commits and waits: true once it is durable, false with tn__tx_failure(). Rows asked for by
 * tn_one() are filled. On a read transaction it waits for what is queued. */
bool tn__tx_commit(tn_tx *tx);
/* Ends it without effect. */
void tn__tx_abandon(tn_tx *tx);

/* ---- Migrations (blocking; before the loops start) ---------------------- */

/* Applies what is missing of `set` ("trunnion", or the service's name), in order, each in a
 * transaction, under an advisory lock. Refuses, with `why`, when one that was applied has changed or
 * is gone, and when a name is out of order. TN__MIGRATE_UNREACHABLE: the server can't be had (yet). */
typedef enum { TN__MIGRATE_DONE, TN__MIGRATE_UNREACHABLE, TN__MIGRATE_REFUSED } tn__migrated;
tn__migrated tn__migrate(tn_arena *arena, const char *url, const char *set,
    const tn_migration *migrations, size_t n, int timeout_ms, tn_str *why);

/* The same for several sets, one after the other, on one connection. */
typedef struct {
    const char *name;
    const tn_migration *at;
    size_t n;
} tn__migration_set;
tn__migrated tn__migrate_sets(tn_arena *arena, const char *url, const tn__migration_set *sets,
    size_t n, int timeout_ms, tn_str *why);
/* Applies nothing: TN__MIGRATE_UNREACHABLE as long as one of them is missing, for somebody else may
 * be about to apply it. */
tn__migrated tn__migrations_check(tn_arena *arena, const char *url, const tn__migration_set *sets,
    size_t n, int timeout_ms, tn_str *why);
