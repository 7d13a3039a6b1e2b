/* What the header of a request decides, before its body is read. */
#include "http/negotiate.h"
#include "http/request.h"

static bool size_fits(tn_req *req, size_t header_bytes)
{
    const tn__http_limits *limits = &req->http->options.limits;
    if (req->target.len > limits->header_bytes_max)
        tn__answer_problem(req, TN__URI_TOO_LONG, "The target has %zu bytes; at most %zu are read.",
            req->target.len, limits->header_bytes_max);
    else if (header_bytes > limits->header_bytes_max)
        tn__answer_problem(req, TN__HEADER_TOO_LARGE,
            "The header has %zu bytes; at most %zu are read.", header_bytes,
            limits->header_bytes_max);
    else if ((uint64_t)req->content_length > limits->body_bytes_max)
        tn__answer_problem(req, TN__CONTENT_TOO_LARGE,
            "The body has %lld bytes; at most %zu are read.", (long long)req->content_length,
            limits->body_bytes_max);
    return !tn__req_answered(req);
}

static bool framing_is_clear(tn_req *req)
{
    if (req->headers.broken)
        tn__answer_problem(req, TN__BAD_REQUEST,
            "The header is not valid: the colon follows each name at once, and Host is given once.");
    else if (req->framing == TN__BODY_AMBIGUOUS)
        tn__answer_problem(req, TN__BAD_REQUEST,
            "The body's end can't be told: send either one Content-Length, or Transfer-Encoding: "
            "chunked.");
    return !tn__req_answered(req);
}

static bool path_is_known(tn_req *req, tn__found found)
{
    if (found == TN__NO_SUCH_PATH)
        tn__answer_problem(req, TN__NOT_FOUND, "Nothing is at this path.");
    else if (found == TN__MALFORMED_PATH)
        tn__answer_problem(req, TN__BAD_REQUEST,
            "The path has to begin with a slash, and each %% in it with two hexadecimal digits to "
            "stand for a byte other than zero.");
    return !tn__req_answered(req);
}

/* What can be done here at all: every method that some path takes. */
static void answer_for_all(tn_req *req)
{
    tn__answer_field(req, "Allow", tn__router_allow(req->http->router));
    tn__answer_with(req, 204, NULL, (tn_str){ NULL, 0 });
}

/* The target of an OPTIONS that is about the server, not about something on it (RFC 9110 9.3.7). */
static bool is_about_all(const tn_req *req)
{
    return tn_str_eq(req->target, TN_S("*")) && tn_str_eq(req->method_name, TN_S("OPTIONS"));
}

static bool is_about_one(tn_req *req)
{
    if (is_about_all(req))
        answer_for_all(req);
    return !tn__req_answered(req);
}

/* A browser asks first (WHATWG Fetch 3.2.2); anybody may ask what can be done here (RFC 9110 9.3.7). */
static void answer_options(tn_req *req)
{
    const char *allow = req->match.endpoint->allow;
    tn__answer_field(req, "Allow", allow);
    tn_str origin = tn__cors_allowed(&req->http->cors, tn__req_header(req, TN__H_ORIGIN));
    if (origin.data != NULL && tn__req_header(req, TN__H_PREFLIGHT_METHOD).data != NULL) {
        tn__answer_field(req, "Access-Control-Allow-Methods", allow);
        tn__answer_field(req, "Access-Control-Allow-Headers", TN__CORS_HEADERS);
        tn__answer_field(req, "Access-Control-Max-Age", TN__CORS_MAX_AGE_S);
    }
    tn__answer_with(req, 204, NULL, (tn_str){ NULL, 0 });
}

static void refuse_method(tn_req *req)
{
    const char *allow = req->match.endpoint->allow;
    tn__answer_field(req, "Allow", allow);
    tn__answer_problem(req, TN__METHOD_NOT_ALLOWED, "This path takes %s.", allow);
}

static bool method_is_known(tn_req *req)
{
    const tn__endpoint *endpoint = req->match.endpoint;
    if (tn__method_of(req->method_name, &req->method, &req->head)) {
        req->route = endpoint->routes[req->method];
        if (req->route != NULL || (endpoint->page != NULL && req->method == TN_GET))
            return true;
    }
    if (tn_str_eq(req->method_name, TN_S("OPTIONS")))
        answer_options(req);
    else
        refuse_method(req);
    return false;
}

static bool answer_is_acceptable(tn_req *req)
{
    tn_str accept = tn__req_header(req, TN__H_ACCEPT);
    if (req->route == NULL)
        return true;
    bool stream = req->route->stream != NULL;
    if (stream ? tn__accept_quality(accept, TN_S("text"), TN_S("event-stream")) > 0
               : tn__accepts_json(accept))
        return true;
    tn__answer_problem(req, TN__NOT_ACCEPTABLE, "The answer comes as %s.",
        stream ? "text/event-stream" : "application/json");
    return false;
}

static void check_content_type(tn_req *req)
{
    if (req->route == NULL || req->route->body == NULL)
        return;
    bool merge_patch = req->route->merge_patch;
    if (!tn__content_is_json(tn__req_header(req, TN__H_CONTENT_TYPE), merge_patch))
        tn__answer_problem(req, TN__UNSUPPORTED_MEDIA_TYPE,
            "Content-Type has to be application/json%s, in UTF-8.",
            merge_patch ? " or application/merge-patch+json" : "");
}

void tn__admit(tn_req *req, size_t header_bytes)
{
    /* Whatever else is wrong, the log names the endpoint. */
    tn__found found = tn__router_find(req->http->router, req->arena, req->path, &req->match);
    if (framing_is_clear(req) && size_fits(req, header_bytes) && is_about_one(req) &&
        path_is_known(req, found) && method_is_known(req) && answer_is_acceptable(req))
        check_content_type(req);
}
