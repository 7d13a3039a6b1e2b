/* Spans on their way into the exporter, and the sampler that decides on them.
 *
 * There is one tracing a process, as there is one log: hence the state of this file, which only
 * tn__tracing_open() and tn__tracing_close() change, while there is one thread. */

#include "telemetry/span.h"

#include "telemetry/exporter.h"

#include <assert.h>

static struct {
    tn__sampler sampler;
    tn__exporter *exporter; /* NULL: nothing is kept */
} the_tracing = { .sampler = { .kind = TN__SAMPLE_PARENT_ALWAYS_ON } };

tn__trace tn__trace_start(const tn__trace *parent)
{
    tn__trace own = tn__trace_child(parent);
    bool keeps = tn__sampler_keeps(&the_tracing.sampler, own.trace_id, parent);
    own.flags = keeps ? TN__TRACE_SAMPLED : 0;
    return own;
}

bool tn__span_wanted(const tn__trace *trace)
{
    return the_tracing.exporter != NULL && trace != NULL && (trace->flags & TN__TRACE_SAMPLED) != 0;
}

void tn__span_record(const tn__span *span)
{
    if (tn__span_wanted(&span->trace))
        tn__exporter_add(the_tracing.exporter, span);
}

void tn__tracing_open(const tn__tracing_options *options)
{
    assert(the_tracing.exporter == NULL);
    the_tracing.sampler = options->sampler;
    if (options->url != NULL && options->url[0] != '\0')
        the_tracing.exporter = tn__exporter_open(options);
}

void tn__tracing_close(int timeout_ms)
{
    tn__exporter *exporter = the_tracing.exporter;
    the_tracing.exporter = NULL;
    the_tracing.sampler = (tn__sampler){ .kind = TN__SAMPLE_PARENT_ALWAYS_ON };
    if (exporter != NULL)
        tn__exporter_close(exporter, timeout_ms);
}
