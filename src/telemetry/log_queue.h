/* The bounded queue between those who log and the one thread that writes. */
#pragma once

#include "base/base.h"

typedef struct tn__log_queue tn__log_queue;

typedef struct {
    int fd;
    size_t bytes_max; /* of lines that wait; a line that doesn't fit is dropped and counted */
    /* Appends the line that tells of `n` dropped ones. On the writer's thread. */
    void (*on_dropped)(tn__buf *line, uint64_t n);
} tn__log_queue_options;

tn__log_queue *tn__log_queue_open(const tn__log_queue_options *options); /* starts the thread */
/* Takes a whole line with its newline, or drops it. Never waits for the reader. Thread-safe. */
void tn__log_queue_add(tn__log_queue *queue, tn_str line);
/* Lines dropped since the queue was opened. Thread-safe. */
uint64_t tn__log_queue_dropped(tn__log_queue *queue);
/* Waits until all that was added before has been written, for at most timeout_ms. Thread-safe. */
bool tn__log_queue_flush(tn__log_queue *queue, int timeout_ms);
/* Writes out what waits, for at most timeout_ms. False when the reader didn't take it all in time;
 * then the thread may be stuck in write(2), and the queue's memory is left to it. */
bool tn__log_queue_close(tn__log_queue *queue, int timeout_ms);
