/* The pool of stacks of a loop.
 *
 * The first WARM_MAX free stacks keep their pages, which are in the cache when they are used again;
 * further ones, up to COLD_MAX, give theirs back and stay mapped; the rest is unmapped. So a burst
 * costs memory only while it lasts. Under AddressSanitizer a free stack is poisoned.
 *
 * If all stacks began at the same place of a page, the frames that each coroutine uses most would
 * compete for the same few lines of the cache. So each begins a little further down than the one
 * mapped before it, sixteen in turn; that halved the cost of waking one of many.
 *
 * The guard is larger than a page, since a function with a large frame could step over one page
 * without touching it; it costs address space only. */
#include "loop/stack.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0U
#define VALGRIND_STACK_DEREGISTER(id)      (void)(id)
#endif

enum { WARM_MAX = 128, COLD_MAX = 384, GUARD_BYTES = 64 * 1024 };
enum { SHIFT_BYTES = TN__STACK_SHIFT_BYTES_MAX / 16 };

static tn__stack *map_stack(tn__stacks *stacks)
{
    size_t bytes = GUARD_BYTES + TN__STACK_MAPPED_BYTES;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (map == MAP_FAILED || mprotect(map, GUARD_BYTES, PROT_NONE) != 0)
        tn__die("no memory for the stack of a coroutine");
    tn__stack *stack = tn__xmalloc(sizeof *stack);
    *stack = (tn__stack){ .low = map + GUARD_BYTES };
    stack->high = map + bytes - stacks->n_mapped++ % 16 * SHIFT_BYTES;
    stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, stack->low + TN__STACK_MAPPED_BYTES);
    return stack;
}

static void unmap_stack(tn__stack *stack)
{
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    tn__unpoison(stack->low, TN__STACK_MAPPED_BYTES);
    int failed = munmap(stack->low - GUARD_BYTES, GUARD_BYTES + TN__STACK_MAPPED_BYTES);
    assert(failed == 0);
    (void)failed;
    free(stack);
}

static tn__stack *pop(tn__stack **list, size_t *n)
{
    tn__stack *stack = *list;
    assert((stack == NULL) == (*n == 0));
    if (stack == NULL)
        return NULL;
    *list = stack->next;
    --*n;
    return stack;
}

static void push(tn__stack **list, size_t *n, tn__stack *stack)
{
    stack->next = *list;
    *list = stack;
    ++*n;
}

tn__stack *tn__stack_take(tn__stacks *stacks)
{
    tn__stack *stack = pop(&stacks->warm, &stacks->n_warm);
    if (stack == NULL)
        stack = pop(&stacks->cold, &stacks->n_cold);
    if (stack == NULL)
        return map_stack(stacks);
    tn__unpoison(stack->low, TN__STACK_MAPPED_BYTES);
    return stack;
}

void tn__stack_give(tn__stacks *stacks, tn__stack *stack)
{
    if (stacks->n_warm == WARM_MAX && stacks->n_cold == COLD_MAX) {
        unmap_stack(stack);
        return;
    }
    if (stacks->n_warm < WARM_MAX) {
        push(&stacks->warm, &stacks->n_warm, stack);
    } else {
        int failed = madvise(stack->low, TN__STACK_MAPPED_BYTES, MADV_DONTNEED);
        assert(failed == 0);
        (void)failed;
        push(&stacks->cold, &stacks->n_cold, stack);
    }
    tn__poison(stack->low, TN__STACK_MAPPED_BYTES);
}

void tn__stacks_deinit(tn__stacks *stacks)
{
    tn__stack *stack;
    while ((stack = pop(&stacks->warm, &stacks->n_warm)) != NULL)
        unmap_stack(stack);
    while ((stack = pop(&stacks->cold, &stacks->n_cold)) != NULL)
        unmap_stack(stack);
}
