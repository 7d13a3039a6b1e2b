/* Scopes: what is started in one ends before it. */
#include "fixture.h"

static int done;

static void count_done(void *arg)
{
    (void)arg;
    done++;
}

static void wait_once(void *arg)
{
    tn__woke woke = tn__co_wait(TN__NEVER);
    if (arg != NULL)
        *(tn__woke *)arg = woke;
}

static void end_at_once(void *arg)
{
    (void)arg;
}

static void empty_scope_is_done_at_once(void **state)
{
    (void)state;
    done = 0;
    tn__scope *scope = tn__scope_open(loop);
    tn__scope_when_done(scope, count_done, NULL);
    assert_int_equal(done, 1);
    tn__scope_close(scope);
    tn__scope_close(NULL);
}

static void scope_is_done_when_the_last_has_ended(void **state)
{
    (void)state;
    done = 0;
    tn__scope *scope = tn__scope_open(loop);
    tn__co *a = tn__scope_start(scope, wait_once, NULL);
    tn__co *b = tn__scope_start(scope, wait_once, NULL);
    tn__co *c = tn__scope_start(scope, wait_once, NULL);
    assert_int_equal(tn__scope_count(scope), 3);
    tn__scope_when_done(scope, count_done, NULL);
    tn__co_wake(b);
    run_turns(1);
    assert_int_equal(tn__scope_count(scope), 2);
    tn__co_wake(c);
    run_turns(1);
    assert_int_equal(tn__scope_count(scope), 1);
    assert_int_equal(done, 0);
    tn__co_wake(a);
    run_turns(2);
    assert_int_equal(tn__scope_count(scope), 0);
    assert_int_equal(done, 1);
    tn__scope_close(scope);
}

static void coroutine_that_never_waits_leaves_the_scope_as_it_was(void **state)
{
    (void)state;
    done = 0;
    tn__scope *scope = tn__scope_open(loop);
    assert_null(tn__scope_start(scope, end_at_once, NULL));
    assert_int_equal(tn__scope_count(scope), 0);
    tn__scope_when_done(scope, count_done, NULL);
    assert_int_equal(done, 1);
    assert_null(tn__scope_start(scope, end_at_once, NULL));
    assert_int_equal(done, 1); /* once */
    tn__scope_close(scope);
}

static void cancel_reaches_all_and_those_that_start_later(void **state)
{
    (void)state;
    tn__woke woke[3] = { TN__WOKEN, TN__WOKEN, TN__WOKEN };
    tn__scope *scope = tn__scope_open(loop);
    tn__scope_start(scope, wait_once, &woke[0]);
    tn__scope_start(scope, wait_once, &woke[1]);
    tn__scope_cancel(scope);
    assert_int_equal(tn__scope_count(scope), 2); /* they end in their own time */
    assert_null(tn__scope_start(scope, wait_once, &woke[2]));
    run_turns(1);
    assert_int_equal(tn__scope_count(scope), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(woke[i], TN__CANCELLED);
    tn__scope_close(scope);
}

static void cancel_reaches_those_around_one_that_ended(void **state)
{
    (void)state;
    enum { N = 5 };
    for (int ended = 0; ended < N; ended++) {
        tn__woke woke[N];
        tn__co *all[N];
        tn__scope *scope = tn__scope_open(loop);
        for (int i = 0; i < N; i++)
            all[i] = tn__scope_start(scope, wait_once, &woke[i]);
        tn__co_wake(all[ended]);
        run_turns(1);
        tn__scope_cancel(scope);
        run_turns(1);
        for (int i = 0; i < N; i++)
            assert_int_equal(woke[i], i == ended ? TN__WOKEN : TN__CANCELLED);
        tn__scope_close(scope);
    }
}

static void close_it(void *arg)
{
    tn__scope_close(arg);
    done++;
}

static void what_waits_for_the_end_may_close_the_scope(void **state)
{
    (void)state;
    done = 0;
    tn__scope *scope = tn__scope_open(loop);
    tn__co *co = tn__scope_start(scope, wait_once, NULL);
    tn__scope_when_done(scope, close_it, scope);
    tn__co_wake(co);
    run_turns(1);
    assert_int_equal(done, 1);
    tn__scope *empty = tn__scope_open(loop);
    tn__scope_when_done(empty, close_it, empty);
    assert_int_equal(done, 2);
}

static void wake_it(void *arg)
{
    tn__co_wake(arg);
}

/* Structured: a parent starts children, cancels them and goes on when they have ended. */
static void parent(void *arg)
{
    int *left = arg;
    tn__scope *scope = tn__scope_open(loop);
    for (int i = 0; i < 10; i++)
        tn__scope_start(scope, wait_once, NULL);
    tn__scope_cancel(scope);
    tn__scope_when_done(scope, wake_it, tn__co_current());
    while (tn__scope_count(scope) > 0)
        tn__co_wait(TN__NEVER);
    *left = (int)tn__scope_count(scope);
    tn__scope_close(scope);
}

static void parent_waits_for_its_children(void **state)
{
    (void)state;
    int left = -1;
    tn__co_start(loop, parent, &left);
    run_turns(2);
    assert_int_equal(left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(empty_scope_is_done_at_once),
        LOOP_TEST(scope_is_done_when_the_last_has_ended),
        LOOP_TEST(coroutine_that_never_waits_leaves_the_scope_as_it_was),
        LOOP_TEST(cancel_reaches_all_and_those_that_start_later),
        LOOP_TEST(cancel_reaches_those_around_one_that_ended),
        LOOP_TEST(what_waits_for_the_end_may_close_the_scope),
        LOOP_TEST(parent_waits_for_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
