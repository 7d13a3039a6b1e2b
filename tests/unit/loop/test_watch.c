/* Watching file descriptors, above all what may happen within one batch of events. */
#include "fixture.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MANY = 600 }; /* more than one batch */

static int calls;
static uint32_t seen;

static void count(tn__watch *watch, uint32_t events)
{
    (void)watch;
    calls++;
    seen = events;
}

static tn__watch *watched(int fd, uint32_t events, void (*on_ready)(tn__watch *, uint32_t))
{
    tn__watch *watch = tn__xmalloc(sizeof *watch);
    *watch = (tn__watch){ .fd = fd, .events = events, .on_ready = on_ready };
    tn__watch_start(loop, watch);
    return watch;
}

static void unwatch(tn__watch *watch)
{
    tn__watch_stop(loop, watch);
    free(watch);
}

static void ready_descriptor_is_told_again_until_it_is_read(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    char byte;
    calls = 0;
    tn__watch *watch = watched(ends.out, EPOLLIN, count);
    run_turns(2);
    assert_int_equal(calls, 0);
    fill(ends);
    run_turns(3);
    assert_int_equal(calls, 3);
    assert_int_equal(seen, EPOLLIN);
    assert_int_equal(read(ends.out, &byte, 1), 1);
    run_turns(2);
    assert_int_equal(calls, 3);
    unwatch(watch);
    close_pipe(ends);
}

static void change_asks_for_other_events(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    calls = 0;
    tn__watch *watch = watched(ends.in, 0, count);
    run_turns(1);
    assert_int_equal(calls, 0);
    tn__watch_change(loop, watch, EPOLLOUT);
    run_turns(1);
    assert_int_equal(calls, 1);
    assert_int_equal(seen, EPOLLOUT);
    tn__watch_change(loop, watch, 0);
    run_turns(1);
    assert_int_equal(calls, 1);
    unwatch(watch);
    close_pipe(ends);
}

static void hangup_is_told_unasked(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    calls = 0;
    tn__watch *watch = watched(ends.out, EPOLLIN, count);
    close(ends.in);
    run_turns(1);
    assert_int_equal(calls, 1);
    assert_int_equal(seen, EPOLLHUP);
    unwatch(watch);
    close(ends.out);
}

static void stopped_watch_is_not_called(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    calls = 0;
    tn__watch *watch = watched(ends.out, EPOLLIN, count);
    fill(ends);
    unwatch(watch);
    run_turns(2);
    assert_int_equal(calls, 0);
    close_pipe(ends);
}

static void descriptor_may_be_closed_before_its_watch_is_stopped(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    calls = 0;
    tn__watch *watch = watched(ends.out, EPOLLIN, count);
    close_pipe(ends);
    unwatch(watch);
    run_turns(1);
    assert_int_equal(calls, 0);
}

static tn__watch *all[MANY];

/* Whichever comes first stops and frees all, itself too. */
static void stop_all(tn__watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    calls++;
    for (int i = 0; i < MANY; i++)
        unwatch(all[i]);
}

static void callback_may_stop_and_free_all_of_its_batch(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    fill(ends);
    calls = 0;
    for (int i = 0; i < MANY; i++)
        all[i] = watched(dup(ends.out), EPOLLIN, stop_all);
    int first = all[0]->fd;
    run_turns(3);
    assert_int_equal(calls, 1);
    for (int i = 0; i < MANY; i++)
        close(first + i);
    close_pipe(ends);
}

static void every_watch_of_many_batches_is_called(void **state)
{
    (void)state;
    pipe_ends ends = open_pipe();
    fill(ends);
    calls = 0;
    for (int i = 0; i < MANY; i++)
        all[i] = watched(dup(ends.out), EPOLLIN, count);
    run_turns(3);
    assert_in_range(calls, MANY, 3 * 256);
    for (int i = 0; i < MANY; i++) {
        int fd = all[i]->fd;
        unwatch(all[i]);
        close(fd);
    }
    close_pipe(ends);
}

static pipe_ends pipe_a, pipe_b, pipe_c;
static tn__watch watch_a, watch_b;

static void note_other(tn__watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    calls += 100;
}

/* The other watch of the batch is stopped, and its memory used for one of an idle descriptor, as
 * happens when a connection is replaced: the old event must not reach the new watch. */
static void replace_the_other(tn__watch *watch, uint32_t events)
{
    (void)events;
    tn__watch *victim = watch == &watch_a ? &watch_b : &watch_a;
    calls++;
    tn__watch_stop(loop, victim);
    *victim = (tn__watch){ .fd = pipe_c.out, .events = EPOLLIN, .on_ready = note_other };
    tn__watch_start(loop, victim);
    tn__watch_change(loop, watch, 0);
}

static void old_event_does_not_reach_a_new_watch_in_its_place(void **state)
{
    (void)state;
    pipe_a = open_pipe();
    pipe_b = open_pipe();
    pipe_c = open_pipe();
    fill(pipe_a);
    fill(pipe_b);
    calls = 0;
    watch_a = (tn__watch){ .fd = pipe_a.out, .events = EPOLLIN, .on_ready = replace_the_other };
    watch_b = (tn__watch){ .fd = pipe_b.out, .events = EPOLLIN, .on_ready = replace_the_other };
    tn__watch_start(loop, &watch_a);
    tn__watch_start(loop, &watch_b);
    run_turns(2);
    assert_int_equal(calls, 1);
    fill(pipe_c);
    run_turns(1);
    assert_int_equal(calls, 101);
    tn__watch_stop(loop, &watch_a);
    tn__watch_stop(loop, &watch_b);
    close_pipe(pipe_a);
    close_pipe(pipe_b);
    close_pipe(pipe_c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(ready_descriptor_is_told_again_until_it_is_read),
        LOOP_TEST(change_asks_for_other_events),
        LOOP_TEST(hangup_is_told_unasked),
        LOOP_TEST(stopped_watch_is_not_called),
        LOOP_TEST(descriptor_may_be_closed_before_its_watch_is_stopped),
        LOOP_TEST(callback_may_stop_and_free_all_of_its_batch),
        LOOP_TEST(every_watch_of_many_batches_is_called),
        LOOP_TEST(old_event_does_not_reach_a_new_watch_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
