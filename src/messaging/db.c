/* libpq with time limits. Any failure closes the connection: the relay has nothing to say to a
 * session whose state is in doubt, and a new one costs milliseconds. */
#include "messaging/db.h"

#include "pg/pg.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>

static bool fail(tn__db *db, const char *why)
{
    tn_str line = tn_str_of(why != NULL && why[0] != '\0' ? why : "the connection was lost"), first;
    tn_str rest = tn__str_trim(line);
    tn__str_cut(&rest, '\n', &first);
    snprintf(db->why, sizeof db->why, "%.*s", TN_FMT(first));
    tn__db_close(db);
    return false;
}

void tn__db_close(tn__db *db)
{
    if (db->conn != NULL)
        PQfinish(db->conn);
    db->conn = NULL;
}

/* Waits for the socket; false when the time is over. */
static bool wait_for(const tn__db *db, short events, int64_t deadline_us)
{
    struct pollfd at = { .fd = PQsocket(db->conn), .events = events };
    int64_t left_ms = (deadline_us - tn__mono_us() + 999) / 1000;
    return left_ms > 0 && poll(&at, 1, (int)left_ms) > 0;
}

/* What the server says unasked reaches the log by the error that comes with it, if it matters. */
static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

/* ---- Open --------------------------------------------------------------- */

static PGconn *start(const tn__db_options *options)
{
    tn__buf session = { .arena = NULL };
    tn__pg_url_options(&session, options->url);
    tn__buf_printf(&session, "-c statement_timeout=%d -c idle_in_transaction_session_timeout=%d",
        options->statement_timeout_ms, options->idle_in_transaction_timeout_ms);
    tn__buf_add_char(&session, '\0');
    const char *keywords[] = { "dbname", "application_name", "options", "client_encoding",
        "tcp_user_timeout", NULL };
    const char *values[] = { options->url, options->application_name, session.data, "UTF8", "10000",
        NULL };
    PGconn *conn = PQconnectStartParams(keywords, values, 1);
    tn__buf_deinit(&session);
    return conn;
}

static bool connect_until(tn__db *db, int64_t deadline_us)
{
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (PQstatus(db->conn) != CONNECTION_BAD && wanted != PGRES_POLLING_OK) {
        if (!wait_for(db, wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_us))
            return fail(db, "connecting took too long");
        wanted = PQconnectPoll(db->conn);
        if (wanted == PGRES_POLLING_FAILED)
            break;
    }
    if (PQstatus(db->conn) != CONNECTION_OK)
        return fail(db, PQerrorMessage(db->conn));
    return PQsetnonblocking(db->conn, 1) == 0 || fail(db, PQerrorMessage(db->conn));
}

/* ---- Results -------------------------------------------------------------- */

static bool flush(tn__db *db, int64_t deadline_us)
{
    int left;
    while ((left = PQflush(db->conn)) == 1) {
        /* What the server says must be taken, else it stops to take what we say. */
        if (!wait_for(db, POLLIN | POLLOUT, deadline_us))
            return fail(db, "the server takes nothing more");
        if (PQconsumeInput(db->conn) == 0)
            return fail(db, PQerrorMessage(db->conn));
    }
    return left == 0 || fail(db, PQerrorMessage(db->conn));
}

static bool await_result(tn__db *db, int64_t deadline_us, PGresult **result)
{
    while (PQisBusy(db->conn) != 0) {
        if (!wait_for(db, POLLIN, deadline_us))
            return fail(db, "the server doesn't answer");
        if (PQconsumeInput(db->conn) == 0)
            return fail(db, PQerrorMessage(db->conn));
    }
    *result = PQgetResult(db->conn);
    return true;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* One call's result and the NULL that ends it. */
static bool take_result(tn__db *db, int64_t deadline_us, PGresult **result)
{
    PGresult *end = NULL;
    if (!await_result(db, deadline_us, result))
        return false;
    if (*result == NULL || !is_good(*result))
        return fail(db, *result != NULL ? PQresultErrorMessage(*result) : NULL);
    if (!await_result(db, deadline_us, &end))
        return false;
    if (end == NULL)
        return true;
    PQclear(end);
    return fail(db, "a statement gave two results");
}

static bool take_sync(tn__db *db, int64_t deadline_us)
{
    PGresult *result = NULL;
    if (!await_result(db, deadline_us, &result))
        return false;
    bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return synced || fail(db, "the pipeline has no end");
}

static bool take_all(tn__db *db, size_t n, PGresult **results, int64_t deadline_us)
{
    for (size_t i = 0; i < n; i++)
        if (!take_result(db, deadline_us, &results[i]))
            return false;
    return take_sync(db, deadline_us);
}

static void clear(PGresult **results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

bool tn__db_run(tn__db *db, const tn__db_call *calls, size_t n, PGresult **results, int timeout_ms)
{
    assert(db->conn != NULL && n > 0 && n <= TN__DB_CALLS_MAX);
    int64_t deadline_us = tn__mono_us() + (int64_t)timeout_ms * 1000;
    memset(results, 0, n * sizeof *results);
    for (size_t i = 0; i < n; i++)
        if (PQsendQueryPrepared(db->conn, calls[i].name, calls[i].n_params, calls[i].params, NULL,
                NULL, 0) == 0)
            return fail(db, PQerrorMessage(db->conn));
    if (PQpipelineSync(db->conn) == 0)
        return fail(db, PQerrorMessage(db->conn));
    if (flush(db, deadline_us) && take_all(db, n, results, deadline_us))
        return true;
    clear(results, n);
    return false;
}

/* ---- Set up --------------------------------------------------------------- */

static bool prepare(tn__db *db, const tn__db_options *options, int64_t deadline_us)
{
    char listen[80];
    snprintf(listen, sizeof listen, "LISTEN %s", options->listen);
    int sent = PQenterPipelineMode(db->conn);
    sent &= PQsendQueryParams(db->conn, listen, 0, NULL, NULL, NULL, NULL, 0);
    for (size_t i = 0; i < options->n_statements; i++)
        sent &= PQsendPrepare(db->conn, options->statements[i].name, options->statements[i].sql, 0,
            NULL);
    sent &= PQpipelineSync(db->conn);
    if (sent == 0)
        return fail(db, PQerrorMessage(db->conn));
    if (!flush(db, deadline_us))
        return false;
    for (size_t i = 0; i <= options->n_statements; i++) {
        PGresult *result = NULL;
        bool ok = take_result(db, deadline_us, &result);
        PQclear(result);
        if (!ok)
            return false;
    }
    return take_sync(db, deadline_us);
}

bool tn__db_open(tn__db *db, const tn__db_options *options)
{
    int64_t deadline_us = tn__mono_us() + (int64_t)options->connect_timeout_ms * 1000;
    assert(db->conn == NULL);
    db->conn = start(options);
    if (db->conn == NULL)
        return fail(db, "out of memory");
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    return connect_until(db, deadline_us) && prepare(db, options, deadline_us);
}

bool tn__db_notified(tn__db *db)
{
    bool any = false;
    PGnotify *notify;
    if (PQconsumeInput(db->conn) == 0)
        return fail(db, PQerrorMessage(db->conn));
    while ((notify = PQnotifies(db->conn)) != NULL) {
        any = true;
        PQfreemem(notify);
    }
    return any;
}
