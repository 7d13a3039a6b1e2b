/* UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above U+10FFFF. */
#include "base/utf8.h"

#include "base/base.h"

#include <assert.h>

typedef struct {
    size_t len;                           /* 0: no character starts with this byte */
    unsigned char second_min, second_max; /* overlongs and surrogates differ in the second byte */
} lead;

static lead lead_of(unsigned char c)
{
    if (c < 0x80)
        return (lead){ 1, 0, 0 };
    if (c < 0xC2 || c > 0xF4)
        return (lead){ 0, 0, 0 };
    if (c < 0xE0)
        return (lead){ 2, 0x80, 0xBF };
    if (c < 0xF0)
        return (lead){ 3, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF };
    return (lead){ 4, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF };
}

size_t tn__utf8_next(const char *at, size_t n, size_t *bad)
{
    assert(n > 0);
    const unsigned char *c = (const unsigned char *)at;
    lead l = lead_of(c[0]);
    *bad = 1;
    if (l.len <= 1)
        return l.len;
    if (n < 2 || c[1] < l.second_min || c[1] > l.second_max)
        return 0;
    for (size_t i = 2; i < l.len; i++) {
        *bad = i;
        if (i >= n || (c[i] & 0xC0) != 0x80)
            return 0;
    }
    return l.len;
}

static size_t ascii_run(const char *at, size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, at + i, 8);
        if ((w & 0x8080808080808080) != 0)
            break;
    }
    while (i < n && (unsigned char)at[i] < 0x80)
        i++;
    return i;
}

bool tn__utf8_valid(tn_str s)
{
    size_t at = 0;
    while (at < s.len) {
        at += ascii_run(s.data + at, s.len - at);
        if (at == s.len)
            break;
        size_t bad;
        size_t len = tn__utf8_next(s.data + at, s.len - at, &bad);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

size_t tn__utf8_length(tn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    return n;
}
