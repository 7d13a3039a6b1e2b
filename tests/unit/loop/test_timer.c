/* Timers: their order, moving and stopping them, and that none holds up the loop. */
#include "fixture.h"

#include <stdlib.h>

enum { MANY = 500 };

static int64_t order[MANY];
static int fired;

static void record(tn__timer *timer)
{
    order[fired++] = timer->at_us;
}

static void timers_fire_in_order_of_time(void **state)
{
    (void)state;
    tn__timer timers[MANY];
    srand(3);
    fired = 0;
    for (int i = 0; i < MANY; i++) {
        timers[i] = (tn__timer){ .on_time = record };
        tn__timer_start(loop, &timers[i], rand() % 1000);
    }
    run_turns(1);
    assert_int_equal(fired, MANY);
    for (int i = 1; i < MANY; i++)
        assert_true(order[i - 1] <= order[i]);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(timers[i].slot, 0);
}

/* Starts, moves and stops at random; what is left at the end must fire, in order, and no other. */
static void moved_and_stopped_timers_keep_the_order(void **state)
{
    (void)state;
    tn__timer timers[MANY];
    int64_t wanted[MANY];
    srand(4);
    for (int i = 0; i < MANY; i++) {
        timers[i] = (tn__timer){ .on_time = record };
        wanted[i] = -1;
    }
    for (int step = 0; step < 20000; step++) {
        int i = rand() % MANY;
        if (rand() % 3 == 0) {
            tn__timer_stop(loop, &timers[i]);
            wanted[i] = -1;
        } else {
            wanted[i] = rand() % 1000;
            tn__timer_start(loop, &timers[i], wanted[i]);
        }
    }
    int running = 0;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(timers[i].slot != 0, wanted[i] >= 0);
        running += wanted[i] >= 0;
    }
    fired = 0;
    run_turns(1);
    assert_int_equal(fired, running);
    for (int i = 1; i < fired; i++)
        assert_true(order[i - 1] <= order[i]);
}

static int64_t fired_at_us;

static void stop_loop(tn__timer *timer)
{
    (void)timer;
    fired_at_us = tn__mono_us();
    tn__loop_stop(loop);
}

static void timer_is_never_early_and_hardly_late(void **state)
{
    (void)state;
    for (int64_t us = 0; us < 20000; us += 3333) {
        int64_t at_us = tn__mono_us() + us;
        tn__timer timer = { .on_time = stop_loop };
        tn__timer_start(loop, &timer, at_us);
        run_until_stopped();
        assert_true(fired_at_us >= at_us);
        assert_true(fired_at_us < at_us + 5000000); /* the machine may be busy */
    }
}

static tn__timer victim;

static void stop_victim(tn__timer *timer)
{
    (void)timer;
    tn__timer_stop(loop, &victim);
}

static void timer_may_stop_another_that_is_due(void **state)
{
    (void)state;
    fired = 0;
    tn__timer first = { .on_time = stop_victim };
    victim = (tn__timer){ .on_time = record };
    tn__timer_start(loop, &victim, 2);
    tn__timer_start(loop, &first, 1);
    run_turns(2);
    assert_int_equal(fired, 0);
}

static void restart_in_the_past(tn__timer *timer)
{
    fired++;
    tn__timer_start(loop, timer, 0);
}

static void timer_that_restarts_in_the_past_leaves_time_for_the_rest(void **state)
{
    (void)state;
    fired = 0;
    tn__timer greedy = { .on_time = restart_in_the_past }, modest = { .on_time = record };
    tn__timer_start(loop, &greedy, 0);
    tn__timer_start(loop, &modest, 1);
    run_turns(10);
    assert_int_equal(modest.slot, 0);
    assert_in_range(fired, 2, 1000000);
    tn__timer_stop(loop, &greedy);
}

static void stopping_a_timer_that_is_off_does_nothing(void **state)
{
    (void)state;
    tn__timer timer = { .on_time = record };
    tn__timer_stop(loop, &timer);
    tn__timer_start(loop, &timer, TN__NEVER);
    run_turns(1);
    tn__timer_stop(loop, &timer);
    tn__timer_stop(loop, &timer);
    assert_int_equal(timer.slot, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_fire_in_order_of_time),
        LOOP_TEST(moved_and_stopped_timers_keep_the_order),
        LOOP_TEST(timer_is_never_early_and_hardly_late),
        LOOP_TEST(timer_may_stop_another_that_is_due),
        LOOP_TEST(timer_that_restarts_in_the_past_leaves_time_for_the_rest),
        LOOP_TEST(stopping_a_timer_that_is_off_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
