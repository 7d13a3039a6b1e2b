/* The samplers: see sampler.h.
 *
 * A ratio looks at the last eight bytes of the trace id, as a number with the highest byte first, as
 * OpenTelemetry's SDKs for Go, Java and Python do: so all services keep the same traces, and one
 * with a smaller ratio keeps some of what one with a larger ratio keeps. */

#include "telemetry/sampler.h"

#include <assert.h>
#include <endian.h>
#include <math.h>

bool tn__ratio_keeps(double ratio, const uint8_t trace_id[16])
{
    uint64_t big;
    assert(ratio >= 0 && ratio <= 1);
    memcpy(&big, trace_id + 8, sizeof big);
    /* Half of the number, since a double holds 2^63 and not 2^64 - 1. */
    return be64toh(big) >> 1 < (uint64_t)ldexp(ratio, 63);
}

static bool root_keeps(tn__sampler_kind kind, double ratio, const uint8_t trace_id[16])
{
    switch (kind) {
    case TN__SAMPLE_ALWAYS_ON:
    case TN__SAMPLE_PARENT_ALWAYS_ON:
        return true;
    case TN__SAMPLE_ALWAYS_OFF:
    case TN__SAMPLE_PARENT_ALWAYS_OFF:
        return false;
    case TN__SAMPLE_RATIO:
    case TN__SAMPLE_PARENT_RATIO:
        return tn__ratio_keeps(ratio, trace_id);
    }
    assert(false);
    return false;
}

bool tn__sampler_keeps(const tn__sampler *sampler, const uint8_t trace_id[16],
    const tn__trace *parent)
{
    bool asks_parent = sampler->kind >= TN__SAMPLE_PARENT_ALWAYS_ON;
    if (asks_parent && parent != NULL)
        return (parent->flags & TN__TRACE_SAMPLED) != 0;
    return root_keeps(sampler->kind, sampler->ratio, trace_id);
}
