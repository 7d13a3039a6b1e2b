/* The messages of OTLP, written by hand: see otlp.h. The field numbers are those of
 * opentelemetry/proto/{trace,common,resource,collector/trace}/v1.
 *
 * How long a span can become is known before it is written, so that it is written without looking
 * at the room that is left. Strings must be UTF-8, or a receiver refuses the whole message: what
 * isn't becomes question marks. */

#include "telemetry/otlp.h"

#include "base/utf8.h"
#include "telemetry/protobuf.h"

#include <assert.h>

/* Semantic conventions that the names of attributes follow. */
#define SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

#ifndef TN__VERSION
#define TN__VERSION "unknown"
#endif

/* ExportTraceServiceRequest, ResourceSpans, ScopeSpans, InstrumentationScope */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2, RESOURCE_SPANS_SCHEMA_URL = 3 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2, SCOPE_SPANS_SCHEMA_URL = 3 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2 };
/* Span, Link, Status */
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START_TIME = 7,
    SPAN_END_TIME = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_LINKS = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
};
enum { LINK_TRACE_ID = 1, LINK_SPAN_ID = 2, LINK_FLAGS = 6 };
enum { STATUS_MESSAGE = 2, STATUS_CODE = 3, STATUS_CODE_ERROR = 2 };
/* KeyValue, AnyValue */
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum { VALUE_STRING = 1, VALUE_BOOL = 2, VALUE_INT = 3, VALUE_DOUBLE = 4 };
/* ExportTraceServiceResponse, ExportTracePartialSuccess, google.rpc.Status */
enum { RESPONSE_PARTIAL_SUCCESS = 1, PARTIAL_REJECTED_SPANS = 1, PARTIAL_ERROR_MESSAGE = 2 };
enum { RPC_STATUS_MESSAGE = 2 };

#define FLAG_HAS_IS_REMOTE UINT32_C(0x100)
#define FLAG_IS_REMOTE     UINT32_C(0x200)

#define ID_BYTES_MAX     (16 + TN__PB_TAG_BYTES_MAX + 1)
#define NUMBER_BYTES_MAX (TN__PB_TAG_BYTES_MAX + TN__PB_VARINT_BYTES_MAX)
#define FIXED_BYTES_MAX  (TN__PB_TAG_BYTES_MAX + 8)
/* What stands before a string or a message. */
#define HEAD_BYTES_MAX (TN__PB_TAG_BYTES_MAX + TN__PB_VARINT_BYTES_MAX)
/* Link: two ids and the flags. Its length takes one byte. */
#define LINK_BYTES (1 + 1 + 16 + 1 + 1 + 8 + 1 + 4)
_Static_assert(LINK_BYTES < 0x80, "the length of a link is one byte");
/* Span: ids, parent, name, kind, times, flags, status, dropped links. */
#define SPAN_BYTES_MAX                                                                             \
    (HEAD_BYTES_MAX + 3 * ID_BYTES_MAX + 2 * FIXED_BYTES_MAX + 3 * NUMBER_BYTES_MAX +              \
        4 * HEAD_BYTES_MAX)

/* ---- Strings ------------------------------------------------------------ */

/* At most so many bytes, and no half of a character at the end. */
static tn_str cut(tn_str s)
{
    if (s.len <= TN__SPAN_VALUE_BYTES_MAX)
        return s;
    size_t len = TN__SPAN_VALUE_BYTES_MAX;
    while (len > 0 && ((unsigned char)s.data[len] & 0xc0) == 0x80)
        len--;
    return (tn_str){ s.data, len };
}

static char *add_repaired(char *at, tn_str s)
{
    while (s.len > 0) {
        size_t bad;
        size_t len = tn__utf8_next(s.data, s.len, &bad);
        if (len == 0)
            memset(at, '?', len = bad);
        else
            memcpy(at, s.data, len);
        at += len;
        s = (tn_str){ s.data + len, s.len - len };
    }
    return at;
}

static char *add_text(char *at, unsigned field, tn_str s)
{
    if (tn__utf8_valid(s))
        return tn__pb_bytes(at, field, s.data, s.len);
    return add_repaired(tn__pb_head(at, field, s.len), s);
}

/* ---- Attributes --------------------------------------------------------- */

static size_t value_bytes(const tn_log_field *attribute)
{
    switch (attribute->kind) {
    case TN_LOG_STR: {
        size_t n = cut(attribute->s).len;
        return 1 + tn__pb_varint_size(n) + n;
    }
    case TN_LOG_INT:
        return 1 + tn__pb_varint_size((uint64_t)attribute->i);
    case TN_LOG_REAL:
        return 1 + 8;
    case TN_LOG_BOOL:
        return 1 + 1;
    }
    assert(false);
    return 0;
}

