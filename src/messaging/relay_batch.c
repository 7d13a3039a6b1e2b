/* One batch of the relay: claim, publish, wait for the broker's word, delete what it confirmed.
 *
 * The claim's transaction stays open until then, so its rows are locked: no other relay takes them,
 * and if we die they are free at once. A batch's end and the next one's claim share a round trip. */
#include "messaging/relay.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLICE_US = 200000, BLOCKED_PATIENCE_US = 1000000 };

#define ROUTE "(exchange || '/' || routing_key)"
#define CLAIM_COLUMNS                                                                              \
    "SELECT seq, message_id, exchange, routing_key, type, app_id,"                                 \
    " floor(extract(epoch FROM occurred_at))::bigint, correlation_id, headers, body"               \
    " FROM trunnion_outbox"
#define CLAIM_END " ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED"
enum {
    SEQ,
    MESSAGE_ID,
    EXCHANGE,
    ROUTING_KEY,
    TYPE,
    APP_ID,
    OCCURRED_AT,
    CORRELATION_ID,
    HEADERS,
    BODY,
};

const tn__db_statement tn__relay_statements[] = {
    { "begin", "BEGIN" },
    { "commit", "COMMIT" },
    { "claim", CLAIM_COLUMNS CLAIM_END },
    { "claim_around",
        CLAIM_COLUMNS " WHERE " ROUTE
                      " <> ALL ($2::text[]) AND '#' || seq <> ALL ($2::text[])" CLAIM_END },
    { "delete", "DELETE FROM trunnion_outbox WHERE seq = ANY ($1::bigint[])" },
    { "purge_keys",
        "DELETE FROM trunnion_idempotency WHERE id = ANY (ARRAY("
        "SELECT id FROM trunnion_idempotency WHERE expires_at < now()"
        " ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))" },
    { "purge_ids",
        "DELETE FROM trunnion_inbox WHERE message_id = ANY (ARRAY("
        "SELECT message_id FROM trunnion_inbox"
        " WHERE received_at < now() - make_interval(secs => $2)"
        " ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED))" },
    /* Counting millions would cost more than the number is worth. */
    { "measure",
        "SELECT (SELECT count(*) FROM (SELECT FROM trunnion_outbox LIMIT 100000) AS counted),"
        " coalesce((SELECT extract(epoch FROM now() - occurred_at) FROM trunnion_outbox"
        " ORDER BY seq LIMIT 1), 0)" },
};
const size_t tn__relay_statements_n = sizeof tn__relay_statements / sizeof *tn__relay_statements;

/* ---- Rows ----------------------------------------------------------------- */

static tn_str field(const tn__relay *relay, int row, int column)
{
    return (tn_str){ PQgetvalue(relay->claimed, row, column),
        (size_t)PQgetlength(relay->claimed, row, column) };
}

static int rows(const tn__relay *relay)
{
    return relay->claimed != NULL ? PQntuples(relay->claimed) : 0;
}

static tn_str route_of(const tn__relay *relay, int row)
{
    tn_str exchange = field(relay, row, EXCHANGE), key = field(relay, row, ROUTING_KEY);
    return tn_printf(relay->arena, "%.*s/%.*s", TN_FMT(exchange), TN_FMT(key));
}

static tn_str number_of(const tn__relay *relay, int row)
{
    tn_str seq = field(relay, row, SEQ);
    return tn_printf(relay->arena, "#%.*s", TN_FMT(seq));
}

static void forget_claim(tn__relay *relay)
{
    PQclear(relay->claimed);
    relay->claimed = NULL;
    relay->n_sent = 0;
    tn__arena_reset(relay->arena);
}

/* ---- Claim and finish ------------------------------------------------------ */

static bool run(tn__relay *relay, const tn__db_call *calls, size_t n, PGresult **results)
{
    if (tn__db_run(&relay->db, calls, n, results, TN__DB_TIMEOUT_MS))
        return true;
    forget_claim(relay);
    tn__relay_lost_database(relay);
    return false;
}

