/* Spans of the database: see span.h. Attributes are those of OpenTelemetry's conventions for
 * PostgreSQL; the summary of a query is the name that the service gave it. */
#include "pg/span.h"

#include "telemetry/span.h"

#include <assert.h>

#define FIELDS_MAX   8
#define DEFAULT_PORT "5432"

typedef struct {
    tn_log_field at[FIELDS_MAX];
    size_t n;
} fields;

static void add(fields *all, tn_log_field field)
{
    assert(all->n < FIELDS_MAX);
    all->at[all->n++] = field;
}

static void add_server(fields *all, const tn__conn *conn)
{
    int64_t port;
    add(all, TN_LOG_Z("db.system.name", "postgresql"));
    if (conn->pq == NULL)
        return;
    add(all, TN_LOG_Z("db.namespace", PQdb(conn->pq)));
    add(all, TN_LOG_Z("server.address", PQhost(conn->pq)));
    tn_str text = tn_str_of(PQport(conn->pq));
    if (!tn_str_eq(text, TN_S(DEFAULT_PORT)) && tn__i64_parse(text, &port))
        add(all, TN_LOG_I("server.port", port));
}

/* ---- Statements --------------------------------------------------------- */

static void record(const tn__conn *conn, const tn__entry *entry, const tn__trace *own,
    const PGresult *result)
{
    fields all = { .n = 0 };
    bool failed = result == NULL || !tn__result_ok(result);
    const char *sqlstate = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    add_server(&all, conn);
    add(&all, TN_LOG_Z("db.operation.name", entry->statement->name));
    add(&all, TN_LOG_Z("db.query.summary", entry->statement->name));
    if (sqlstate != NULL)
        add(&all, TN_LOG_Z("db.response.status_code", sqlstate));
    if (failed)
        add(&all, TN_LOG_Z("error.type", sqlstate != NULL ? sqlstate : "connection_lost"));
    tn__span span = {
        .trace = *own,
        .kind = TN__SPAN_CLIENT,
        .name = tn_str_of(entry->statement->name),
        .start_us = entry->sent_us,
        .end_us = result == NULL ? tn__mono_us() : conn->received_us,
        .attributes = all.at,
        .n_attributes = all.n,
        .links = entry->shares,
        .n_links = entry->shares != NULL,
        .failed = failed,
    };
    memcpy(span.parent_id, entry->part_of.span_id, sizeof span.parent_id);
    tn__span_record(&span);
}

void tn__statement_ended(tn__conn *conn, const tn__entry *entry, const PGresult *result)
{
    assert(entry->kind == TN__ENTRY_STATEMENT);
    double seconds = (double)(conn->received_us - entry->sent_us) / 1e6;
    bool skipped = result != NULL && PQresultStatus(result) == PGRES_PIPELINE_ABORTED;
    const tn__trace *exemplar = NULL;
    tn__trace own;
    if (tn__span_wanted(&entry->part_of) && !skipped) {
        own = tn__trace_child(&entry->part_of);
        exemplar = &own;
        record(conn, entry, &own, result);
    }
    if (result != NULL)
        tn__metric_observe_in(entry->statement->duration, seconds, exemplar);
}

/* ---- Round trips -------------------------------------------------------- */

void tn__round_trip_begin(tn__round_trip *trip, const tn__conn *conn)
{
    *trip = (tn__round_trip){ .links = trip->links, .n_statements = conn->n_executed };
}

void tn__round_trip_add(tn__round_trip *trip, const tn__trace *part_of)
{
    if (tn__span_wanted(part_of))
        trip->links[trip->n_links++] = *part_of;
}

void tn__round_trip_start(tn__round_trip *trip, bool shared)
{
    if (shared && trip->n_links > 0) {
        trip->trace = tn__trace_child(NULL);
        trip->began_us = tn__mono_us();
    }
}

void tn__round_trip_sent(tn__round_trip *trip, const tn__conn *conn)
{
    trip->n_statements = conn->n_executed - trip->n_statements;
}

void tn__round_trip_end(tn__round_trip *trip, const tn__conn *conn, bool failed)
{
    if (!tn__span_wanted(&trip->trace))
        return;
    fields all = { .n = 0 };
    add_server(&all, conn);
    add(&all, TN_LOG_Z("db.operation.name", "BATCH"));
    if (trip->n_statements > 1)
        add(&all, TN_LOG_I("db.operation.batch.size", (int64_t)trip->n_statements));
    if (failed)
        add(&all, TN_LOG_Z("error.type", "rolled_back"));
    tn__span_record(&(tn__span){
        .trace = trip->trace,
        .kind = TN__SPAN_CLIENT,
        .name = TN_S("BATCH"),
        .start_us = trip->began_us,
        .end_us = conn->received_us,
        .attributes = all.at,
        .n_attributes = all.n,
        .links = trip->links,
        .n_links = trip->n_links,
        .failed = failed,
    });
}
