/* Spans of messages: see trace.h. Attributes are those of OpenTelemetry's conventions for RabbitMQ. */
#include "messaging/trace.h"

#include "telemetry/span.h"

#include <assert.h>

enum { FIELDS_MAX = 10 };

typedef struct {
    tn_log_field at[FIELDS_MAX];
    size_t n;
} fields;

static void add(fields *all, tn_log_field field)
{
    assert(all->n < FIELDS_MAX);
    all->at[all->n++] = field;
}

static void add_text(fields *all, const char *name, tn_str value)
{
    if (value.len > 0)
        add(all, TN_LOG_S(name, value));
}

static void add_part(tn__buf *out, tn_str part)
{
    if (part.len == 0)
        return;
    if (out->len > 0)
        tn__buf_add_char(out, ':');
    tn__buf_add_str(out, part);
}

/* exchange:routing_key:queue, as far as they are there and differ. */
static tn_str destination(tn_arena *arena, const tn__amqp_message *message, tn_str queue)
{
    tn__buf out = { .arena = arena };
    add_part(&out, message->exchange);
    add_part(&out, message->routing_key);
    if (!tn_str_eq(message->routing_key, queue))
        add_part(&out, queue);
    return out.len > 0 ? tn__buf_str(&out) : TN_S("amq.default");
}

static void add_message(fields *all, const tn__amqp_message *message, const char *operation,
    const char *type, tn_str destination_name)
{
    add(all, TN_LOG_Z("messaging.system", "rabbitmq"));
    add(all, TN_LOG_Z("messaging.operation.name", operation));
    add(all, TN_LOG_Z("messaging.operation.type", type));
    add(all, TN_LOG_S("messaging.destination.name", destination_name));
    add_text(all, "messaging.rabbitmq.destination.routing_key", message->routing_key);
    add_text(all, "messaging.message.id", message->message_id);
    add_text(all, "messaging.message.conversation_id", message->correlation_id);
}

/* ---- Publishing --------------------------------------------------------------- */

static tn__amqp_header *header_of(tn__amqp_message *message, tn_str name)
{
    for (size_t i = 0; i < message->n_headers; i++)
        if (tn_str_eq(message->headers[i].name, name))
            return &message->headers[i];
    return NULL;
}

void tn__publish_begin(tn__publish_span *span, tn__amqp_message *message)
{
    tn__amqp_header *header = header_of(message, TN_S("traceparent"));
    tn__trace parent;
    *span = (tn__publish_span){ .began_us = 0 };
    if (header == NULL || !tn__traceparent_parse(header->value, &parent) ||
        !tn__span_wanted(&parent))
        return;
    span->trace = tn__trace_child(&parent);
    span->began_us = tn__mono_us();
    memcpy(span->parent_id, parent.span_id, sizeof span->parent_id);
    tn__traceparent_write(&span->trace, span->traceparent);
    header->value = (tn_str){ span->traceparent, sizeof span->traceparent };
}

void tn__publish_end(const tn__publish_span *span, tn_arena *arena, const tn__amqp_message *message,
    const char *error)
{
    if (!tn__span_wanted(&span->trace))
        return;
    fields all = { .n = 0 };
    tn_str name = destination(arena, message, TN_S(""));
    add_message(&all, message, "publish", "send", name);
    if (error != NULL)
        add(&all, TN_LOG_Z("error.type", error));
    tn__span publish = {
        .trace = span->trace,
        .kind = TN__SPAN_PRODUCER,
        .name = tn_printf(arena, "publish %.*s", TN_FMT(name)),
        .start_us = span->began_us,
        .end_us = tn__mono_us(),
        .attributes = all.at,
        .n_attributes = all.n,
        .failed = error != NULL,
    };
    memcpy(publish.parent_id, span->parent_id, sizeof publish.parent_id);
    tn__span_record(&publish);
}

/* ---- Processing ---------------------------------------------------------------- */

void tn__process_begin(tn__process_span *span, tn_str traceparent, tn_str tracestate)
{
    *span = (tn__process_span){ .began_us = tn__mono_us() };
    span->has_parent = tn__traceparent_parse(traceparent, &span->parent);
    span->trace = tn__trace_start(span->has_parent ? &span->parent : NULL);
    span->tracestate = span->has_parent ? tracestate : TN_S("");
}

void tn__process_end(const tn__process_span *span, tn_arena *arena, const tn__amqp_message *message,
    const char *queue, const char *error, tn_str why)
{
    if (!tn__span_wanted(&span->trace))
        return;
    fields all = { .n = 0 };
    tn_str name = destination(arena, message, tn_str_of(queue));
    add_message(&all, message, "process", "process", name);
    add(&all, TN_LOG_I("messaging.rabbitmq.message.delivery_tag", (int64_t)message->delivery_tag));
    if (error != NULL)
        add(&all, TN_LOG_Z("error.type", error));
    tn__span process = {
        .trace = span->trace,
        .parent_is_remote = true,
        .kind = TN__SPAN_CONSUMER,
        .name = tn_printf(arena, "process %.*s", TN_FMT(name)),
        .tracestate = span->tracestate,
        .start_us = span->began_us,
        .end_us = tn__mono_us(),
        .attributes = all.at,
        .n_attributes = all.n,
        .links = &span->parent,
        .n_links = span->has_parent,
        .failed = error != NULL,
        .why = why,
    };
    if (span->has_parent)
        memcpy(process.parent_id, span->parent.span_id, sizeof process.parent_id);
    tn__span_record(&process);
}
