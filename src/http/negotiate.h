/* Content negotiation (RFC 9110 12.5.1) and the media type of a request's body. */
#pragma once

#include "base/base.h"

/* How welcome type/subtype is by an Accept field: 0 is refused, 1000 most welcome. The most specific
 * range that covers it decides. An absent field, or one without a single valid range, welcomes all. */
int tn__accept_quality(tn_str accept, tn_str type, tn_str subtype);

/* JSON, or a problem about it, may be sent. */
bool tn__accepts_json(tn_str accept);

/* Content-Type says JSON in UTF-8: application/json, or application/merge-patch+json where a merge
 * patch is expected; no parameter but charset=utf-8. */
bool tn__content_is_json(tn_str content_type, bool merge_patch);
