/* A span is encoded straight into a buffer, which the exporter changes for an empty one.
 *
 * The lock is a thread's own but for the moment in which the exporter changes the buffers, which is
 * that of a few moves: never over an encoding of the exporter's, a compression or the network. */

#include "telemetry/span_queue.h"

#include "telemetry/otlp.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define BYTES_MAX      ((size_t)8 << 20)
#define BYTES_KEPT_MAX ((size_t)256 << 10) /* a burst should not cost its memory for good */

typedef struct {
    tn__span_queue shared; /* first: what the exporter sees */
    pthread_mutex_t lock;
    size_t spans_max, n;
    int owners;
    tn__buf filling;
} queue;

static queue *inside(tn__span_queue *shared)
{
    return (queue *)shared;
}

tn__span_queue *tn__span_queue_open(size_t spans_max)
{
    assert(spans_max > 0);
    queue *q = tn__xcalloc(1, sizeof *q);
    q->spans_max = spans_max;
    q->owners = 2;
    pthread_mutex_init(&q->lock, NULL);
    return &q->shared;
}

void tn__span_queue_let_go(tn__span_queue *shared)
{
    queue *q = inside(shared);
    pthread_mutex_lock(&q->lock);
    bool last = --q->owners == 0;
    pthread_mutex_unlock(&q->lock);
    if (last) {
        pthread_mutex_destroy(&q->lock);
        tn__buf_deinit(&q->filling);
        free(q);
    }
}

size_t tn__span_queue_add(tn__span_queue *shared, const tn__span *span, int64_t wall_us)
{
    queue *q = inside(shared);
    size_t waiting = 0;
    pthread_mutex_lock(&q->lock);
    if (q->n < q->spans_max && q->filling.len < BYTES_MAX) {
        tn__otlp_add_span(&q->filling, span, wall_us);
        waiting = ++q->n;
    }
    pthread_mutex_unlock(&q->lock);
    return waiting;
}

size_t tn__span_queue_take(tn__span_queue *shared, tn__buf *spans)
{
    queue *q = inside(shared);
    if (spans->cap > BYTES_KEPT_MAX)
        tn__buf_deinit(spans);
    spans->len = 0;
    tn__buf empty = *spans;
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    if (n > 0) {
        *spans = q->filling;
        q->filling = empty;
        q->n = 0;
    }
    pthread_mutex_unlock(&q->lock);
    return n;
}

bool tn__span_queue_is_over(tn__span_queue *shared)
{
    queue *q = inside(shared);
    pthread_mutex_lock(&q->lock);
    bool over = q->owners == 1 && q->n == 0;
    pthread_mutex_unlock(&q->lock);
    return over;
}
