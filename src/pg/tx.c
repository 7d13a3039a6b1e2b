/* Transactions: queued statements, the first failure, and the ways to the database.
 *
 *     reads                     each wait sends what is queued on the read lane
 *     writes, nothing looked at all of it goes with the commit on the write lane
 *     writes, rows looked at    a session of the pool: BEGIN ... COMMIT
 *
 * Invariants: all memory is the arena's. While a lane or a session has the transaction its coroutine
 * waits; when the coroutine goes on, nobody else knows of the transaction, except the session that
 * it holds. `failure` is set once. */
#include "pg/state.h"

#include <assert.h>
#include <strings.h>

/* ---- Open --------------------------------------------------------------- */

tn_tx *tn__tx_open(tn__pg *pg, tn_arena *arena, tn__tx_mode mode, int64_t deadline_us)
{
    tn_tx *tx = tn_alloc(arena, sizeof *tx);
    tx->pg = pg;
    tx->arena = arena;
    tx->mode = mode;
    tx->deadline_us = deadline_us;
    tx->co = tn__co_current();
    tx->part_of = tn__trace_current();
    pg->n_open++;
    return tx;
}

void tn__tx_context_set(tn_tx *tx, void *context)
{
    tx->context = context;
}

void *tn__tx_context(const tn_tx *tx)
{
    return tx->context;
}

tn_arena *tn__tx_arena(tn_tx *tx)
{
    return tx->arena;
}

/* ---- Failure ------------------------------------------------------------ */

void tn__tx_fail(tn_tx *tx, const tn__failure *failure)
{
    assert(failure->kind != TN__FAIL_NONE);
    if (!tn__tx_failed(tx))
        tx->failure = *failure;
}

void tn__tx_fail_as(tn_tx *tx, tn__fail_kind kind)
{
    tn__tx_fail(tx, &(tn__failure){ .kind = kind });
}

const tn__failure *tn__tx_failure(const tn_tx *tx)
{
    return &tx->failure;
}

bool tn__tx_settle(tn_tx *tx)
{
    const tn__failure *failure = &tx->met.failure;
    if (failure->kind == TN__FAIL_NONE)
        return true;
    if (tx->met.message.len > 0) {
        TN_LOG(TN_ERROR, "query failed", TN_LOG_S("query", failure->query),
            TN_LOG_S("sqlstate", failure->sqlstate), TN_LOG_S("detail", tx->met.message));
    }
    tn__tx_fail(tx, failure);
    return false;
}

/* ---- Waiting ------------------------------------------------------------ */

void tn__tx_return(tn_tx *tx)
{
    tx->place = TN__AT_HOME;
    tn__co_wake(tx->co);
}

void tn__tx_give_up(tn_tx *tx, tn__fail_kind kind)
{
    if (tx->place == TN__AT_POOL)
        tn__pool_leave(tx);
    else if (tx->place == TN__AT_LANE || tx->place == TN__AT_BATCH)
        tn__lane_leave(tx);
    tn__session_leave(tx);
    tn__tx_fail_as(tx, kind);
}

bool tn__tx_await(tn_tx *tx)
{
    assert(tx->co != NULL && tx->co == tn__co_current());
    while (tx->place != TN__AT_HOME) {
        tn__woke why = tn__co_wait(tx->deadline_us);
        if (why != TN__WOKEN) {
            tn__tx_give_up(tx, why == TN__TIMED_OUT ? TN__FAIL_TIMEOUT : TN__FAIL_CANCELLED);
            return false;
        }
    }
    return true;
}

static bool run_on_lane(tn_tx *tx, tn__lane *lane)
{
    tx->lost_tries = tx->alone_tries = 0;
    tx->uncertain = false;
    tx->met = (tn__met){ .failure = { .kind = TN__FAIL_NONE } };
    tn__lane_submit(lane, tx);
    return tn__tx_await(tx) && tn__tx_settle(tx);
}

static bool pending_one(const tn_tx *tx)
{
    for (const tn__step *step = tx->steps.first; step != NULL; step = step->next)
        if (step->want == TN__WANT_ONE && !step->arrived)
            return true;
    return false;
}

