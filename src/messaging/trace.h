/* Spans of messages: one for each that is published, one for each that is processed.
 *
 * The message's traceparent names the span that published it, so that whoever processes it goes on
 * from there: the one span is the parent of the other, and linked by it too, since that is how
 * OpenTelemetry's conventions for messages have it. */
#pragma once

#include "amqp/amqp.h"

typedef struct {
    tn__trace trace;
    uint8_t parent_id[8];
    int64_t began_us;
    char traceparent[55];
} tn__publish_span;

/* The message is about to be published: when its traceparent is that of a sampled span, it becomes
 * that of a child, in `span`, which outlives the publishing. */
void tn__publish_begin(tn__publish_span *span, tn__amqp_message *message);
/* The broker's word on it has come; NULL: it has it, else what went wrong. Of the message the ids,
 * exchange and routing key are read. */
void tn__publish_end(const tn__publish_span *span, tn_arena *arena, const tn__amqp_message *message,
    const char *error);

typedef struct {
    tn__trace trace, parent;
    bool has_parent;
    tn_str tracestate;
    int64_t began_us;
} tn__process_span;

/* A message came, with this traceparent. */
void tn__process_begin(tn__process_span *span, tn_str traceparent, tn_str tracestate);
/* It has been processed; `error` is NULL when that went well. */
void tn__process_end(const tn__process_span *span, tn_arena *arena, const tn__amqp_message *message,
    const char *queue, const char *error, tn_str why);
