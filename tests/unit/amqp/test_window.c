/* The window of unreported publishes. */
#include "amqp/window.h"

#include <setjmp.h>

#include <cmocka.h>

struct fates {
    uint64_t tags[TN__AMQP_UNSETTLED_MAX];
    tn__amqp_fate fates[TN__AMQP_UNSETTLED_MAX];
    size_t n;
};
static struct fates seen;

static void note(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    struct fates *to = arg;
    assert_true(fate == TN__AMQP_CONFIRMED || why.len > 0);
    to->tags[to->n] = tag;
    to->fates[to->n++] = fate;
}

static int open_window(void **state)
{
    static tn__window window;
    tn__window_init(&window);
    seen.n = 0;
    *state = &window;
    return 0;
}

static int close_window(void **state)
{
    tn__window_deinit(*state);
    return 0;
}

static void add(tn__window *window, int n)
{
    for (int i = 0; i < n; i++)
        tn__window_add(window, 1000 + window->next);
}

static void tags_count_from_one(void **state)
{
    assert_int_equal(tn__window_add(*state, 7), 1);
    assert_int_equal(tn__window_add(*state, 7), 2);
}

static void an_ack_of_several_settles_all_up_to_it(void **state)
{
    add(*state, 5);
    tn__window_settle(*state, 3, true, TN__AMQP_CONFIRMED);
    assert_true(tn__window_settled(*state, 3));
    assert_false(tn__window_settled(*state, 4));
    tn__window_report(*state, 5, note, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.tags[2], 3);
}

static void an_ack_of_tag_zero_settles_everything(void **state)
{
    add(*state, 4);
    tn__window_settle(*state, 0, true, TN__AMQP_CONFIRMED);
    assert_true(tn__window_settled(*state, 4));
}

static void acks_out_of_order_are_reported_once_each(void **state)
{
    add(*state, 4);
    tn__window_settle(*state, 3, false, TN__AMQP_CONFIRMED);
    tn__window_report(*state, 4, note, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.tags[0], 3);
    tn__window_settle(*state, 4, true, TN__AMQP_NACKED);
    tn__window_report(*state, 4, note, &seen);
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.fates[0], TN__AMQP_CONFIRMED);
    assert_int_equal(seen.tags[1], 1);
    assert_int_equal(seen.fates[1], TN__AMQP_NACKED);
    tn__window_report(*state, 4, note, &seen);
    assert_int_equal(seen.n, 4);
}

static void a_returned_message_is_not_confirmed_by_the_ack_that_follows(void **state)
{
    add(*state, 3);
    tn__window_return(*state, 1000 + 2, 312);
    tn__window_settle(*state, 3, true, TN__AMQP_CONFIRMED);
    tn__window_report(*state, 3, note, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.fates[0], TN__AMQP_CONFIRMED);
    assert_int_equal(seen.fates[1], TN__AMQP_RETURNED);
    assert_int_equal(seen.fates[2], TN__AMQP_CONFIRMED);
}

static void the_same_message_twice_comes_back_twice(void **state)
{
    tn__window_add(*state, 7);
    tn__window_add(*state, 7);
    tn__window_return(*state, 7, 312);
    tn__window_return(*state, 7, 312);
    tn__window_report(*state, 2, note, &seen);
    assert_int_equal(seen.n, 2);
}

static void strange_tags_are_ignored(void **state)
{
    tn__window_settle(*state, 1, false, TN__AMQP_CONFIRMED);
    tn__window_return(*state, 7, 312);
    add(*state, 2);
    tn__window_settle(*state, 3, false, TN__AMQP_CONFIRMED);
    tn__window_settle(*state, UINT64_MAX, false, TN__AMQP_CONFIRMED);
    assert_false(tn__window_settled(*state, 1));
    tn__window_settle(*state, 2, true, TN__AMQP_CONFIRMED);
    tn__window_report(*state, 2, note, &seen);
    tn__window_settle(*state, 1, false, TN__AMQP_NACKED);
    tn__window_report(*state, 1, note, &seen);
    assert_int_equal(seen.n, 2);
}

static void it_is_full_until_the_oldest_are_reported(void **state)
{
    tn__window *window = *state;
    for (int round = 0; round < 3; round++) {
        assert_false(tn__window_full(window));
        add(window, TN__AMQP_UNSETTLED_MAX);
        assert_true(tn__window_full(window));
        tn__window_settle(window, window->next - 1, true, TN__AMQP_CONFIRMED);
        assert_true(tn__window_full(window));
        seen.n = 0;
        tn__window_report(window, window->next - 1, note, &seen);
        assert_int_equal(seen.n, TN__AMQP_UNSETTLED_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tags_count_from_one, open_window, close_window),
        cmocka_unit_test_setup_teardown(an_ack_of_several_settles_all_up_to_it, open_window,
            close_window),
        cmocka_unit_test_setup_teardown(an_ack_of_tag_zero_settles_everything, open_window,
            close_window),
        cmocka_unit_test_setup_teardown(acks_out_of_order_are_reported_once_each, open_window,
            close_window),
        cmocka_unit_test_setup_teardown(a_returned_message_is_not_confirmed_by_the_ack_that_follows,
            open_window, close_window),
        cmocka_unit_test_setup_teardown(the_same_message_twice_comes_back_twice, open_window,
            close_window),
        cmocka_unit_test_setup_teardown(strange_tags_are_ignored, open_window, close_window),
        cmocka_unit_test_setup_teardown(it_is_full_until_the_oldest_are_reported, open_window,
            close_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
