/* Coroutines: waiting, waking, deadlines, cancelling, nesting. */
#include "fixture.h"

#include <stdlib.h>

static char trail[64];

static void note(char c)
{
    size_t n = strlen(trail);
    assert_true(n + 1 < sizeof trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static int reset_trail_and_open(void **state)
{
    trail[0] = '\0';
    return open_loop(state);
}

#define CO_TEST(fn) cmocka_unit_test_setup_teardown(fn, reset_trail_and_open, close_loop)

/* What a coroutine of a test waits for, and what came of it. */
typedef struct {
    int64_t deadline_us;
    tn__woke woke;
    int waits;
} waiter;

static void wait_once(void *arg)
{
    waiter *w = arg;
    w->woke = tn__co_wait(w->deadline_us);
    w->waits++;
}

static void note_and_end(void *arg)
{
    (void)arg;
    note('x');
}

static void coroutine_that_never_waits_has_ended_when_start_returns(void **state)
{
    (void)state;
    note('1');
    assert_null(tn__co_start(loop, note_and_end, NULL));
    note('2');
    assert_string_equal(trail, "1x2");
}

static void wake_is_heard_later_in_the_turn_not_at_once(void **state)
{
    (void)state;
    waiter w = { .deadline_us = TN__NEVER };
    tn__co *co = tn__co_start(loop, wait_once, &w);
    assert_non_null(co);
    tn__co_wake(co);
    assert_int_equal(w.waits, 0);
    run_turns(1);
    assert_int_equal(w.waits, 1);
    assert_int_equal(w.woke, TN__WOKEN);
}

static void wake_myself_then_wait(void *arg)
{
    waiter *w = arg;
    tn__co_wake(tn__co_current());
    tn__co_wake(tn__co_current());
    w->woke = tn__co_wait(TN__NEVER); /* returns at once: it doesn't give way */
    note('a');
    w->woke = tn__co_wait(tn__mono_us() + 1000); /* both wakes were one */
    note('b');
}

static void wake_before_the_wait_is_not_lost_and_counts_once(void **state)
{
    (void)state;
    waiter w = { 0 };
    tn__co_start(loop, wake_myself_then_wait, &w);
    assert_string_equal(trail, "a");
    while (trail[1] == '\0')
        run_turns(1);
    assert_int_equal(w.woke, TN__TIMED_OUT);
}

static void second_wake_before_it_is_back_counts_as_the_first(void **state)
{
    (void)state;
    waiter w = { .deadline_us = TN__NEVER };
    tn__co *co = tn__co_start(loop, wait_once, &w);
    tn__co_wake(co);
    tn__co_wake(co);
    run_turns(2);
    assert_int_equal(w.waits, 1);
}

static void deadline_ends_a_wait(void **state)
{
    (void)state;
    int64_t at_us = tn__mono_us() + 3000;
    waiter w = { .deadline_us = at_us };
    tn__co_start(loop, wait_once, &w);
    while (w.waits == 0)
        run_turns(1);
    assert_int_equal(w.woke, TN__TIMED_OUT);
    assert_true(tn__mono_us() >= at_us);
}

static void deadline_that_has_passed_does_not_give_way(void **state)
{
    (void)state;
    waiter w = { .deadline_us = tn__loop_now_us(loop) };
    assert_null(tn__co_start(loop, wait_once, &w));
    assert_int_equal(w.woke, TN__TIMED_OUT);
}

static void woken_wait_leaves_no_deadline_behind(void **state)
{
    (void)state;
    waiter w = { .deadline_us = tn__mono_us() + 2000 };
    tn__co *co = tn__co_start(loop, wait_once, &w);
    tn__co_wake(co);
    int64_t start_us = tn__mono_us();
    do
        run_turns(1); /* a timer left over would touch a freed coroutine */
    while (tn__mono_us() < start_us + 4000);
    assert_int_equal(w.woke, TN__WOKEN);
    assert_int_equal(w.waits, 1);
}

static void wake_late(tn__timer *timer)
{
    tn__co_wake(timer->owner);
}

/* The result and the deadline come in one turn, the result first. */
static void deadline_that_comes_after_the_result_is_nothing(void **state)
{
    (void)state;
    int64_t at_us = tn__mono_us() + 1000;
    waiter w = { .deadline_us = at_us };
    tn__timer timer = { .on_time = wake_late, .owner = tn__co_start(loop, wait_once, &w) };
    tn__timer_start(loop, &timer, at_us - 1);
    while (tn__mono_us() < at_us + 2000) {
    }
    run_turns(1);
    assert_int_equal(w.waits, 1);
    assert_int_equal(w.woke, TN__WOKEN);
}

/* The result and the deadline come in one turn, the deadline first. */
static void result_that_comes_with_the_deadline_counts(void **state)
{
    (void)state;
    int64_t at_us = tn__mono_us() + 1000;
    waiter w = { .deadline_us = at_us };
    tn__timer timer = { .on_time = wake_late, .owner = tn__co_start(loop, wait_once, &w) };
    tn__timer_start(loop, &timer, at_us + 1);
    while (tn__mono_us() < at_us + 2000) {
    }
    run_turns(1);
    assert_int_equal(w.waits, 1);
    assert_int_equal(w.woke, TN__WOKEN);
}

static void wait_three_times(void *arg)
{
    waiter *w = arg;
    for (; w->waits < 3; w->waits++)
        w->woke = tn__co_wait(TN__NEVER);
}

static void cancel_ends_the_wait_and_all_later_ones(void **state)
{
    (void)state;
    waiter w = { 0 };
    tn__co *co = tn__co_start(loop, wait_three_times, &w);
    tn__co_wake(co);
    run_turns(1);
    assert_int_equal(w.waits, 1);
    assert_int_equal(w.woke, TN__WOKEN);
    tn__co_cancel(co);
    tn__co_cancel(co);
    run_turns(1);
    assert_int_equal(w.waits, 3);
    assert_int_equal(w.woke, TN__CANCELLED);
}

static void cancel_wins_over_a_wake(void **state)
{
    (void)state;
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        waiter w = { .deadline_us = TN__NEVER };
        tn__co *co = tn__co_start(loop, wait_once, &w);
        if (cancel_first)
            tn__co_cancel(co);
        tn__co_wake(co);
        tn__co_cancel(co);
        run_turns(1);
        assert_int_equal(w.woke, TN__CANCELLED);
    }
}

static void cancel_myself(void *arg)
{
    waiter *w = arg;
    tn__co_cancel(tn__co_current());
    tn__co_wake(tn__co_current());
    w->woke = tn__co_wait(TN__NEVER);
    tn__co_sleep(INT64_C(60000000)); /* doesn't sleep */
}

static void cancel_of_the_running_one_ends_its_next_wait(void **state)
{
    (void)state;
    waiter w = { 0 };
    assert_null(tn__co_start(loop, cancel_myself, &w));
    assert_int_equal(w.woke, TN__CANCELLED);
}

static void sleep_then_wait(void *arg)
{
    waiter *w = arg;
    tn__co_sleep(w->deadline_us);
    note('s');
    w->woke = tn__co_wait(tn__mono_us() + 1000);
    w->waits++;
}

static void sleep_lasts_and_keeps_a_wake_for_the_next_wait(void **state)
{
    (void)state;
    waiter w = { .deadline_us = 5000 };
    int64_t start_us = tn__mono_us();
    tn__co *co = tn__co_start(loop, sleep_then_wait, &w);
    tn__co_wake(co);
    run_turns(1);
    if (w.waits == 0) /* on a machine that stood still it has slept and waited by now */
        tn__co_wake(co);
    while (w.waits == 0)
        run_turns(1);
    assert_true(tn__mono_us() - start_us >= 5000);
    assert_int_equal(w.woke, TN__WOKEN);
}

static void sleep_without_a_wake_leaves_none(void **state)
{
    (void)state;
    waiter w = { .deadline_us = 0 };
    assert_non_null(tn__co_start(loop, sleep_then_wait, &w)); /* even no time gives way */
    while (w.waits == 0)
        run_turns(1);
    assert_int_equal(w.woke, TN__TIMED_OUT);
}

static void sleep_for_ever(void *arg)
{
    tn__co_sleep(INT64_MAX);
    *(bool *)arg = true;
}

static void cancel_ends_a_sleep(void **state)
{
    (void)state;
    bool ended = false;
    tn__co *co = tn__co_start(loop, sleep_for_ever, &ended);
    run_turns(2);
    assert_false(ended);
    tn__co_cancel(co);
    run_turns(1);
    assert_true(ended);
}

static tn__co *inner;

static void inner_one(void *arg)
{
    (void)arg;
    note('b');
    tn__co_wait(TN__NEVER);
    note('d');
}

static void outer_one(void *arg)
{
    tn__co *self = tn__co_current();
    note('a');
    inner = tn__co_start(loop, inner_one, arg);
    note('c');
    assert_ptr_equal(tn__co_current(), self);
    tn__co_wake(inner);
    tn__co_wait(TN__NEVER);
    note('e');
}

static void coroutine_started_in_another_comes_back_to_it(void **state)
{
    (void)state;
    tn__co *outer = tn__co_start(loop, outer_one, NULL);
    assert_null(tn__co_current());
    assert_string_equal(trail, "abc");
    run_turns(1);
    assert_string_equal(trail, "abcd");
    tn__co_wake(outer);
    run_turns(1);
    assert_string_equal(trail, "abcde");
}

static void wake_the_one_below(void *arg)
{
    tn__co_wake(arg); /* it is running, under this one */
}

static void start_one_that_wakes_me(void *arg)
{
    waiter *w = arg;
    tn__co_start(loop, wake_the_one_below, tn__co_current());
    w->woke = tn__co_wait(TN__NEVER);
}

static void wake_by_one_started_on_top_is_kept(void **state)
{
    (void)state;
    waiter w = { .woke = TN__CANCELLED };
    assert_null(tn__co_start(loop, start_one_that_wakes_me, &w));
    assert_int_equal(w.woke, TN__WOKEN);
}

/* Depth: each starts the next on top of itself, and all wait; then they end in any order. */
enum { DEPTH = 100 };
static tn__co *tower[DEPTH];

static void build_tower(void *arg)
{
    int level = *(int *)arg, next = level + 1;
    if (next < DEPTH)
        tower[next] = tn__co_start(loop, build_tower, &next);
    tn__co_wait(TN__NEVER);
    note(level % 10 == 0 ? '.' : '\0');
}

static void tower_of_coroutines_comes_down_in_any_order(void **state)
{
    (void)state;
    int level = 0;
    tower[0] = tn__co_start(loop, build_tower, &level);
    for (int i = 0; i < DEPTH; i++)
        tn__co_wake(tower[i * 37 % DEPTH]);
    run_turns(1);
    assert_string_equal(trail, "..........");
}

static tn__co *left, *right;
static int steps;

static void wake_the_other_for_ever(void *arg)
{
    (void)arg;
    while (tn__co_wait(TN__NEVER) != TN__CANCELLED) {
        steps++;
        tn__co_wake(tn__co_current() == left ? right : left);
    }
}

static void coroutines_that_wake_each_other_leave_time_for_the_rest(void **state)
{
    (void)state;
    steps = 0;
    left = tn__co_start(loop, wake_the_other_for_ever, NULL);
    right = tn__co_start(loop, wake_the_other_for_ever, NULL);
    tn__co_wake(left);
    run_turns(3); /* comes back at all */
    assert_in_range(steps, 3, 100000);
    tn__co_cancel(left);
    tn__co_cancel(right);
    run_turns(1);
}

static void note_arg_when_woken(void *arg)
{
    tn__co_wait(TN__NEVER);
    note(*(char *)arg);
}

static void woken_coroutines_go_on_in_the_order_of_their_wakes(void **state)
{
    (void)state;
    tn__co *a = tn__co_start(loop, note_arg_when_woken, "a");
    tn__co *b = tn__co_start(loop, note_arg_when_woken, "b");
    tn__co *c = tn__co_start(loop, note_arg_when_woken, "c");
    tn__co_wake(b);
    tn__co_wake(c);
    tn__co_wake(a);
    run_turns(1);
    assert_string_equal(trail, "bca");
}

static tn__co *dead;

static void end_at_once(void *arg)
{
    (void)arg;
    dead = tn__co_current();
}

static void waking_one_that_ended_in_this_turn_does_nothing(void **state)
{
    (void)state;
    assert_null(tn__co_start(loop, end_at_once, NULL));
    tn__co_wake(dead);
    tn__co_cancel(dead);
    run_turns(1);
}

static void use_slot(void *arg)
{
    assert_null(*tn__co_slot());
    *tn__co_slot() = arg;
    tn__co_wait(TN__NEVER);
    assert_ptr_equal(*tn__co_slot(), arg);
}

static void slot_is_of_each_coroutine_and_of_the_thread_outside(void **state)
{
    (void)state;
    assert_null(*tn__co_slot());
    *tn__co_slot() = "thread";
    tn__co *a = tn__co_start(loop, use_slot, "a"), *b = tn__co_start(loop, use_slot, "b");
    assert_string_equal(*tn__co_slot(), "thread");
    tn__co_wake(b);
    tn__co_wake(a);
    run_turns(1);
    assert_string_equal(*tn__co_slot(), "thread");
    *tn__co_slot() = NULL;
}

/* Whatever registers the compiler keeps these in, a switch may not lose them. */
static void keep_values(void *arg)
{
    int64_t n = *(int64_t *)arg;
    int64_t a = n, b = n * 3, c = n * 5, d = n * 7, e = n * 11, f = n * 13;
    double x = (double)n * 0.5, y = (double)n * 0.25, z = (double)n * 0.125;
    for (int i = 0; i < 10; i++) {
        tn__co_sleep(0);
        a += 1, b += 2, c += 3, d += 4, e += 5, f += 6;
        x += 1.0, y += 2.0, z += 3.0;
    }
    bool ok = a == n + 10 && b == n * 3 + 20 && c == n * 5 + 30 && d == n * 7 + 40 &&
        e == n * 11 + 50 && f == n * 13 + 60 && x == (double)n * 0.5 + 10.0 &&
        y == (double)n * 0.25 + 20.0 && z == (double)n * 0.125 + 30.0;
    *(int64_t *)arg = ok ? -1 : 0;
}

static void switches_keep_all_values(void **state)
{
    (void)state;
    enum { N = 200 };
    int64_t values[N];
    for (int i = 0; i < N; i++) {
        values[i] = i + 1;
        tn__co_start(loop, keep_values, &values[i]);
    }
    for (int i = 0; i < N; i++)
        while (values[i] > 0)
            run_turns(1);
    for (int i = 0; i < N; i++)
        assert_int_equal(values[i], -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CO_TEST(coroutine_that_never_waits_has_ended_when_start_returns),
        CO_TEST(wake_is_heard_later_in_the_turn_not_at_once),
        CO_TEST(wake_before_the_wait_is_not_lost_and_counts_once),
        CO_TEST(second_wake_before_it_is_back_counts_as_the_first),
        CO_TEST(deadline_ends_a_wait),
        CO_TEST(deadline_that_has_passed_does_not_give_way),
        CO_TEST(woken_wait_leaves_no_deadline_behind),
        CO_TEST(deadline_that_comes_after_the_result_is_nothing),
        CO_TEST(result_that_comes_with_the_deadline_counts),
        CO_TEST(cancel_ends_the_wait_and_all_later_ones),
        CO_TEST(cancel_wins_over_a_wake),
        CO_TEST(cancel_of_the_running_one_ends_its_next_wait),
        CO_TEST(sleep_lasts_and_keeps_a_wake_for_the_next_wait),
        CO_TEST(sleep_without_a_wake_leaves_none),
        CO_TEST(cancel_ends_a_sleep),
        CO_TEST(coroutine_started_in_another_comes_back_to_it),
        CO_TEST(wake_by_one_started_on_top_is_kept),
        CO_TEST(tower_of_coroutines_comes_down_in_any_order),
        CO_TEST(coroutines_that_wake_each_other_leave_time_for_the_rest),
        CO_TEST(woken_coroutines_go_on_in_the_order_of_their_wakes),
        CO_TEST(waking_one_that_ended_in_this_turn_does_nothing),
        CO_TEST(slot_is_of_each_coroutine_and_of_the_thread_outside),
        CO_TEST(switches_keep_all_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
