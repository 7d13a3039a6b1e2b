/* The cursor of a list: see cursor.h. */
#include "http/cursor.h"

#include <assert.h>

enum { VERSION = 1, HEAD_BYTES = 2, CHECK_BYTES = 4, CURSOR_CHARS_MAX = 2048 };

static void put_number(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static uint64_t get_number(const uint8_t *at, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | at[i];
    return v;
}

/* Over head and key. */
static uint32_t check_of(tn_str list, tn_str bytes)
{
    uint64_t h = tn__hash(bytes) * 31 + tn__hash(list);
    return (uint32_t)(h ^ h >> 32);
}

/* The key's bytes; `room` holds those of a number. */
static tn_str key_bytes(tn_kind kind, const void *value, uint8_t room[8])
{
    switch (kind) {
    case TN_KIND_STR:
        return *(const tn_str *)value;
    case TN_KIND_UUID:
        return (tn_str){ (const char *)((const tn_uuid *)value)->b, 16 };
    case TN_KIND_INT:
        put_number(room, (uint64_t)(*(const int64_t *)value), 8);
        break;
    case TN_KIND_TIME:
        put_number(room, (uint64_t)((const tn_time *)value)->us, 8);
        break;
    default:
        assert(false && "a list is ordered by text, an integer, a UUID or a time");
    }
    return (tn_str){ (const char *)room, 8 };
}

tn_str tn__cursor_write(tn_arena *arena, tn_str list, tn_kind kind, const void *value)
{
    uint8_t room[8];
    tn_str key = key_bytes(kind, value, room);
    size_t n = HEAD_BYTES + key.len;
    uint8_t *bytes = tn_alloc(arena, n + CHECK_BYTES);
    bytes[0] = VERSION;
    bytes[1] = (uint8_t)kind;
    if (key.len > 0)
        memcpy(bytes + HEAD_BYTES, key.data, key.len);
    put_number(bytes + n, check_of(list, (tn_str){ (const char *)bytes, n }), CHECK_BYTES);
    return tn__b64url(arena, bytes, n + CHECK_BYTES);
}

static bool key_read(tn_kind kind, tn_str key, tn_arg *position)
{
    const uint8_t *at = (const uint8_t *)key.data;
    *position = (tn_arg){ .kind = kind };
    switch (kind) {
    case TN_KIND_STR:
        position->s = key;
        return tn__utf8_valid(key) && memchr(key.data, 0, key.len) == NULL;
    case TN_KIND_UUID:
        if (key.len == sizeof position->u.b)
            memcpy(position->u.b, at, sizeof position->u.b);
        return key.len == sizeof position->u.b;
    case TN_KIND_INT:
        position->i = key.len == 8 ? (int64_t)get_number(at, 8) : 0;
        return key.len == 8;
    case TN_KIND_TIME:
        position->t.us = key.len == 8 ? (int64_t)get_number(at, 8) : 0;
        return key.len == 8;
    default:
        return false;
    }
}

bool tn__cursor_read(tn_arena *arena, tn_str list, tn_str cursor, tn_arg *position)
{
    tn_str all;
    if (cursor.len > CURSOR_CHARS_MAX || !tn__b64url_parse(arena, cursor, &all) ||
        all.len < HEAD_BYTES + CHECK_BYTES || all.data[0] != VERSION)
        return false;
    size_t n = all.len - CHECK_BYTES;
    const uint8_t *bytes = (const uint8_t *)all.data;
    if (get_number(bytes + n, CHECK_BYTES) != check_of(list, (tn_str){ all.data, n }))
        return false;
    return key_read((tn_kind)bytes[1], (tn_str){ all.data + HEAD_BYTES, n - HEAD_BYTES }, position);
}
