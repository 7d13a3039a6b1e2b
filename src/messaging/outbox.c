/* The outbox's writing side: an event becomes a row in the transaction that caused it. */
#include "messaging/relay.h"

#include <assert.h>

/* One statement for the events of all transactions of a batch. */
static const tn_kind outbox_kinds[] = { TN_KIND_UUID, TN_KIND_STR, TN_KIND_STR, TN_KIND_STR,
    TN_KIND_STR, TN_KIND_TIME, TN_KIND_STR, TN_KIND_STR, TN_KIND_STR };
static const tn__bulk outbox = {
    .name = "trunnion_outbox",
    .sql = "INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id,"
           " occurred_at, correlation_id, headers, body)"
           " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],"
           " $6::timestamptz[], $7::text[], $8::text[], $9::text[])",
    .kinds = outbox_kinds,
    .n_kinds = sizeof outbox_kinds / sizeof *outbox_kinds,
};

static const tn_query notify = { "trunnion_outbox_notify",
    "SELECT pg_notify('trunnion_outbox', '')" };

static void wake(void *relay)
{
    tn__relay_wake(relay);
}

void tn__outbox_add(tn_tx *tx, const tn__outbox_row *row)
{
    const tn__origin *origin = tn__tx_context(tx);
    assert(origin != NULL);
    tn__tx_bulk(tx, &outbox,
        TN_ARGS(row->message_id, row->exchange, row->routing_key, row->type, row->app_id, row->time,
            row->correlation_id, row->headers.text, row->body));
    if (origin->relay != NULL)
        tn__tx_on_commit(tx, wake, origin->relay);
    /* A notification is a lock that all who commit with one take in turn: only when our own relay
     * can't publish, so that another replica's hears of it. */
    if (origin->relay == NULL || !atomic_load(&origin->relay->connected))
        tn_run(tx, &notify, TN_NO_ARGS);
}

/* ---- Events --------------------------------------------------------------- */

static void add_member(tn__buf *out, const char *name, tn_str value)
{
    if (value.len == 0)
        return;
    if (out->len > 1)
        tn__buf_add_char(out, ',');
    tn__buf_add_char(out, '"');
    tn__buf_add_z(out, name);
    tn__buf_add_z(out, "\":");
    tn__json_str(out, value);
}

static tn_json headers_of(const tn__origin *origin, tn_arena *arena)
{
    tn__buf out = { .arena = arena };
    tn__buf_add_char(&out, '{');
    add_member(&out, "correlation_id", origin->correlation_id);
    add_member(&out, "idempotency_key", origin->idempotency_key);
    add_member(&out, "traceparent", origin->traceparent);
    add_member(&out, "tracestate", origin->tracestate);
    tn__buf_add_char(&out, '}');
    return (tn_json){ tn__buf_str(&out) };
}

static tn_str body_of(const tn__origin *origin, tn_arena *arena, const tn_event *event,
    tn_ref about, tn_time now)
{
    tn__buf out = { .arena = arena };
    const tn_field *subject = tn__field_find(event->of, tn_str_of(event->subject));
    assert(subject != NULL);
    tn__buf_add_z(&out, "{\"id\":");
    tn__encode_field(&out, subject, about.at);
    tn__buf_add_z(&out, ",\"timestamp\":");
    tn__json_time(&out, now);
    tn__buf_add_z(&out, ",\"source_service\":");
    tn__json_str(&out, tn_str_of(origin->service));
    if (event->data != NULL) {
        tn__buf_add_z(&out, ",\"data\":");
        tn__encode_json(&out, event->data, about.at);
    }
    tn__buf_add_char(&out, '}');
    return tn__buf_str(&out);
}

static void emit(tn_tx *tx, const tn_event *event, tn_ref about)
{
    const tn__origin *origin = tn__tx_context(tx);
    tn_arena *arena = tn__tx_arena(tx);
    tn_time now = tn_now();
    tn__outbox_add(tx,
        &(tn__outbox_row){
            .message_id = tn_uuid_v7(),
            .exchange = TN_S(TN__EXCHANGE),
            .routing_key = tn_str_of(event->name),
            .type = tn_str_of(event->name),
            .app_id = tn_str_of(origin->service),
            .time = now,
            .correlation_id = origin->correlation_id,
            .headers = headers_of(origin, arena),
            .body = body_of(origin, arena, event, about, now),
        });
}

struct put_off {
    const tn_event *event;
    tn_ref about;
};

static void emit_put_off(tn_tx *tx, void *arg)
{
    const struct put_off *emitted = arg;
    emit(tx, emitted->event, emitted->about);
}

void tn_emit(tn_tx *tx, const tn_event *event, tn_ref about)
{
    assert(about.schema == event->of);
    assert(event->data == NULL || event->data == event->of);
    if (tn__tx_failure(tx)->kind != TN__FAIL_NONE)
        return;
    if (!tn__tx_pending(tx, about.at)) {
        emit(tx, event, about);
        return;
    }
    struct put_off *later = tn_alloc(tn__tx_arena(tx), sizeof *later);
    *later = (struct put_off){ event, about };
    tn__tx_defer(tx, emit_put_off, later);
}
