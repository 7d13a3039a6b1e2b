/* The pool: who has which session, and who waits for one.
 *
 * Connections are made when they are first needed and then kept; one that is lost is made again when
 * somebody waits for it.
 *
 * Invariants: a session is idle (in the list), in the hands of one transaction, or on its way back
 * (session.c); transactions wait only when none is idle. */
#include "pg/state.h"

#include <assert.h>
#include <stdlib.h>

static void join(tn__pool *pool, tn_tx *tx)
{
    tx->place = TN__AT_POOL;
    tx->next = NULL;
    tx->prev = pool->last;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = tx;
    pool->last = tx;
    pool->n_waiting++;
}

void tn__pool_leave(tn_tx *tx)
{
    tn__pool *pool = &tx->pg->pool;
    assert(tx->place == TN__AT_POOL && pool->n_waiting > 0);
    *(tx->prev != NULL ? &tx->prev->next : &pool->first) = tx->next;
    *(tx->next != NULL ? &tx->next->prev : &pool->last) = tx->prev;
    pool->n_waiting--;
    tx->place = TN__AT_HOME;
}

static bool any_up(const tn__pool *pool)
{
    for (size_t i = 0; i < pool->n; i++)
        if (tn__conn_is_up(&pool->sessions[i].conn))
            return true;
    return false;
}

/* Makes as many connections as there are transactions waiting for one. */
static void open_more(tn__pool *pool)
{
    size_t wanted = pool->n_waiting;
    for (size_t i = 0; i < pool->n && wanted > 0; i++) {
        tn__conn_state state = pool->sessions[i].conn.state;
        if (state == TN__CONN_OFF)
            tn__conn_start(&pool->sessions[i].conn);
        wanted -= state != TN__CONN_UP;
    }
}

static void give(tn__session *session, tn_tx *tx)
{
    session->tx = tx;
    tx->session = session;
    tn__conn_set_used(&session->conn, true);
}

void tn__pool_give_back(tn__session *session)
{
    tn__pool *pool = &session->pg->pool;
    assert(session->tx == NULL && session->n_syncs == 0);
    session->rolling_back = false;
    tn_tx *tx = pool->first;
    if (tx != NULL) {
        tn__pool_leave(tx);
        give(session, tx);
        tn__tx_return(tx);
        return;
    }
    tn__conn_set_used(&session->conn, false);
    session->next_idle = pool->idle;
    pool->idle = session;
}

static void take_out(tn__pool *pool, const tn__session *session)
{
    tn__session **at = &pool->idle;
    while (*at != NULL && *at != session)
        at = &(*at)->next_idle;
    if (*at != NULL)
        *at = session->next_idle;
}

static bool take_idle(tn__pool *pool, tn_tx *tx)
{
    tn__session *session = pool->idle;
    while (session != NULL && !tn__conn_is_up(&session->conn))
        session = session->next_idle; /* it just broke, and is taken out when it ends */
    if (session == NULL)
        return false;
    take_out(pool, session);
    give(session, tx);
    return true;
}

/* While no session is up, only so long as a reconnect may take. */
static int64_t wait_until(const tn__pool *pool, const tn_tx *tx, int64_t since_us)
{
    if (any_up(pool))
        return tx->deadline_us;
    int64_t down_us = pool->down_since_us > since_us ? pool->down_since_us : since_us;
    int64_t until_us = down_us + tx->pg->reconnect_wait_us;
    return until_us < tx->deadline_us ? until_us : tx->deadline_us;
}

static bool wait_for_session(tn__pool *pool, tn_tx *tx)
{
    const int64_t since_us = tn__mono_us();
    while (tx->place == TN__AT_POOL) {
        int64_t until_us = wait_until(pool, tx, since_us);
        tn__woke why = tn__co_wait(until_us);
        bool down = why == TN__TIMED_OUT && until_us < tx->deadline_us;
        if (why == TN__WOKEN || (down && any_up(pool)))
            continue;
        tn__tx_give_up(tx,
            down                       ? TN__FAIL_UNAVAILABLE
                : why == TN__TIMED_OUT ? TN__FAIL_TIMEOUT
                                       : TN__FAIL_CANCELLED);
        return false;
    }
    return true;
}

bool tn__pool_take(tn_tx *tx)
{
    tn__pool *pool = &tx->pg->pool;
    if (take_idle(pool, tx))
        return true;
    if (tx->pg->write.hopeless && !any_up(pool)) {
        tn__tx_fail_as(tx, TN__FAIL_UNAVAILABLE);
        return false;
    }
    if (pool->n_waiting >= (size_t)tx->pg->options.queue_max) {
        tn__tx_fail_as(tx, TN__FAIL_BUSY);
        return false;
    }
    join(pool, tx);
    open_more(pool);
    return wait_for_session(pool, tx);
}

void tn__pool_lost(tn__session *session)
{
    tn__pool *pool = &session->pg->pool;
    take_out(pool, session);
    tn__conn_set_used(&session->conn, false);
    if (pool->n_waiting == 0)
        tn__conn_stop(&session->conn);
    bool was_up = session->conn.failures == 0;
    if (was_up && !any_up(pool)) {
        pool->down_since_us = tn__mono_us();
        for (tn_tx *tx = pool->first; tx != NULL; tx = tx->next)
            tn__co_wake(tx->co); /* to wait no longer than a reconnect may take */
    }
}

void tn__pool_open(tn__pool *pool, tn__pg *pg)
{
    pool->n = (size_t)pg->options.pool_max;
    pool->sessions = tn__xcalloc(pool->n, sizeof *pool->sessions);
    for (size_t i = 0; i < pool->n; i++) {
        tn__session *session = &pool->sessions[i];
        session->pg = pg;
        tn__conn_init(&session->conn, pg->loop, &pg->common, &tn__session_events, session);
    }
}

void tn__pool_close(tn__pool *pool)
{
    assert(pool->n_waiting == 0);
    for (size_t i = 0; i < pool->n; i++) {
        assert(pool->sessions[i].tx == NULL);
        tn__conn_deinit(&pool->sessions[i].conn);
    }
    free(pool->sessions);
}
