/* The thread that sends spans away, in batches. */
#pragma once

#include "telemetry/span.h"

typedef struct tn__exporter tn__exporter;

tn__exporter *tn__exporter_open(const tn__tracing_options *options); /* starts the thread */
/* Takes a copy of the span, or drops and counts it. Any thread; never waits for the exporter. */
void tn__exporter_add(tn__exporter *exporter, const tn__span *span);
/* Sends what waits within the time, ends the thread and counts what is left as dropped. */
void tn__exporter_close(tn__exporter *exporter, int timeout_ms);
