/* Lines wait in one buffer while the writer writes the other; then the two change places.
 *
 * The lock is held only to copy a line or to swap, never over a write, so a slow reader of standard
 * output costs lines and not time. Waking a thread costs more than writing a line: the writer is
 * woken by the first line after silence, and then looks again every NAP_MS without being told. */

#include "telemetry/log_queue.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAP_MS     10
#define POLL_MS    100
#define WRITE_MAX  (64 * 1024)
#define FIRST_ROOM 4096

struct tn__log_queue {
    tn__log_queue_options options;
    size_t write_max;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    tn__buf filling;
    uint64_t dropped, told; /* told: of the dropped, those that a line has told of */
    bool idle, hurry, writes, closing, done;
    atomic_bool abandoned;
    tn__buf writing; /* the writer's own */
};

/* ---- The writer --------------------------------------------------------- */

/* Whole lines only: what fits into PIPE_BUF reaches a pipe in one piece (POSIX write), so lines of
 * two processes that share it don't run into each other. */
static size_t batch_end(const tn__log_queue *queue, const char *at, size_t left)
{
    if (left <= queue->write_max)
        return left;
    const char *last = memrchr(at, '\n', queue->write_max);
    if (last == NULL)
        last = memchr(at, '\n', left);
    return last == NULL ? left : (size_t)(last - at) + 1;
}

/* False when the reader is gone or nobody waits for the lines any more. */
static bool wait_writable(tn__log_queue *queue)
{
    struct pollfd pollfd = { .fd = queue->options.fd, .events = POLLOUT };
    while (!atomic_load_explicit(&queue->abandoned, memory_order_relaxed)) {
        int n = poll(&pollfd, 1, POLL_MS);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
    return false;
}

static bool write_batch(tn__log_queue *queue, const char *at, size_t left)
{
    while (left > 0) {
        if (!wait_writable(queue))
            return false;
        ssize_t n = write(queue->options.fd, at, left);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    return true;
}

static uint64_t count_lines(const char *at, size_t left)
{
    uint64_t n = 0;
    for (const char *end; left > 0 && (end = memchr(at, '\n', left)) != NULL; n++) {
        left -= (size_t)(end - at) + 1;
        at = end + 1;
    }
    return n;
}

static void write_all(tn__log_queue *queue)
{
    const char *at = queue->writing.data;
    size_t left = queue->writing.len;
    while (left > 0) {
        size_t n = batch_end(queue, at, left);
        if (!write_batch(queue, at, n)) {
            pthread_mutex_lock(&queue->lock);
            queue->dropped += count_lines(at, left);
            pthread_mutex_unlock(&queue->lock);
            break;
        }
        at += n;
        left -= n;
    }
    queue->writing.len = 0;
}

static struct timespec in_ms(int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* Called and left with the lock held. */
static void nap(tn__log_queue *queue)
{
    struct timespec until = in_ms(NAP_MS);
    while (!queue->closing && !queue->hurry)
        if (pthread_cond_timedwait(&queue->wake, &queue->lock, &until) == ETIMEDOUT)
            break;
    if (queue->filling.len > 0 || queue->closing)
        return;
    queue->idle = true;
    while (queue->idle && !queue->closing)
        pthread_cond_wait(&queue->wake, &queue->lock);
}

static void *writer(void *arg)
{
    tn__log_queue *queue = arg;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        if (queue->filling.len == 0 && queue->closing)
            break;
        tn__buf lines = queue->filling;
        queue->filling = queue->writing;
        queue->writing = lines;
        uint64_t lost = lines.len > 0 ? queue->dropped - queue->told : 0;
        queue->told += lost;
        queue->hurry = false;
        queue->writes = true;
        pthread_mutex_unlock(&queue->lock);
        if (lost > 0)
            queue->options.on_dropped(&queue->writing, lost);
        write_all(queue);
        pthread_mutex_lock(&queue->lock);
        queue->writes = false;
        pthread_cond_broadcast(&queue->wake); /* to who waits for a flush */
        nap(queue);
    }
    queue->done = true;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_broadcast(&queue->wake);
    return NULL;
}

/* ---- The others --------------------------------------------------------- */

static size_t write_max_of(int fd)
{
    struct stat st;
    bool is_pipe = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
    return is_pipe ? PIPE_BUF : WRITE_MAX;
}

/* Signals are the business of the thread that waits for them. */
static void start_thread(tn__log_queue *queue)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&queue->thread, NULL, writer, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        abort(); /* At start, before anything was promised: there is nothing to go on with. */
    pthread_setname_np(queue->thread, "log");
}

tn__log_queue *tn__log_queue_open(const tn__log_queue_options *options)
{
    assert(options->bytes_max > 0);
    assert(options->on_dropped != NULL);
    tn__log_queue *queue = tn__xcalloc(1, sizeof *queue);
    queue->options = *options;
    queue->write_max = write_max_of(options->fd);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->wake, &attr);
    pthread_condattr_destroy(&attr);
    tn__buf_reserve(&queue->filling, FIRST_ROOM);
    tn__buf_reserve(&queue->writing, FIRST_ROOM);
    start_thread(queue);
    return queue;
}

