/* A message's way through the service, in a coroutine of its own.
 *
 * It is decoded, its handler run, and run again after failures that may pass; then the broker is told.
 * A failure counts only if the database answered meanwhile, so an outage uses up neither retries nor
 * deliveries. Whatever happens here, a message is acknowledged only after its effect is durable, or
 * after the dead letters have it. */
#include "messaging/consumer.h"
#include "messaging/topic.h"
#include "telemetry/sampler.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 4096,
    REASON_BYTES_MAX = 2000,
    PROPERTY_BYTES_MAX = 255,   /* of AMQP's, and of an idempotency key */
    TRACESTATE_BYTES_MAX = 512, /* as of a request's */
};

const char *const tn__outcome_names[TN__OUTCOMES] = {
    [TN__TOOK_EFFECT] = "done",
    [TN__KNOWN] = "duplicate",
    [TN__POISON] = "dead",
    [TN__AGAIN] = "failed",
    [TN__REQUEUE] = "requeued",
    [TN__LEFT] = "left",
};

/* ---- What it says ------------------------------------------------------------ */

void tn__message_copy(tn_arena *arena, const tn__amqp_message *from, tn__amqp_message *to)
{
    *to = *from;
    tn_str *strings[] = { &to->exchange, &to->routing_key, &to->message_id, &to->type, &to->app_id,
        &to->correlation_id, &to->content_type, &to->body, &to->death_routing_key };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        *strings[i] = tn_copy(arena, *strings[i]);
    for (size_t i = 0; i < to->n_headers; i++) {
        to->headers[i].name = tn_copy(arena, to->headers[i].name);
        to->headers[i].value = tn_copy(arena, to->headers[i].value);
    }
}

tn_str tn__message_header(const tn__amqp_message *message, const char *name)
{
    for (size_t i = 0; i < message->n_headers; i++)
        if (tn_str_eq(message->headers[i].name, tn_str_of(name)))
            return message->headers[i].value;
    return TN_S("");
}

/* The same, but empty when it is longer than it may be: what a message causes carries it on, and has
 * to fit into a message again. */
static tn_str header_within(const tn__amqp_message *message, const char *name, size_t bytes_max)
{
    tn_str value = tn__message_header(message, name);
    return value.len <= bytes_max ? value : TN_S("");
}

tn_str tn__message_correlation_id(const tn__amqp_message *message)
{
    return message->correlation_id.len > 0
        ? message->correlation_id
        : header_within(message, "correlation_id", PROPERTY_BYTES_MAX);
}

/* A message that was sent back to its queue alone comes by the default exchange, under the queue's
 * name. */
static tn_str first_key(const tn__amqp_message *raw)
{
    if (raw->exchange.len > 0)
        return raw->routing_key;
    tn_str kept = tn__message_header(raw, TN__FIRST_KEY);
    return kept.len > 0 ? kept : raw->type;
}

static void read_meta(tn_msg *msg)
{
    const tn__amqp_message *raw = &msg->raw;
    tn_str key = first_key(raw);
    msg->meta = (tn_meta){
        .type = raw->type.len > 0 ? raw->type : key,
        .source = raw->app_id,
        .time = raw->timestamp_s > 0 ? (tn_time){ raw->timestamp_s * 1000000 } : tn_now(),
        .correlation_id = tn__message_correlation_id(raw),
        .idempotency_key = header_within(raw, "idempotency_key", PROPERTY_BYTES_MAX),
        .traceparent = tn__message_header(raw, "traceparent"),
        .tracestate = header_within(raw, "tracestate", TRACESTATE_BYTES_MAX),
        .routing_key = key,
        .body = raw->body,
        .redelivered = raw->redelivered,
    };
}

/* What this message causes belongs to the trace that it came with. */
static void continue_trace(tn_msg *msg)
{
    const tn__trace *own = &msg->span.trace;
    tn__process_begin(&msg->span, msg->meta.traceparent, msg->meta.tracestate);
    tn__traceparent_write(own, msg->traceparent);
    tn__trace_ids_write(own, msg->trace_id, msg->span_id);
    msg->log = (tn__log_context){
        .request_id = msg->meta.correlation_id,
        .trace_id = { msg->trace_id, sizeof msg->trace_id },
        .span_id = { msg->span_id, sizeof msg->span_id },
        .trace = own,
    };
    msg->origin = (tn__origin){
        .service = msg->consumer->options.service->name,
        .relay = msg->consumer->options.relay,
        .correlation_id = msg->meta.correlation_id,
        .idempotency_key = msg->meta.idempotency_key,
        .traceparent = { msg->traceparent, sizeof msg->traceparent },
        .tracestate = msg->span.tracestate,
    };
}