/* The call that claims, around what is held back. `params` has two places. */
static tn__db_call claim_call(tn__relay *relay, const char **params)
{
    int limit = relay->cautious > 0 ? 1 : relay->options.batch_max;
    tn_str held = tn__stuck_array(&relay->stuck, relay->arena, tn__mono_us());
    params[0] = tn_printf(relay->arena, "%d", limit).data;
    params[1] = held.data;
    return held.len == 0 ? (tn__db_call){ "claim", 1, params }
                         : (tn__db_call){ "claim_around", 2, params };
}

static void clear(PGresult **results, size_t n)
{
    for (size_t i = 0; i < n; i++)
        PQclear(results[i]);
}

static bool claim(tn__relay *relay)
{
    const char *params[2];
    PGresult *results[2];
    /* Whatever is written from here on is for the next claim. */
    atomic_store(&relay->pending, false);
    tn__db_call calls[] = { { .name = "begin" }, claim_call(relay, params) };
    if (!run(relay, calls, 2, results))
        return false;
    PQclear(results[0]);
    relay->claimed = results[1];
    return true;
}

static bool commit(tn__relay *relay)
{
    PGresult *result;
    if (!run(relay, &(tn__db_call){ .name = "commit" }, 1, &result))
        return false;
    PQclear(result);
    forget_claim(relay);
    return true;
}

/* The rows that the broker has, as a bigint[]. */
static tn_str confirmed_rows(const tn__relay *relay)
{
    tn__buf out = { .arena = relay->arena };
    tn__buf_add_char(&out, '{');
    for (size_t i = 0; i < relay->n_sent; i++) {
        if (!relay->sent[i].settled || relay->sent[i].fate != TN__AMQP_CONFIRMED)
            continue;
        if (out.len > 1)
            tn__buf_add_char(&out, ',');
        tn__buf_add_str(&out, field(relay, relay->sent[i].row, SEQ));
    }
    tn__buf_add(&out, "}", 2); /* with a NUL, for libpq */
    return (tn_str){ out.data, out.len - 1 };
}

/* Deletes what was confirmed and commits; with `again` it claims the next rows in the same breath. */
static bool finish(tn__relay *relay, bool again)
{
    const char *params[2];
    PGresult *results[4];
    const char *seqs = confirmed_rows(relay).data;
    tn__db_call calls[] = { { "delete", 1, &seqs }, { .name = "commit" }, { .name = "begin" },
        again ? claim_call(relay, params) : (tn__db_call){ 0 } };
    size_t n = again ? 4 : 2;
    if (again)
        atomic_store(&relay->pending, false);
    if (!run(relay, calls, n, results))
        return false;
    forget_claim(relay);
    if (again)
        relay->claimed = results[3];
    clear(results, again ? 3 : 2);
    return true;
}

/* ---- Publish --------------------------------------------------------------- */

/* The headers point into `object`, which the caller releases. */
static bool read_headers(tn__amqp_message *message, tn_str text, json_t **object)
{
    const char *name;
    json_t *value;
    *object = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(*object))
        return false;
    json_object_foreach(*object, name, value)
    {
        if (!json_is_string(value) || message->n_headers == TN__AMQP_HEADERS_MAX)
            return false;
        message->headers[message->n_headers++] = (tn__amqp_header){ tn_str_of(name),
            { json_string_value(value), json_string_length(value) } };
    }
    return true;
}

static tn__amqp_message message_of(const tn__relay *relay, int row)
{
    tn__amqp_message message = {
        .exchange = field(relay, row, EXCHANGE),
        .routing_key = field(relay, row, ROUTING_KEY),
        .message_id = field(relay, row, MESSAGE_ID),
        .type = field(relay, row, TYPE),
        .app_id = field(relay, row, APP_ID),
        .correlation_id = field(relay, row, CORRELATION_ID),
        .content_type = TN_S("application/json"),
        .body = field(relay, row, BODY),
    };
    tn__i64_parse(field(relay, row, OCCURRED_AT), &message.timestamp_s);
    return message;
}

