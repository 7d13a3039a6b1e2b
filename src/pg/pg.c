/* A worker's connections: opening, closing, and whether the database is there. */
#include "pg/state.h"

#include <assert.h>
#include <stdlib.h>

/* What a connection needs so that nothing hangs on it: a peer that is gone is noticed within about
 * 15 seconds, busy or idle. */
#define KEEPALIVES_IDLE_S     "5"
#define KEEPALIVES_INTERVAL_S "3"
#define KEEPALIVES_COUNT      "3"
#define TCP_USER_TIMEOUT_MS   "15000"
/* A handler that holds a transaction open for longer has lost its way. */
#define IDLE_IN_TRANSACTION_MS 60000

/* ---- How to connect ----------------------------------------------------- */

static char *take_text(tn__buf *buf)
{
    tn__buf_add_char(buf, '\0');
    return buf->data;
}

static char *copy(const char *z)
{
    size_t size = strlen(z) + 1;
    return memcpy(tn__xmalloc(size), z, size);
}

void tn__pg_url_options(tn__buf *out, const char *url)
{
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    for (PQconninfoOption *part = parts; part != NULL && part->keyword != NULL; part++)
        if (strcmp(part->keyword, "options") == 0 && part->val != NULL)
            tn__buf_printf(out, "%s ", part->val);
    PQconninfoFree(parts);
}

/* Durable means on the disk when the answer comes: synchronous_commit is not a setting here. */
static char *session_options(const tn__pg_options *options)
{
    tn__buf out = { .arena = NULL };
    tn__pg_url_options(&out, options->url);
    tn__buf_printf(&out,
        "-c synchronous_commit=on -c lock_timeout=%d -c statement_timeout=%d"
        " -c idle_in_transaction_session_timeout=%d -c timezone=UTC",
        options->lock_timeout_ms, options->statement_timeout_ms, IDLE_IN_TRANSACTION_MS);
    return take_text(&out);
}

/* What stands before dbname may be set otherwise by the URL; what stands after it may not. */
static void describe_connection(tn__pg *pg)
{
    static const char *const keywords[] = { "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "dbname", "application_name", "options",
        "client_encoding", NULL };
    enum { N = sizeof keywords / sizeof *keywords };
    char **values = tn__xcalloc(N, sizeof *values);
    values[0] = copy(KEEPALIVES_IDLE_S);
    values[1] = copy(KEEPALIVES_INTERVAL_S);
    values[2] = copy(KEEPALIVES_COUNT);
    values[3] = copy(TCP_USER_TIMEOUT_MS);
    values[4] = copy(pg->options.url);
    values[5] = copy(pg->options.application_name);
    values[6] = session_options(&pg->options);
    values[7] = copy("UTF8");
    pg->texts = values;
    pg->common.keywords = keywords;
    pg->common.values = (const char *const *)values;
}

static tn__metric *connection_gauge(const char *state)
{
    /* OpenTelemetry's db.client.connection.count, but for its end, which belongs to histograms. */
    const tn__label label = { "db_client_connection_state", state };
    return tn__gauge("db_client_connections", "Connections to the database, by state.", &label, 1);
}

/* ---- Up or down --------------------------------------------------------- */

static bool is_up(const tn__pg *pg)
{
    return tn__conn_is_up(&pg->read.conn) && tn__conn_is_up(&pg->write.conn);
}

void tn__pg_note_down(tn__pg *pg, const tn__conn *conn)
{
    if (pg->told != TN__TOLD_DOWN) {
        pg->told = TN__TOLD_DOWN;
        TN_LOG(TN_WARN, "database is down; trying to connect", TN_LOG_Z("detail", conn->why));
    }
}

void tn__pg_note_up(tn__pg *pg)
{
    if (is_up(pg) && pg->told != TN__TOLD_UP) {
        pg->told = TN__TOLD_UP;
        TN_LOG(TN_INFO, "database is up");
    }
    tn__conn_hurry(&pg->read.conn);
    tn__conn_hurry(&pg->write.conn);
    tn__listener_hurry(pg);
    for (size_t i = 0; i < pg->pool.n; i++)
        tn__conn_hurry(&pg->pool.sessions[i].conn);
}

bool tn__pg_up(const tn__pg *pg, tn_str *why)
{
    bool up = is_up(pg);
    if (!up && why != NULL) {
        const tn__conn *down = tn__conn_is_up(&pg->write.conn) ? &pg->read.conn : &pg->write.conn;
        *why = down->why[0] == '\0' ? TN_S("connecting") : tn_str_of(down->why);
    }
    return up;
}

/* ---- Opening and closing ------------------------------------------------ */

tn__pg *tn__pg_open(tn__loop *loop, const tn__pg_options *options)
{
    assert(options->pool_max > 0 && options->batch_max > 0 && options->queue_max > 0);
    assert(options->batches_in_flight_max > 0 && options->connect_timeout_ms > 0);
    tn__pg *pg = tn__xcalloc(1, sizeof *pg);
    pg->loop = loop;
    pg->options = *options;
    pg->reconnect_wait_us = TN__RECONNECT_WAIT_US;
    describe_connection(pg);
    pg->options.url = pg->options.application_name = NULL; /* the caller's; copied above */
    pg->common.connect_timeout_us = (int64_t)options->connect_timeout_ms * 1000;
    pg->common.idle = connection_gauge("idle");
    pg->common.used = connection_gauge("used");
    tn__lane_open(&pg->read, pg, TN__READ);
    tn__lane_open(&pg->write, pg, TN__WRITE);
    tn__pool_open(&pg->pool, pg);
    return pg;
}

void tn__pg_close(tn__pg *pg)
{
    assert(pg->n_open == 0);
    tn__listener_close(pg);
    tn__pool_close(&pg->pool);
    tn__lane_close(&pg->write);
    tn__lane_close(&pg->read);
    tn__statements_deinit(&pg->statements);
    tn__bulks_deinit(&pg->bulks);
    for (size_t i = 0; pg->common.keywords[i] != NULL; i++)
        free(pg->texts[i]);
    free(pg->texts);
    free(pg->common.text_types.at);
    free(pg);
}
