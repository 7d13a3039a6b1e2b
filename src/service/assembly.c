/* A service put together from its own tables and what the chassis adds. */

#include "service/service.h"

const tn_service *tn__assemble(tn_arena *arena, const tn_service *service)
{
    if (service->subscriptions.n == 0)
        return service;
    size_t own = service->routes.n, added = tn__dead_letter_routes_n;
    tn_route *routes = tn_alloc(arena, (own + added) * sizeof *routes);
    if (own > 0)
        memcpy(routes, service->routes.at, own * sizeof *routes);
    memcpy(routes + own, tn__dead_letter_routes, added * sizeof *routes);
    tn_service *whole = tn_alloc(arena, sizeof *whole);
    *whole = *service;
    whole->routes.at = routes;
    whole->routes.n = own + added;
    return whole;
}

static size_t count_elements(tn_str text)
{
    size_t n = text.len > 0 ? 1 : 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == ',';
    return n;
}

static tn__queue_binding *binding_of(tn__queue_binding *bindings, size_t *n, const char *consumer)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(bindings[i].consumer, consumer) == 0)
            return &bindings[i];
    bindings[*n] = (tn__queue_binding){ .consumer = consumer };
    return &bindings[(*n)++];
}

static void add_pattern(tn_arena *arena, tn__queue_binding *binding, const char *pattern)
{
    size_t n = binding->n_patterns;
    const char **patterns = tn_alloc(arena, (n + 1) * sizeof *patterns);
    if (n > 0)
        memcpy(patterns, binding->patterns, n * sizeof *patterns);
    patterns[n] = pattern;
    binding->patterns = patterns;
    binding->n_patterns = n + 1;
}

/* activity=item.*,audit=#,activity=order.*: a name that comes again has one more pattern. */
const tn__queue_binding *tn__bindings_of(tn_arena *arena, tn_str text, size_t *n)
{
    tn__queue_binding *bindings = tn_alloc(arena, (count_elements(text) + 1) * sizeof *bindings);
    tn_str pattern, name;
    *n = 0;
    while (text.len > 0 && tn__str_cut(&text, ',', &pattern)) {
        pattern = tn__str_trim(pattern);
        tn__str_cut(&pattern, '=', &name);
        tn__queue_binding *binding = binding_of(bindings, n, tn_copy(arena, name).data);
        add_pattern(arena, binding, tn_copy(arena, pattern).data);
    }
    return bindings;
}
