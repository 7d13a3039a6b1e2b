/* The mailbox: what other threads want done on the loop's thread.
 *
 * A letter is put before the newest one by compare-and-swap; the loop takes all at once and turns
 * their order round. Only who finds the box empty rings the bell: the loop silences it before it
 * empties the box, so that a letter is either taken then or has a bell of its own. */
#include "loop/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void tn__mailbox_ring(tn__loop *loop)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->mailbox.bell_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    assert(n == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: it rings already */
}

static void silence(int bell_fd)
{
    uint64_t rings;
    ssize_t n = read(bell_fd, &rings, sizeof rings);
    assert(n == (ssize_t)sizeof rings || errno == EAGAIN || errno == EINTR);
    (void)n;
}

/* All letters, oldest first. */
static tn__letter *take_all(tn__mailbox *box)
{
    tn__letter *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    tn__letter *oldest = NULL;
    while (newest != NULL) {
        tn__letter *letter = newest;
        newest = letter->next;
        letter->next = oldest;
        oldest = letter;
    }
    return oldest;
}

static void on_bell(tn__watch *watch, uint32_t events)
{
    tn__loop *loop = watch->owner;
    (void)events;
    silence(loop->mailbox.bell_fd);
    tn__letter *letter = take_all(&loop->mailbox);
    while (letter != NULL) {
        tn__letter *next = letter->next;
        letter->fn(letter->arg);
        free(letter);
        letter = next;
    }
}

void tn__mailbox_open(tn__loop *loop)
{
    tn__mailbox *box = &loop->mailbox;
    box->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->bell_fd < 0)
        tn__die("no file descriptor for an event loop");
    box->watch = (tn__watch){ .fd = box->bell_fd,
        .events = EPOLLIN,
        .on_ready = on_bell,
        .owner = loop };
    tn__watch_start(loop, &box->watch);
}

void tn__mailbox_close(tn__loop *loop)
{
    tn__letter *letter = take_all(&loop->mailbox);
    while (letter != NULL) {
        tn__letter *next = letter->next;
        free(letter);
        letter = next;
    }
    close(loop->mailbox.bell_fd);
}

void tn__loop_post(tn__loop *loop, void (*fn)(void *arg), void *arg)
{
    assert(fn != NULL);
    tn__letter *letter = tn__xmalloc(sizeof *letter);
    *letter = (tn__letter){ .fn = fn, .arg = arg };
    tn__letter *newest = atomic_load_explicit(&loop->mailbox.newest, memory_order_relaxed);
    do
        letter->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&loop->mailbox.newest, &newest, letter,
        memory_order_release, memory_order_relaxed));
    if (newest == NULL) /* the letter itself may be gone by now */
        tn__mailbox_ring(loop);
}
