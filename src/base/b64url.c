/* Base 64 with the URL alphabet (RFC 4648 5), without padding.
 *
 * Each byte string has exactly one text: reading refuses padding, other characters, a lone last
 * character, and last bits that aren't zero. */
#include "base/base.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

tn_str tn__b64url(tn_arena *arena, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    size_t len = n / 3 * 4 + (n % 3 * 4 + 2) / 3;
    char *text = tn_alloc(arena, len + 1);
    uint32_t bits = 0;
    int held = 0;
    char *at = text;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | from[i];
        for (held += 8; held >= 6; held -= 6)
            *at++ = alphabet[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *at = alphabet[bits << (6 - held) & 63];
    return (tn_str){ text, len };
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool tn__b64url_parse(tn_arena *arena, tn_str s, tn_str *bytes)
{
    if (s.len % 4 == 1)
        return false;
    char *out = tn_alloc(arena, s.len / 4 * 3 + 3);
    size_t n = 0;
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < s.len; i++) {
        int v = value_of(s.data[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (char)(bits >> held);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return false;
    *bytes = (tn_str){ out, n };
    return true;
}
