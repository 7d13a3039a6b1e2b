/* A per-core event loop with coroutines.
 *
 * One thread runs one loop. All functions but tn__loop_post() and tn__loop_stop() are called on the
 * loop's own thread. What one event of an epoll batch frees may be named by a later event of it:
 * frees are put off to the end of the turn. */
#pragma once

#include "base/base.h"

typedef struct tn__loop tn__loop;
typedef struct tn__co tn__co;

/* A time on the monotonic clock, in microseconds (tn__mono_us); TN__NEVER is no deadline. */
#define TN__NEVER INT64_MAX

/* Opens the loop of this thread, which may have one. Closing asserts that no coroutine is left, and
 * drops what was posted and not yet run. No other thread may still be inside tn__loop_post() or
 * tn__loop_stop() then: that the letter was run, or that the loop has ended, doesn't say that the
 * call has returned. */
tn__loop *tn__loop_open(void);
void tn__loop_close(tn__loop *loop);
/* Runs until tn__loop_stop(). */
void tn__loop_run(tn__loop *loop);
void tn__loop_stop(tn__loop *loop);            /* any thread */
tn__loop *tn__loop_current(void);              /* of this thread, or NULL */
int64_t tn__loop_now_us(const tn__loop *loop); /* monotonic, read once a turn */

/* A file descriptor that is watched. Embed it in the owner. `events` are EPOLLIN and so on. */
typedef struct tn__watch tn__watch;
struct tn__watch {
    int fd;
    uint32_t events;
    void (*on_ready)(tn__watch *watch, uint32_t events);
    void *owner;
};
void tn__watch_start(tn__loop *loop, tn__watch *watch); /* fd, events, on_ready, owner are set */
void tn__watch_change(tn__loop *loop, tn__watch *watch, uint32_t events);
/* No callback of it comes any more, not even one of this turn; it may be freed at once. Stop it
 * before the descriptor is closed. */
void tn__watch_stop(tn__loop *loop, tn__watch *watch);

/* A timer. Embed it in the owner; zero-initialized it is off. Starting a running one moves it. */
typedef struct tn__timer tn__timer;
struct tn__timer {
    int64_t at_us;
    size_t slot; /* place in the heap, from 1; 0 is off */
    void (*on_time)(tn__timer *timer);
    void *owner;
};
void tn__timer_start(tn__loop *loop, tn__timer *timer, int64_t at_us);
void tn__timer_stop(tn__loop *loop, tn__timer *timer);

/* Work to do at the end of this turn (`once` a turn), such as sending what was queued in it. Embed
 * it in the owner; queueing it twice in one turn queues it once. */
typedef struct tn__task tn__task;
struct tn__task {
    void (*run)(tn__task *task);
    void *owner;
    tn__task *next;
    bool queued;
};
void tn__loop_later(tn__loop *loop, tn__task *task);
/* Takes it back, such as when its owner is freed. */
void tn__loop_not_later(tn__loop *loop, tn__task *task);

/* Runs fn(arg) on the loop's thread; from any thread. Order is kept per sender. */
void tn__loop_post(tn__loop *loop, void (*fn)(void *arg), void *arg);

/* Coroutines: a stack of their own (TN__STACK_BYTES usable, a guard page below), pooled. */
#define TN__STACK_BYTES (64 * 1024)
typedef void tn__co_fn(void *arg);

/* Starts fn(arg) at once on a stack of its own and returns when it first waits or ends. NULL when it
 * has ended. Otherwise it is valid until the end of the turn in which it ends. */
tn__co *tn__co_start(tn__loop *loop, tn__co_fn *fn, void *arg);
tn__co *tn__co_current(void); /* NULL outside any */

/* Why a wait ended. */
typedef enum { TN__WOKEN, TN__TIMED_OUT, TN__CANCELLED } tn__woke;

/* Gives way until tn__co_wake(), the deadline or a cancellation. Called inside a coroutine. A wake
 * that comes before the wait isn't lost: the wait then returns at once. Several wakes before it is
 * back count as one: look at what was waited for, and wait again when it isn't there. */
tn__woke tn__co_wait(int64_t deadline_us);
/* It goes on later in this turn, on the loop's own stack, never within this call. */
void tn__co_wake(tn__co *co);
/* The current and all later waits of the coroutine return TN__CANCELLED. */
void tn__co_cancel(tn__co *co);
/* Sleeps at least so long, unless it is cancelled; a wake in that time is kept for the next wait. */
void tn__co_sleep(int64_t us);

/* A pointer that belongs to the current coroutine (outside any, to the thread), NULL at first. The
 * telemetry layer keeps there what log lines and spans belong to. */
void **tn__co_slot(void);

/* A scope: the coroutines started in it end before it does. */
typedef struct tn__scope tn__scope;
tn__scope *tn__scope_open(tn__loop *loop);
/* As tn__co_start(). In a scope that was cancelled it starts cancelled. */
tn__co *tn__scope_start(tn__scope *scope, tn__co_fn *fn, void *arg);
size_t tn__scope_count(const tn__scope *scope);
void tn__scope_cancel(tn__scope *scope);
/* Called when the last of them has ended, once, at once when there is none. It may close the scope.
 * One at a time. */
void tn__scope_when_done(tn__scope *scope, void (*fn)(void *arg), void *arg);
void tn__scope_close(tn__scope *scope); /* asserts that none is left */
