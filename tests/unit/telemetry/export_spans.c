/* Exports spans that tests/integration/test_otlp.py knows, then shows what the metrics say of them.
 *
 *     export_spans URL gzip|none N     the known spans, and N that are all alike */

#include "telemetry/span.h"
#include "telemetry/telemetry.h"

#include <stdio.h>
#include <stdlib.h>

#define LINKS 130

static tn__trace made(uint8_t trace, uint8_t span)
{
    tn__trace ids = { .flags = TN__TRACE_SAMPLED };
    memset(ids.trace_id, trace, sizeof ids.trace_id);
    memset(ids.span_id, span, sizeof ids.span_id);
    return ids;
}

/* A server span with an attribute of each kind, as a child of a remote span. */
static void record_server(int64_t start_us)
{
    const tn_log_field attributes[] = {
        TN_LOG_Z("http.request.method", "POST"),
        TN_LOG_I("http.response.status_code", 201),
        TN_LOG_I("below.zero", INT64_MIN),
        TN_LOG_D("ratio", 0.125),
        TN_LOG_B("yes", true),
        TN_LOG_B("no", false),
        TN_LOG_Z("empty", ""),
        TN_LOG_Z("umlaut", "sch\xc3\xb6n"),
        TN_LOG_Z("broken",
            "a\xff"
            "b\xe2\x82"),
    };
    tn__span span = {
        .trace = made(0x11, 0x22),
        .parent_is_remote = true,
        .kind = TN__SPAN_SERVER,
        .name = TN_S("POST /api/v1/items"),
        .tracestate = TN_S("rojo=00f067aa0ba902b7"),
        .start_us = start_us,
        .end_us = start_us + 1500,
        .attributes = attributes,
        .n_attributes = sizeof attributes / sizeof *attributes,
    };
    memset(span.parent_id, 0x33, sizeof span.parent_id);
    tn__span_record(&span);
}

static void record_client(int64_t start_us)
{
    tn__span span = {
        .trace = made(0x11, 0x44),
        .kind = TN__SPAN_CLIENT,
        .name = TN_S("insert_item"),
        .start_us = start_us + 100,
        .end_us = start_us + 900,
        .failed = true,
        .why = TN_S("no room"),
    };
    memset(span.parent_id, 0x22, sizeof span.parent_id);
    tn__span_record(&span);
}

/* The smallest, whose length is one byte. */
static void record_small(int64_t start_us)
{
    tn__span_record(&(tn__span){
        .trace = made(0x55, 0x66),
        .kind = TN__SPAN_INTERNAL,
        .name = TN_S("x"),
        .start_us = start_us,
        .end_us = start_us,
    });
}

/* One whose length takes three bytes, with more links than are told. */
static void record_large(int64_t start_us)
{
    static char text[2000];
    tn__trace links[LINKS];
    tn_log_field attributes[16];
    static const char *const names[16] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
        "l", "m", "n", "o", "p" };
    memset(text, 'y', sizeof text);
    memcpy(text + TN__SPAN_VALUE_BYTES_MAX - 1, "\xc3\xb6", 2); /* Where the cut is. */
    for (uint8_t i = 0; i < LINKS; i++)
        links[i] = made(0x77, (uint8_t)(i + 1));
    for (int i = 0; i < 16; i++)
        attributes[i] = TN_LOG_S(names[i], ((tn_str){ text, sizeof text }));
    tn__span_record(&(tn__span){
        .trace = made(0x88, 0x99),
        .kind = TN__SPAN_CONSUMER,
        .name = TN_S("large"),
        .start_us = start_us,
        .end_us = start_us + 1000000,
        .attributes = attributes,
        .n_attributes = 16,
        .links = links,
        .n_links = LINKS,
    });
}

static void record_alike(int64_t start_us)
{
    tn__span_record(&(tn__span){
        .trace = tn__trace_start(NULL),
        .kind = TN__SPAN_PRODUCER,
        .name = TN_S("alike"),
        .start_us = start_us,
        .end_us = start_us + 10,
    });
}

static void show_counts(void)
{
    tn__buf page = { 0 };
    tn__metrics_write(&page);
    tn_str rest = tn__buf_str(&page), line;
    while (tn__str_cut(&rest, '\n', &line))
        if (tn__str_has_prefix(line, TN_S("trunnion_spans_")))
            printf("%.*s\n", TN_FMT(line));
    tn__buf_deinit(&page);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 64;
    tn__tracing_open(&(tn__tracing_options){
        .sampler = { .kind = TN__SAMPLE_ALWAYS_ON },
        .service = "items",
        .service_name = getenv("OTEL_SERVICE_NAME"),
        .version = "1.2.3",
        .resource_attributes = getenv("OTEL_RESOURCE_ATTRIBUTES"),
        .url = argv[1],
        .headers = getenv("OTEL_EXPORTER_OTLP_HEADERS"),
        .gzip = strcmp(argv[2], "gzip") == 0,
        .timeout_ms = 2000,
        .export_timeout_ms = 8000,
        .delay_ms = 20,
        .queue_max = 8192,
        .batch_max = 512,
        .retry_ms = 50,
        .retry_max_ms = 200,
    });
    int64_t now_us = tn__mono_us();
    record_server(now_us);
    record_client(now_us);
    record_small(now_us);
    record_large(now_us);
    for (long i = strtol(argv[3], NULL, 10); i > 0; i--)
        record_alike(now_us);
    tn__tracing_close(9000);
    show_counts();
    return 0;
}
