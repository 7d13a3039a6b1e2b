/* The growing buffer.
 *
 * Invariants: `len` is at most `cap`, and `cap` at most TN__BUF_BYTES_MAX: a buffer that would
 * outgrow that ends the process as if memory were gone. Limits that a client may meet are its
 * owner's, and far lower. */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP_MIN = 64 };

void tn__buf_deinit(tn__buf *buf)
{
    if (buf->arena == NULL)
        free(buf->data);
    *buf = (tn__buf){ .arena = buf->arena };
}

static size_t grown_cap(const tn__buf *buf, size_t more)
{
    size_t needed = buf->len + more;
    size_t doubled = buf->cap * 2 < CAP_MIN ? CAP_MIN : buf->cap * 2;
    size_t cap = needed > doubled ? needed : doubled;
    return cap > TN__BUF_BYTES_MAX ? TN__BUF_BYTES_MAX : cap;
}

void tn__buf_reserve(tn__buf *buf, size_t more)
{
    assert(buf->len <= buf->cap);
    if (more <= buf->cap - buf->len)
        return;
    if (more > TN__BUF_BYTES_MAX - buf->len)
        tn__die("a buffer outgrew its limit");
    size_t cap = grown_cap(buf, more);
    if (buf->arena != NULL)
        buf->data = tn__arena_grow(buf->arena, buf->data, buf->cap, cap);
    else
        buf->data = tn__xrealloc(buf->data, cap);
    buf->cap = cap;
}

void tn__buf_add(tn__buf *buf, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    tn__buf_reserve(buf, n);
    memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
}

void tn__buf_add_str(tn__buf *buf, tn_str s)
{
    tn__buf_add(buf, s.data, s.len);
}

void tn__buf_add_z(tn__buf *buf, const char *z)
{
    tn__buf_add(buf, z, strlen(z));
}

void tn__buf_add_char(tn__buf *buf, char c)
{
    tn__buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
}

void tn__buf_add_i64(tn__buf *buf, int64_t v)
{
    char text[20]; /* -9223372036854775808 */
    char *at = text + sizeof text;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (v < 0)
        *--at = '-';
    tn__buf_add(buf, at, (size_t)(text + sizeof text - at));
}

/* First into the room that there is; when it is too little, once more into enough. */
void tn__buf_printf(tn__buf *buf, const char *format, ...)
{
    size_t room = buf->cap - buf->len;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room == 0 ? NULL : buf->data + buf->len, room, format, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n >= room) {
        tn__buf_reserve(buf, (size_t)n + 1);
        va_start(args, format);
        vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
        va_end(args);
    }
    buf->len += (size_t)n;
}