static bool read_row(const tn__relay *relay, int row, tn__amqp_message *message, json_t **headers,
    tn_str *why)
{
    *message = message_of(relay, row);
    *why = TN_S("its headers are no JSON object of at most 32 strings");
    return read_headers(message, field(relay, row, HEADERS), headers) &&
        tn__amqp_fits(relay->amqp, message, why);
}

/* `key` says what is held back: the row's route, or the row alone. */
static void hold_back(tn__relay *relay, int row, tn_str key, tn_str why)
{
    if (tn__stuck_failed(&relay->stuck, key))
        TN_LOG(TN_WARN, "events are held back", TN_LOG_S("of", key), TN_LOG_S("reason", why),
            TN_LOG_S("message_id", field(relay, row, MESSAGE_ID)));
}

static tn__amqp_result publish_row(tn__relay *relay, int row)
{
    tn__amqp_message message;
    json_t *headers = NULL;
    tn_str why;
    tn__amqp_result result = TN__AMQP_OK;
    tn__sent *sent = &relay->sent[relay->n_sent];
    *sent = (tn__sent){ .row = row, .sent_us = tn__mono_us() };
    bool whole = read_row(relay, row, &message, &headers, &why);
    if (whole)
        tn__publish_begin(&sent->span, &message);
    if (!whole)
        hold_back(relay, row, number_of(relay, row), why);
    else if ((result = tn__amqp_publish(relay->amqp, &message, &sent->tag)) == TN__AMQP_OK)
        relay->n_sent++;
    json_decref(headers);
    return result;
}

static tn__amqp_result publish_all(tn__relay *relay)
{
    tn__amqp_result result = TN__AMQP_OK;
    for (int row = 0; row < rows(relay) && result == TN__AMQP_OK; row++)
        result = publish_row(relay, row);
    return result;
}

/* ---- The broker's word ----------------------------------------------------- */

static tn__metric *count_of(const tn__relay *relay, tn__amqp_fate fate)
{
    switch (fate) {
    case TN__AMQP_CONFIRMED:
        return relay->metrics.published;
    case TN__AMQP_RETURNED:
        return relay->metrics.returned;
    case TN__AMQP_NACKED:
        return relay->metrics.nacked;
    }
    assert(false);
    return NULL;
}

/* What error.type calls it; NULL: nothing went wrong. */
static const char *error_of(const tn__sent *sent)
{
    static const char *const errors[] = {
        [TN__AMQP_CONFIRMED] = NULL,
        [TN__AMQP_RETURNED] = "unroutable",
        [TN__AMQP_NACKED] = "nacked",
    };
    return sent->settled ? errors[sent->fate] : "unconfirmed";
}

static void end_span(const tn__relay *relay, const tn__sent *sent)
{
    const tn__amqp_message message = message_of(relay, sent->row);
    tn__publish_end(&sent->span, relay->arena, &message, error_of(sent));
}

static void on_settled(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    tn__relay *relay = arg;
    /* A tag of an earlier batch that was given up: its row was published again since, or will be. */
    if (relay->n_sent == 0 || tag < relay->sent[0].tag)
        return;
    tn__sent *sent = &relay->sent[tag - relay->sent[0].tag];
    assert(sent->tag == tag && !sent->settled);
    sent->settled = true;
    sent->fate = fate;
    tn__metric_add(count_of(relay, fate), 1);
    tn__metric_observe_in(relay->metrics.publish_seconds,
        (double)(tn__mono_us() - sent->sent_us) / 1e6, &sent->span.trace);
    end_span(relay, sent);
    if (fate != TN__AMQP_CONFIRMED)
        hold_back(relay, sent->row, route_of(relay, sent->row), why);
}

/* True while it is worth waiting on. */
static bool has_patience(const tn__relay *relay, int64_t since_us)
{
    int64_t now_us = tn__mono_us();
    if (atomic_load(&relay->closing) && now_us >= atomic_load(&relay->close_by_us))
        return false;
    if (tn__amqp_blocked(relay->amqp, NULL) && now_us - since_us > BLOCKED_PATIENCE_US)
        return false;
    return now_us - since_us < (int64_t)relay->options.confirm_timeout_ms * 1000;
}

