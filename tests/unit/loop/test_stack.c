/* Stacks: all of it usable, a guard below, a pool that gives back what a burst took. */
#include "fixture.h"

#include "../base/death.h"
#include "base/sanitizer.h"
#include "loop/stack.h"

#include <stdlib.h>
#include <sys/mman.h>

static void touch_all(volatile char *low, size_t n)
{
    for (size_t i = 0; i < n; i++)
        low[i] = (char)i;
}

static void stack_is_writable_from_end_to_end(void **state)
{
    (void)state;
    tn__stacks stacks = { 0 };
    tn__stack *stack = tn__stack_take(&stacks);
    assert_int_equal((uintptr_t)stack->low % 4096, 0);
    touch_all(stack->low, TN__STACK_MAPPED_BYTES);
    tn__stack_give(&stacks, stack);
    tn__stacks_deinit(&stacks);
}

static void stacks_differ_in_where_they_begin_and_all_are_long_enough(void **state)
{
    (void)state;
    enum { N = 40 };
    tn__stacks stacks = { 0 };
    tn__stack *all[N];
    for (int i = 0; i < N; i++) {
        all[i] = tn__stack_take(&stacks);
        assert_true(all[i]->high - all[i]->low >= (ptrdiff_t)TN__STACK_BYTES);
        assert_int_equal((uintptr_t)all[i]->high % 64, 0);
        if (i > 0)
            assert_true((uintptr_t)all[i]->high % 4096 != (uintptr_t)all[i - 1]->high % 4096);
    }
    for (int i = 0; i < N; i++)
        tn__stack_give(&stacks, all[i]);
    tn__stacks_deinit(&stacks);
}

static void freed_stack_is_taken_again(void **state)
{
    (void)state;
    tn__stacks stacks = { 0 };
    tn__stack *a = tn__stack_take(&stacks), *b = tn__stack_take(&stacks);
    assert_ptr_not_equal(a, b);
    tn__stack_give(&stacks, b);
    assert_ptr_equal(tn__stack_take(&stacks), b);
    tn__stack_give(&stacks, a);
    tn__stack_give(&stacks, b);
    tn__stacks_deinit(&stacks);
}

static size_t resident_pages(const tn__stack *stack)
{
    unsigned char pages[TN__STACK_MAPPED_BYTES / 4096];
    size_t n = 0;
    assert_int_equal(mincore(stack->low, TN__STACK_MAPPED_BYTES, pages), 0);
    for (size_t i = 0; i < sizeof pages; i++)
        n += pages[i] & 1;
    return n;
}

static void burst_gives_its_memory_back(void **state)
{
    (void)state;
    enum { BURST = 1000 };
    tn__stacks stacks = { 0 };
    tn__stack *burst[BURST];
    for (int i = 0; i < BURST; i++) {
        burst[i] = tn__stack_take(&stacks);
        touch_all(burst[i]->low + TN__STACK_MAPPED_BYTES - 4096, 4096);
    }
    for (int i = 0; i < BURST; i++)
        tn__stack_give(&stacks, burst[i]);
    assert_int_equal(stacks.n_warm, 128);
    assert_int_equal(stacks.n_cold, 384);
    size_t pages = 0;
    for (tn__stack *s = stacks.warm; s != NULL; s = s->next)
        pages += resident_pages(s);
    assert_int_equal(pages, 128);
    for (tn__stack *s = stacks.cold; s != NULL; s = s->next)
        assert_int_equal(resident_pages(s), 0);
    tn__stacks_deinit(&stacks);
    assert_int_equal(stacks.n_warm + stacks.n_cold, 0);
}

/* Many more coroutines at once than the pool keeps. */
static void wait_and_count(void *arg)
{
    char frame[2048];
    memset(frame, 1, sizeof frame);
    tn__co_wait(TN__NEVER);
    *(int *)arg += frame[2047];
}

