/* The loop of the test that runs: opened, turned and closed. */
#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

tn__loop *loop;

int open_loop(void **state)
{
    (void)state;
    loop = tn__loop_open();
    return 0;
}

int close_loop(void **state)
{
    (void)state;
    tn__loop_close(loop);
    return 0;
}

static int turns_left;

static void count_turn(tn__task *task)
{
    if (--turns_left == 0)
        tn__loop_stop(loop);
    else
        tn__loop_later(loop, task);
}

void run_turns(int n)
{
    tn__task task = { .run = count_turn };
    turns_left = n;
    tn__loop_later(loop, &task);
    tn__loop_run(loop);
}

static void give_up(tn__timer *timer)
{
    (void)timer;
    fail_msg("the loop was not stopped in time");
}

void run_until_stopped(void)
{
    tn__timer timer = { .on_time = give_up };
    tn__timer_start(loop, &timer, tn__mono_us() + INT64_C(20000000));
    tn__loop_run(loop);
    tn__timer_stop(loop, &timer);
}

pipe_ends open_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    return (pipe_ends){ .out = ends[0], .in = ends[1] };
}

void close_pipe(pipe_ends ends)
{
    close(ends.out);
    close(ends.in);
}

void fill(pipe_ends ends)
{
    assert_int_equal(write(ends.in, "x", 1), 1);
}
