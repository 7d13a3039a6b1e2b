/* Tracing, as the configuration asks for it. */

#include "service/service.h"
#include "telemetry/span.h"

#define RETRY_MS     500
#define RETRY_MS_MAX 5000

/* The path of traces is put below the address that all signals have in common. */
static const char *url_of(tn_arena *arena, const tn__config *config)
{
    tn_str base = tn_str_of(config->otel_endpoint);
    if (config->otel_traces_endpoint[0] != '\0')
        return config->otel_traces_endpoint;
    while (base.len > 0 && base.data[base.len - 1] == '/')
        base.len--;
    return base.len == 0 ? "" : tn_printf(arena, "%.*s" TN__TRACING_PATH, TN_FMT(base)).data;
}

void tn__trace_as_configured(tn_arena *arena, const tn__config *config, const tn_service *service)
{
    tn__tracing_open(&(tn__tracing_options){
        .sampler = {
            .kind = (tn__sampler_kind)config->otel_traces_sampler,
            .ratio = config->otel_traces_sampler_arg,
        },
        .service = service->name,
        .service_name = config->otel_service_name,
        .version = service->version,
        .resource_attributes = config->otel_resource_attributes,
        .url = url_of(arena, config),
        .headers = config->otel_headers,
        .certificate = config->otel_certificate,
        .gzip = config->otel_compression == TN__COMPRESSION_GZIP,
        .timeout_ms = (int)config->otel_timeout_ms,
        .export_timeout_ms = (int)config->otel_export_timeout_ms,
        .delay_ms = (int)config->otel_delay_ms,
        .queue_max = (int)config->otel_queue_max,
        .batch_max = (int)config->otel_batch_max,
        .retry_ms = RETRY_MS,
        .retry_max_ms = RETRY_MS_MAX,
    });
}