static void thousands_of_coroutines_wait_at_once(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    static tn__co *all[MANY];
    int ended = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            all[i] = tn__co_start(loop, wait_and_count, &ended);
        for (int i = 0; i < MANY; i++)
            tn__co_wake(all[i]);
        run_turns(1);
    }
    assert_int_equal(ended, 2 * MANY);
}

static void use_most_of_it(void *arg)
{
    char frame[TN__STACK_BYTES - 4096];
    touch_all(frame, sizeof frame);
    *(bool *)arg = true;
}

static void nearly_all_of_a_stack_is_the_coroutines(void **state)
{
    (void)state;
    bool came_back = false;
    tn__co_start(loop, use_most_of_it, &came_back);
    assert_true(came_back);
}

static int dig(int depth)
{
    volatile char frame[1000];
    frame[depth % 1000] = (char)depth;
    return depth == 0 ? 0 : dig(depth - 1) + frame[depth % 1000];
}

static void dig_too_deep(void *arg)
{
    (void)arg;
    _exit(dig(1 << 20) == 0 ? 3 : 4);
}

static void overflow_a_stack(void)
{
    tn__co_start(loop, dig_too_deep, NULL);
}

/* By SIGSEGV, or by the report that a sanitizer makes of it. */
static void overflow_hits_the_guard(void **state)
{
    (void)state;
    char said[64];
    int status = death_of(overflow_a_stack, said, sizeof said);
    if (TN__ASAN || TN__TSAN)
        assert_true(WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < 3) ||
            WEXITSTATUS(status) > 4);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static volatile char *guarded;

static void write_there(void)
{
    *guarded = 1;
}

static void guard_is_below_each_stack(void **state)
{
    (void)state;
    tn__stacks stacks = { 0 };
    tn__stack *a = tn__stack_take(&stacks), *b = tn__stack_take(&stacks);
    char said[64];
    for (int i = 0; i < 4; i++) {
        guarded = (i < 2 ? a : b)->low - (i % 2 == 0 ? 1 : 64 * 1024);
        assert_int_not_equal(death_of(write_there, said, sizeof said), 0);
        guarded += i % 2 == 0 ? 1 : 64 * 1024;
        assert_int_equal(death_of(write_there, said, sizeof said), 0);
    }
    tn__stack_give(&stacks, a);
    tn__stack_give(&stacks, b);
    tn__stacks_deinit(&stacks);
}

#if TN__ASAN
static char *dangling;

static void leave_a_pointer_behind(void *arg)
{
    (void)arg;
    dangling = __builtin_frame_address(0); /* a local may be on a fake stack */
    tn__co_sleep(0);
}

static void stack_of_an_ended_coroutine_is_poisoned(void **state)
{
    (void)state;
    tn__stacks stacks = { 0 };
    tn__stack *stack = tn__stack_take(&stacks);
    assert_false(__asan_address_is_poisoned(stack->low + 100));
    tn__stack_give(&stacks, stack);
    assert_true(__asan_address_is_poisoned(stack->low + 100));
    tn__stacks_deinit(&stacks);
    tn__co_start(loop, leave_a_pointer_behind, NULL);
    assert_non_null(dangling);
    run_turns(2);
    assert_true(__asan_address_is_poisoned(dangling));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack_is_writable_from_end_to_end),
        cmocka_unit_test(stacks_differ_in_where_they_begin_and_all_are_long_enough),
        cmocka_unit_test(freed_stack_is_taken_again),
        cmocka_unit_test(burst_gives_its_memory_back),
        LOOP_TEST(thousands_of_coroutines_wait_at_once),
        LOOP_TEST(nearly_all_of_a_stack_is_the_coroutines),
        cmocka_unit_test(guard_is_below_each_stack),
        LOOP_TEST(overflow_hits_the_guard),
#if TN__ASAN
        LOOP_TEST(stack_of_an_ended_coroutine_is_poisoned),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
