/* A sequence lock for each exemplar: who finds it free makes its turn odd, writes, and makes it even
 * again; who finds it taken goes without; who reads does so until the turn stood still.
 *
 * An exemplar is replaced at most every EVERY_US, so that in between its cache line is only read:
 * one that is some milliseconds older is as good an example. */

#include "telemetry/exemplar.h"

#define EVERY_US   50000
#define READ_TRIES 16
#define RELAXED    memory_order_relaxed

static bool is_due(const tn__exemplar *exemplar, int64_t now_us)
{
    int64_t at_us = atomic_load_explicit(&exemplar->at_us, RELAXED);
    return now_us - at_us >= EVERY_US || now_us < at_us;
}

/* Each store releases, so that none of them is seen before the odd turn. */
static void store(tn__exemplar *exemplar, double v, const tn__trace *trace, int64_t now_us)
{
    uint64_t bits, ids[2], span_id;
    memcpy(&bits, &v, sizeof bits);
    memcpy(ids, trace->trace_id, sizeof ids);
    memcpy(&span_id, trace->span_id, sizeof span_id);
    atomic_store_explicit(&exemplar->at_us, now_us, memory_order_release);
    atomic_store_explicit(&exemplar->value, bits, memory_order_release);
    atomic_store_explicit(&exemplar->trace_id[0], ids[0], memory_order_release);
    atomic_store_explicit(&exemplar->trace_id[1], ids[1], memory_order_release);
    atomic_store_explicit(&exemplar->span_id, span_id, memory_order_release);
}

void tn__exemplar_offer(tn__exemplar *exemplar, double v, const tn__trace *trace)
{
    int64_t now_us = tn_now().us;
    if (!is_due(exemplar, now_us))
        return;
    uint32_t turn = atomic_load_explicit(&exemplar->turn, RELAXED);
    bool taken = turn % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&exemplar->turn, &turn, turn + 1,
            memory_order_acquire, RELAXED);
    if (!taken) {
        store(exemplar, v, trace, now_us);
        atomic_store_explicit(&exemplar->turn, turn + 2, memory_order_release);
    }
}

/* Each load acquires, so that the turn is looked at after all of them. */
static void load(const tn__exemplar *exemplar, tn__exemplar_seen *seen)
{
    uint64_t bits = atomic_load_explicit(&exemplar->value, memory_order_acquire);
    uint64_t ids[2] = { atomic_load_explicit(&exemplar->trace_id[0], memory_order_acquire),
        atomic_load_explicit(&exemplar->trace_id[1], memory_order_acquire) };
    uint64_t span_id = atomic_load_explicit(&exemplar->span_id, memory_order_acquire);
    seen->at.us = atomic_load_explicit(&exemplar->at_us, memory_order_acquire);
    memcpy(&seen->value, &bits, sizeof seen->value);
    memcpy(seen->trace.trace_id, ids, sizeof ids);
    memcpy(seen->trace.span_id, &span_id, sizeof span_id);
}

bool tn__exemplar_read(const tn__exemplar *exemplar, tn__exemplar_seen *seen)
{
    *seen = (tn__exemplar_seen){ 0 };
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t turn = atomic_load_explicit(&exemplar->turn, memory_order_acquire);
        if (turn == 0)
            return false;
        load(exemplar, seen);
        if (turn % 2 == 0 && atomic_load_explicit(&exemplar->turn, RELAXED) == turn)
            return true;
    }
    return false;
}
