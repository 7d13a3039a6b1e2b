/* Somebody we stay in contact with, a database or a broker: when to try again, and what the log is
 * told. The log hears of each change once, and of an outage that lasts now and then. */
#pragma once

#include "telemetry/telemetry.h"

typedef struct {
    const char *name; /* in the log: "outbox database" */
    int retry_ms, retry_max_ms;
    bool up;
    int failures; /* in a row */
    int64_t retry_at_us, down_since_us, told_us;
} tn__contact;

void tn__contact_init(tn__contact *contact, const char *name, int retry_ms, int retry_max_ms);
void tn__contact_up(tn__contact *contact);
void tn__contact_down(tn__contact *contact, tn_str why);
/* True when it is down and the next attempt is due. */
bool tn__contact_due(const tn__contact *contact, int64_t now_us);

/* base doubled `failures` - 1 times, at most max_ms, of which a random half is taken off, so that
 * those who failed together don't come back together. */
int tn__backoff_ms(int base_ms, int max_ms, int failures);