static tn__amqp_result await_confirms(tn__relay *relay)
{
    if (relay->n_sent == 0)
        return TN__AMQP_OK;
    uint64_t last = relay->sent[relay->n_sent - 1].tag;
    int64_t since_us = tn__mono_us();
    tn__amqp_result result;
    do {
        int64_t deadline_us = tn__mono_us() + SLICE_US;
        result = tn__amqp_confirms(relay->amqp, last, deadline_us, on_settled, relay);
    } while (result == TN__AMQP_NOTHING && has_patience(relay, since_us));
    return result;
}

static void on_freed(void *arg, tn_str key)
{
    (void)arg;
    TN_LOG(TN_INFO, "events go through again", TN_LOG_S("of", key));
}

/* What the fates mean for those who come after. */
static void learn(tn__relay *relay)
{
    if (relay->stuck.n == 0)
        return;
    for (size_t i = 0; i < relay->n_sent; i++) {
        const tn__sent *sent = &relay->sent[i];
        if (!sent->settled || sent->fate != TN__AMQP_CONFIRMED)
            continue;
        tn__stuck_went(&relay->stuck, route_of(relay, sent->row));
        tn__stuck_went(&relay->stuck, number_of(relay, sent->row));
    }
    tn__stuck_settle(&relay->stuck, tn__mono_us(), on_freed, NULL);
}

/* The broker closed the channel over something in this batch: the next ones hold one row each, until
 * it is found. */
static void suspect(tn__relay *relay)
{
    int n = rows(relay);
    if (n == 1)
        hold_back(relay, 0, number_of(relay, 0), tn__amqp_why(relay->amqp));
    relay->cautious = n > 1 ? n : relay->cautious;
}

/* A broker that is short of something keeps its connection; one that is silent doesn't. */
static void part_with_broker(tn__relay *relay, tn__amqp_result result)
{
    tn_str why;
    if (result == TN__AMQP_LOST)
        tn__relay_lost_broker(relay, tn__amqp_why(relay->amqp));
    else if (tn__amqp_blocked(relay->amqp, &why))
        tn__relay_say(relay, false, why);
    else
        tn__relay_lost_broker(relay, TN_S("no confirm came in time"));
}

/* ---- The batch -------------------------------------------------------------- */

static bool wants_more(const tn__relay *relay, bool full)
{
    bool late = atomic_load(&relay->closing) && tn__mono_us() >= atomic_load(&relay->close_by_us);
    return !late && (full || atomic_load(&relay->pending));
}

static void end_unsettled_spans(const tn__relay *relay)
{
    for (size_t i = 0; i < relay->n_sent; i++)
        if (!relay->sent[i].settled)
            end_span(relay, &relay->sent[i]);
}

/* What the broker made of the batch. Rows that it took no more of are left for later. */
static tn__amqp_result exchange(tn__relay *relay)
{
    tn__amqp_result published = publish_all(relay);
    tn__amqp_result result = await_confirms(relay);
    if (published == TN__AMQP_LOST)
        result = TN__AMQP_LOST;
    if (result == TN__AMQP_LOST && tn__amqp_refused(relay->amqp))
        suspect(relay);
    else if (relay->cautious > 0 && result == TN__AMQP_OK)
        relay->cautious--;
    end_unsettled_spans(relay);
    learn(relay);
    return result;
}

bool tn__relay_batch(tn__relay *relay)
{
    if (relay->claimed == NULL && !claim(relay))
        return false;
    if (rows(relay) == 0) {
        commit(relay);
        return false;
    }
    bool full = relay->cautious > 0 || rows(relay) == relay->options.batch_max;
    tn__amqp_result result = exchange(relay);
    bool more = result == TN__AMQP_OK && wants_more(relay, full);
    /* Upkeep must not be part of a claim's transaction. */
    bool finished = finish(relay, more && !tn__relay_upkeep_due(relay));
    if (result != TN__AMQP_OK)
        part_with_broker(relay, result);
    return finished && more;
}
