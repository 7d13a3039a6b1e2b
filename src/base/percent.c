/* Percent coding (RFC 3986 2.1), and + for a space as forms write it. */
#include "base/base.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte that the escape at `at` means, or -1. */
static int escaped(const char *at, size_t n)
{
    if (n < 3)
        return -1;
    int high = hex_value(at[1]), low = hex_value(at[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool tn__percent_decode(tn_arena *arena, tn_str s, bool plus, tn_str *out)
{
    char *text = tn_alloc(arena, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.data[i];
        if (c == '%') {
            c = escaped(s.data + i, s.len - i);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c <= 0)
            return false;
        text[n++] = (char)c;
    }
    *out = (tn_str){ text, n };
    return true;
}

/* Characters that never need an escape (RFC 3986 2.3). */
static bool is_unreserved(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
        c == '_' || c == '~';
}

void tn__percent_encode(tn__buf *buf, tn_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    tn__buf_reserve(buf, s.len);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (is_unreserved(s.data[i]))
            tn__buf_add_char(buf, s.data[i]);
        else
            tn__buf_add(buf, (char[]){ '%', hex[c >> 4], hex[c & 15] }, 3);
    }
}
