/* Which deliveries of a connection are done and wait to be acknowledged.
 *
 * Tags come in order from 1; messages are done in any order. What is done from the lowest open tag
 * on is acknowledged at once for all; what lies behind a message that takes longer, one by one, so
 * that it doesn't use up the prefetch. */
#pragma once

#include "base/base.h"

typedef struct {
    uint8_t *states; /* of tag t at t % cap */
    size_t cap;
    uint64_t first;     /* the lowest that isn't settled */
    uint64_t next;      /* the tag after the newest delivery */
    size_t n_done;      /* done and not acknowledged */
    uint64_t done_from; /* none below is */
} tn__acks;

/* At most `prefetch` can be open at once. */
void tn__acks_init(tn__acks *acks, size_t prefetch);
void tn__acks_deinit(tn__acks *acks);

void tn__acks_delivered(tn__acks *acks, uint64_t tag);
/* It took effect: acknowledge it. */
void tn__acks_done(tn__acks *acks, uint64_t tag);
/* It was rejected: nothing more is to be said of it. */
void tn__acks_settled(tn__acks *acks, uint64_t tag);

/* The next acknowledgement to send; false when there is none left. */
bool tn__acks_take(tn__acks *acks, uint64_t *tag, bool *multiple);