void tn__log_queue_add(tn__log_queue *queue, tn_str line)
{
    assert(line.len > 0 && line.data[line.len - 1] == '\n');
    pthread_mutex_lock(&queue->lock);
    size_t bytes_max = queue->options.bytes_max;
    bool fits = line.len <= bytes_max && queue->filling.len <= bytes_max - line.len;
    if (fits)
        tn__buf_add_str(&queue->filling, line);
    else
        queue->dropped++;
    bool hurry = !queue->hurry && queue->filling.len > bytes_max / 2;
    bool wake = fits && (queue->idle || hurry);
    if (wake) {
        queue->idle = false;
        queue->hurry = queue->hurry || hurry;
    }
    pthread_mutex_unlock(&queue->lock);
    if (wake)
        pthread_cond_signal(&queue->wake);
}

uint64_t tn__log_queue_dropped(tn__log_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    uint64_t dropped = queue->dropped;
    pthread_mutex_unlock(&queue->lock);
    return dropped;
}

bool tn__log_queue_flush(tn__log_queue *queue, int timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    int error = 0;
    pthread_mutex_lock(&queue->lock);
    while ((queue->filling.len > 0 || queue->writes) && error != ETIMEDOUT) {
        queue->hurry = true;
        queue->idle = false;
        pthread_cond_broadcast(&queue->wake);
        error = pthread_cond_timedwait(&queue->wake, &queue->lock, &until);
    }
    bool flushed = queue->filling.len == 0 && !queue->writes;
    pthread_mutex_unlock(&queue->lock);
    return flushed;
}

/* Called with the lock held. */
static bool wait_done(tn__log_queue *queue, int timeout_ms)
{
    struct timespec until = in_ms(timeout_ms);
    while (!queue->done)
        if (pthread_cond_timedwait(&queue->wake, &queue->lock, &until) == ETIMEDOUT)
            break;
    return queue->done;
}

bool tn__log_queue_close(tn__log_queue *queue, int timeout_ms)
{
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_broadcast(&queue->wake);
    bool whole = wait_done(queue, timeout_ms);
    if (!whole)
        atomic_store_explicit(&queue->abandoned, true, memory_order_relaxed);
    bool done = whole || wait_done(queue, 2 * POLL_MS);
    pthread_mutex_unlock(&queue->lock);
    if (!done) {
        pthread_detach(queue->thread);
        return false;
    }
    pthread_join(queue->thread, NULL);
    pthread_cond_destroy(&queue->wake);
    pthread_mutex_destroy(&queue->lock);
    tn__buf_deinit(&queue->filling);
    tn__buf_deinit(&queue->writing);
    free(queue);
    return whole;
}
