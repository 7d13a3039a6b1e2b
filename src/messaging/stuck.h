/* Outbox rows that can't be published for now, and when to try them again.
 *
 * Rows are held back by their route ("events/item.created"), since what makes one unroutable or
 * refused concerns all of its kind: any number of rows costs one entry. A single row that can't be
 * published at all is held back by its number ("#17"). */
#pragma once

#include "base/base.h"

#define TN__STUCK_MAX           64
#define TN__STUCK_KEY_BYTES_MAX 520 /* two short strings of AMQP and a slash */

typedef struct {
    char key[TN__STUCK_KEY_BYTES_MAX];
    size_t len;
    int failures; /* batches in a row */
    int64_t retry_at_us;
    bool failed_now, went_now; /* in the batch at hand */
} tn__stuck_entry;

typedef struct {
    tn__stuck_entry at[TN__STUCK_MAX];
    size_t n;
} tn__stuck;

/* In the batch at hand one of that key failed: true when it wasn't held back before, so when the log
 * is to be told. When there are too many keys, the one that is due next is let go. */
bool tn__stuck_failed(tn__stuck *stuck, tn_str key);
/* In the batch at hand one of that key went through. */
void tn__stuck_went(tn__stuck *stuck, tn_str key);
/* The batch is over: keys that failed wait, longer each time that none of theirs went through; those
 * of which all went through are forgotten, after freed(arg, key). */
void tn__stuck_settle(tn__stuck *stuck, int64_t now_us, void (*freed)(void *arg, tn_str key),
    void *arg);

/* A text[] literal of the keys that are to be left alone now; empty when there are none. */
tn_str tn__stuck_array(const tn__stuck *stuck, tn_arena *arena, int64_t now_us);
/* When the next one is due; INT64_MAX for never. */
int64_t tn__stuck_due_us(const tn__stuck *stuck, int64_t now_us);
