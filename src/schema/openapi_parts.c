/* What the chassis adds to operations: parameters and headers. */
#include "schema/openapi.h"

/* ---- Which route has what -------------------------------------------------- */

bool tn__route_is_safe(const tn_route *route)
{
    return route->method == TN_GET;
}

bool tn__route_needs_key(const tn_route *route)
{
    return route->idempotent && route->method != TN_PATCH && route->method != TN_DELETE;
}

bool tn__route_has_param(const tn_route *route, tn__param param)
{
    switch (param) {
    case TN__PARAM_LIMIT:
    case TN__PARAM_CURSOR:
        return route->page != NULL;
    case TN__PARAM_FROM:
    case TN__PARAM_LAST_EVENT_ID:
        return route->stream != NULL;
    case TN__PARAM_KEY:
        return tn__route_needs_key(route);
    case TN__PARAM_KEY_OPTIONAL:
        return route->idempotent && !tn__route_needs_key(route);
    case TN__PARAM_IF_MATCH:
        return route->etag != NULL && !tn__route_is_safe(route) && route->params != NULL;
    case TN__PARAM_IF_NONE_MATCH:
        return route->etag != NULL && tn__route_is_safe(route);
    case TN__PARAM_REQUEST_ID:
        return true;
    case TN__PARAMS:
        break;
    }
    return false;
}

bool tn__route_has_header(const tn_route *route, tn__doc_header header)
{
    switch (header) {
    case TN__HEADER_LOCATION:
        return route->location != NULL;
    case TN__HEADER_ETAG:
        return route->etag != NULL && route->reply != NULL;
    case TN__HEADER_LINK:
        return route->page != NULL;
    case TN__HEADER_REPLAYED:
        return route->idempotent;
    case TN__HEADER_REQUEST_ID:
        return true;
    case TN__HEADER_RETRY_AFTER: /* only on problems */
    case TN__HEADERS:
        break;
    }
    return false;
}

/* ---- What they look like ------------------------------------------------- */

typedef struct {
    const char *id, *name, *in;
    bool required;
    const char *description, *type, *pattern, *example;
    int min, max, fallback;   /* lengths of strings, bounds of integers; 0 is none */
    const char *const *names; /* what it may be, if that is all; the first is the default */
} part;

/* Bare, or a string in quotes (RFC 8941 3.3.3): what tn__idempotency_key_read() takes, no more and no
 * less. Written so that ECMA-262 and POSIX read it alike. */
#define KEY_PATTERN "^([!#-~][!-~]{0,254}|\"([!#-Z^-~[]|\\]|\\\\[\"\\\\]){1,255}\")$"
#define KEY_DESCRIPTION                                                                                \
    " 1 to 255 visible ASCII characters, bare or in double quotes. Sent again with the same request, " \
    "the first answer is given again, and nothing is done twice."

/* Pages that try operations out fill in examples. So only what is required has one: nobody wants to be
 * answered 304 for an If-None-Match that they didn't type. */
static const part params[TN__PARAMS] = {
    [TN__PARAM_LIMIT] = { "Limit", "limit", "query", .type = "integer",
        .description = "How many items a page may have.", .min = 1, .max = TN__PAGE_LIMIT_MAX,
        .fallback = TN__PAGE_LIMIT_DEFAULT },
    [TN__PARAM_CURSOR] = { "Cursor", "cursor", "query", .type = "string",
        .description = "Where the page begins: next_cursor of the page before. Absent for the "
                       "first page.",
        .min = 1, .pattern = "^[A-Za-z0-9_-]+$" },
    [TN__PARAM_FROM] = { "From", "from", "query", .type = "string",
        .description = "Where a stream begins that does not resume with Last-Event-ID: now, or "
                       "with the oldest event.",
        .names = TN_NAMES("now", "start") },
    [TN__PARAM_LAST_EVENT_ID] = { "LastEventId", "Last-Event-ID", "header", .type = "string",
        .description = "Resumes after the event of this id. Empty is as good as absent.",
        .pattern = "^[0-9]{0,19}$" },
    [TN__PARAM_KEY] = { "IdempotencyKey", "Idempotency-Key", "header", .required = true,
        .type = "string",
        .description =
            "Names what is to be done, so that it can be retried safely." KEY_DESCRIPTION,
        .pattern = KEY_PATTERN, .example = "018f4e5c-7c3a-7d2e-9b1a" },
    [TN__PARAM_KEY_OPTIONAL] = { "IdempotencyKeyOptional", "Idempotency-Key", "header",
        .type = "string",
        .description = "When given, names what is to be done, so that it can be retried "
                       "safely." KEY_DESCRIPTION,
        .pattern = KEY_PATTERN },
    [TN__PARAM_IF_MATCH] = { "IfMatch", "If-Match", "header", .type = "string",
        .description = "Does it only if the resource still has this ETag, or one of several with "
                       "commas between; *: if there is one at all (RFC 9110 13.1.1). Else, also "
                       "for what is no ETag, the answer is 412." },
    [TN__PARAM_IF_NONE_MATCH] = { "IfNoneMatch", "If-None-Match", "header", .type = "string",
        .description = "Answers 304 if the resource still has this ETag, or one of several with "
                       "commas between; *: if there is one at all (RFC 9110 13.1.2). What is no "
                       "ETag is none that a resource has." },
    [TN__PARAM_REQUEST_ID] = { "RequestId", "X-Request-Id", "header", .type = "string",
        .description =
            "The client's name for the request, in answers and logs: 1 to 128 of A-Z, a-z, 0-9, "
            "dot, underscore and hyphen. Absent or of another form, another takes its place." },
};