static char *add_value(char *at, const tn_log_field *attribute)
{
    uint64_t bits;
    switch (attribute->kind) {
    case TN_LOG_STR:
        return add_text(at, VALUE_STRING, cut(attribute->s));
    case TN_LOG_INT:
        return tn__pb_uint(at, VALUE_INT, (uint64_t)attribute->i);
    case TN_LOG_REAL:
        memcpy(&bits, &attribute->d, sizeof bits);
        return tn__pb_fixed64(at, VALUE_DOUBLE, bits);
    case TN_LOG_BOOL:
        return tn__pb_uint(at, VALUE_BOOL, attribute->b);
    }
    assert(false);
    return at;
}

static size_t attribute_bytes_max(const tn_log_field *attribute)
{
    return 3 * HEAD_BYTES_MAX + strlen(attribute->name) + value_bytes(attribute);
}

static char *add_attribute(char *at, unsigned field, const tn_log_field *attribute)
{
    size_t key_len = strlen(attribute->name), value_len = value_bytes(attribute);
    at = tn__pb_head(at, field,
        1 + tn__pb_varint_size(key_len) + key_len + 1 + tn__pb_varint_size(value_len) + value_len);
    at = tn__pb_bytes(at, KEY_VALUE_KEY, attribute->name, key_len);
    return add_value(tn__pb_head(at, KEY_VALUE_VALUE, value_len), attribute);
}

void tn__otlp_add_attribute(tn__buf *out, unsigned field, const tn_log_field *attribute)
{
    tn__buf_reserve(out, attribute_bytes_max(attribute));
    out->len = (size_t)(add_attribute(out->data + out->len, field, attribute) - out->data);
}

/* ---- Spans -------------------------------------------------------------- */

static size_t links_of(const tn__span *span)
{
    return span->n_links < TN__SPAN_LINKS_MAX ? span->n_links : TN__SPAN_LINKS_MAX;
}

static size_t span_bytes_max(const tn__span *span)
{
    size_t n = SPAN_BYTES_MAX + cut(span->name).len + cut(span->tracestate).len +
        cut(span->why).len + links_of(span) * (LINK_BYTES + 2);
    for (size_t i = 0; i < span->n_attributes; i++)
        n += attribute_bytes_max(&span->attributes[i]);
    return n;
}

static char *add_link(char *at, const tn__trace *link)
{
    at = tn__pb_head(at, SPAN_LINKS, LINK_BYTES);
    at = tn__pb_bytes(at, LINK_TRACE_ID, link->trace_id, sizeof link->trace_id);
    at = tn__pb_bytes(at, LINK_SPAN_ID, link->span_id, sizeof link->span_id);
    return tn__pb_fixed32(at, LINK_FLAGS, link->flags);
}

static char *add_links(char *at, const tn__span *span)
{
    size_t n = links_of(span);
    for (size_t i = 0; i < n; i++)
        at = add_link(at, &span->links[i]);
    return n < span->n_links ? tn__pb_uint(at, SPAN_DROPPED_LINKS, span->n_links - n) : at;
}

static char *add_status(char *at, tn_str why)
{
    size_t why_bytes = why.len == 0 ? 0 : 1 + tn__pb_varint_size(why.len) + why.len;
    at = tn__pb_head(at, SPAN_STATUS, why_bytes + 2);
    if (why.len > 0)
        at = add_text(at, STATUS_MESSAGE, why);
    return tn__pb_uint(at, STATUS_CODE, STATUS_CODE_ERROR);
}

static uint64_t wall_ns(int64_t mono_us, int64_t wall_us)
{
    return (uint64_t)(mono_us + wall_us) * 1000;
}

static bool has_parent(const tn__span *span)
{
    static const uint8_t none[sizeof span->parent_id];
    return memcmp(span->parent_id, none, sizeof none) != 0;
}

static char *add_identity(char *at, const tn__span *span)
{
    at = tn__pb_bytes(at, SPAN_TRACE_ID, span->trace.trace_id, sizeof span->trace.trace_id);
    at = tn__pb_bytes(at, SPAN_SPAN_ID, span->trace.span_id, sizeof span->trace.span_id);
    if (span->tracestate.len > 0)
        at = add_text(at, SPAN_TRACE_STATE, cut(span->tracestate));
    if (has_parent(span))
        at = tn__pb_bytes(at, SPAN_PARENT_SPAN_ID, span->parent_id, sizeof span->parent_id);
    uint32_t remote = span->parent_is_remote ? FLAG_IS_REMOTE : 0;
    return tn__pb_fixed32(at, SPAN_FLAGS, span->trace.flags | FLAG_HAS_IS_REMOTE | remote);
}

