/* The header fields of a request: see headers.h. */
#include "http/headers.h"

#include <assert.h>

static const struct {
    const char *name;
    size_t len;
} names[TN__H_COUNT] = {
#define NAME(slot, text) [slot] = { text, sizeof text - 1 }
    NAME(TN__H_ACCEPT, "accept"),
    NAME(TN__H_ACTOR, "x-authentik-username"),
    NAME(TN__H_ACTOR_ID, "x-authentik-uid"),
    NAME(TN__H_CONTENT_LENGTH, "content-length"),
    NAME(TN__H_CONTENT_TYPE, "content-type"),
    NAME(TN__H_EXPECT, "expect"),
    NAME(TN__H_HOST, "host"),
    NAME(TN__H_IDEMPOTENCY_KEY, "idempotency-key"),
    NAME(TN__H_IF_MATCH, "if-match"),
    NAME(TN__H_IF_NONE_MATCH, "if-none-match"),
    NAME(TN__H_LAST_EVENT_ID, "last-event-id"),
    NAME(TN__H_ORIGIN, "origin"),
    NAME(TN__H_PREFLIGHT_METHOD, "access-control-request-method"),
    NAME(TN__H_REQUEST_ID, "x-request-id"),
    NAME(TN__H_TRACEPARENT, "traceparent"),
    NAME(TN__H_TRACESTATE, "tracestate"),
    NAME(TN__H_TRANSFER_ENCODING, "transfer-encoding"),
    NAME(TN__H_USER_AGENT, "user-agent"),
#undef NAME
};

bool tn__is_token(tn_str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return s.len > 0;
}

static int slot_of(tn_str name)
{
    for (int slot = 0; slot < TN__H_COUNT; slot++)
        if (names[slot].len == name.len &&
            tn__str_eq_nocase((tn_str){ names[slot].name, names[slot].len }, name))
            return slot;
    return -1;
}

void tn__headers_add(tn__headers *headers, tn_arena *arena, tn_str name, tn_str value)
{
    int slot = slot_of(name);
    if (slot < 0) {
        headers->broken |= !tn__is_token(name);
        return;
    }
    tn_str *at = &headers->at[slot];
    headers->broken |= slot == TN__H_HOST && at->data != NULL;
    value = tn__str_trim(value);
    if (value.data == NULL)
        value.data = "";
    *at = at->data == NULL ? value : tn_printf(arena, "%.*s, %.*s", TN_FMT(*at), TN_FMT(value));
}

/* The length of the quoted string that `s` begins with; all of it when the end is missing. */
static size_t quoted_length(tn_str s)
{
    assert(s.len > 0 && s.data[0] == '"');
    for (size_t i = 1; i < s.len; i++)
        if (s.data[i] == '\\')
            i++;
        else if (s.data[i] == '"')
            return i + 1;
    return s.len;
}

static size_t element_length(tn_str s)
{
    size_t i = 0;
    while (i < s.len && s.data[i] != ',')
        i += s.data[i] == '"' ? quoted_length((tn_str){ s.data + i, s.len - i }) : 1;
    return i;
}

bool tn__list_next(tn_str *rest, tn_str *element)
{
    while (rest->len > 0) {
        size_t n = element_length(*rest);
        *element = tn__str_trim((tn_str){ rest->data, n });
        size_t skip = n < rest->len ? n + 1 : n;
        *rest = (tn_str){ rest->data + skip, rest->len - skip };
        if (element->len > 0)
            return true;
    }
    return false;
}

tn__framing tn__body_framing(const tn__headers *headers, int64_t *length)
{
    tn_str coding = headers->at[TN__H_TRANSFER_ENCODING];
    tn_str text = headers->at[TN__H_CONTENT_LENGTH];
    *length = 0;
    if (headers->broken)
        return TN__BODY_AMBIGUOUS;
    if (coding.data != NULL)
        return text.data == NULL && tn__str_eq_nocase(coding, TN_S("chunked")) ? TN__BODY_CHUNKED
                                                                               : TN__BODY_AMBIGUOUS;
    if (text.data == NULL)
        return TN__BODY_NONE;
    bool digits = text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9';
    if (!digits || !tn__i64_parse(text, length) || *length < 0)
        return TN__BODY_AMBIGUOUS;
    return TN__BODY_LENGTH;
}
