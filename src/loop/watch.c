/* File descriptors that are watched, by epoll, level-triggered.
 *
 * The kernel hands out events in batches, and a callback may stop, free or replace a watch that a
 * later event of the batch names. So stopping a watch strikes it out of what is left of the batch. */
#include "loop/state.h"

#include <assert.h>
#include <errno.h>

static void control(tn__loop *loop, int op, tn__watch *watch)
{
    struct epoll_event event = { .events = watch->events, .data = { .ptr = watch } };
    if (epoll_ctl(loop->epoll_fd, op, watch->fd, &event) == 0)
        return;
    assert(errno == ENOMEM || errno == ENOSPC); /* else it was used wrongly */
    tn__die("no memory to watch a file descriptor");
}

void tn__watch_start(tn__loop *loop, tn__watch *watch)
{
    assert(loop == tn__loop_current() && watch->on_ready != NULL);
    control(loop, EPOLL_CTL_ADD, watch);
}

void tn__watch_change(tn__loop *loop, tn__watch *watch, uint32_t events)
{
    assert(loop == tn__loop_current());
    if (watch->events == events)
        return;
    watch->events = events;
    control(loop, EPOLL_CTL_MOD, watch);
}

void tn__watch_stop(tn__loop *loop, tn__watch *watch)
{
    assert(loop == tn__loop_current());
    int failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    /* A descriptor that was closed before has left the set by itself. */
    assert(failed == 0 || errno == EBADF || errno == ENOENT);
    (void)failed;
    for (int i = loop->next_event; i < loop->n_events; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void tn__watch_dispatch(tn__loop *loop, int timeout_ms)
{
    int n = epoll_wait(loop->epoll_fd, loop->events, TN__EVENTS_A_TURN_MAX, timeout_ms);
    assert(n >= 0 || errno == EINTR);
    loop->now_us = tn__mono_us();
    loop->n_events = n < 0 ? 0 : n;
    loop->next_event = 0;
    while (loop->next_event < loop->n_events) {
        struct epoll_event *event = &loop->events[loop->next_event++];
        tn__watch *watch = event->data.ptr;
        if (watch != NULL)
            watch->on_ready(watch, event->events);
    }
}
