/* What the files of this layer know of a loop and of a coroutine. */
#pragma once

#include "loop/context.h"
#include "loop/loop.h"
#include "loop/stack.h"

#include <stdatomic.h>
#include <sys/epoll.h>

enum { TN__EVENTS_A_TURN_MAX = 256 };

/* What another thread put into the mailbox. */
typedef struct tn__letter tn__letter;
struct tn__letter {
    tn__letter *next;
    void (*fn)(void *arg);
    void *arg;
};

typedef struct {
    _Atomic(tn__letter *) newest;
    int bell_fd; /* an eventfd, rung by who finds the box empty */
    tn__watch watch;
} tn__mailbox;

typedef struct {
    tn__timer **heap; /* [0] is the next */
    size_t n, cap;
    bool running;
} tn__timers;

/* Queues of coroutines and tasks: first in, first out. */
typedef struct {
    tn__co *first, *last;
} tn__co_queue;

typedef struct {
    tn__task *first, *last;
} tn__task_queue;

struct tn__loop {
    int epoll_fd;
    int64_t now_us;
    atomic_bool stop;

    /* The batch that is being handled; what is stopped is struck out of it. */
    struct epoll_event events[TN__EVENTS_A_TURN_MAX];
    int n_events, next_event;

    tn__timers timers;
    tn__task_queue tasks;
    tn__mailbox mailbox;

    tn__context context; /* of the thread's own stack */
    tn__co *co;          /* that runs now */
    tn__co_queue ready;
    tn__co *ended; /* freed at the end of the turn */
    size_t n_alive;
    tn__stacks stacks;
};

typedef enum { TN__CO_RUNNING, TN__CO_WAITING, TN__CO_READY, TN__CO_ENDED } tn__co_state;

struct tn__co {
    tn__context context;
    tn__context *back; /* where it goes when it waits or ends */
    tn__loop *loop;
    tn__stack *stack;
    tn__co_fn *fn;
    void *arg;
    void *slot;
    tn__timer deadline;
    tn__co *next; /* in `ready` or `ended` */
    tn__scope *scope;
    tn__co *scope_next, *scope_prev;
    tn__co_state state;
    tn__woke why; /* when READY: what the wait will return */
    bool woken_before, cancelled;
};

void tn__watch_dispatch(tn__loop *loop, int timeout_ms);

void tn__timers_run(tn__loop *loop);
/* How long epoll may wait for the next one; -1 is for ever. */
int tn__timers_wait_ms(const tn__loop *loop);

void tn__mailbox_open(tn__loop *loop);
void tn__mailbox_close(tn__loop *loop);
void tn__mailbox_ring(tn__loop *loop);

void tn__co_run_ready(tn__loop *loop);
void tn__co_free_ended(tn__loop *loop);
/* As tn__co_start(), in a scope or (NULL) in none. */
tn__co *tn__co_start_in(tn__loop *loop, tn__scope *scope, tn__co_fn *fn, void *arg);

/* Its coroutine has begun or ended. */
void tn__scope_add(tn__scope *scope, tn__co *co);
void tn__scope_remove(tn__scope *scope, tn__co *co);
