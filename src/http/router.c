/* Which endpoint a path names: see router.h.
 *
 * Invariants: a node has at most one child that is a parameter, whatever its name, so two patterns
 * that differ only in a parameter's name are one endpoint, which the check of the tables refuses. */
#include "http/router.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct node node;
struct node {
    tn_str text; /* of a fixed segment; of a parameter its name */
    node *fixed; /* children */
    node *param;
    node *next; /* sibling */
    tn__endpoint *endpoint;
};

struct tn__router {
    tn_arena *arena;
    node *root;
    tn__endpoint **endpoints;
    size_t n;
    char allow[TN__ALLOW_BYTES];
};

tn__router *tn__router_open(void)
{
    tn__router *router = tn__xcalloc(1, sizeof *router);
    router->arena = tn__arena_open(4096);
    router->root = tn_alloc(router->arena, sizeof(node));
    return router;
}

void tn__router_close(tn__router *router)
{
    tn__arena_close(router->arena);
    free(router->endpoints);
    free(router);
}

size_t tn__router_count(const tn__router *router)
{
    return router->n;
}

static node *find_fixed(const node *at, tn_str text)
{
    for (node *child = at->fixed; child != NULL; child = child->next)
        if (tn_str_eq(child->text, text))
            return child;
    return NULL;
}

static bool is_param(tn_str segment)
{
    return segment.len > 2 && segment.data[0] == '{' && segment.data[segment.len - 1] == '}';
}

static node *child_of(tn__router *router, node *at, tn_str segment)
{
    bool param = is_param(segment);
    node *child = param ? at->param : find_fixed(at, segment);
    if (child != NULL)
        return child;
    child = tn_alloc(router->arena, sizeof *child);
    if (param) {
        child->text = (tn_str){ segment.data + 1, segment.len - 2 };
        at->param = child;
    } else {
        child->text = segment;
        child->next = at->fixed;
        at->fixed = child;
    }
    return child;
}

static tn__endpoint *endpoint_of(tn__router *router, node *at, tn_str pattern)
{
    if (at->endpoint != NULL)
        return at->endpoint;
    at->endpoint = tn_alloc(router->arena, sizeof *at->endpoint);
    at->endpoint->pattern = pattern;
    at->endpoint->index = router->n;
    router->endpoints = tn__xrealloc(router->endpoints,
        (router->n + 1) * sizeof router->endpoints[0]);
    router->endpoints[router->n++] = at->endpoint;
    return at->endpoint;
}

tn__endpoint *tn__router_add(tn__router *router, const char *prefix, const char *pattern)
{
    tn_str whole = tn_printf(router->arena, "%s%s", prefix, pattern);
    tn_str rest = whole, segment;
    node *at = router->root;
    size_t depth = 0, params = 0;
    assert(whole.len > 0 && whole.data[0] == '/');
    tn__str_cut(&rest, '/', &segment); /* what stands before the first slash: nothing */
    while (tn__str_cut(&rest, '/', &segment)) {
        depth++;
        params += is_param(segment);
        at = child_of(router, at, segment);
    }
    assert(depth <= TN__SEGMENTS_MAX && params <= TN__PATH_PARAMS_MAX);
    (void)depth;
    (void)params;
    return endpoint_of(router, at, whole);
}

static bool takes(const tn__endpoint *endpoint, tn_method method)
{
    return endpoint->routes[method] != NULL || (method == TN_GET && endpoint->page != NULL);
}

/* The methods that one of the endpoints takes. */
static void write_allow(char allow[TN__ALLOW_BYTES], tn__endpoint *const *endpoints, size_t n)
{
    size_t at = 0;
    for (tn_method method = TN_GET; method < (tn_method)TN__METHODS; method++) {
        size_t i = 0;
        while (i < n && !takes(endpoints[i], method))
            i++;
        if (i < n)
            at += (size_t)snprintf(allow + at, TN__ALLOW_BYTES - at, "%s%s",
                tn__method_name(method), method == TN_GET ? ", HEAD, " : ", ");
    }
    at += (size_t)snprintf(allow + at, TN__ALLOW_BYTES - at, "OPTIONS");
    assert(at < TN__ALLOW_BYTES);
}

void tn__router_finish(tn__router *router)
{
    for (size_t i = 0; i < router->n; i++)
        write_allow(router->endpoints[i]->allow, &router->endpoints[i], 1);
    write_allow(router->allow, router->endpoints, router->n);
}

const char *tn__router_allow(const tn__router *router)
{
    return router->allow;
}

/* The decoded segments of a path; false when there are too many or one can't be decoded. */
static tn__found split(tn_arena *arena, tn_str path, tn_str segments[], size_t *n)
{
    tn_str rest = path, raw;
    *n = 0;
    if (path.len == 0 || path.data[0] != '/' || memchr(path.data, 0, path.len) != NULL)
        return TN__MALFORMED_PATH;
    tn__str_cut(&rest, '/', &raw);
    while (tn__str_cut(&rest, '/', &raw)) {
        if (*n == TN__SEGMENTS_MAX)
            return TN__NO_SUCH_PATH;
        tn_str *segment = &segments[(*n)++];
        *segment = raw;
        if (raw.len > 0 && memchr(raw.data, '%', raw.len) != NULL &&
            !tn__percent_decode(arena, raw, false, segment))
            return TN__MALFORMED_PATH;
    }
    return TN__FOUND;
}

/* Depth is at most TN__SEGMENTS_MAX, and a node is left for good when its fixed child fails, so the
 * walk takes at most 2^depth steps on the worst of trees and a handful on real ones. */
static bool walk(const node *at, const tn_str *segments, size_t n, tn__match *match)
{
    if (n == 0) {
        match->endpoint = at->endpoint;
        return at->endpoint != NULL;
    }
    const node *fixed = find_fixed(at, segments[0]);
    if (fixed != NULL && walk(fixed, segments + 1, n - 1, match))
        return true;
    if (at->param == NULL || segments[0].len == 0)
        return false;
    size_t place = match->n_params++;
    match->params[place] = (tn__pair){ at->param->text, segments[0] };
    if (walk(at->param, segments + 1, n - 1, match))
        return true;
    match->n_params = place;
    return false;
}

tn__found tn__router_find(const tn__router *router, tn_arena *arena, tn_str path, tn__match *match)
{
    tn_str segments[TN__SEGMENTS_MAX];
    size_t n;
    match->endpoint = NULL;
    match->n_params = 0;
    tn__found found = split(arena, path, segments, &n);
    if (found != TN__FOUND)
        return found;
    return walk(router->root, segments, n, match) ? TN__FOUND : TN__NO_SUCH_PATH;
}

static const char *const method_names[TN__METHODS] = {
    [TN_GET] = "GET",
    [TN_POST] = "POST",
    [TN_PUT] = "PUT",
    [TN_PATCH] = "PATCH",
    [TN_DELETE] = "DELETE",
};

const char *tn__method_name(tn_method method)
{
    assert(method < (tn_method)TN__METHODS);
    return method_names[method];
}

bool tn__method_of(tn_str name, tn_method *method, bool *head)
{
    *head = tn_str_eq(name, TN_S("HEAD"));
    if (*head) {
        *method = TN_GET;
        return true;
    }
    for (*method = TN_GET; *method < (tn_method)TN__METHODS; (*method)++)
        if (tn_str_eq(name, tn_str_of(method_names[*method])))
            return true;
    return false;
}