static char *add_content(char *at, const tn__span *span, int64_t wall_us)
{
    at = add_identity(at, span);
    at = add_text(at, SPAN_NAME, cut(span->name));
    at = tn__pb_uint(at, SPAN_KIND, span->kind);
    at = tn__pb_fixed64(at, SPAN_START_TIME, wall_ns(span->start_us, wall_us));
    at = tn__pb_fixed64(at, SPAN_END_TIME, wall_ns(span->end_us, wall_us));
    for (size_t i = 0; i < span->n_attributes; i++)
        at = add_attribute(at, SPAN_ATTRIBUTES, &span->attributes[i]);
    at = add_links(at, span);
    return span->failed ? add_status(at, cut(span->why)) : at;
}

/* The length stands before what it counts: the content is written behind the place of a length of
 * two bytes, which most have, and moved when that was wrong. */
void tn__otlp_add_span(tn__buf *out, const tn__span *span, int64_t wall_us)
{
    assert(span->kind >= TN__SPAN_INTERNAL && span->kind <= TN__SPAN_CONSUMER);
    assert(span->end_us >= span->start_us);
    tn__buf_reserve(out, span_bytes_max(span));
    char *start = out->data + out->len, *content = start + 1 + 2;
    size_t n = (size_t)(add_content(content, span, wall_us) - content);
    char *place = start + 1 + tn__pb_varint_size(n);
    if (place != content)
        memmove(place, content, n);
    tn__pb_head(start, SCOPE_SPANS_SPANS, n);
    out->len += (size_t)(place - start) + n;
    assert(out->len <= out->cap);
}

size_t tn__otlp_span_bytes(tn_str spans)
{
    tn_str rest = spans;
    tn__pb_field field;
    bool read = tn__pb_read(&rest, &field);
    assert(read && field.field == SCOPE_SPANS_SPANS && field.wire == TN__PB_LEN);
    (void)read;
    return spans.len - rest.len;
}

/* ---- Messages ----------------------------------------------------------- */

void tn__otlp_head_init(tn__otlp_head *head, const tn__tracing_options *options)
{
    tn__buf part = { 0 };
    *head = (tn__otlp_head){ .resource = { 0 } };
    tn__otlp_add_resource(&part, options);
    tn__pb_add(&head->resource, RESOURCE_SPANS_RESOURCE, tn__buf_str(&part));
    tn__pb_add(&head->resource, RESOURCE_SPANS_SCHEMA_URL, TN_S(SCHEMA_URL));
    part.len = 0;
    tn__pb_add(&part, SCOPE_NAME, TN_S("trunnion"));
    tn__pb_add(&part, SCOPE_VERSION, TN_S(TN__VERSION));
    tn__pb_add(&head->scope, SCOPE_SPANS_SCOPE, tn__buf_str(&part));
    tn__pb_add(&head->scope, SCOPE_SPANS_SCHEMA_URL, TN_S(SCHEMA_URL));
    tn__buf_deinit(&part);
}

void tn__otlp_head_deinit(tn__otlp_head *head)
{
    tn__buf_deinit(&head->resource);
    tn__buf_deinit(&head->scope);
}

void tn__otlp_request(tn__buf *out, const tn__otlp_head *head, tn_str spans)
{
    size_t scope_spans = head->scope.len + spans.len;
    size_t resource_spans = head->resource.len + 1 + tn__pb_varint_size(scope_spans) + scope_spans;
    out->len = 0;
    tn__pb_add_head(out, REQUEST_RESOURCE_SPANS, resource_spans);
    tn__buf_add_str(out, tn__buf_str(&head->resource));
    tn__pb_add_head(out, RESOURCE_SPANS_SCOPE_SPANS, scope_spans);
    tn__buf_add_str(out, tn__buf_str(&head->scope));
    tn__buf_add_str(out, spans);
}

/* ---- Answers ------------------------------------------------------------ */

static tn__otlp_partial read_partial(tn_str message)
{
    tn__otlp_partial partial = { .message = TN_S("") };
    tn__pb_field field;
    while (tn__pb_read(&message, &field))
        if (field.field == PARTIAL_REJECTED_SPANS && field.wire == TN__PB_VARINT)
            partial.rejected = (int64_t)field.number;
        else if (field.field == PARTIAL_ERROR_MESSAGE && field.wire == TN__PB_LEN)
            partial.message = field.bytes;
    return partial;
}

tn__otlp_partial tn__otlp_response(tn_str body)
{
    tn__otlp_partial partial = { .message = TN_S("") };
    tn__pb_field field;
    while (tn__pb_read(&body, &field))
        if (field.field == RESPONSE_PARTIAL_SUCCESS && field.wire == TN__PB_LEN)
            partial = read_partial(field.bytes);
    return partial;
}

tn_str tn__otlp_status_message(tn_str body)
{
    tn_str message = TN_S("");
    tn__pb_field field;
    while (tn__pb_read(&body, &field))
        if (field.field == RPC_STATUS_MESSAGE && field.wire == TN__PB_LEN)
            message = field.bytes;
    return message;
}
