/* The parts of the OpenAPI document; shared by the files that write it. */
#pragma once

#include "schema/doc_schema.h"
#include "schema/problems.h"

/* ---- Parameters and headers that the chassis adds ------------------------- */

typedef enum {
    TN__PARAM_LIMIT,
    TN__PARAM_CURSOR,
    TN__PARAM_FROM,
    TN__PARAM_LAST_EVENT_ID,
    TN__PARAM_KEY,
    TN__PARAM_KEY_OPTIONAL,
    TN__PARAM_IF_MATCH,
    TN__PARAM_IF_NONE_MATCH,
    TN__PARAM_REQUEST_ID,
    TN__PARAMS
} tn__param;

typedef enum {
    TN__HEADER_LOCATION,
    TN__HEADER_ETAG,
    TN__HEADER_LINK,
    TN__HEADER_REPLAYED,
    TN__HEADER_RETRY_AFTER,
    TN__HEADER_REQUEST_ID,
    TN__HEADERS
} tn__doc_header;

bool tn__route_is_safe(const tn_route *route);
/* True when the key must be given; false may still mean that it can be. */
bool tn__route_needs_key(const tn_route *route);
bool tn__route_has_param(const tn_route *route, tn__param param);
bool tn__route_has_header(const tn_route *route, tn__doc_header header);

/* References, as elements of the array or members of the object that is open. */
void tn__write_param_refs(tn__doc *doc, const tn_route *route);
void tn__write_header_ref(tn__doc *doc, tn__doc_header header);
/* components/parameters and components/headers: those that some route uses. */
void tn__write_params(tn__doc *doc, const tn_service *service);
void tn__write_headers(tn__doc *doc, const tn_service *service);

/* ---- Answers that are problems --------------------------------------------- */

/* Problems that one route may answer with one status. */
#define TN__PROBLEMS_EACH_MAX 64
/* Different answers of all routes together. */
#define TN__ANSWERS_MAX 256

typedef struct {
    int status;
    tn_str slugs; /* with commas between: what makes it this answer and no other */
    tn_str name;
    const tn_route *route; /* the first that gives it */
} tn__answer;

typedef struct {
    tn_arena *arena;
    const tn_service *service;
    tn__answer at[TN__ANSWERS_MAX];
    size_t n;
} tn__answers;

/* Finds out what the service's routes may answer, and names it. */
tn__answers *tn__answers_open(tn_arena *arena, const tn_service *service);
/* The route's problems, by status, as members of the object `responses` that is open. */
void tn__write_answer_refs(tn__doc *doc, const tn__answers *answers, const tn_route *route);
/* components/responses, and the schemas of problems as members of components/schemas. */
void tn__write_answers(tn__doc *doc, const tn__answers *answers);
void tn__write_problem_schemas(tn__doc *doc);
