/* Paths to endpoints. */
#include "unit/base/unit.h"

#include "http/router.h"

static tn__router *router;
static tn_arena *arena;
static tn__match match;
static const tn_route route = { .path = "" };

static void add(const char *pattern, tn_method method)
{
    tn__router_add(router, "/api/v1", pattern)->routes[method] = &route;
}

static int open_router(void **state)
{
    (void)state;
    arena = tn__arena_open(1024);
    router = tn__router_open();
    add("/items", TN_GET);
    add("/items", TN_POST);
    add("/items/{id}", TN_GET);
    add("/items/{id}", TN_PATCH);
    add("/items/{id}", TN_DELETE);
    add("/items/newest", TN_GET);
    add("/items/{id}/parts/{part}", TN_PUT);
    tn__router_add(router, "", "/livez")->page = &route;
    tn__router_finish(router);
    return 0;
}

static int close_router(void **state)
{
    (void)state;
    tn__router_close(router);
    tn__arena_close(arena);
    return 0;
}

static tn__found find(const char *path)
{
    return tn__router_find(router, arena, tn_str_of(path), &match);
}

static void assert_found(const char *path, const char *pattern)
{
    assert_int_equal(find(path), TN__FOUND);
    assert_str(match.endpoint->pattern, pattern);
}

static void path_finds_its_endpoint(void **state)
{
    (void)state;
    assert_found("/api/v1/items", "/api/v1/items");
    assert_int_equal(match.n_params, 0);
    assert_found("/livez", "/livez");
}

static void parameters_are_named_and_decoded(void **state)
{
    (void)state;
    assert_found("/api/v1/items/a%2Fb%20c", "/api/v1/items/{id}");
    assert_int_equal(match.n_params, 1);
    assert_str(match.params[0].name, "id");
    assert_str(match.params[0].value, "a/b c");
    assert_found("/api/v1/items/1/parts/2", "/api/v1/items/{id}/parts/{part}");
    assert_int_equal(match.n_params, 2);
    assert_str(match.params[1].name, "part");
    assert_str(match.params[1].value, "2");
}

static void fixed_segment_goes_before_a_parameter(void **state)
{
    (void)state;
    assert_found("/api/v1/items/newest", "/api/v1/items/newest");
    assert_int_equal(match.n_params, 0);
}

static void walk_turns_back_when_a_fixed_segment_leads_nowhere(void **state)
{
    (void)state;
    assert_found("/api/v1/items/newest/parts/2", "/api/v1/items/{id}/parts/{part}");
    assert_str(match.params[0].value, "newest");
}

static void fixed_segment_is_decoded_too(void **state)
{
    (void)state;
    assert_found("/api/v1/%69tems", "/api/v1/items");
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = { "/", "/api", "/api/v1", "/api/v1/", "/api/v1/items/", "//",
        "/api/v1//items", "/API/V1/items", "/items", "/livez/", "/livez/x", "/api/v1/items/1/parts",
        "/api/v1/items/1/parts/", "/api/v1/items/1/parts//",
        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s", "/api/v1/items%2F1" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(find(paths[i]), TN__NO_SUCH_PATH);
}

static void path_that_is_none_is_malformed(void **state)
{
    (void)state;
    static const char *const paths[] = { "", "*", "items", "/%", "/%zz", "/api/v1/items/%00",
        "/api/v1/items/%4" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(find(paths[i]), TN__MALFORMED_PATH);
}

static void allowed_methods_are_listed(void **state)
{
    (void)state;
    assert_found("/api/v1/items", "/api/v1/items");
    assert_string_equal(match.endpoint->allow, "GET, HEAD, POST, OPTIONS");
    assert_found("/api/v1/items/1", "/api/v1/items/{id}");
    assert_string_equal(match.endpoint->allow, "GET, HEAD, PATCH, DELETE, OPTIONS");
    assert_found("/livez", "/livez");
    assert_string_equal(match.endpoint->allow, "GET, HEAD, OPTIONS");
}

static void allowed_methods_of_all_paths_are_listed(void **state)
{
    (void)state;
    assert_string_equal(tn__router_allow(router), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

static void methods_are_known_by_their_exact_name(void **state)
{
    (void)state;
    tn_method method;
    bool head;
    assert_true(tn__method_of(TN_S("PATCH"), &method, &head));
    assert_int_equal(method, TN_PATCH);
    assert_false(head);
    assert_true(tn__method_of(TN_S("HEAD"), &method, &head));
    assert_int_equal(method, TN_GET);
    assert_true(head);
    assert_false(tn__method_of(TN_S("get"), &method, &head));
    assert_false(tn__method_of(TN_S("OPTIONS"), &method, &head));
    assert_false(tn__method_of(TN_S(""), &method, &head));
}

#define ROUTER_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_router, close_router)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUTER_TEST(path_finds_its_endpoint),
        ROUTER_TEST(parameters_are_named_and_decoded),
        ROUTER_TEST(fixed_segment_goes_before_a_parameter),
        ROUTER_TEST(walk_turns_back_when_a_fixed_segment_leads_nowhere),
        ROUTER_TEST(fixed_segment_is_decoded_too),
        ROUTER_TEST(other_paths_are_not_found),
        ROUTER_TEST(path_that_is_none_is_malformed),
        ROUTER_TEST(allowed_methods_are_listed),
        ROUTER_TEST(allowed_methods_of_all_paths_are_listed),
        cmocka_unit_test(methods_are_known_by_their_exact_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
