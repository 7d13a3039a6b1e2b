/* Patterns: which may stand in a table, and how they match. */
#include "unit.h"

#include "schema/pattern.h"

#include <pthread.h>

static void what_both_grammars_read_alike_is_allowed(void **state)
{
    static const char *const fine[] = { "^[A-Z0-9-]{3,32}$", "^[a-z][a-z0-9_]*$", "a", "^$", "",
        "^(a|b)+c?$", "^a{2}b{2,}c{2,3}$", "^\\.\\[\\]\\{\\}\\(\\)\\*\\+\\?\\^\\$\\|\\\\$",
        "^.+@.+$", "^[^@]+@[^@]+$", "^[-_.~]$", "^(ab)*$", "^[!#$%&'*+/=?^`{|}~-]+$", "a/b" };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        tn_str why = tn__pattern_fault(*state, fine[i]);
        if (why.len > 0)
            fail_msg("%s: %.*s", fine[i], TN_FMT(why));
    }
}

static void what_only_one_grammar_knows_is_refused_with_the_reason(void **state)
{
    static const char *const bad[][2] = {
        { "\\d+", "a backslash may only stand before one of .[]{}()*+?^$|\\" },
        { "\\bword", "a backslash may only stand before one of .[]{}()*+?^$|\\" },
        { "(a)\\1", "a backslash may only stand before one of .[]{}()*+?^$|\\" },
        { "a\\", "it ends with a backslash" },
        { "[[:alpha:]]", "a set may not hold [ or a backslash" },
        { "[\\d]", "a set may not hold [ or a backslash" },
        { "[]a]", "a set may not begin with ], which means different things" },
        { "[^]a]", "a set may not begin with ], which means different things" },
        { "[a", "a set does not end" },
        { "(?:a)", "groups may not begin with ?" },
        { "a*?", "there is nothing to repeat, or it is repeated twice" },
        { "a**", "there is nothing to repeat, or it is repeated twice" },
        { "*a", "there is nothing to repeat, or it is repeated twice" },
        { "^*", "there is nothing to repeat, or it is repeated twice" },
        { "{2}", "there is nothing to repeat before {" },
        { "a{,3}", "a count must be {n}, {n,} or {n,m}" },
        { "a{x}", "a count must be {n}, {n,} or {n,m}" },
        { "a{2", "a count must be {n}, {n,} or {n,m}" },
        { "a]", "] and } need a backslash" },
        { "a}", "] and } need a backslash" },
        { "^é$", "it may only hold visible ASCII" },
        { "a\tb", "it may only hold visible ASCII" },
        { "^.{1,3}$", "a counted . or [^...] counts bytes; use TN_LEN" },
        { "^[^a]{3}$", "a counted . or [^...] counts bytes; use TN_LEN" },
        { "^(.a){3}$", "a counted . or [^...] counts bytes; use TN_LEN" },
        { "(a", "Unmatched ( or \\(" },
        { "[z-a]", "Invalid range end" },
        { "a{3,2}", "Invalid content of \\{\\}" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_str(tn__pattern_fault(*state, bad[i][0]), bad[i][1]);
}

static void a_pattern_matches_anywhere_unless_anchored(void **state)
{
    (void)state;
    assert_true(tn__pattern_matches("b", TN_S("abc")));
    assert_false(tn__pattern_matches("^b", TN_S("abc")));
    assert_false(tn__pattern_matches("b$", TN_S("abc")));
    assert_true(tn__pattern_matches("^$", TN_S("")));
    assert_true(tn__pattern_matches("^$", (tn_str){ NULL, 0 }));
    assert_false(tn__pattern_matches("^a$", TN_S("a\n")));
    assert_false(tn__pattern_matches("^a$", TN_S("b\na")));
}

static void only_the_bytes_of_the_string_are_looked_at(void **state)
{
    (void)state;
    assert_true(tn__pattern_matches("^ab$", (tn_str){ "abc", 2 }));
    assert_false(tn__pattern_matches("c", (tn_str){ "abc", 2 }));
    assert_false(tn__pattern_matches("^a$", TN_S("a\0")));
}

/* The entry is found by its text, so a table at the same address may say something else. */
static void patterns_are_known_by_their_text(void **state)
{
    (void)state;
    char pattern[] = "^a$";
    assert_true(tn__pattern_matches(pattern, TN_S("a")));
    pattern[1] = 'b';
    assert_false(tn__pattern_matches(pattern, TN_S("a")));
    assert_true(tn__pattern_matches(pattern, TN_S("b")));
}

static void more_patterns_than_are_kept_still_match(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TN__PATTERNS_MAX + 10; i++) {
            char pattern[32], text[32];
            snprintf(pattern, sizeof pattern, "^x%d$", i);
            snprintf(text, sizeof text, "x%d", i);
            assert_true(tn__pattern_matches(pattern, tn_str_of(text)));
        }
    }
}

static void *match_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (!tn__pattern_matches("^[A-Z0-9-]{3,32}$", TN_S("BOLT-M8")))
            return NULL;
    return arg;
}

static void threads_match_at_the_same_time(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, *state), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, *state);
    }
}

static void a_pattern_that_ends_by_itself_is_seen(void **state)
{
    (void)state;
    assert_true(tn__pattern_is_finite("^[A-Z0-9*+|-]{3,32}$"));
    assert_true(tn__pattern_is_finite("^a\\+b?$"));
    static const char *const endless[] = { "^a*$", "^a+$", "^a{2,}$", "a", "^a", "a$", "^a|b$",
        "^a\\$", "", "^" };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++)
        assert_false(tn__pattern_is_finite(endless[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_both_grammars_read_alike_is_allowed),
        CASE(what_only_one_grammar_knows_is_refused_with_the_reason),
        CASE(a_pattern_matches_anywhere_unless_anchored),
        CASE(only_the_bytes_of_the_string_are_looked_at),
        CASE(patterns_are_known_by_their_text),
        CASE(more_patterns_than_are_kept_still_match),
        CASE(threads_match_at_the_same_time),
        CASE(a_pattern_that_ends_by_itself_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