static void forget_steps(tn_tx *tx)
{
    tx->steps.first = tx->steps.last = NULL;
    tx->bytes = 0;
}

bool tn_wait(tn_tx *tx)
{
    assert(!tx->ended);
    if (tn__tx_failed(tx) || tx->steps.first == NULL)
        return !tn__tx_failed(tx);
    bool ok = tx->mode == TN__READ ? run_on_lane(tx, &tx->pg->read) : tn__session_run(tx, false);
    forget_steps(tx);
    return ok;
}

bool tn__tx_pending(const tn_tx *tx, const void *row)
{
    for (const tn__step *step = tx->steps.first; step != NULL; step = step->next)
        if (step->want == TN__WANT_ONE && step->row.at == row && !step->arrived)
            return true;
    return false;
}

/* ---- What is done around the commit -------------------------------------- */

static void append(tn__deferred_list *list, tn__deferred *deferred)
{
    *(list->last != NULL ? &list->last->next : &list->first) = deferred;
    list->last = deferred;
}

void tn__tx_defer(tn_tx *tx, void (*fn)(tn_tx *tx, void *arg), void *arg)
{
    assert(!tx->ended);
    tn__deferred *deferred = tn_alloc(tx->arena, sizeof *deferred);
    deferred->fn = fn;
    deferred->arg = arg;
    append(&tx->deferred, deferred);
}

void tn__tx_on_commit(tn_tx *tx, void (*fn)(void *arg), void *arg)
{
    assert(!tx->ended);
    tn__deferred *deferred = tn_alloc(tx->arena, sizeof *deferred);
    deferred->on_commit = fn;
    deferred->arg = arg;
    append(&tx->on_commit, deferred);
}

/* A deferred function may queue statements and defer more. */
static void run_deferred(tn_tx *tx)
{
    while (!tn__tx_failed(tx) && tx->deferred.first != NULL) {
        if (pending_one(tx) && !tn_wait(tx))
            return;
        tn__deferred *deferred = tx->deferred.first;
        tx->deferred.first = deferred->next;
        if (deferred->next == NULL)
            tx->deferred.last = NULL;
        deferred->fn(tx, deferred->arg);
    }
}

/* ---- The commit --------------------------------------------------------- */

/* True when the statement changes nothing if it gives no row. One that begins with WITH or SELECT
 * may change something all the same. */
static bool row_tells_all(const char *sql)
{
    sql += strspn(sql, " \t\r\n");
    return strncasecmp(sql, "INSERT", 6) == 0 || strncasecmp(sql, "UPDATE", 6) == 0 ||
        strncasecmp(sql, "DELETE", 6) == 0;
}

/* On a lane the commit can't wait for a look at the rows. So a missing row, which has to undo the
 * whole transaction, may only be found there if there is nothing to undo. */
static bool lane_will_do(const tn_tx *tx)
{
    if (!pending_one(tx))
        return true;
    const tn__step *only = tx->steps.first;
    assert(only != NULL);
    return only->next == NULL && tx->rows.first == NULL && row_tells_all(only->statement->sql);
}

static bool commit_write(tn_tx *tx)
{
    bool has_session = tx->seen;
    if (!has_session && tx->steps.first == NULL && tx->rows.first == NULL)
        return true;
    if (!has_session && lane_will_do(tx))
        return run_on_lane(tx, &tx->pg->write);
    if (pending_one(tx) && !tn_wait(tx))
        return false;
    return tn__session_run(tx, true);
}

static void end(tn_tx *tx)
{
    tn__session_leave(tx);
    forget_steps(tx);
    tx->ended = true;
    tx->pg->n_open--;
}

bool tn__tx_commit(tn_tx *tx)
{
    assert(!tx->ended);
    run_deferred(tx);
    bool ok = !tn__tx_failed(tx) && (tx->mode == TN__READ ? tn_wait(tx) : commit_write(tx));
    end(tx);
    for (tn__deferred *at = ok ? tx->on_commit.first : NULL; at != NULL; at = at->next)
        at->on_commit(at->arg);
    return ok;
}

void tn__tx_abandon(tn_tx *tx)
{
    if (!tx->ended)
        end(tx);
}
