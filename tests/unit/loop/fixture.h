/* A loop for each test, and ways to let it turn. */
#pragma once

#include "../base/unit.h"

#include "loop/loop.h"

/* The loop of the test that runs; opened and closed around each. */
extern tn__loop *loop;

int open_loop(void **state);
int close_loop(void **state);

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_loop, close_loop)

/* Runs the loop for so many turns; the last one doesn't wait for events. */
void run_turns(int n);

/* Runs the loop until somebody stops it; fails the test after some seconds. */
void run_until_stopped(void);

/* Both ends of a pipe, non-blocking. */
typedef struct {
    int out, in; /* read end, write end */
} pipe_ends;

pipe_ends open_pipe(void);
void close_pipe(pipe_ends ends);
void fill(pipe_ends ends);
