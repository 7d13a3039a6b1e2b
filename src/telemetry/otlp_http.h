/* OTLP over HTTP: one message is posted, and what the receiver says of it is told. */
#pragma once

#include "telemetry/span.h"

typedef struct tn__otlp_http tn__otlp_http;

typedef enum {
    TN__OTLP_TAKEN,   /* 2xx */
    TN__OTLP_AGAIN,   /* not now: 429, 502, 503, 504, or there was no answer */
    TN__OTLP_REFUSED, /* never */
    TN__OTLP_GIVEN_UP,
} tn__otlp_fate;

typedef struct {
    tn__otlp_fate fate;
    int64_t retry_after_ms; /* 0: nothing was said */
    tn_str body;            /* valid until the next post */
    const char *why;        /* likewise; when it wasn't taken */
} tn__otlp_answer;

/* For one thread. What the options point to is copied. */
tn__otlp_http *tn__otlp_http_open(const tn__tracing_options *options);
void tn__otlp_http_close(tn__otlp_http *http);
/* Posts a message and waits for the answer. `gives_up` is asked every now and then. */
tn__otlp_answer tn__otlp_http_post(tn__otlp_http *http, tn_str message, bool (*gives_up)(void *arg),
    void *arg);

/* ---- gzip.c ------------------------------------------------------------- */

/* `out` becomes the bytes as gzip (RFC 1952). */
void tn__gzip(tn__buf *out, tn_str bytes);
