/* Problems: see problem.h. */
#include "http/problem.h"

#include <assert.h>

const tn__problem_type tn__problem_types[TN__SLUGS] = {
    [TN__BAD_REQUEST] = { 400, "bad-request", "The request is malformed.",
        "The request can't be read: its JSON, its path or its header is not what the syntax asks "
        "for. The detail says where." },
    [TN__KEY_MISSING] = { 400, "idempotency-key-missing", "An Idempotency-Key is required.",
        "The operation changes something, and a key makes it safe to send again. Send a header "
        "Idempotency-Key with a value of your own, such as a UUID, and the same one on each retry." },
    [TN__KEY_INVALID] = { 400, "idempotency-key-invalid", "The Idempotency-Key is not valid.",
        "A key has 1 to 255 visible ASCII characters, with or without quotes around them." },
    [TN__NOT_FOUND] = { 404, "not-found", "There is no such resource.",
        "Nothing is at this path, or the thing that it names doesn't exist." },
    [TN__METHOD_NOT_ALLOWED] = { 405, "method-not-allowed", "The method is not allowed here.",
        "The header Allow lists the methods of this path." },
    [TN__NOT_ACCEPTABLE] = { 406, "not-acceptable", "No acceptable representation.",
        "The header Accept excludes what the operation answers with." },
    [TN__REQUEST_TIMEOUT] = { 408, "request-timeout", "The request took too long to arrive.",
        "The whole request has to arrive within the time that the service allows." },
    [TN__KEY_IN_USE] = { 409, "idempotency-key-in-use", "The request is still being worked on.",
        "A request with this Idempotency-Key has not been answered yet. Try again after the time in "
        "Retry-After: the answer will then be that of the first." },
    [TN__CONFLICT] = { 409, "conflict", "The request conflicts with what is there.",
        "What is stored does not allow the change, such as a name that must be unique." },
    [TN__PRECONDITION] = { 412, "precondition-failed", "The resource has changed.",
        "The header If-Match or If-None-Match names another version than the current one. Read it "
        "again, and decide anew." },
    [TN__CONTENT_TOO_LARGE] = { 413, "content-too-large", "The body is too large.",
        "The detail says how large a body may be." },
    [TN__URI_TOO_LONG] = { 414, "uri-too-long", "The request target is too long.",
        "Path and query together are longer than the service reads." },
    [TN__UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported-media-type",
        "The body is not of a supported type.",
        "A body has to come as application/json in UTF-8, a merge patch also as "
        "application/merge-patch+json." },
    [TN__KEY_REUSED] = { 422, "idempotency-key-reused",
        "The Idempotency-Key was used for another request.",
        "The key belongs to a request with another body or query. Use a new key for a new request." },
    [TN__VALIDATION] = { 422, "validation-failed", "The request has values that are not valid.",
        "The member errors lists all of them, each with its place: a JSON Pointer into the body, or "
        "the name of a parameter." },
    [TN__HEADER_TOO_LARGE] = { 431, "header-fields-too-large", "The header is too large.",
        "The fields of the header together are longer than the service reads." },
    [TN__INTERNAL_ERROR] = { 500, "internal-error", "The service failed.",
        "It is not the request's fault. The service's log tells more under the request_id." },
    [TN__UNAVAILABLE] = { 503, "service-unavailable", "The service can't answer now.",
        "It is overloaded, stopping, or something that it needs is away. Try again after the time "
        "in Retry-After, with the same Idempotency-Key." },
    [TN__GATEWAY_TIMEOUT] = { 504, "gateway-timeout", "The answer took too long.",
        "The service gave up after the time that a request may take. Whether it took effect is not "
        "known: try again with the same Idempotency-Key." },
};

tn__problem tn__problem_of(tn__slug slug, tn_str detail)
{
    const tn__problem_type *type = &tn__problem_types[slug];
    return (tn__problem){
        .status = type->status,
        .slug = type->slug,
        .title = type->title,
        .detail = detail,
    };
}

static void add_member(tn__buf *out, const char *name, tn_str value)
{
    tn__buf_printf(out, ",\"%s\":", name);
    tn__json_str(out, value);
}

static void add_fault(tn__buf *out, tn__place place, const tn__fault *fault)
{
    static const char *const names[TN__PLACES] = {
        [TN__IN_PATH] = "path",
        [TN__IN_QUERY] = "query",
        [TN__IN_HEADER] = "header",
    };
    tn__buf_add_z(out, place == TN__IN_BODY ? "{\"pointer\":" : "{\"parameter\":");
    tn__json_str(out, fault->pointer);
    if (place != TN__IN_BODY)
        tn__buf_printf(out, ",\"in\":\"%s\"", names[place]);
    add_member(out, "detail", fault->detail);
    tn__buf_add_char(out, '}');
}

static void add_faults(tn__buf *out, const tn__problem *problem)
{
    size_t n = 0;
    for (tn__place place = 0; place < (tn__place)TN__PLACES; place++) {
        const tn__faults *faults = problem->faults[place];
        for (size_t i = 0; faults != NULL && i < faults->n; i++) {
            tn__buf_add_z(out, n++ == 0 ? ",\"errors\":[" : ",");
            add_fault(out, place, &faults->at[i]);
        }
    }
    if (n > 0)
        tn__buf_add_char(out, ']');
}

void tn__problem_write(tn__buf *out, const tn__problem *problem)
{
    assert(problem->status >= 400 && problem->status <= 599);
    tn__buf_printf(out, "{\"type\":\"/problems/%s\"", problem->slug);
    add_member(out, "title", tn_str_of(problem->title));
    tn__buf_printf(out, ",\"status\":%d", problem->status);
    add_member(out, "detail", problem->detail);
    if (problem->instance.len > 0)
        add_member(out, "instance", problem->instance);
    add_member(out, "request_id", problem->request_id);
    add_faults(out, problem);
    tn__buf_add_char(out, '}');
}

void tn__html(tn__buf *out, tn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            tn__buf_add_z(out, "&amp;");
            break;
        case '<':
            tn__buf_add_z(out, "&lt;");
            break;
        case '>':
            tn__buf_add_z(out, "&gt;");
            break;
        case '"':
            tn__buf_add_z(out, "&quot;");
            break;
        case '\'':
            tn__buf_add_z(out, "&#39;");
            break;
        default:
            tn__buf_add_char(out, text.data[i]);
        }
    }
}

static void html_page(tn__buf *out, const tn__problem_type *type)
{
    tn__buf_add_z(out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
    tn__html(out, tn_str_of(type->slug));
    tn__buf_add_z(out, "</title>\n<h1>");
    tn__html(out, tn_str_of(type->title));
    tn__buf_printf(out, "</h1>\n<p>Status %d, problem type <code>", type->status);
    tn__html(out, tn_str_of(type->slug));
    tn__buf_add_z(out, "</code>.</p>\n<p>");
    tn__html(out, tn_str_of(type->meaning));
    tn__buf_add_z(out, "</p>\n</html>\n");
}

void tn__problem_page(tn__buf *out, const tn__problem_type *type, bool html)
{
    if (html) {
        html_page(out, type);
        return;
    }
    tn__buf_printf(out, "{\"type\":\"/problems/%s\"", type->slug);
    add_member(out, "title", tn_str_of(type->title));
    tn__buf_printf(out, ",\"status\":%d", type->status);
    add_member(out, "description", tn_str_of(type->meaning));
    tn__buf_add_char(out, '}');
}
