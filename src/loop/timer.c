/* Timers: a binary heap of pointers, the earliest at the top.
 *
 * Invariants: heap[i]->slot is i + 1; no timer is earlier than its parent, heap[(i - 1) / 2]. */
#include "loop/state.h"

#include <assert.h>
#include <limits.h>

static void place(tn__timers *t, size_t i, tn__timer *timer)
{
    t->heap[i] = timer;
    timer->slot = i + 1;
}

/* Moves `timer`, whose place is `i`, up to where it belongs. */
static size_t sift_up(tn__timers *t, size_t i, tn__timer *timer)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (t->heap[parent]->at_us <= timer->at_us)
            break;
        place(t, i, t->heap[parent]);
        i = parent;
    }
    place(t, i, timer);
    return i;
}

static void sift_down(tn__timers *t, size_t i, tn__timer *timer)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && t->heap[child + 1]->at_us < t->heap[child]->at_us)
            child++;
        if (timer->at_us <= t->heap[child]->at_us)
            break;
        place(t, i, t->heap[child]);
        i = child;
    }
    place(t, i, timer);
}

static void settle(tn__timers *t, size_t i, tn__timer *timer)
{
    sift_down(t, sift_up(t, i, timer), timer);
}

static void remove_timer(tn__timers *t, tn__timer *timer)
{
    assert(timer->slot <= t->n && t->heap[timer->slot - 1] == timer);
    size_t i = timer->slot - 1;
    timer->slot = 0;
    tn__timer *last = t->heap[--t->n];
    if (last != timer)
        settle(t, i, last);
}

static void make_room(tn__timers *t)
{
    if (t->n < t->cap)
        return;
    t->cap = t->cap == 0 ? 64 : t->cap * 2;
    t->heap = tn__xrealloc(t->heap, t->cap * sizeof(void *));
}

void tn__timer_start(tn__loop *loop, tn__timer *timer, int64_t at_us)
{
    assert(loop == tn__loop_current() && timer->on_time != NULL);
    tn__timers *t = &loop->timers;
    /* While timers run, one for the past waits for the next turn: it can't hold up the loop. */
    timer->at_us = t->running && at_us <= loop->now_us ? loop->now_us + 1 : at_us;
    if (timer->slot == 0) {
        make_room(t);
        sift_up(t, t->n++, timer);
    } else {
        settle(t, timer->slot - 1, timer);
    }
}

void tn__timer_stop(tn__loop *loop, tn__timer *timer)
{
    assert(loop == tn__loop_current());
    if (timer->slot != 0)
        remove_timer(&loop->timers, timer);
}

void tn__timers_run(tn__loop *loop)
{
    tn__timers *t = &loop->timers;
    t->running = true;
    while (t->n > 0 && t->heap[0]->at_us <= loop->now_us) {
        tn__timer *timer = t->heap[0];
        remove_timer(t, timer);
        timer->on_time(timer);
    }
    t->running = false;
}

int tn__timers_wait_ms(const tn__loop *loop)
{
    const tn__timers *t = &loop->timers;
    if (t->n == 0)
        return -1;
    int64_t at_us = t->heap[0]->at_us, now_us = tn__mono_us();
    if (at_us <= now_us)
        return 0;
    if (at_us - now_us > INT64_C(60000000))
        return 60000;                            /* so far away that an extra turn costs nothing */
    return (int)((at_us - now_us + 999) / 1000); /* rounded up: never early */
}
