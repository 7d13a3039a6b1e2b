/* The cursor of a list: where the next page begins, as text that clients hand back unread.
 *
 * Base 64 URL of a version byte, the key's kind, the key's bytes and a check over them and the list's
 * name, so that a cursor that was cut, or is of another list, is told from a good one. It isn't
 * secret, and a forged one can only name a position that a page could begin at anyway. */
#pragma once

#include "schema/schema.h"
#include <trunnion/query.h>

/* The cursor of the key at `value`, which is a STR, INT, UUID or TIME; `list` names the list. */
tn_str tn__cursor_write(tn_arena *arena, tn_str list, tn_kind kind, const void *value);

/* The position as the argument of a query, whose kind is the key's. False when it isn't a cursor of
 * this list. */
bool tn__cursor_read(tn_arena *arena, tn_str list, tn_str cursor, tn_arg *position);
