/* Cross-origin requests (WHATWG Fetch 3.2): which origins may read answers. */
#pragma once

#include "base/base.h"

/* What answers to an allowed origin may show to its scripts, and what it may send. */
#define TN__CORS_EXPOSED "ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Request-Id"
#define TN__CORS_HEADERS                                                                           \
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "              \
    "Last-Event-ID, Traceparent, Tracestate, X-Request-Id"
#define TN__CORS_MAX_AGE_S "600"

typedef struct {
    bool any;
    tn_str *origins; /* in `arena` */
    size_t n;
} tn__cors;

/* Reads CORS_ALLOWED_ORIGINS: origins with commas between, "*" for any, or nothing. */
void tn__cors_init(tn__cors *cors, tn_arena *arena, const char *allowed);

/* What Access-Control-Allow-Origin says to a request from `origin`: "*", the origin, or nothing
 * (`data` is NULL) when it isn't allowed or there is none. */
tn_str tn__cors_allowed(const tn__cors *cors, tn_str origin);

/* Answers differ by origin, which caches must know. */
bool tn__cors_varies(const tn__cors *cors);
