/* Any bytes as the path of a request.
 *
 * Always: an endpoint that is found is found again by the path that its values make when they are
 * encoded, with the same values. */
#include "fuzz.h"

#include "http/router.h"

static tn__router *router;

/* Once a process, as a service does. */
static void open_router(void)
{
    static const char *const patterns[] = { "/items", "/items/{id}", "/items/newest",
        "/items/{id}/parts/{part}", "/items/newest/parts", "/{any}/{thing}/{at}/{all}" };
    router = tn__router_open();
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        tn__router_add(router, i % 2 == 0 ? "" : "/api", patterns[i]);
    tn__router_finish(router);
}

static tn_str path_of(tn_arena *arena, const tn__match *match)
{
    tn__buf out = { .arena = arena };
    tn_str rest = match->endpoint->pattern, part;
    size_t n = 0;
    tn__str_cut(&rest, '/', &part);
    while (tn__str_cut(&rest, '/', &part)) {
        tn__buf_add_char(&out, '/');
        if (part.data[0] == '{')
            tn__percent_encode(&out, match->params[n++].value);
        else
            tn__buf_add_str(&out, part);
    }
    always(n == match->n_params);
    return tn__buf_str(&out);
}

static void found_again(tn_arena *arena, const tn__match *match)
{
    tn__match again;
    always(tn__router_find(router, arena, path_of(arena, match), &again) == TN__FOUND);
    always(again.endpoint == match->endpoint && again.n_params == match->n_params);
    for (size_t i = 0; i < match->n_params; i++) {
        always(match->params[i].value.len > 0);
        always(tn_str_eq(match->params[i].value, again.params[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (router == NULL)
        open_router();
    tn_arena *arena = tn__arena_open(4096);
    tn__match match;
    tn_str path = { (const char *)data, size };
    if (tn__router_find(router, arena, path, &match) == TN__FOUND)
        found_again(arena, &match);
    else
        always(match.endpoint == NULL);
    tn__arena_close(arena);
    return 0;
}
