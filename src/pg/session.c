/* A session: the connection that a transaction has for itself while it looks at rows before its
 * commit.
 *
 * BEGIN travels with the first statements and COMMIT with the last, so that a transaction that waits
 * once makes two round trips. As long as nothing of it has been looked at, a transaction whose
 * connection is lost begins again on another.
 *
 * Invariants: a session goes back to the pool only when every Sync was answered and the server says
 * that no transaction is open; if one ROLLBACK doesn't bring it there, it is closed. A coroutine that
 * gives up leaves its session at once: what is under way on it ends without anybody to tell. */
#include "pg/state.h"

#include <assert.h>

enum { TAG_STEP, TAG_BULK, TAG_BEGIN, TAG_COMMIT, TAG_ROLLBACK };

/* ---- Sending ------------------------------------------------------------ */

static void send_bulks(tn_tx *tx)
{
    tn__conn *conn = &tx->session->conn;
    tn__bulks_send(&tx->pg->bulks, conn, &tx, 1, true, TAG_BULK);
    tn__bulks_send(&tx->pg->bulks, conn, &tx, 1, false, TAG_BULK);
}

static void send(tn_tx *tx, bool commit)
{
    tn__session *session = tx->session;
    tn__tx_rewind(tx);
    tx->place = TN__AT_SESSION;
    tn__conn_trace(&session->conn, tx->part_of, NULL);
    if (!tx->seen)
        tn__conn_command(&session->conn, "BEGIN", TAG_BEGIN);
    for (tn__step *step = tx->steps.first; step != NULL; step = step->next)
        tn__conn_execute(&session->conn, step->statement, &step->params, TAG_STEP);
    if (commit) {
        send_bulks(tx);
        tn__conn_command(&session->conn, "COMMIT", TAG_COMMIT);
        tx->commit_sent = true;
    }
    tn__conn_sync(&session->conn);
    session->n_syncs++;
}

/* ---- Results ------------------------------------------------------------ */

static const char *name_of(const tn__entry *entry)
{
    if (entry->statement != NULL)
        return entry->statement->name;
    return entry->tag == TAG_BEGIN ? "begin" : "commit";
}

static void on_result(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    const tn__session *session = conn->owner;
    tn_tx *tx = session->tx;
    if (tx == NULL || PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        return;
    if (!tn__result_ok(result)) {
        tn__met_error(tx->arena, result, name_of(entry), &tx->met);
    } else if (entry->kind == TN__ENTRY_STATEMENT && entry->tag == TAG_STEP) {
        tn__tx_take(tx, conn, result);
    } else if (entry->tag == TAG_COMMIT) {
        /* COMMIT of a transaction that failed says ROLLBACK. */
        tx->committed = strcmp(PQcmdStatus((PGresult *)result), "COMMIT") == 0;
    }
}

/* Nobody has the session: makes it fit for the next one. */
static void unwind(tn__session *session)
{
    if (!tn__conn_is_up(&session->conn))
        return;
    switch (PQtransactionStatus(session->conn.pq)) {
    case PQTRANS_IDLE:
        tn__pool_give_back(session);
        return;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        if (!session->rolling_back) {
            session->rolling_back = true;
            tn__conn_command(&session->conn, "ROLLBACK", TAG_ROLLBACK);
            tn__conn_sync(&session->conn);
            session->n_syncs++;
            return;
        }
        break;
    default:
        break;
    }
    tn__conn_break(&session->conn, "a transaction could not be ended");
}

static void on_sync(tn__conn *conn)
{
    tn__session *session = conn->owner;
    assert(session->n_syncs > 0);
    if (--session->n_syncs > 0)
        return;
    if (session->tx != NULL)
        tn__tx_return(session->tx);
    else
        unwind(session);
}

static void on_up(tn__conn *conn)
{
    tn__pool_give_back(conn->owner);
}

static void on_down(tn__conn *conn)
{
    tn__session *session = conn->owner;
    tn_tx *tx = session->tx;
    session->n_syncs = 0;
    session->rolling_back = false;
    if (tx != NULL) {
        session->tx = NULL;
        tx->session = NULL;
        tx->session_lost = true;
        if (tx->place == TN__AT_SESSION)
            tn__tx_return(tx);
    }
    tn__pool_lost(session);
}

const tn__conn_events tn__session_events = {
    .on_up = on_up,
    .on_result = on_result,
    .on_sync = on_sync,
    .on_down = on_down,
};

/* ---- For a transaction -------------------------------------------------- */

void tn__session_leave(tn_tx *tx)
{
    tn__session *session = tx->session;
    tx->place = TN__AT_HOME;
    if (session == NULL)
        return;
    tx->session = NULL;
    session->tx = NULL;
    if (session->n_syncs == 0)
        unwind(session);
}

static bool fail(tn_tx *tx, tn__fail_kind kind)
{
    tn__tx_fail_as(tx, kind);
    return false;
}

/* True when the transaction, which lost its connection, may begin again. */
static bool begins_again(tn_tx *tx)
{
    tx->session_lost = false;
    return !tx->seen && !tx->commit_sent && ++tx->lost_tries <= TN__LOST_TRIES_MAX;
}

/* What became of a transaction that lost its connection and doesn't begin again. */
static bool judge_lost(tn_tx *tx)
{
    if (tx->committed)
        return true; /* the server said so before the end */
    if (!tn__tx_settle(tx))
        return false;
    return fail(tx, tx->commit_sent ? TN__FAIL_UNKNOWN : TN__FAIL_UNAVAILABLE);
}

static bool has_session(tn_tx *tx)
{
    if (tx->session != NULL)
        return true;
    if (tx->session_lost)
        return fail(tx, TN__FAIL_UNAVAILABLE); /* between two waits: it was rolled back */
    return tn__pool_take(tx);
}

bool tn__session_run(tn_tx *tx, bool commit)
{
    do {
        if (!has_session(tx))
            return false;
        if (tx->session != NULL) /* else it was lost before our turn came */
            send(tx, commit);
        if (!tn__tx_await(tx))
            return false;
    } while (tx->session_lost && begins_again(tx));
    bool ok = tx->session == NULL ? judge_lost(tx) : tn__tx_settle(tx);
    tx->seen = true;
    if (ok && commit && !tx->committed)
        ok = fail(tx, TN__FAIL_ERROR);
    if (!ok || commit)
        tn__session_leave(tx);
    return ok;
}
