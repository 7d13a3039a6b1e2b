/* The header fields of a request that the chassis looks at.
 *
 * All fields are read once, into slots. A field that is given twice becomes one with ", " between,
 * as RFC 9110 5.2 allows; where a list makes no sense the joined value is then invalid, so that no
 * reader has to think of doubles. */
#pragma once

#include "base/base.h"

typedef enum {
    TN__H_ACCEPT,
    TN__H_ACTOR,    /* X-authentik-username */
    TN__H_ACTOR_ID, /* X-authentik-uid */
    TN__H_CONTENT_LENGTH,
    TN__H_CONTENT_TYPE,
    TN__H_EXPECT,
    TN__H_HOST,
    TN__H_IDEMPOTENCY_KEY,
    TN__H_IF_MATCH,
    TN__H_IF_NONE_MATCH,
    TN__H_LAST_EVENT_ID,
    TN__H_ORIGIN,
    TN__H_PREFLIGHT_METHOD, /* Access-Control-Request-Method */
    TN__H_REQUEST_ID,
    TN__H_TRACEPARENT,
    TN__H_TRACESTATE,
    TN__H_TRANSFER_ENCODING,
    TN__H_USER_AGENT,
    TN__H_COUNT,
} tn__header;

/* `data` is NULL in a slot whose field was not sent; a field without a value has a length of 0. */
typedef struct {
    tn_str at[TN__H_COUNT];
    /* A name is none, as "Content-Length :", which may be a length to whom passed it on; or there
     * are two hosts. */
    bool broken;
} tn__headers;

/* True for one or more of the characters of names (RFC 9110 5.6.2). */
bool tn__is_token(tn_str s);

/* Puts a field into its slot; a field that nobody looks at is dropped. The bytes are not copied,
 * unless a double is joined in the arena. */
void tn__headers_add(tn__headers *headers, tn_arena *arena, tn_str name, tn_str value);

/* The next element of a comma-separated list (RFC 9110 5.6.1), trimmed; quoted strings may hold
 * commas, and empty elements are skipped. False at the end. */
bool tn__list_next(tn_str *rest, tn_str *element);

/* How the body of a request is delimited (RFC 9112 6). */
typedef enum {
    TN__BODY_NONE,
    TN__BODY_LENGTH,
    TN__BODY_CHUNKED,
    TN__BODY_AMBIGUOUS, /* both ways, a length or name that isn't one: a smuggler's tool */
} tn__framing;
tn__framing tn__body_framing(const tn__headers *headers, int64_t *length);
