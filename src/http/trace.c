/* The span of a request: a child of the caller's, or the first of a new trace.
 *
 * Its ids are made when the header has been read; it is recorded when the answer is out. Pages that
 * are no routes of the contract have none: probes and scrapes would outnumber the rest. */
#include "http/request.h"
#include "telemetry/span.h"

#include <assert.h>
#include <stdio.h>

enum { TRACESTATE_BYTES_MAX = 512, SPAN_FIELDS_MAX = 12 };

void tn__req_trace(tn_req *req)
{
    tn__trace parent;
    char *text = tn_alloc(req->arena, 55 + 1);
    bool given = tn__traceparent_parse(tn__req_header(req, TN__H_TRACEPARENT), &parent);
    req->trace = tn__trace_start(given ? &parent : NULL);
    if (given)
        memcpy(req->parent_id, parent.span_id, sizeof req->parent_id);
    tn__traceparent_write(&req->trace, text);
    tn__trace_ids_write(&req->trace, req->trace_id, req->span_id);
    req->traceparent = (tn_str){ text, 55 };
    tn_str state = tn__req_header(req, TN__H_TRACESTATE);
    if (given && state.len <= TRACESTATE_BYTES_MAX && tn__utf8_valid(state))
        req->tracestate = tn_copy(req->arena, state);
    req->log = (tn__log_context){
        .request_id = req->request_id,
        .trace_id = { req->trace_id, sizeof req->trace_id },
        .span_id = { req->span_id, sizeof req->span_id },
        .trace = &req->trace,
    };
}

/* ---- Its span ------------------------------------------------------------- */

typedef struct {
    tn_log_field at[SPAN_FIELDS_MAX];
    size_t n;
} fields;

static void add(fields *all, tn_log_field field)
{
    assert(all->n < SPAN_FIELDS_MAX);
    all->at[all->n++] = field;
}

/* host, host:port, [address] or [address]:port (RFC 9110 7.2). */
static void add_server(fields *all, tn_str host)
{
    tn_str port = host, name;
    int64_t number;
    if (host.len > 0 && host.data[0] == '[') {
        port = (tn_str){ host.data + 1, host.len - 1 };
        tn__str_cut(&port, ']', &name);
        if (port.len > 0)
            port = (tn_str){ port.data + 1, port.len - 1 };
    } else if (!tn__str_cut(&port, ':', &name)) {
        return; /* none was sent */
    }
    add(all, TN_LOG_S("server.address", name));
    if (port.len > 0 && tn__i64_parse(port, &number) && number > 0 && number <= UINT16_MAX)
        add(all, TN_LOG_I("server.port", number));
}

static void add_outcome(fields *all, int status, char code[16])
{
    if (status == TN__CLIENT_GONE) {
        add(all, TN_LOG_Z("error.type", "client_gone"));
        return;
    }
    add(all, TN_LOG_I("http.response.status_code", status));
    if (status >= 500) {
        snprintf(code, 16, "%d", status);
        add(all, TN_LOG_Z("error.type", code));
    }
}

const tn__trace *tn__req_own_span(const tn_req *req)
{
    bool is_page = req->match.endpoint != NULL && req->match.endpoint->page != NULL;
    return is_page ? NULL : &req->trace;
}

/* "GET /api/v1/items/{id}": the method where it is known, the route where there is one. */
static tn_str name_of(const tn_req *req, const char *method, tn_str route)
{
    tn__buf out = { .arena = req->arena };
    tn__buf_reserve(&out, sizeof "OPTIONS " + route.len);
    tn__buf_add_z(&out, method[0] == '_' ? "HTTP" : method);
    if (route.len > 0) {
        tn__buf_add_char(&out, ' ');
        tn__buf_add_str(&out, route);
    }
    return tn__buf_str(&out);
}

void tn__req_span(const tn_req *req, int status, int64_t ended_us)
{
    if (!tn__span_wanted(tn__req_own_span(req)))
        return;
    if (req->stream != NULL)
        status = req->answer.status; /* Going away is how a client ends it. */
    const tn__endpoint *endpoint = req->match.endpoint;
    tn_str route = endpoint != NULL ? endpoint->pattern : TN_S("");
    const char *method = tn__method_label(req->method_name);
    fields all = { .n = 0 };
    char code[16];
    add(&all, TN_LOG_Z("http.request.method", method));
    if (method[0] == '_')
        add(&all, TN_LOG_S("http.request.method_original", req->method_name));
    if (endpoint != NULL)
        add(&all, TN_LOG_S("http.route", route));
    add_outcome(&all, status, code);
    add(&all, TN_LOG_S("url.path", req->path));
    add(&all, TN_LOG_Z("url.scheme", "http"));
    add_server(&all, tn__req_header(req, TN__H_HOST));
    add(&all, TN_LOG_S("network.protocol.version", req->version));
    if (tn__req_header(req, TN__H_USER_AGENT).len > 0)
        add(&all, TN_LOG_S("user_agent.original", tn__req_header(req, TN__H_USER_AGENT)));
    tn__span span = {
        .trace = req->trace,
        .parent_is_remote = true,
        .kind = TN__SPAN_SERVER,
        .name = name_of(req, method, route),
        .tracestate = req->tracestate,
        .start_us = req->started_us,
        .end_us = ended_us,
        .attributes = all.at,
        .n_attributes = all.n,
        .failed = status == TN__CLIENT_GONE || status >= 500,
    };
    memcpy(span.parent_id, req->parent_id, sizeof span.parent_id);
    tn__span_record(&span);
}
