/* What is told of each request: a line in the log and a count in the metrics.
 *
 * Labels are bounded: the pattern of the endpoint, never the path; one of the known methods or
 * _OTHER. The pointers of the series are kept by endpoint, so that finding one takes no lock. */
#include "http/request.h"
#include "telemetry/sampler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* OpenTelemetry's buckets for http.server.request.duration, in seconds. */
static const double bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5,
    7.5, 10 };

struct tn__series {
    tn__series *next;
    const char *method; /* one of the constants below */
    int status;
    tn__metric *duration;
};

void tn__access_open(tn__http *http)
{
    static const char *const results[TN__KEY_EVENTS] = {
        [TN__KEY_STORED] = "stored",
        [TN__KEY_REPLAYED] = "replayed",
        [TN__KEY_MISMATCHED] = "mismatched",
        [TN__KEY_CLASHED] = "in_use",
    };
    for (int i = 0; i < TN__KEY_EVENTS; i++)
        http->keys[i] = tn__counter("trunnion_idempotency_total",
            "Requests with an Idempotency-Key, by what came of the key.",
            &(tn__label){ "result", results[i] }, 1);
    http->active = tn__gauge("http_server_active_requests",
        "Requests that have not been answered yet.", NULL, 0);
    http->series = tn__xcalloc(tn__router_count(http->router) + 1, sizeof http->series[0]);
}

void tn__access_close(tn__http *http)
{
    for (size_t i = 0; i <= tn__router_count(http->router); i++)
        while (http->series[i] != NULL) {
            tn__series *series = http->series[i];
            http->series[i] = series->next;
            free(series);
        }
    free(http->series);
}

void tn__count_key(tn__http *http, tn__key_event event)
{
    tn__metric_add(http->keys[event], 1);
}

const char *tn__method_label(tn_str name)
{
    static const char *const known[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD",
        "OPTIONS" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (tn_str_eq(name, tn_str_of(known[i])))
            return known[i];
    return "_OTHER";
}

static tn__metric *duration_of(const char *method, const char *route, int status)
{
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    const tn__label labels[] = {
        { "http_request_method", method },
        { "http_route", route },
        { "http_response_status_code", code },
    };
    return tn__histogram("http_server_request_duration_seconds",
        "How long requests took, from their first line to the last byte of the answer.", bounds,
        sizeof bounds / sizeof bounds[0], labels, sizeof labels / sizeof labels[0]);
}

static tn__metric *find_series(tn__http *http, const tn__endpoint *endpoint, const char *method,
    int status)
{
    size_t place = endpoint != NULL ? endpoint->index : tn__router_count(http->router);
    for (tn__series *series = http->series[place]; series != NULL; series = series->next)
        if (series->status == status && series->method == method)
            return series->duration;
    tn__series *series = tn__xmalloc(sizeof *series);
    *series = (tn__series){
        .next = http->series[place],
        .method = method,
        .status = status,
        .duration = duration_of(method, endpoint != NULL ? endpoint->pattern.data : "", status),
    };
    http->series[place] = series;
    return series->duration;
}

static void log_line(const tn_req *req, int status, double ms)
{
    const tn__endpoint *endpoint = req->match.endpoint;
    tn__log_context_set(&req->log);
    TN_LOG(TN_INFO, "request", TN_LOG_S("method", req->method_name),
        TN_LOG_S("route", endpoint != NULL ? endpoint->pattern : TN_S("")),
        TN_LOG_I("status", status), TN_LOG_D("duration_ms", ms),
        TN_LOG_I("bytes", (int64_t)req->answer.body.len), TN_LOG_S("actor", req->actor));
    tn__log_context_set(NULL);
}

/* Of those that went well, as many as were asked for: the same ones as a sampler of that ratio. */
static bool is_logged(const tn_req *req, int status)
{
    double ratio = req->http->options.access_log;
    return ratio > 0 && (status >= 500 || tn__ratio_keeps(ratio, req->trace.trace_id));
}

void tn__access_end(tn_req *req, bool sent)
{
    int64_t now_us = tn__mono_us();
    double seconds = (double)(now_us - req->started_us) / 1e6;
    int status = sent && tn__req_answered(req) ? req->answer.status : TN__CLIENT_GONE;
    if (status != TN__CLIENT_GONE && req->stream == NULL)
        tn__metric_observe_in(find_series(req->http, req->match.endpoint,
                                  tn__method_label(req->method_name), status),
            seconds, tn__req_own_span(req));
    if (is_logged(req, status))
        log_line(req, status, seconds * 1000);
    tn__req_span(req, status, now_us);
}

void tn__access_raw(tn__http *http, int status, tn_str request_id)
{
    tn__metric_observe(find_series(http, NULL, tn__method_label(TN_S("")), status), 0);
    if (http->options.access_log <= 0)
        return;
    tn__log_context_set(&(tn__log_context){ .request_id = request_id });
    TN_LOG(TN_INFO, "request", TN_LOG_Z("method", ""), TN_LOG_Z("route", ""),
        TN_LOG_I("status", status));
    tn__log_context_set(NULL);
}