static const tn_subscription *subscription_of(const tn_service *service, tn_str key)
{
    for (size_t i = 0; i < service->subscriptions.n; i++)
        if (tn__topic_matches(tn_str_of(service->subscriptions.at[i].event), key))
            return &service->subscriptions.at[i];
    return NULL;
}

/* ---- Is it fit to be handled? -------------------------------------------------- */

static tn_str faults_text(tn_arena *arena, const tn__faults *faults)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < faults->n && out.len < REASON_BYTES_MAX; i++) {
        tn_str pointer = faults->at[i].pointer, detail = faults->at[i].detail;
        tn__buf_printf(&out, "%s%.*s%s%.*s", i > 0 ? "; " : "", TN_FMT(pointer),
            pointer.len > 0 ? ": " : "", TN_FMT(detail));
    }
    size_t untold = faults->more;
    if (untold > 0)
        tn__buf_printf(&out, "; and %zu more", untold);
    return tn__buf_str(&out);
}

static bool decode(tn_msg *msg)
{
    const tn_schema *schema = msg->subscription->body;
    if (schema == NULL)
        return true;
    tn__faults *faults = tn_alloc(msg->arena, sizeof *faults);
    msg->body = tn_alloc(msg->arena, schema->size);
    if (tn__decode_json(msg->arena, schema, msg->raw.body, msg->body, faults) == TN__DECODED)
        return true;
    tn_str text = faults_text(msg->arena, faults);
    msg->reason = tn_printf(msg->arena, "the body is not what is expected: %.*s", TN_FMT(text));
    return false;
}

/* False with the reason when no second try will make it fit. */
static bool is_fit(tn_msg *msg)
{
    const tn_service *service = msg->consumer->options.service;
    tn_str id = msg->raw.message_id, key = msg->meta.routing_key;
    msg->subscription = subscription_of(service, key);
    if (id.len == 0)
        msg->reason = TN_S("it has no message_id");
    else if (!tn__uuid_parse(id, &msg->meta.id))
        msg->reason = TN_S("its message_id is no UUID");
    else if (msg->raw.body_bytes > TN__AMQP_BODY_BYTES_MAX)
        msg->reason = TN_S("its body is longer than 16 MiB");
    else if (msg->subscription == NULL)
        msg->reason = tn_printf(msg->arena, "nothing subscribes to %.*s", TN_FMT(key));
    else
        return decode(msg);
    return false;
}

/* ---- Handling ------------------------------------------------------------------- */

static tn__outcome attempt(tn_msg *msg)
{
    msg->fails_alone = false;
    if (msg->second) {
        /* A window of redelivered messages would else fail whole batches. */
        tn__outcome found = tn__inbox_look_up(msg->consumer, msg->arena, msg->meta.id);
        if (found != TN__TOOK_EFFECT)
            return found;
    }
    msg->fails_alone = msg->second;
    msg->second = true;
    tn_outcome outcome = msg->subscription->handler(msg);
    if (msg->tx != NULL)
        tn__tx_abandon(msg->tx);
    msg->tx = NULL;
    /* Made by tn_done() or tn_reject(). */
    assert(outcome.outcome > 0 && outcome.outcome < TN__OUTCOMES);
    return (tn__outcome)outcome.outcome;
}

/* The first failure is never known to be the message's own: the next look-up tells. So even without
 * retries an outage costs no delivery. */
static tn__outcome handle(tn_msg *msg)
{
    tn__consumer *consumer = msg->consumer;
    int failures = 0, own = 0;
    for (;;) {
        tn__outcome outcome = attempt(msg);
        if (outcome != TN__AGAIN)
            return outcome;
        own += msg->fails_alone;
        if (own > 0 && own >= consumer->options.retries_max)
            return TN__REQUEUE;
        tn__metric_add(consumer->retries, 1);
        if (!tn__link_has(&consumer->events, msg->epoch) ||
            !tn__consumer_pause(consumer, ++failures))
            return TN__LEFT;
    }
}

/* ---- Afterwards ------------------------------------------------------------------- */

