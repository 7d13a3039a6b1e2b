/* Any bytes as the cursor of a list, and as the key that a cursor is made of.
 *
 * Always: a cursor that is taken is the one that its position makes; a key comes back from its
 * cursor. */
#include "fuzz.h"

#include "http/cursor.h"

#include <string.h>

static const void *value_of(const tn_arg *position)
{
    switch (position->kind) {
    case TN_KIND_STR:
        return &position->s;
    case TN_KIND_INT:
        return &position->i;
    case TN_KIND_UUID:
        return &position->u;
    default:
        return &position->t;
    }
}

static void check_cursor(tn_arena *arena, tn_str list, tn_str cursor)
{
    tn_arg position;
    if (!tn__cursor_read(arena, list, cursor, &position))
        return;
    always(!position.null);
    always(tn_str_eq(tn__cursor_write(arena, list, position.kind, value_of(&position)), cursor));
}

static void check_key(tn_arena *arena, tn_str list, tn_str bytes)
{
    tn_arg position;
    tn_uuid id = { { 0 } };
    memcpy(id.b, bytes.data, bytes.len < sizeof id.b ? bytes.len : sizeof id.b);
    tn_str cursor = tn__cursor_write(arena, list, TN_KIND_UUID, &id);
    always(tn__cursor_read(arena, list, cursor, &position));
    always(memcmp(position.u.b, id.b, sizeof id.b) == 0);
    cursor = tn__cursor_write(arena, list, TN_KIND_STR, &bytes);
    bool text = tn__utf8_valid(bytes) && memchr(bytes.data, 0, bytes.len) == NULL;
    bool read = tn__cursor_read(arena, list, cursor, &position);
    always(!read || (text && tn_str_eq(position.s, bytes)));
    always(read || !text || bytes.len > 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tn_arena *arena = tn__arena_open(4096);
    tn_str bytes = tn_copy(arena, (tn_str){ (const char *)data, size });
    check_cursor(arena, TN_S("/api/v1/items"), bytes);
    check_key(arena, TN_S("/api/v1/items"), bytes);
    tn__arena_close(arena);
    return 0;
}
