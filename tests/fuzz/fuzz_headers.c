/* Any bytes as header fields, one a line: each is put into its slot and read by its parser.
 *
 * Always: what a parser takes is what its grammar allows, and reads back as the same. */
#include "fuzz.h"

#include "http/conditional.h"
#include "http/cors.h"
#include "http/headers.h"
#include "http/ids.h"
#include "http/negotiate.h"
#include "http/sse.h"
#include "telemetry/telemetry.h"

#include <string.h>

static tn_str get(const tn__headers *headers, tn__header header)
{
    return headers->at[header];
}

static void read_fields(tn__headers *headers, tn_arena *arena, tn_str text)
{
    tn_str line, name;
    while (tn__str_cut(&text, '\n', &line)) {
        tn_str value = line;
        if (tn__str_cut(&value, ':', &name))
            tn__headers_add(headers, arena, name, value);
    }
}

static void check_list(tn_str list)
{
    tn_str rest = list, element;
    while (tn__list_next(&rest, &element)) {
        always(element.len > 0 && element.data >= list.data);
        always(element.data + element.len <= list.data + list.len);
        always(tn__str_trim(element).len == element.len);
    }
    always(rest.len == 0);
}

static void check_framing(const tn__headers *headers)
{
    int64_t length;
    tn__framing framing = tn__body_framing(headers, &length);
    always(length >= 0);
    if (get(headers, TN__H_TRANSFER_ENCODING).data != NULL)
        always(framing == TN__BODY_CHUNKED || framing == TN__BODY_AMBIGUOUS);
    if (get(headers, TN__H_CONTENT_LENGTH).data == NULL)
        always(framing != TN__BODY_LENGTH && length == 0);
}

static void check_accept(tn_arena *arena, tn_str accept)
{
    int quality = tn__accept_quality(accept, TN_S("application"), TN_S("json"));
    always(quality >= 0 && quality <= 1000);
    /* A range that names it decides, whatever else is there. */
    tn_str more = tn_printf(arena, "application/json;q=0.5,%.*s", TN_FMT(accept));
    int first = tn__accept_quality(more, TN_S("application"), TN_S("json"));
    always(first == 500);
    always(tn__accepts_json(more));
}

static void check_tags(tn_str field)
{
    tn_str tag = TN_S("\"3\"");
    bool strong = tn__etag_listed(field, tag, TN__STRONG);
    always(!strong || tn__etag_listed(field, tag, TN__WEAK));
    always(tn__condition_of(field, (tn_str){ NULL, 0 }, tag, false) ==
        (field.data == NULL || strong ? TN__GO_ON : TN__PRECONDITION_FAILED));
}

static void check_origin(tn_arena *arena, tn_str origin)
{
    tn__cors cors;
    tn__cors_init(&cors, arena, "https://a.example, http://localhost:3000");
    tn_str allowed = tn__cors_allowed(&cors, origin);
    always(allowed.data == NULL || tn_str_eq(allowed, TN_S("https://a.example")) ||
        tn_str_eq(allowed, TN_S("http://localhost:3000")));
}

static void check_ids(tn_str id)
{
    if (!tn__request_id_valid(id))
        return;
    always(id.len >= 1 && id.len <= TN__REQUEST_ID_MAX);
    always(memchr(id.data, '\r', id.len) == NULL && memchr(id.data, '"', id.len) == NULL);
}

static void check_key(tn_arena *arena, tn_str field)
{
    tn_str key, again;
    if (!tn__idempotency_key_read(arena, field, &key))
        return;
    always(key.len >= 1 && key.len <= TN__IDEMPOTENCY_KEY_MAX);
    tn__buf quoted = { .arena = arena };
    tn__buf_add_char(&quoted, '"');
    for (size_t i = 0; i < key.len; i++) {
        always(key.data[i] > ' ' && key.data[i] < 0x7f);
        if (key.data[i] == '"' || key.data[i] == '\\')
            tn__buf_add_char(&quoted, '\\');
        tn__buf_add_char(&quoted, key.data[i]);
    }
    tn__buf_add_char(&quoted, '"');
    always(tn__idempotency_key_read(arena, tn__buf_str(&quoted), &again));
    always(tn_str_eq(key, again));
}

static void check_trace(tn_str field)
{
    tn__trace trace, again;
    char text[55];
    if (!tn__traceparent_parse(field, &trace))
        return;
    tn__traceparent_write(&trace, text);
    always(tn__traceparent_parse((tn_str){ text, sizeof text }, &again));
    always(memcmp(trace.trace_id, again.trace_id, sizeof trace.trace_id) == 0);
    always(memcmp(trace.span_id, again.span_id, sizeof trace.span_id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tn_arena *arena = tn__arena_open(4096);
    tn__headers headers = { .at = { { NULL, 0 } } };
    int64_t id = 0;
    read_fields(&headers, arena, (tn_str){ (const char *)data, size });
    for (int i = 0; i < TN__H_COUNT; i++)
        check_list(headers.at[i]);
    check_framing(&headers);
    check_accept(arena, get(&headers, TN__H_ACCEPT));
    tn__content_is_json(get(&headers, TN__H_CONTENT_TYPE), size % 2 == 0);
    check_tags(get(&headers, TN__H_IF_MATCH));
    check_tags(get(&headers, TN__H_IF_NONE_MATCH));
    check_origin(arena, get(&headers, TN__H_ORIGIN));
    check_ids(get(&headers, TN__H_REQUEST_ID));
    check_key(arena, get(&headers, TN__H_IDEMPOTENCY_KEY));
    check_trace(get(&headers, TN__H_TRACEPARENT));
    if (tn__sse_last_id(get(&headers, TN__H_LAST_EVENT_ID), &id))
        always(id >= 0);
    tn__arena_close(arena);
    return 0;
}
