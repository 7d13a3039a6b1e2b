/* Stacks of coroutines: mapped memory with a guard below, kept for the next one when it's free. */
#pragma once

#include "base/sanitizer.h"
#include "loop/loop.h"

/* Sanitizers make frames several times as large. */
#define TN__STACK_MAPPED_BYTES ((size_t)TN__STACK_BYTES * (TN__ASAN || TN__TSAN ? 8 : 1))

typedef struct tn__stack tn__stack;
struct tn__stack {
    tn__stack *next;
    char *low; /* lowest usable byte */
    unsigned valgrind_id;
};

typedef struct {
    tn__stack *warm, *cold;
    size_t n_warm, n_cold;
} tn__stacks;

/* Never NULL: without memory for it the process ends. */
tn__stack *tn__stack_take(tn__stacks *stacks);
void tn__stack_give(tn__stacks *stacks, tn__stack *stack);
/* Unmaps all that are free. */
void tn__stacks_deinit(tn__stacks *stacks);
