/* The loop: turns, and the tasks at the end of each.
 *
 * A turn is, in this order: events of file descriptors (the mailbox is one), timers that are due,
 * coroutines that were woken, tasks, and freeing the coroutines that ended. A result that arrives in
 * the turn of its deadline so comes before the deadline; and what the handlers of a turn queued is
 * sent by the tasks of the same turn, together. Tasks and wakes that tasks cause are of the next
 * turn, which then doesn't sleep. */
#include "loop/state.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the thread: a loop is bound to the thread that opened it, and what runs on it finds it here. */
static _Thread_local tn__loop *current;

tn__loop *tn__loop_current(void)
{
    return current;
}

tn__loop *tn__loop_open(void)
{
    assert(current == NULL); /* one loop a thread */
    tn__loop *loop = tn__xcalloc(1, sizeof *loop);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        tn__die("no file descriptor for an event loop");
    loop->now_us = tn__mono_us();
    tn__context_init_thread(&loop->context);
    current = loop;
    tn__mailbox_open(loop);
    return loop;
}

void tn__loop_close(tn__loop *loop)
{
    if (loop == NULL)
        return;
    assert(loop == current && loop->co == NULL);
    tn__co_free_ended(loop);
    assert(loop->n_alive == 0); /* each coroutine ends before its loop */
    tn__mailbox_close(loop);
    tn__stacks_deinit(&loop->stacks);
    close(loop->epoll_fd);
    free(loop->timers.heap);
    free(loop);
    current = NULL;
}

int64_t tn__loop_now_us(const tn__loop *loop)
{
    return loop->now_us;
}

void tn__loop_later(tn__loop *loop, tn__task *task)
{
    assert(loop == current);
    if (task->queued)
        return;
    task->queued = true;
    task->next = NULL;
    if (loop->tasks.first == NULL)
        loop->tasks.first = task;
    else
        loop->tasks.last->next = task;
    loop->tasks.last = task;
}

void tn__loop_not_later(tn__loop *loop, tn__task *task)
{
    assert(loop == current);
    if (!task->queued)
        return;
    tn__task *before = NULL, *t = loop->tasks.first;
    for (; t != task; t = t->next)
        before = t;
    if (before == NULL)
        loop->tasks.first = task->next;
    else
        before->next = task->next;
    if (loop->tasks.last == task)
        loop->tasks.last = before;
    task->queued = false;
}

/* Only those queued before the first of them runs; the last of them marks the end. */
static void run_tasks(tn__loop *loop)
{
    tn__task end = { .queued = false };
    if (loop->tasks.first == NULL)
        return;
    tn__loop_later(loop, &end);
    for (;;) {
        tn__task *task = loop->tasks.first;
        loop->tasks.first = task->next;
        task->queued = false;
        if (task == &end)
            return;
        task->run(task);
    }
}

static int wait_ms(const tn__loop *loop)
{
    if (loop->tasks.first != NULL || loop->ready.first != NULL)
        return 0;
    return tn__timers_wait_ms(loop);
}

static void turn(tn__loop *loop)
{
    tn__watch_dispatch(loop, wait_ms(loop));
    tn__timers_run(loop);
    tn__co_run_ready(loop);
    run_tasks(loop);
    tn__co_free_ended(loop);
}

void tn__loop_run(tn__loop *loop)
{
    assert(loop == current && loop->co == NULL);
    loop->now_us = tn__mono_us();
    while (!atomic_exchange_explicit(&loop->stop, false, memory_order_acquire))
        turn(loop);
}

void tn__loop_stop(tn__loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    tn__mailbox_ring(loop);
}
