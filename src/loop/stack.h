/* Stacks of coroutines: mapped memory with a guard below, kept for the next one when it's free. */
#pragma once

#include "base/sanitizer.h"
#include "loop/loop.h"

/* Stacks begin at different places of their highest page, see stack.c. */
#define TN__STACK_SHIFT_BYTES_MAX 4096
/* Sanitizers make frames several times as large. */
#define TN__STACK_MAPPED_BYTES                                                                     \
    ((size_t)TN__STACK_BYTES * (TN__ASAN || TN__TSAN ? 8 : 1) + TN__STACK_SHIFT_BYTES_MAX)

typedef struct tn__stack tn__stack;
struct tn__stack {
    tn__stack *next;
    char *low, *high; /* the usable bytes, from and to */
    unsigned valgrind_id;
};

typedef struct {
    tn__stack *warm, *cold;
    size_t n_warm, n_cold;
    size_t n_mapped; /* ever */
} tn__stacks;

/* Never NULL: without memory for it the process ends. */
tn__stack *tn__stack_take(tn__stacks *stacks);
void tn__stack_give(tn__stacks *stacks, tn__stack *stack);
/* Unmaps all that are free. */
void tn__stacks_deinit(tn__stacks *stacks);
