/* Conditional requests (RFC 9110 13): what If-Match and If-None-Match say of an entity tag. */
#pragma once

#include "base/base.h"

/* The strong tag of a version, such as "3" with its quotes, in the arena. */
tn_str tn__etag_of(tn_arena *arena, int64_t version);

typedef enum { TN__STRONG, TN__WEAK } tn__comparison;

/* True when the field is "*" or lists `etag`, which is strong and there (RFC 9110 8.8.3.2). What is
 * not an entity tag matches nothing. */
bool tn__etag_listed(tn_str field, tn_str etag, tn__comparison comparison);

typedef enum { TN__GO_ON, TN__NOT_MODIFIED, TN__PRECONDITION_FAILED } tn__condition;

/* What a request with these fields (`data` is NULL when absent) gets for a representation that has
 * this tag, in the order of RFC 9110 13.2.2. `safe` is a GET or a HEAD. */
tn__condition tn__condition_of(tn_str if_match, tn_str if_none_match, tn_str etag, bool safe);