static const part headers[TN__HEADERS] = {
    [TN__HEADER_LOCATION] = { "Location", "Location", .type = "string", .required = true,
        .description = "Where what was made can be read.",
        .example = "/api/v1/things/018f4e5c-7c3a-7d2e-9b1a-3f5d7c9e1b2a" },
    [TN__HEADER_ETAG] = { "ETag", "ETag", .type = "string",
        .description = "The version of what is answered, for If-Match and If-None-Match.",
        .example = "\"1\"" },
    [TN__HEADER_LINK] = { "Link", "Link", .type = "string",
        .description = "The next page, if there is one (RFC 8288).",
        .example = "</api/v1/things?cursor=AQID>; rel=\"next\"" },
    [TN__HEADER_REPLAYED] = { "IdempotentReplayed", "Idempotent-Replayed", .type = "string",
        .description = "There when this is the stored answer to an earlier request with the same "
                       "Idempotency-Key.",
        .names = TN_NAMES("true") },
    [TN__HEADER_RETRY_AFTER] = { "RetryAfter", "Retry-After", .type = "integer",
        .description = "Seconds to wait before a retry.", .min = 1, .example = "1" },
    [TN__HEADER_REQUEST_ID] = { "RequestId", "X-Request-Id", .type = "string", .required = true,
        .description = "The name of the request, as in the service's log.", .min = 1, .max = 128,
        .pattern = "^[A-Za-z0-9._-]+$", .example = "my-request-1" },
};

/* ---- Writing ---------------------------------------------------------------- */

static void write_schema(tn__doc *doc, const part *p)
{
    bool number = strcmp(p->type, "integer") == 0;
    tn__doc_object(doc, "schema");
    tn__doc_z(doc, "type", p->type);
    if (p->min > 0)
        tn__doc_int(doc, number ? "minimum" : "minLength", p->min);
    if (p->max > 0)
        tn__doc_int(doc, number ? "maximum" : "maxLength", p->max);
    if (p->fallback > 0)
        tn__doc_int(doc, "default", p->fallback);
    if (p->pattern != NULL)
        tn__doc_z(doc, "pattern", p->pattern);
    if (p->names != NULL) {
        tn__doc_array(doc, "enum");
        for (size_t i = 0; p->names[i] != NULL; i++)
            tn__doc_z(doc, NULL, p->names[i]);
        tn__doc_end(doc);
        if (p->in != NULL)
            tn__doc_z(doc, "default", p->names[0]);
    }
    tn__doc_end(doc);
    if (p->example != NULL && number)
        tn__doc_int(doc, "example", p->min);
    else if (p->example != NULL)
        tn__doc_z(doc, "example", p->example);
}

static void write_part(tn__doc *doc, const part *p)
{
    tn__doc_object(doc, p->id);
    if (p->in != NULL) {
        tn__doc_z(doc, "name", p->name);
        tn__doc_z(doc, "in", p->in);
    }
    tn__doc_z(doc, "description", p->description);
    if (p->required)
        tn__doc_bool(doc, "required", true);
    write_schema(doc, p);
    tn__doc_end(doc);
}

void tn__write_param_refs(tn__doc *doc, const tn_route *route)
{
    for (tn__param i = 0; i < TN__PARAMS; i++)
        if (tn__route_has_param(route, i))
            tn__doc_ref(doc, NULL, "parameters", tn_str_of(params[i].id));
}

void tn__write_header_ref(tn__doc *doc, tn__doc_header header)
{
    tn__doc_ref(doc, headers[header].name, "headers", tn_str_of(headers[header].id));
}

void tn__write_params(tn__doc *doc, const tn_service *service)
{
    for (tn__param i = 0; i < TN__PARAMS; i++) {
        bool used = false;
        for (size_t r = 0; r < service->routes.n; r++)
            used = used || tn__route_has_param(&service->routes.at[r], i);
        if (used)
            write_part(doc, &params[i]);
    }
}

/* Problems use Retry-After and X-Request-Id wherever there is a route at all. */
void tn__write_headers(tn__doc *doc, const tn_service *service)
{
    for (tn__doc_header i = 0; i < TN__HEADERS; i++) {
        bool used = i == TN__HEADER_RETRY_AFTER && service->routes.n > 0;
        for (size_t r = 0; r < service->routes.n; r++)
            used = used || tn__route_has_header(&service->routes.at[r], i);
        if (used)
            write_part(doc, &headers[i]);
    }
}
