/* Topic patterns. */
#include "messaging/topic.h"

#include <setjmp.h>

#include <cmocka.h>

static void check(const char *pattern, const char *key, bool expected)
{
    bool found = tn__topic_matches(tn_str_of(pattern), tn_str_of(key));
    if (found != expected)
        fail_msg("%s %s %s", pattern, expected ? "should match" : "should not match", key);
}

static void words_match_themselves(void **state)
{
    (void)state;
    check("item.created", "item.created", true);
    check("item.created", "item.updated", false);
    check("item.created", "item", false);
    check("item", "item.created", false);
    check("item.created", "item.created.twice", false);
    check("", "", true);
    check("", "item", false);
    check("item", "", false);
}

static void a_star_is_exactly_one_word(void **state)
{
    (void)state;
    check("item.*", "item.created", true);
    check("item.*", "item", false);
    check("item.*", "item.a.b", false);
    check("*", "item", true);
    check("*.*", "item", false);
    check("*.created", "item.created", true);
    check("*.created", "item.updated", false);
    check("*", "", true);
    check("it*", "item", false);
}

static void a_hash_is_any_number_of_words(void **state)
{
    (void)state;
    check("#", "", true);
    check("#", "item", true);
    check("#", "a.b.c", true);
    check("item.#", "item", true);
    check("item.#", "item.a.b", true);
    check("item.#", "order.a", false);
    check("#.created", "created", true);
    check("#.created", "a.b.created", true);
    check("#.created", "a.created.b", false);
    check("a.#.z", "a.z", true);
    check("a.#.z", "a.b.c.z", true);
    check("a.#.z", "a.b.c", false);
    check("#.#", "a", true);
    check("#.a.#.b.#", "x.a.y.b", true);
    check("#.a.#.b.#", "x.b.y.a", false);
    check("#.*", "", true);
    check("#.*.*", "a", false);
    check("a.#.b.#.c", "a.b.b.c.c", true);
}

/* With naive backtracking this would take longer than anybody waits. */
static void many_hashes_take_no_time(void **state)
{
    (void)state;
    char pattern[240] = "", key[240] = "";
    for (int i = 0; i < 50; i++) {
        strncat(pattern, "#.a.", sizeof pattern - strlen(pattern) - 1);
        strncat(key, "a.a.", sizeof key - strlen(key) - 1);
    }
    strncat(pattern, "b", sizeof pattern - strlen(pattern) - 1);
    int64_t before_us = tn__mono_us();
    check(pattern, key, false);
    assert_true(tn__mono_us() - before_us < 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_match_themselves),
        cmocka_unit_test(a_star_is_exactly_one_word),
        cmocka_unit_test(a_hash_is_any_number_of_words),
        cmocka_unit_test(many_hashes_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
