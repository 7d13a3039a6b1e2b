/* The spans of one thread on their way to the exporter: bounded, already encoded.
 *
 * Two know of a queue, its thread and the exporter, and each lets go of it once. */
#pragma once

#include "telemetry/span.h"

typedef struct tn__span_queue tn__span_queue;
struct tn__span_queue {
    tn__span_queue *next; /* the exporter's */
};

tn__span_queue *tn__span_queue_open(size_t spans_max);
void tn__span_queue_let_go(tn__span_queue *shared);

/* The thread's side: how many wait now, or 0 when it found no room. */
size_t tn__span_queue_add(tn__span_queue *shared, const tn__span *span, int64_t wall_us);

/* The exporter's side: changes what waits for the empty buffer in `spans`, which the queue keeps.
 * Tells how many there are. */
size_t tn__span_queue_take(tn__span_queue *shared, tn__buf *spans);
/* True when the thread has let go of it and nothing waits. */
bool tn__span_queue_is_over(tn__span_queue *shared);
