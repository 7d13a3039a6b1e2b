/* Spans: what took place, from when to when, and as part of what (OpenTelemetry's tracing API).
 *
 * A span is told of once, when it has ended. While it lasts nothing of it exists but its ids, a
 * tn__trace, which its children, its messages and its log lines carry: so a span allocates nothing,
 * and one that isn't kept costs a comparison. */
#pragma once

#include "telemetry/sampler.h"

/* As OTLP numbers them. */
typedef enum {
    TN__SPAN_INTERNAL = 1,
    TN__SPAN_SERVER = 2,
    TN__SPAN_CLIENT = 3,
    TN__SPAN_PRODUCER = 4,
    TN__SPAN_CONSUMER = 5,
} tn__span_kind;

typedef struct {
    tn__trace trace;      /* its own ids */
    uint8_t parent_id[8]; /* nothing but zeros: it has no parent */
    bool parent_is_remote;
    tn__span_kind kind;
    tn_str name, tracestate;
    int64_t start_us, end_us; /* tn__mono_us() */
    /* Names by OpenTelemetry's semantic conventions. Values are cut at TN__SPAN_VALUE_BYTES_MAX. */
    const tn_log_field *attributes;
    size_t n_attributes;
    const tn__trace *links; /* spans that it has to do with, and that are not its parent */
    size_t n_links;
    bool failed;
    tn_str why; /* of a failure that no attribute tells */
} tn__span;

#define TN__SPAN_VALUE_BYTES_MAX 1024
#define TN__SPAN_LINKS_MAX       128

/* The ids for a span that begins here: a child of what came from elsewhere, or (NULL) a new trace.
 * The sampler decides whether it is kept. Within the process tn__trace_child() passes that on. */
tn__trace tn__trace_start(const tn__trace *parent);
/* True when a span with these ids would be kept: else don't put one together. NULL: no. */
bool tn__span_wanted(const tn__trace *trace);
/* Hands over a span that has ended, if it is wanted. Copies it; never waits for the exporter: when
 * the queue is full, it is dropped and counted. Any thread. */
void tn__span_record(const tn__span *span);

/* What is pointed to is copied. */
typedef struct {
    tn__sampler sampler;
    const char *service;             /* its name, */
    const char *service_name;        /* unless this says otherwise; "" or NULL: it doesn't */
    const char *version;             /* of the service */
    const char *resource_attributes; /* key=value, separated by commas, percent-encoded */
    const char *url;                 /* where spans are posted to; "" or NULL: nowhere */
    const char *headers;             /* as resource_attributes; "" or NULL: none */
    const char *certificate;         /* PEM file of authorities; "" or NULL: the system's */
    bool gzip;
    int timeout_ms;             /* of one attempt */
    int export_timeout_ms;      /* of all attempts with one message */
    int delay_ms;               /* how long a span waits for company */
    int queue_max;              /* spans that wait, of each thread */
    int batch_max;              /* spans in one message, at most queue_max */
    int retry_ms, retry_max_ms; /* the first delay, which doubles, with jitter; and the longest */
} tn__tracing_options;

#define TN__TRACING_PATH         "/v1/traces"
#define TN__TRACING_RETRY_MS     500
#define TN__TRACING_RETRY_MAX_MS 8000

/* Once at the start, before other threads exist; with a url it starts the exporter's thread. Before
 * that, and after the close, no span is kept and the sampler is parentbased_always_on. */
void tn__tracing_open(const tn__tracing_options *options);
/* Sends what waits, for at most that long. At the end, when no other thread records any more. */
void tn__tracing_close(int timeout_ms);
