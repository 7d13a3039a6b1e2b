/* Which endpoint a path names.
 *
 * The paths of a service are put into a tree of segments when it starts; a request walks down it. A
 * fixed segment goes before a parameter, so /activities/stream is found beside /activities/{id}.
 * Segments are percent-decoded one by one, so an encoded slash is part of a value. */
#pragma once

#include "schema/schema.h"
#include <trunnion/http.h>

#define TN__METHODS         (TN_DELETE + 1)
#define TN__SEGMENTS_MAX    16
#define TN__PATH_PARAMS_MAX 8
#define TN__ALLOW_BYTES     64

/* What stands at a path: the routes by method, or one page of any kind (see http.h). */
typedef struct {
    tn_str pattern; /* "/api/v1/items/{id}" */
    const tn_route *routes[TN__METHODS];
    const void *page;
    char allow[TN__ALLOW_BYTES]; /* "GET, HEAD, POST, OPTIONS" */
    size_t index;                /* from 0, in the order of their making */
} tn__endpoint;

typedef struct tn__router tn__router;

tn__router *tn__router_open(void);
void tn__router_close(tn__router *router);
/* The endpoint of `prefix` and `pattern` together, made when it isn't there. */
tn__endpoint *tn__router_add(tn__router *router, const char *prefix, const char *pattern);
size_t tn__router_count(const tn__router *router);
/* Writes `allow` of each endpoint, and that of all, once all are there. */
void tn__router_finish(tn__router *router);
/* Every method that some endpoint takes. */
const char *tn__router_allow(const tn__router *router);

typedef enum { TN__FOUND, TN__NO_SUCH_PATH, TN__MALFORMED_PATH } tn__found;

typedef struct {
    tn__endpoint *endpoint;
    tn__pair params[TN__PATH_PARAMS_MAX];
    size_t n_params;
} tn__match;

/* Finds the endpoint of a path, which is without its query. */
tn__found tn__router_find(const tn__router *router, tn_arena *arena, tn_str path, tn__match *match);

/* The method of that name (RFC 9110 9: case-sensitive). HEAD is GET with `*head` set; OPTIONS and
 * what isn't known have none, which is false. */
bool tn__method_of(tn_str name, tn_method *method, bool *head);
const char *tn__method_name(tn_method method);
