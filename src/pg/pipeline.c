/* What is sent on a connection, and what comes back.
 *
 * Invariants: the ring's entries are libpq's own queue of commands, in the same order: one is pushed
 * for each thing sent and popped when libpq has reported it whole. PQgetResult() is only called when
 * PQisBusy() says that it won't block. A statement is prepared within the pipeline on its first use;
 * if that was skipped or refused, the next use prepares it again under a name of a new generation,
 * so that no order of events makes one name stand twice. */
#include "pg/span.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
    ENTRIES_MIN = 64,
    STRAY_NULLS_MAX = 2,
    SERVER_NAME_MAX = 63, /* PostgreSQL's NAMEDATALEN - 1 */
};

extern const tn__conn_events tn__setup_events;

typedef struct tn__prepared {
    bool present; /* sent, and not known to have failed */
    unsigned generation;
    tn__plan *plans;
} prepared;

static const tn__conn_events *events_of(const tn__conn *conn)
{
    return conn->state == TN__CONN_SETUP ? &tn__setup_events : conn->events;
}

/* ---- Prepared statements ------------------------------------------------ */

static prepared *prepared_of(tn__conn *conn, const tn__statement *statement)
{
    if (statement->id >= conn->n_prepared) {
        size_t n = statement->id + 16;
        conn->prepared = tn__xrealloc(conn->prepared, n * sizeof *conn->prepared);
        memset(conn->prepared + conn->n_prepared, 0,
            (n - conn->n_prepared) * sizeof *conn->prepared);
        conn->n_prepared = n;
    }
    return &conn->prepared[statement->id];
}

static void free_plans(prepared *p)
{
    while (p->plans != NULL) {
        tn__plan *gone = p->plans;
        p->plans = gone->next;
        free(gone);
    }
}

/* The statement of that generation isn't there, or isn't fit any more. */
static void forget(tn__conn *conn, const tn__statement *statement, unsigned generation)
{
    prepared *p = prepared_of(conn, statement);
    if (p->present && p->generation == generation) {
        p->present = false;
        p->generation++;
        free_plans(p);
    }
}

static bool has_state(const PGresult *result, const char *sqlstate)
{
    const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return found != NULL && strcmp(found, sqlstate) == 0;
}

/* "Cached plan must not change result type": a table was altered since. The text may be translated;
 * the function that says so isn't. */
static bool plan_is_stale(const PGresult *result)
{
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    return has_state(result, "0A000") && function != NULL &&
        strcmp(function, "RevalidateCachedQuery") == 0;
}

static void note_failure(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    bool gone = entry->kind == TN__ENTRY_PREPARE ||
        (entry->kind == TN__ENTRY_STATEMENT &&
            (has_state(result, "26000") || plan_is_stale(result)));
    if (gone)
        forget(conn, entry->statement, entry->generation);
}

const tn__plan *tn__conn_plan(tn__conn *conn, tn_arena *arena, const tn__statement *statement,
    const tn_schema *schema, const PGresult *result, tn_str *why)
{
    prepared *p = prepared_of(conn, statement);
    for (tn__plan *plan = p->plans; plan != NULL; plan = plan->next)
        if (plan->schema == schema && plan->n_columns == (size_t)PQnfields(result))
            return plan;
    tn__plan *plan = tn__plan_make(arena, schema, result, &conn->common->text_types, why);
    if (plan != NULL) {
        plan->next = p->plans;
        p->plans = plan;
    }
    return plan;
}

/* ---- The ring ----------------------------------------------------------- */

static void grow(tn__conn *conn)
{
    size_t cap = conn->cap == 0 ? ENTRIES_MIN : conn->cap * 2;
    tn__entry *entries = tn__xmalloc(cap * sizeof *entries);
    for (size_t i = 0; i < conn->n; i++)
        entries[i] = conn->entries[(conn->first + i) & (conn->cap - 1)];
    free(conn->entries);
    conn->entries = entries;
    conn->cap = cap;
    conn->first = 0;
}

static void push(tn__conn *conn, tn__entry entry)
{
    if (conn->n == conn->cap)
        grow(conn);
    if (conn->sending_us == 0)
        conn->sending_us = tn__mono_us(); /* one look at the clock a batch */
    entry.sent_us = conn->sending_us;
    conn->entries[(conn->first + conn->n++) & (conn->cap - 1)] = entry;
}

