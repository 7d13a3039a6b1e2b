/* Small functions on strings. ASCII only where letters or spaces are meant. */
#include "base/base.h"

#include <assert.h>

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 32);
    return c;
}

bool tn__str_eq_nocase(tn_str a, tn_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool tn__str_has_prefix(tn_str s, tn_str prefix)
{
    return s.len >= prefix.len && tn_str_eq((tn_str){ s.data, prefix.len }, prefix);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

tn_str tn__str_trim(tn_str s)
{
    while (s.len > 0 && is_space(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool tn__str_cut(tn_str *rest, char at, tn_str *part)
{
    if (rest->data == NULL)
        return false;
    const char *found = rest->len == 0 ? NULL : memchr(rest->data, at, rest->len);
    if (found == NULL) {
        *part = *rest;
        *rest = (tn_str){ NULL, 0 };
        return true;
    }
    size_t n = (size_t)(found - rest->data);
    *part = (tn_str){ rest->data, n };
    *rest = (tn_str){ found + 1, rest->len - n - 1 };
    return true;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
}

/* Eight bytes at a time. The length goes in first, so zeros at the end count. */
uint64_t tn__hash(tn_str s)
{
    uint64_t h = mix(UINT64_C(0xCBF29CE484222325), s.len);
    size_t at = 0;
    for (; s.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, s.data + at, 8);
        h = mix(h, word);
    }
    if (at < s.len) {
        uint64_t word = 0;
        memcpy(&word, s.data + at, s.len - at);
        h = mix(h, word);
    }
    return mix(h, 0);
}
