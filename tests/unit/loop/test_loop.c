/* Turns: their order, the tasks at their end, stopping. */
#include "fixture.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What happened, one letter an event. */
static char trail[64];

static void note(char c)
{
    size_t n = strlen(trail);
    assert_true(n + 1 < sizeof trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static void note_task(tn__task *task)
{
    note(*(const char *)task->owner);
}

static void current_is_the_loop_of_the_thread(void **state)
{
    (void)state;
    assert_null(tn__loop_current());
    loop = tn__loop_open();
    assert_ptr_equal(tn__loop_current(), loop);
    tn__loop_close(loop);
    assert_null(tn__loop_current());
    tn__loop_close(NULL);
}

static void tasks_run_in_order_and_once_a_turn(void **state)
{
    (void)state;
    trail[0] = '\0';
    tn__task a = { .run = note_task, .owner = "a" }, b = { .run = note_task, .owner = "b" };
    tn__loop_later(loop, &a);
    tn__loop_later(loop, &b);
    tn__loop_later(loop, &a);
    run_turns(1);
    assert_string_equal(trail, "ab");
    run_turns(2);
    assert_string_equal(trail, "ab");
    tn__loop_later(loop, &a);
    run_turns(1);
    assert_string_equal(trail, "aba");
}

static tn__task again, other;

static void queue_both(tn__task *task)
{
    note('a');
    tn__loop_later(loop, task);
    tn__loop_later(loop, &other);
}

static void tasks_queued_by_tasks_are_of_the_next_turn(void **state)
{
    (void)state;
    trail[0] = '\0';
    again = (tn__task){ .run = queue_both };
    other = (tn__task){ .run = note_task, .owner = "b" };
    tn__loop_later(loop, &again);
    run_turns(1);
    assert_string_equal(trail, "a");
    run_turns(1);
    assert_string_equal(trail, "aab");
    tn__loop_not_later(loop, &again);
    run_turns(1); /* and `other`, queued again before it ran, ran once */
    assert_string_equal(trail, "aab");
}

static void take_back_other(tn__task *task)
{
    (void)task;
    tn__loop_not_later(loop, &other);
}

static void task_taken_back_does_not_run(void **state)
{
    (void)state;
    trail[0] = '\0';
    tn__task a = { .run = note_task, .owner = "a" }, b = { .run = note_task, .owner = "b" },
             c = { .run = note_task, .owner = "c" };
    tn__loop_not_later(loop, &a);
    tn__loop_later(loop, &a);
    tn__loop_later(loop, &b);
    tn__loop_later(loop, &c);
    tn__loop_not_later(loop, &b); /* in the middle */
    tn__loop_not_later(loop, &c); /* the last */
    tn__loop_later(loop, &b);
    tn__loop_not_later(loop, &a); /* the first */
    run_turns(1);
    assert_string_equal(trail, "b");
    tn__loop_later(loop, &a);
    tn__loop_not_later(loop, &a); /* the only one */
    tn__loop_later(loop, &c);
    run_turns(1);
    assert_string_equal(trail, "bc");
}

static void task_may_take_back_a_later_one_of_its_turn(void **state)
{
    (void)state;
    trail[0] = '\0';
    tn__task taker = { .run = take_back_other };
    other = (tn__task){ .run = note_task, .owner = "b" };
    tn__loop_later(loop, &taker);
    tn__loop_later(loop, &other);
    run_turns(2);
    assert_string_equal(trail, "");
}

static void note_ready(tn__watch *watch, uint32_t events)
{
    (void)events;
    char byte;
    assert_int_equal(read(watch->fd, &byte, 1), 1);
    note('e');
    tn__co_wake(watch->owner);
}

static void note_time(tn__timer *timer)
{
    (void)timer;
    note('t');
}

static void note_wake(void *arg)
{
    assert_int_equal(tn__co_wait(TN__NEVER), TN__WOKEN);
    note('c');
    tn__loop_later(loop, arg);
}

static void turn_goes_events_timers_coroutines_tasks(void **state)
{
    (void)state;
    trail[0] = '\0';
    pipe_ends ends = open_pipe();
    tn__task task = { .run = note_task, .owner = "l" };
    tn__timer timer = { .on_time = note_time };
    tn__co *co = tn__co_start(loop, note_wake, &task);
    tn__watch watch = { .fd = ends.out, .events = EPOLLIN, .on_ready = note_ready, .owner = co };
    fill(ends);
    tn__watch_start(loop, &watch);
    tn__timer_start(loop, &timer, 0);
    run_turns(1);
    assert_string_equal(trail, "etcl");
    tn__watch_stop(loop, &watch);
    close_pipe(ends);
}

static void now_is_read_once_a_turn(void **state)
{
    (void)state;
    run_turns(1);
    int64_t now_us = tn__loop_now_us(loop);
    usleep(2000);
    assert_int_equal(tn__loop_now_us(loop), now_us);
    run_turns(1);
    assert_true(tn__loop_now_us(loop) >= now_us + 2000);
    assert_true(tn__loop_now_us(loop) <= tn__mono_us());
}

static void stop_before_run_is_not_lost(void **state)
{
    (void)state;
    tn__loop_stop(loop);
    tn__loop_run(loop);
    run_turns(1); /* and the loop may run again */
}

static void *stop_soon(void *arg)
{
    usleep(20000);
    tn__loop_stop(arg);
    return NULL;
}

static void stop_wakes_a_loop_that_waits(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, loop), 0);
    run_until_stopped();
    pthread_join(thread, NULL);
}

static void *run_a_loop_of_its_own(void *arg)
{
    (void)arg;
    tn__loop *own = tn__loop_open();
    bool is_current = tn__loop_current() == own;
    tn__loop_stop(own);
    tn__loop_run(own);
    tn__loop_close(own);
    return is_current ? own : NULL;
}

static void each_thread_has_its_loop(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, run_a_loop_of_its_own, NULL), 0);
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_ptr_equal(tn__loop_current(), loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(current_is_the_loop_of_the_thread),
        LOOP_TEST(tasks_run_in_order_and_once_a_turn),
        LOOP_TEST(tasks_queued_by_tasks_are_of_the_next_turn),
        LOOP_TEST(task_taken_back_does_not_run),
        LOOP_TEST(task_may_take_back_a_later_one_of_its_turn),
        LOOP_TEST(turn_goes_events_timers_coroutines_tasks),
        LOOP_TEST(now_is_read_once_a_turn),
        LOOP_TEST(stop_before_run_is_not_lost),
        LOOP_TEST(stop_wakes_a_loop_that_waits),
        LOOP_TEST(each_thread_has_its_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