static void bury(tn_msg *msg)
{
    tn__link *events = &msg->consumer->events;
    TN_LOG(TN_WARN, "message goes to the dead letters", TN_LOG_S("message_id", msg->raw.message_id),
        TN_LOG_S("type", msg->meta.type), TN_LOG_S("reason", msg->reason));
    if (tn__message_bury(msg)) {
        tn__metric_add(msg->consumer->dead_letters, 1);
        tn__link_done(events, msg->epoch, msg->raw.delivery_tag);
    } else if (!msg->consumer->draining) {
        /* The broker's own way there knows no reason, but loses nothing either. */
        tn__link_reject(events, msg->epoch, msg->raw.delivery_tag, false);
    }
}

static void settle(tn_msg *msg, tn__outcome outcome)
{
    tn__link *events = &msg->consumer->events;
    switch (outcome) {
    case TN__KNOWN:
        tn__metric_add(msg->consumer->duplicates, 1);
        tn__link_done(events, msg->epoch, msg->raw.delivery_tag);
        break;
    case TN__TOOK_EFFECT:
        tn__link_done(events, msg->epoch, msg->raw.delivery_tag);
        break;
    case TN__POISON:
        bury(msg);
        break;
    case TN__REQUEUE:
        TN_LOG(TN_WARN, "message goes back to its queue",
            TN_LOG_S("message_id", msg->raw.message_id), TN_LOG_S("type", msg->meta.type),
            TN_LOG_I("deliveries", msg->raw.delivery_count + 1));
        tn__link_reject(events, msg->epoch, msg->raw.delivery_tag, true);
        break;
    default: /* It will be delivered again. */
        break;
    }
}

/* ---- The coroutine ------------------------------------------------------------------ */

static tn_msg *take_message(tn__consumer *consumer)
{
    tn_msg *msg = consumer->free_messages;
    tn_arena *arena = msg != NULL ? msg->arena : tn__arena_open(ARENA_BYTES);
    if (msg != NULL)
        consumer->free_messages = msg->next;
    else
        msg = tn__xcalloc(1, sizeof *msg);
    *msg = (tn_msg){ .consumer = consumer, .arena = arena };
    return msg;
}

/* At most as many as were ever in hand at once, which the prefetch bounds. */
static void give_message_back(tn_msg *msg)
{
    tn__arena_reset(msg->arena);
    msg->next = msg->consumer->free_messages;
    msg->consumer->free_messages = msg;
}

void tn__messages_free(tn__consumer *consumer)
{
    while (consumer->free_messages != NULL) {
        tn_msg *msg = consumer->free_messages;
        consumer->free_messages = msg->next;
        tn__arena_close(msg->arena);
        free(msg);
    }
}

/* What error.type calls it; NULL: nothing went wrong. */
static const char *error_of(tn__outcome outcome)
{
    bool well = outcome == TN__TOOK_EFFECT || outcome == TN__KNOWN;
    return well ? NULL : tn__outcome_names[outcome];
}

static void log_line(const tn_msg *msg, tn__outcome outcome, double seconds)
{
    double ratio = msg->consumer->options.access_log;
    bool failed = error_of(outcome) != NULL;
    if (ratio <= 0 || (!failed && !tn__ratio_keeps(ratio, msg->span.trace.trace_id)))
        return;
    TN_LOG(TN_INFO, "message", TN_LOG_S("message_id", msg->raw.message_id),
        TN_LOG_S("type", msg->meta.type), TN_LOG_Z("outcome", tn__outcome_names[outcome]),
        TN_LOG_D("duration_ms", seconds * 1000));
}

static void run(void *arg)
{
    tn_msg *msg = arg;
    read_meta(msg);
    continue_trace(msg);
    tn__log_context_set(&msg->log);
    tn__outcome outcome = is_fit(msg) ? handle(msg) : TN__POISON;
    settle(msg, outcome);
    double seconds = (double)(tn__mono_us() - msg->received_us) / 1e6;
    tn__metric_observe_in(msg->consumer->seconds[outcome], seconds, &msg->span.trace);
    log_line(msg, outcome, seconds);
    tn__process_end(&msg->span, msg->arena, &msg->raw, msg->consumer->events.queue,
        error_of(outcome), msg->reason);
    tn__log_context_set(NULL);
    give_message_back(msg);
}

void tn__message_start(tn__link *link, const tn__amqp_message *message)
{
    tn_msg *msg = take_message(link->consumer);
    tn__message_copy(msg->arena, message, &msg->raw);
    msg->epoch = link->epoch;
    msg->received_us = tn__mono_us();
    msg->second = message->redelivered || message->delivery_count > 0;
    tn__scope_start(link->consumer->scope, run, msg);
}
