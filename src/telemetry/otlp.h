/* OTLP (opentelemetry-proto 1): spans as the collector reads them, and what it answers. */
#pragma once

#include "telemetry/span.h"

/* Appends the span as one element of ScopeSpans.spans, tag and length included, so that those of a
 * batch only have to stand behind each other. A time of tn__mono_us() is one of the wall clock when
 * wall_us is added to it. */
void tn__otlp_add_span(tn__buf *out, const tn__span *span, int64_t wall_us);
/* The bytes of the first element of what was put together so. */
size_t tn__otlp_span_bytes(tn_str spans);

/* What all messages of a process begin with: the resource and the scope. */
typedef struct {
    tn__buf resource, scope; /* fields of ResourceSpans and of ScopeSpans */
} tn__otlp_head;
void tn__otlp_head_init(tn__otlp_head *head, const tn__tracing_options *options);
void tn__otlp_head_deinit(tn__otlp_head *head);
/* The ExportTraceServiceRequest of these spans, in place of what is in `out`. */
void tn__otlp_request(tn__buf *out, const tn__otlp_head *head, tn_str spans);

/* What of an ExportTraceServiceResponse matters: 0 and "" when all were accepted. */
typedef struct {
    int64_t rejected;
    tn_str message;
} tn__otlp_partial;
tn__otlp_partial tn__otlp_response(tn_str body);
/* The message of a google.rpc.Status, which comes with errors; "" when there is none. */
tn_str tn__otlp_status_message(tn_str body);

/* ---- resource.c --------------------------------------------------------- */

/* Appends the fields of a Resource: who it is that tells. */
void tn__otlp_add_resource(tn__buf *out, const tn__tracing_options *options);
/* Appends an attribute as the field of that number. */
void tn__otlp_add_attribute(tn__buf *out, unsigned field, const tn_log_field *attribute);
/* Calls each(arg, key, value) for every pair of "key=value,key=value", whose values are
 * percent-encoded (W3C Baggage); what is no pair is passed over. */
void tn__otlp_pairs(const char *text,
    void (*each)(void *arg, tn_arena *arena, tn_str key, tn_str value), tn_arena *arena, void *arg);
