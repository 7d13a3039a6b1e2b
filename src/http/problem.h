/* Problems: how every error is told (RFC 9457).
 *
 * The chassis has a fixed table of them, to which a service's own are added. `type` is the URI
 * reference /problems/<slug>, where a short page describes it. */
#pragma once

#include "schema/schema.h"
#include <trunnion/http.h>

typedef enum {
    TN__BAD_REQUEST,
    TN__KEY_MISSING,
    TN__KEY_INVALID,
    TN__NOT_FOUND,
    TN__METHOD_NOT_ALLOWED,
    TN__NOT_ACCEPTABLE,
    TN__REQUEST_TIMEOUT,
    TN__KEY_IN_USE,
    TN__CONFLICT,
    TN__PRECONDITION,
    TN__CONTENT_TOO_LARGE,
    TN__URI_TOO_LONG,
    TN__UNSUPPORTED_MEDIA_TYPE,
    TN__KEY_REUSED,
    TN__VALIDATION,
    TN__HEADER_TOO_LARGE,
    TN__INTERNAL_ERROR,
    TN__UNAVAILABLE,
    TN__GATEWAY_TIMEOUT,
    TN__SLUGS,
} tn__slug;

typedef struct {
    int status;
    const char *slug, *title;
    const char *meaning; /* for the page that describes it */
} tn__problem_type;
extern const tn__problem_type tn__problem_types[TN__SLUGS];

/* Where a fault is: in the body (its pointer is a JSON Pointer) or in a parameter (its name). */
typedef enum { TN__IN_BODY, TN__IN_PATH, TN__IN_QUERY, TN__IN_HEADER } tn__place;
#define TN__PLACES (TN__IN_HEADER + 1)

/* One problem that happened. Strings are looked at when it is written. */
typedef struct {
    int status;
    const char *slug, *title;
    tn_str detail;
    tn_str instance, request_id;          /* `instance` may be empty: not known */
    const tn__faults *faults[TN__PLACES]; /* by place; NULL for none */
} tn__problem;

/* The problem of a slug, with its detail. */
tn__problem tn__problem_of(tn__slug slug, tn_str detail);
/* The media type of what tn__problem_write() writes. */
#define TN__PROBLEM_TYPE "application/problem+json"
void tn__problem_write(tn__buf *out, const tn__problem *problem);

/* The page about a problem type, as HTML or as JSON. `meaning` may be NULL. */
void tn__problem_page(tn__buf *out, const tn__problem_type *type, bool html);
/* HTML text with the five characters escaped. */
void tn__html(tn__buf *out, tn_str text);
