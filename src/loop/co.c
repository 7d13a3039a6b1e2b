/* Coroutines: straight-line code that gives way while it waits.
 *
 * A coroutine starts at once, on top of whoever starts it, and goes back there when it first waits
 * or ends. Waking only queues it: it goes on in the same turn of the loop, after the events and
 * timers, from the loop's own stack. So no callback ever finds that the world changed under it
 * because it woke somebody.
 *
 * States: RUNNING (also while a coroutine that it started runs on top of it), WAITING, READY (in the
 * queue, with what the wait will return), ENDED (its stack is given back, it is freed at the end of
 * the turn: until then waking it does nothing). A wake of a RUNNING one is kept for its next wait. */
#include "loop/state.h"

#include <assert.h>
#include <stdlib.h>

enum { RESUMED_A_TURN_MAX = 4096 }; /* coroutines that wake each other leave time for the rest */

/* Outside any coroutine, what tn__co_slot() points at. */
static _Thread_local void *thread_slot;

tn__co *tn__co_current(void)
{
    tn__loop *loop = tn__loop_current();
    return loop == NULL ? NULL : loop->co;
}

void **tn__co_slot(void)
{
    tn__co *co = tn__co_current();
    return co == NULL ? &thread_slot : &co->slot;
}

static void make_ready(tn__co *co, tn__woke why)
{
    tn__loop *loop = co->loop;
    assert(co->state == TN__CO_WAITING);
    co->state = TN__CO_READY;
    co->why = why;
    co->next = NULL;
    if (loop->ready.first == NULL)
        loop->ready.first = co;
    else
        loop->ready.last->next = co;
    loop->ready.last = co;
}

static void on_deadline(tn__timer *timer)
{
    tn__co *co = timer->owner;
    /* It may have been woken earlier in this turn: what it waited for came in time. */
    if (co->state == TN__CO_WAITING)
        make_ready(co, TN__TIMED_OUT);
}

static _Noreturn void entry(void *arg)
{
    tn__co *co = arg;
    tn__context_entered(co->back);
    co->fn(co->arg);
    co->state = TN__CO_ENDED;
    tn__context_leave(&co->context, co->back);
}

/* What is left to do once control has come back from a coroutine that ended. */
static void bury(tn__loop *loop, tn__co *co)
{
    tn__context_deinit(&co->context);
    tn__stack_give(&loop->stacks, co->stack);
    co->stack = NULL;
    co->next = loop->ended;
    loop->ended = co;
    loop->n_alive--;
    if (co->scope != NULL)
        tn__scope_remove(co->scope, co);
}

/* Runs it until it waits or ends. */
static void resume(tn__loop *loop, tn__co *co)
{
    tn__co *below = loop->co;
    tn__context *here = below == NULL ? &loop->context : &below->context;
    co->back = here;
    co->state = TN__CO_RUNNING;
    loop->co = co;
    tn__context_switch(here, &co->context);
    loop->co = below;
    if (co->state == TN__CO_ENDED)
        bury(loop, co);
}

tn__co *tn__co_start_in(tn__loop *loop, tn__scope *scope, tn__co_fn *fn, void *arg)
{
    assert(loop == tn__loop_current() && fn != NULL);
    tn__co *co = tn__xmalloc(sizeof *co);
    *co = (tn__co){ .loop = loop, .fn = fn, .arg = arg, .stack = tn__stack_take(&loop->stacks) };
    co->deadline = (tn__timer){ .on_time = on_deadline, .owner = co };
    size_t stack_bytes = (size_t)(co->stack->high - co->stack->low);
    tn__context_init(&co->context, co->stack->low, stack_bytes, entry, co);
    loop->n_alive++;
    if (scope != NULL)
        tn__scope_add(scope, co);
    resume(loop, co);
    return co->state == TN__CO_ENDED ? NULL : co;
}

tn__co *tn__co_start(tn__loop *loop, tn__co_fn *fn, void *arg)
{
    return tn__co_start_in(loop, NULL, fn, arg);
}

void tn__co_run_ready(tn__loop *loop)
{
    for (int n = 0; n < RESUMED_A_TURN_MAX && loop->ready.first != NULL; n++) {
        tn__co *co = loop->ready.first;
        loop->ready.first = co->next;
        resume(loop, co);
    }
}

void tn__co_free_ended(tn__loop *loop)
{
    while (loop->ended != NULL) {
        tn__co *co = loop->ended;
        loop->ended = co->next;
        free(co);
    }
}

/* Until it is made ready, by the deadline at the latest, even one that has passed. */
static tn__woke give_way(tn__co *co, int64_t deadline_us)
{
    if (deadline_us != TN__NEVER)
        tn__timer_start(co->loop, &co->deadline, deadline_us);
    co->state = TN__CO_WAITING;
    tn__context_switch(&co->context, co->back);
    tn__timer_stop(co->loop, &co->deadline);
    return co->why;
}

tn__woke tn__co_wait(int64_t deadline_us)
{
    tn__co *co = tn__co_current();
    assert(co != NULL);
    if (co->cancelled)
        return TN__CANCELLED;
    if (co->woken_before) {
        co->woken_before = false;
        return TN__WOKEN;
    }
    if (deadline_us <= co->loop->now_us)
        return TN__TIMED_OUT;
    return give_way(co, deadline_us);
}

void tn__co_sleep(int64_t us)
{
    tn__co *co = tn__co_current();
    assert(co != NULL && us >= 0);
    int64_t now_us = tn__mono_us();
    int64_t deadline_us = us < TN__NEVER - now_us ? now_us + us : TN__NEVER;
    bool woken = co->woken_before;
    tn__woke why = TN__WOKEN;
    while (why == TN__WOKEN && !co->cancelled) {
        why = give_way(co, deadline_us);
        woken |= why == TN__WOKEN;
    }
    co->woken_before = woken;
}

void tn__co_wake(tn__co *co)
{
    assert(co->loop == tn__loop_current());
    if (co->state == TN__CO_WAITING)
        make_ready(co, TN__WOKEN);
    else if (co->state == TN__CO_RUNNING)
        co->woken_before = true;
    else if (co->state == TN__CO_READY && co->why == TN__TIMED_OUT)
        co->why = TN__WOKEN; /* what it waited for came before it could see that it was late */
}

void tn__co_cancel(tn__co *co)
{
    assert(co->loop == tn__loop_current());
    co->cancelled = true;
    if (co->state == TN__CO_WAITING)
        make_ready(co, TN__CANCELLED);
    else if (co->state == TN__CO_READY)
        co->why = TN__CANCELLED;
}
