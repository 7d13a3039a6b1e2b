/* The text of server-sent events (WHATWG HTML 9.2.5). */
#pragma once

#include "base/base.h"

/* What a stream begins with: how long a client waits before it connects again. */
void tn__sse_open(tn__buf *out, int retry_ms);
/* One event. Line ends within `event` are dropped and `data` is split at them, so that a value can't
 * forge a field. */
void tn__sse_event(tn__buf *out, int64_t id, tn_str event, tn_str data);
/* A comment, which keeps the connection from looking idle. */
void tn__sse_keepalive(tn__buf *out);
/* The id in Last-Event-ID, which has 1 to 19 digits; false when it has not. One that is greater than
 * any event can have is the greatest: nothing comes after either. */
bool tn__sse_last_id(tn_str field, int64_t *id);
