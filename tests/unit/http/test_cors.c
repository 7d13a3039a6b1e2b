/* Which origins may read answers. */
#include "unit/base/unit.h"

#include "http/cors.h"

static tn_arena *arena;
static tn__cors cors;

static int open_arena(void **state)
{
    (void)state;
    arena = tn__arena_open(1024);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

static bool allows(const char *origin)
{
    return tn__cors_allowed(&cors, tn_str_of(origin)).data != NULL;
}

static void listed_origins_are_given_back(void **state)
{
    (void)state;
    tn__cors_init(&cors, arena, "https://a.example, http://localhost:3000,,");
    assert_str(tn__cors_allowed(&cors, TN_S("https://a.example")), "https://a.example");
    assert_str(tn__cors_allowed(&cors, TN_S("http://localhost:3000")), "http://localhost:3000");
    assert_true(tn__cors_varies(&cors));
}

static void origins_are_compared_byte_by_byte(void **state)
{
    (void)state;
    static const char *const others[] = { "https://A.example", "https://a.example/", "a.example",
        "https://a.example:443", "http://a.example", "https://a.example.evil", "null", "", "*",
        "https://a.example, http://localhost:3000" };
    tn__cors_init(&cors, arena, "https://a.example,http://localhost:3000");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(allows(others[i]));
    assert_false(allows(NULL));
}

static void star_allows_any_and_varies_by_none(void **state)
{
    (void)state;
    tn__cors_init(&cors, arena, "*");
    assert_str(tn__cors_allowed(&cors, TN_S("https://a.example")), "*");
    assert_false(allows(NULL));
    assert_false(tn__cors_varies(&cors));
}

static void nothing_listed_allows_none(void **state)
{
    (void)state;
    static const char *const none[] = { "", " ", ",", NULL };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        tn__cors_init(&cors, arena, none[i]);
        assert_false(allows("https://a.example") || allows("") || tn__cors_varies(&cors));
    }
}

#define CORS_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORS_TEST(listed_origins_are_given_back),
        CORS_TEST(origins_are_compared_byte_by_byte),
        CORS_TEST(star_allows_any_and_varies_by_none),
        CORS_TEST(nothing_listed_allows_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
