/* Numbers as text, in JSON's grammar (RFC 8259 6): no plus sign, no leading zero, nothing around,
 * whatever the locale. */
#include "base/base.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum { REAL_CHARS_MAX = 400 }; /* the longest useful double, written out, has 327 */

static size_t digits_at(tn_str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && s.data[at + n] >= '0' && s.data[at + n] <= '9')
        n++;
    return n;
}

/* The length of the integer at the start, 0 when there is none. */
static size_t integer_length(tn_str s)
{
    size_t sign = s.len > 0 && s.data[0] == '-';
    size_t digits = digits_at(s, sign);
    if (digits == 0 || (digits > 1 && s.data[sign] == '0'))
        return 0;
    return sign + digits;
}

bool tn__i64_parse(tn_str s, int64_t *v)
{
    if (s.len == 0 || integer_length(s) != s.len)
        return false;
    bool negative = s.data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t sum = 0;
    for (size_t i = negative; i < s.len; i++) {
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (sum > (limit - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *v = (int64_t)(negative ? 0 - sum : sum);
    return true;
}

/* int [ frac ] [ exp ] and nothing else. */
static bool is_number(tn_str s)
{
    size_t at = integer_length(s);
    if (at == 0)
        return false;
    if (at < s.len && s.data[at] == '.') {
        size_t n = digits_at(s, at + 1);
        if (n == 0)
            return false;
        at += 1 + n;
    }
    if (at < s.len && (s.data[at] | 0x20) == 'e') {
        at++;
        at += at < s.len && (s.data[at] == '+' || s.data[at] == '-');
        size_t n = digits_at(s, at);
        if (n == 0)
            return false;
        at += n;
    }
    return at == s.len;
}

bool tn__real_parse(tn_str s, double *v)
{
    char text[REAL_CHARS_MAX + 1];
    if (s.len > REAL_CHARS_MAX || !is_number(s))
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    /* The C locale is a constant of the C library: it is neither allocated nor freed. */
    double read = strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", NULL));
    if (!isfinite(read))
        return false;
    *v = read;
    return true;
}
