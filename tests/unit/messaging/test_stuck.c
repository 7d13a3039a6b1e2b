/* Rows that are held back, and backoff. */
#include "messaging/contact.h"
#include "messaging/stuck.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>

static tn__stuck stuck;
static char freed[200];

static int clear(void **state)
{
    *state = tn__arena_open(1000);
    stuck = (tn__stuck){ 0 };
    freed[0] = '\0';
    return 0;
}

static int end(void **state)
{
    tn__arena_close(*state);
    return 0;
}

static void on_freed(void *arg, tn_str key)
{
    (void)arg;
    size_t len = strlen(freed);
    snprintf(freed + len, sizeof freed - len, "%.*s ", TN_FMT(key));
}

static void settle(int64_t now_us)
{
    tn__stuck_settle(&stuck, now_us, on_freed, NULL);
}

static void a_failure_is_told_once_and_holds_back(void **state)
{
    assert_true(tn__stuck_failed(&stuck, TN_S("events/a")));
    assert_false(tn__stuck_failed(&stuck, TN_S("events/a")));
    assert_true(tn__stuck_failed(&stuck, TN_S("#17")));
    settle(0);
    assert_string_equal(tn__stuck_array(&stuck, *state, 1).data, "{\"events/a\",\"#17\"}");
    assert_int_equal(tn__stuck_array(&stuck, *state, 60000000).len, 0);
    assert_true(tn__stuck_due_us(&stuck, 0) <= 1000000);
    assert_false(tn__stuck_failed(&stuck, TN_S("events/a")));
}

static void keys_are_quoted_for_the_array(void **state)
{
    tn__stuck_failed(&stuck, TN_S("events/a\"b\\c,{}"));
    settle(0);
    assert_string_equal(tn__stuck_array(&stuck, *state, 1).data, "{\"events/a\\\"b\\\\c,{}\"}");
}

static void nothing_held_is_no_array(void **state)
{
    assert_int_equal(tn__stuck_array(&stuck, *state, 0).len, 0);
    assert_true(tn__stuck_due_us(&stuck, 0) == INT64_MAX);
}

static void the_wait_grows_with_each_failure_and_has_an_end(void **state)
{
    (void)state;
    int64_t longest_us = 0;
    for (int i = 0; i < 40; i++) {
        tn__stuck_failed(&stuck, TN_S("k"));
        settle(0);
        int64_t wait_us = tn__stuck_due_us(&stuck, 0);
        assert_in_range(wait_us, 500000, 30000000);
        longest_us = wait_us > longest_us ? wait_us : longest_us;
    }
    assert_true(longest_us > 15000000);
}

static void some_that_went_make_the_wait_small_again(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        tn__stuck_failed(&stuck, TN_S("k"));
        settle(0);
    }
    tn__stuck_failed(&stuck, TN_S("k"));
    tn__stuck_went(&stuck, TN_S("k"));
    settle(0);
    assert_true(tn__stuck_due_us(&stuck, 0) <= 1000000);
    assert_string_equal(freed, "");
}

static void what_went_through_whole_is_free(void **state)
{
    (void)state;
    tn__stuck_failed(&stuck, TN_S("a"));
    tn__stuck_failed(&stuck, TN_S("b"));
    tn__stuck_failed(&stuck, TN_S("c"));
    settle(0);
    tn__stuck_went(&stuck, TN_S("a"));
    tn__stuck_went(&stuck, TN_S("c"));
    tn__stuck_went(&stuck, TN_S("never seen"));
    settle(0);
    assert_string_equal(freed, "c a ");
    assert_int_equal(stuck.n, 1);
    assert_true(tn__stuck_failed(&stuck, TN_S("a")));
}

static void there_is_room_for_any_number_of_keys(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_true(tn__stuck_failed(&stuck, tn_str_of(key)));
        settle(i);
    }
    assert_int_equal(stuck.n, TN__STUCK_MAX);
}

static void backoff_doubles_to_its_limit_with_jitter(void **state)
{
    (void)state;
    bool differs = false;
    for (int i = 0; i < 200; i++) {
        assert_in_range(tn__backoff_ms(100, 5000, 1), 50, 100);
        assert_in_range(tn__backoff_ms(100, 5000, 3), 200, 400);
        assert_in_range(tn__backoff_ms(100, 5000, 1000000), 2500, 5000);
        differs = differs || tn__backoff_ms(100, 5000, 3) != tn__backoff_ms(100, 5000, 3);
    }
    assert_true(differs);
}

static void a_contact_is_tried_again_when_it_is_due(void **state)
{
    (void)state;
    tn__contact contact;
    tn__contact_init(&contact, "test", 60000, 60000);
    assert_true(tn__contact_due(&contact, tn__mono_us()));
    tn__contact_down(&contact, TN_S("refused"));
    assert_false(tn__contact_due(&contact, tn__mono_us()));
    assert_true(tn__contact_due(&contact, tn__mono_us() + 60000000));
    tn__contact_up(&contact);
    assert_false(tn__contact_due(&contact, tn__mono_us() + 60000000));
    assert_int_equal(contact.failures, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, clear, end)

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        WITH(a_failure_is_told_once_and_holds_back),
        WITH(keys_are_quoted_for_the_array),
        WITH(nothing_held_is_no_array),
        WITH(the_wait_grows_with_each_failure_and_has_an_end),
        WITH(some_that_went_make_the_wait_small_again),
        WITH(what_went_through_whole_is_free),
        WITH(there_is_room_for_any_number_of_keys),
        WITH(backoff_doubles_to_its_limit_with_jitter),
        WITH(a_contact_is_tried_again_when_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
