/* Exemplars: for a bucket of a histogram, one observation that fell into it and the span it was of
 * (OpenMetrics 1.0, Exemplars). */
#pragma once

#include "telemetry/telemetry.h"

#include <stdatomic.h>

/* Written by any thread, read by the scrape, without a lock. Zeroed, there is none yet. */
typedef struct {
    _Atomic uint32_t turn; /* odd while it is being written */
    _Atomic int64_t at_us;
    _Atomic uint64_t value, trace_id[2], span_id;
} tn__exemplar;

typedef struct {
    double value;
    tn__trace trace;
    tn_time at;
} tn__exemplar_seen;

/* Takes the observation's place when the one that is there is old enough. */
void tn__exemplar_offer(tn__exemplar *exemplar, double v, const tn__trace *trace);
/* False when there is none, or none that could be read whole. */
bool tn__exemplar_read(const tn__exemplar *exemplar, tn__exemplar_seen *seen);