static tn__entry *oldest(tn__conn *conn)
{
    assert(conn->n > 0);
    return &conn->entries[conn->first & (conn->cap - 1)];
}

static void pop(tn__conn *conn)
{
    conn->first = (conn->first + 1) & (conn->cap - 1);
    conn->n--;
}

/* What was on its way has no result any more. */
static void end_statements(tn__conn *conn)
{
    for (size_t i = 0; i < conn->n; i++) {
        const tn__entry *entry = &conn->entries[(conn->first + i) & (conn->cap - 1)];
        if (entry->kind == TN__ENTRY_STATEMENT && !entry->answered)
            tn__statement_ended(conn, entry, NULL);
    }
}

void tn__pipeline_clear(tn__conn *conn)
{
    end_statements(conn);
    conn->first = conn->n = 0;
    conn->stray_nulls = 0;
    conn->sending_us = 0;
    conn->n_since_sync = 0;
    for (size_t i = 0; i < conn->n_prepared; i++)
        free_plans(&conn->prepared[i]);
    free(conn->prepared);
    conn->prepared = NULL;
    conn->n_prepared = 0;
}

/* ---- Sending ------------------------------------------------------------ */

static bool can_send(const tn__conn *conn)
{
    return conn->state >= TN__CONN_SETUP && !conn->broken;
}

static void send_failed(tn__conn *conn)
{
    tn__conn_break(conn, PQerrorMessage(conn->pq));
}

/* Sends what libpq has buffered as far as the socket takes it; the rest when it can take more. */
static void flush(tn__conn *conn)
{
    int left = PQflush(conn->pq);
    if (left < 0) {
        send_failed(conn);
        return;
    }
    uint32_t events = left == 0 ? EPOLLIN : EPOLLIN | EPOLLOUT;
    tn__watch_change(conn->loop, &conn->watch, events);
}

/* The name of the first generation is the query's own, which pg_prepared_statements then shows. The
 * server looks at as much of a name as of any identifier's: of a longer one its end would not count. */
static const char *server_name(const tn__statement *statement, unsigned generation,
    char buffer[SERVER_NAME_MAX + 1])
{
    if (generation == 0 && strlen(statement->name) <= SERVER_NAME_MAX)
        return statement->name;
    snprintf(buffer, SERVER_NAME_MAX + 1, "%.40s~%zu~%u", statement->name, statement->id,
        generation);
    return buffer;
}

void tn__conn_execute(tn__conn *conn, tn__statement *statement, const tn__params *params, int tag)
{
    if (!can_send(conn))
        return;
    prepared *p = prepared_of(conn, statement);
    char buffer[SERVER_NAME_MAX + 1];
    const char *name = server_name(statement, p->generation, buffer);
    int n = (int)statement->n_params;
    tn__entry entry = {
        .kind = TN__ENTRY_PREPARE,
        .tag = tag,
        .generation = p->generation,
        .statement = statement,
    };
    if (!p->present) {
        if (PQsendPrepare(conn->pq, name, statement->sql, n, statement->types) != 1) {
            send_failed(conn);
            return;
        }
        push(conn, entry);
        p->present = true;
    }
    if (PQsendQueryPrepared(conn->pq, name, n, params->values, params->lengths, statement->formats,
            1) != 1) {
        send_failed(conn);
        return;
    }
    entry.kind = TN__ENTRY_STATEMENT;
    entry.part_of = conn->part_of;
    entry.shares = conn->shares;
    push(conn, entry);
    conn->n_executed++;
}

void tn__conn_trace(tn__conn *conn, const tn__trace *part_of, const tn__trace *shares)
{
    conn->part_of = part_of != NULL ? *part_of : (tn__trace){ .flags = 0 };
    conn->shares = shares;
}

void tn__conn_command(tn__conn *conn, const char *sql, int tag)
{
    if (!can_send(conn))
        return;
    if (PQsendQueryParams(conn->pq, sql, 0, NULL, NULL, NULL, NULL, 0) != 1) {
        send_failed(conn);
        return;
    }
    push(conn, (tn__entry){ .kind = TN__ENTRY_COMMAND, .tag = tag });
}

bool tn__conn_sync(tn__conn *conn)
{
    if (!can_send(conn))
        return false;
    if (PQpipelineSync(conn->pq) != 1) {
        send_failed(conn);
        return false;
    }
    push(conn, (tn__entry){ .kind = TN__ENTRY_SYNC });
    conn->sending_us = 0;
    flush(conn);
    return true;
}

