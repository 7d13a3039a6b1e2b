/* Strings and the memory of a request.
 *
 * A tn_str is a pointer and a length: it owns nothing, may hold any UTF-8 and need not end in NUL.
 * Whatever a handler makes lives in the arena of its request or message, which is given back whole
 * once the answer has been sent: a handler never frees. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of `len` bytes. `data` may be NULL only when `len` is 0. */
typedef struct {
    const char *data;
    size_t len;
} tn_str;

/* The view of a string literal; anything else fails to compile. */
#define TN_S(literal) ((tn_str){ "" literal, sizeof(literal) - 1 })

/* What tn_str fields hold when printed: printf("%.*s", TN_FMT(s)). */
#define TN_FMT(s) (int)(s).len, (s).data

/* The view of a C string, which must outlive it. NULL gives the empty view. */
static inline tn_str tn_str_of(const char *z)
{
    return (tn_str){ z, z == NULL ? 0 : strlen(z) };
}

/* True when both hold the same bytes. */
static inline bool tn_str_eq(tn_str a, tn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Memory that is taken piece by piece and given back all at once. Not thread-safe. */
typedef struct tn_arena tn_arena;

/* `bytes` zeroed bytes, aligned for any object, valid as long as the arena is. Never NULL: when the
 * system has no memory left the process ends with a log line, since no acknowledged write can be
 * lost by that (see docs/decisions). */
void *tn_alloc(tn_arena *arena, size_t bytes);

/* A copy of `s` in the arena, followed by a NUL that its length does not count. */
tn_str tn_copy(tn_arena *arena, tn_str s);

/* printf into the arena; a NUL follows that the length does not count. */
tn_str tn_printf(tn_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
tn_str tn_vprintf(tn_arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
