/* Which traces are kept: the samplers of OpenTelemetry's SDK specification. */
#pragma once

#include "telemetry/telemetry.h"

/* In the order of the values of OTEL_TRACES_SAMPLER as the configuration lists them. */
typedef enum {
    TN__SAMPLE_ALWAYS_ON,
    TN__SAMPLE_ALWAYS_OFF,
    TN__SAMPLE_RATIO,
    TN__SAMPLE_PARENT_ALWAYS_ON, /* a parent decides; without one, all are kept */
    TN__SAMPLE_PARENT_ALWAYS_OFF,
    TN__SAMPLE_PARENT_RATIO,
} tn__sampler_kind;

typedef struct {
    tn__sampler_kind kind;
    double ratio; /* of the kinds that have one: 0 to 1 */
} tn__sampler;

/* Whether a trace is among that part of all traces, 0 to 1. */
bool tn__ratio_keeps(double ratio, const uint8_t trace_id[16]);
/* Whether a span of that trace is kept, whose parent (NULL: it has none) came from elsewhere. */
bool tn__sampler_keeps(const tn__sampler *sampler, const uint8_t trace_id[16],
    const tn__trace *parent);