/* ---- Receiving ---------------------------------------------------------- */

/* The session's end: the server's word for it, or libpq's, which has no SQLSTATE. */
static bool is_the_end(const PGresult *result)
{
    if (PQresultStatus(result) != PGRES_FATAL_ERROR)
        return false;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity == NULL || strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0 ||
        PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL;
}

static void observe(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    if (entry->kind != TN__ENTRY_STATEMENT)
        return;
    tn__statement_ended(conn, entry, result);
    for (size_t i = conn->n_since_sync; i-- > 0;)
        if (conn->since_sync[i] == entry->statement)
            return;
    if (conn->n_since_sync < TN__SLOW_NAMES_MAX)
        conn->since_sync[conn->n_since_sync++] = entry->statement;
}

/* The server holds results back until a Sync, so one slow statement can't be told from the others of
 * its batch. */
static void log_if_slow(tn__conn *conn, int64_t sent_us)
{
    int64_t began_us = sent_us > conn->synced_us ? sent_us : conn->synced_us;
    if (conn->received_us - began_us < TN__SLOW_US || conn->n_since_sync == 0)
        return;
    tn__buf names = { .arena = NULL };
    for (size_t i = 0; i < conn->n_since_sync; i++) {
        tn__buf_add_z(&names, i == 0 ? "" : ", ");
        tn__buf_add_z(&names, conn->since_sync[i]->name);
    }
    TN_LOG(TN_WARN, "slow query", TN_LOG_S("query", tn__buf_str(&names)),
        TN_LOG_I("duration_ms", (conn->received_us - began_us) / 1000));
    tn__buf_deinit(&names);
}

static void take_sync(tn__conn *conn)
{
    tn__entry entry = *oldest(conn);
    if (entry.kind != TN__ENTRY_SYNC) {
        tn__conn_break(conn, "the pipeline is out of step");
        return;
    }
    pop(conn);
    log_if_slow(conn, entry.sent_us);
    conn->synced_us = conn->received_us;
    conn->n_since_sync = 0;
    events_of(conn)->on_sync(conn);
}

static void take_result(tn__conn *conn, const PGresult *result)
{
    oldest(conn)->answered = true;
    const tn__entry entry = *oldest(conn);
    if (!tn__result_ok(result))
        note_failure(conn, &entry, result);
    observe(conn, &entry, result);
    events_of(conn)->on_result(conn, &entry, result);
}

/* NULL ends the results of a statement. A Sync has none, but after an error at the Sync one comes. */
static void take_null(tn__conn *conn)
{
    const tn__entry *entry = oldest(conn);
    if (entry->kind != TN__ENTRY_SYNC && entry->answered) {
        pop(conn);
        conn->stray_nulls = 0;
    } else if (++conn->stray_nulls > STRAY_NULLS_MAX) {
        tn__conn_break(conn, "the pipeline is out of step");
    }
}

static void take(tn__conn *conn, PGresult *result)
{
    if (result == NULL) {
        take_null(conn);
        return;
    }
    conn->stray_nulls = 0;
    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        take_sync(conn);
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        tn__conn_break(conn, "COPY can't be used in a query");
        break;
    default:
        if (is_the_end(result))
            tn__conn_break(conn, PQresultErrorMessage(result));
        else
            take_result(conn, result);
    }
    PQclear(result);
}

static void take_notifications(tn__conn *conn)
{
    PGnotify *notify;
    while (!conn->broken && (notify = PQnotifies(conn->pq)) != NULL) {
        if (conn->state == TN__CONN_UP && conn->events->on_notify != NULL)
            conn->events->on_notify(conn, notify->relname);
        PQfreemem(notify);
    }
}

static void receive(tn__conn *conn)
{
    /* When the connection has ended, what came before its end is still there to be read. */
    bool alive = PQconsumeInput(conn->pq) == 1;
    conn->received_us = tn__mono_us();
    while (!conn->broken && conn->n > 0 && PQisBusy(conn->pq) == 0)
        take(conn, PQgetResult(conn->pq));
    take_notifications(conn);
    if (!alive || PQstatus(conn->pq) == CONNECTION_BAD)
        tn__conn_break(conn, PQerrorMessage(conn->pq));
}

void tn__pipeline_ready(tn__conn *conn, uint32_t events)
{
    if ((events & EPOLLOUT) != 0)
        flush(conn);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && !conn->broken)
        receive(conn);
}
