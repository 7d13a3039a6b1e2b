/* Problems: how every error is told (RFC 9457).
 *
 * The chassis has a fixed table of them (schema/problems.h, for the documents list them too), to
 * which a service's own are added. `type` is the URI reference /problems/<slug>, where a short page
 * describes it. */
#pragma once

#include "schema/problems.h"
#include "schema/schema.h"
#include <trunnion/http.h>

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
