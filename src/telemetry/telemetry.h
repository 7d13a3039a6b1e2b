/* What a service tells of itself: log lines, and the counters behind /metrics. */
#pragma once

#include "base/base.h"
#include <trunnion/log.h>

/* Set up once at start, before other threads exist. `service` and `version` go on every line. */
void tn__log_open(const char *service, const char *version, tn_level level);
void tn__log_level(tn_level level); /* any thread */
/* Waits until what was logged before has been written, for at most a second. */
void tn__log_flush(void);
/* The same, and ends the log; at the end of the process, when no other thread logs any more. */
void tn__log_close(void);
/* Lines that were dropped because standard output was too slow. */
uint64_t tn__log_dropped(void);

/* W3C Trace Context: the ids of a trace and of a span in it. */
typedef struct {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;
} tn__trace;
#define TN__TRACE_SAMPLED 0x01

/* What the lines and spans of the current coroutine or thread belong to. The pointers must outlive
 * it. */
typedef struct {
    tn_str request_id;
    tn_str trace_id;        /* 32 hex digits */
    tn_str span_id;         /* 16 hex digits */
    const tn__trace *trace; /* the same ids, as the parent of spans; NULL: none */
} tn__log_context;
/* Set at the start of a request or a message and NULL at its end; it is the current coroutine's, or
 * outside any the thread's (tn__co_slot). */
void tn__log_context_set(const tn__log_context *context);
/* The span that what is done now is part of; NULL: none. */
const tn__trace *tn__trace_current(void);

/* The header traceparent, as the trace id and the parent's span id. False when it isn't valid. */
bool tn__traceparent_parse(tn_str header, tn__trace *trace);
void tn__traceparent_write(const tn__trace *trace, char out[55]);
/* The ids alone, as hexadecimal digits, for a log line. */
void tn__trace_ids_write(const tn__trace *trace, char trace_id[32], char span_id[16]);
/* A child of `parent`: same trace, new span id; a new trace when parent is NULL. */
tn__trace tn__trace_child(const tn__trace *parent);

/* Metrics. Each has cells of its own in every thread, so that counting takes no lock and shares no
 * cache line; the scrape adds the cells up. */
#define TN__SERIES_MAX 2048
typedef struct tn__metric tn__metric;
typedef struct {
    const char *name, *value;
} tn__label;
/* Finds or makes the series of that name and those labels; the texts are copied. Beyond
 * TN__SERIES_MAX in all, one series of each name, with "other" as the value of every label, takes
 * the counts. The pointer is valid for as long as the process lives: keep it, since finding takes a
 * lock. The same name always comes with the same kind and bounds (ascending, without +Inf). */
tn__metric *tn__counter(const char *name, const char *help, const tn__label *labels, size_t n);
tn__metric *tn__gauge(const char *name, const char *help, const tn__label *labels, size_t n);
tn__metric *tn__histogram(const char *name, const char *help, const double *bounds, size_t n_bounds,
    const tn__label *labels, size_t n);
/* Any thread. A gauge is either added to, by any number of threads, or set: not both. */
void tn__metric_add(tn__metric *metric, double v);     /* counter: v >= 0; gauge: any */
void tn__metric_set(tn__metric *metric, double v);     /* gauge */
void tn__metric_observe(tn__metric *metric, double v); /* histogram */
/* As part of a span, which becomes an example of its bucket when it is sampled. */
void tn__metric_observe_in(tn__metric *metric, double v, const tn__trace *trace);
/* The text of /metrics: Prometheus text format 0.0.4, and OpenMetrics 1.0.0 with exemplars. */
#define TN__METRICS_TYPE     "text/plain; version=0.0.4; charset=utf-8"
#define TN__OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
void tn__metrics_write(tn__buf *out);
void tn__openmetrics_write(tn__buf *out);
