/* Acknowledgements: a ring of the states of the tags in hand. */
#include "messaging/acks.h"

#include <assert.h>
#include <stdlib.h>

enum { OPEN = 1, DONE, SETTLED };

void tn__acks_init(tn__acks *acks, size_t prefetch)
{
    *acks = (tn__acks){ .cap = prefetch, .first = 1, .next = 1 };
    acks->states = tn__xcalloc(prefetch, 1);
}

void tn__acks_deinit(tn__acks *acks)
{
    free(acks->states);
    *acks = (tn__acks){ 0 };
}

static uint8_t *state_of(const tn__acks *acks, uint64_t tag)
{
    assert(tag >= acks->first && tag < acks->next);
    return &acks->states[tag % acks->cap];
}

/* What is settled at the low end is forgotten. */
static void advance(tn__acks *acks)
{
    while (acks->first < acks->next && *state_of(acks, acks->first) == SETTLED)
        acks->first++;
}

static void grow(tn__acks *acks)
{
    uint8_t *states = tn__xcalloc(acks->cap * 2, 1);
    for (uint64_t tag = acks->first; tag < acks->next; tag++)
        states[tag % (acks->cap * 2)] = *state_of(acks, tag);
    free(acks->states);
    acks->states = states;
    acks->cap *= 2;
}

void tn__acks_delivered(tn__acks *acks, uint64_t tag)
{
    assert(tag == acks->next);
    /* Tags behind one that takes long are settled, but still stand between it and the newest. */
    if (acks->next - acks->first == acks->cap)
        grow(acks);
    acks->next = tag + 1;
    *state_of(acks, tag) = OPEN;
}

void tn__acks_done(tn__acks *acks, uint64_t tag)
{
    assert(*state_of(acks, tag) == OPEN);
    *state_of(acks, tag) = DONE;
    if (acks->n_done++ == 0 || tag < acks->done_from)
        acks->done_from = tag;
}

void tn__acks_settled(tn__acks *acks, uint64_t tag)
{
    assert(*state_of(acks, tag) == OPEN);
    *state_of(acks, tag) = SETTLED;
    advance(acks);
}

/* The end of the run from the lowest tag on that holds no open one: the last done tag in it. */
static uint64_t end_of_run(const tn__acks *acks)
{
    uint64_t last = 0;
    for (uint64_t tag = acks->first; tag < acks->next && *state_of(acks, tag) != OPEN; tag++)
        if (*state_of(acks, tag) == DONE)
            last = tag;
    return last;
}

static uint64_t first_done(const tn__acks *acks)
{
    uint64_t tag = acks->done_from > acks->first ? acks->done_from : acks->first;
    while (*state_of(acks, tag) != DONE)
        tag++;
    return tag;
}

bool tn__acks_take(tn__acks *acks, uint64_t *tag, bool *multiple)
{
    if (acks->n_done == 0)
        return false;
    uint64_t run = end_of_run(acks);
    *tag = run != 0 ? run : first_done(acks);
    *multiple = run > acks->first;
    for (uint64_t at = *multiple ? acks->first : *tag; at <= *tag; at++) {
        acks->n_done -= *state_of(acks, at) == DONE;
        *state_of(acks, at) = SETTLED;
    }
    acks->done_from = *tag + 1;
    advance(acks);
    return true;
}
