/* JSON text, written piece by piece (RFC 8259).
 *
 * What comes out is always valid JSON and valid UTF-8, whatever goes in. */
#include "base/base.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { REAL_DIGITS_MAX = 17 }; /* always enough for a double to read back the same */

/* Bytes that stand for themselves: ASCII but controls, the quote and the backslash. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* True when all eight bytes of `w` are plain: each test leaves the high bit of a byte that isn't. */
static bool all_plain(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
    uint64_t odd = (w - ones * 0x20) | (quote - ones) | (backslash - ones) | w;
    return (odd & highs) == 0;
}

static size_t plain_run(const char *at, size_t n)
{
    size_t i = 0;
    while (n - i >= 8) {
        uint64_t w;
        memcpy(&w, at + i, 8);
        if (!all_plain(w))
            break;
        i += 8;
    }
    while (i < n && is_plain((unsigned char)at[i]))
        i++;
    return i;
}

static void add_escape(tn__buf *buf, unsigned char c)
{
    static const char letters[] = { ['\b'] = 'b',
        ['\t'] = 't',
        ['\n'] = 'n',
        ['\f'] = 'f',
        ['\r'] = 'r',
        ['"'] = '"',
        ['\\'] = '\\' };
    static const char hex[] = "0123456789abcdef";
    assert(c < 0x20 || c == '"' || c == '\\');
    if (letters[c] != 0)
        tn__buf_add(buf, (char[]){ '\\', letters[c] }, 2);
    else
        tn__buf_add(buf, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

/* One character that isn't plain ASCII; returns the bytes that it had. */
static size_t add_other(tn__buf *buf, const char *at, size_t n)
{
    if ((unsigned char)*at < 0x80) {
        add_escape(buf, (unsigned char)*at);
        return 1;
    }
    size_t bad;
    size_t len = tn__utf8_next(at, n, &bad);
    if (len == 0) {
        tn__buf_add(buf, "\xEF\xBF\xBD", 3);
        return bad;
    }
    tn__buf_add(buf, at, len);
    return len;
}

void tn__json_str(tn__buf *buf, tn_str s)
{
    tn__buf_reserve(buf, s.len + 2);
    tn__buf_add_char(buf, '"');
    size_t at = 0;
    while (at < s.len) {
        size_t run = plain_run(s.data + at, s.len - at);
        tn__buf_add(buf, s.data + at, run);
        at += run;
        if (at < s.len)
            at += add_other(buf, s.data + at, s.len - at);
    }
    tn__buf_add_char(buf, '"');
}

/* The digits and the decimal exponent (d.ddd times ten to it) of a double above zero. */
typedef struct {
    char digits[REAL_DIGITS_MAX];
    int n, exponent;
} decimal;

/* Prints with `n` digits. True when they read back as `v`. Digits are picked out of printf's text,
 * so the decimal point of the locale doesn't matter. */
static bool to_decimal(double v, int n, decimal *d)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", n - 1, v);
    d->n = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            d->digits[d->n++] = *at;
    d->exponent = (int)strtol(at + 1, NULL, 10);
    assert(d->n == n);
    while (d->n > 1 && d->digits[d->n - 1] == '0')
        d->n--;
    return strtod(text, NULL) == v;
}

/* A normal double has at most 15 digits in the text it was read from, or needs 16 or 17; zeros at
 * the end are cut. Below DBL_MIN fewer digits may be enough, so all counts are tried there. (46
 * powers of two get 17 digits though another 16 than the nearest would do.) */
static decimal shortest(double v)
{
    decimal d;
    int n = fpclassify(v) == FP_SUBNORMAL ? 1 : 15;
    while (!to_decimal(v, n, &d)) {
        n++;
        assert(n <= REAL_DIGITS_MAX);
    }
    return d;
}

static void add_zeros(tn__buf *buf, int n)
{
    while (n-- > 0)
        tn__buf_add_char(buf, '0');
}

/* Such as 1e-7 and 1.5e300. */
static void add_scientific(tn__buf *buf, const decimal *d)
{
    tn__buf_add_char(buf, d->digits[0]);
    if (d->n > 1)
        tn__buf_add_char(buf, '.');
    tn__buf_add(buf, d->digits + 1, (size_t)d->n - 1);
    tn__buf_add_char(buf, 'e');
    tn__buf_add_i64(buf, d->exponent);
}

/* Such as 0.00015, 1.5 and 150. */
static void add_plain(tn__buf *buf, const decimal *d)
{
    if (d->exponent < 0) {
        tn__buf_add_z(buf, "0.");
        add_zeros(buf, -d->exponent - 1);
        tn__buf_add(buf, d->digits, (size_t)d->n);
        return;
    }
    int whole = d->exponent + 1;
    int before = d->n < whole ? d->n : whole;
    tn__buf_add(buf, d->digits, (size_t)before);
    add_zeros(buf, whole - before);
    if (d->n > before)
        tn__buf_add_char(buf, '.');
    tn__buf_add(buf, d->digits + before, (size_t)(d->n - before));
}

void tn__json_real(tn__buf *buf, double v)
{
    const double exact_max = 9007199254740992; /* 2^53: whole numbers up to it are exact */
    if (!isfinite(v)) {
        tn__buf_add_z(buf, "null");
        return;
    }
    if (signbit(v))
        tn__buf_add_char(buf, '-');
    double size = fabs(v);
    if (size <= exact_max && size == floor(size)) {
        tn__buf_add_i64(buf, (int64_t)size);
        return;
    }
    /* From 1e18 on, plain digits could look like an integer that 64 bits can't hold. */
    decimal d = shortest(size);
    if (d.exponent < -5 || d.exponent > 17)
        add_scientific(buf, &d);
    else
        add_plain(buf, &d);
}

void tn__json_uuid(tn__buf *buf, tn_uuid id)
{
    char text[38];
    text[0] = text[37] = '"';
    tn__uuid_write(id, text + 1);
    tn__buf_add(buf, text, sizeof text);
}

void tn__json_time(tn__buf *buf, tn_time t)
{
    char text[29];
    text[0] = text[28] = '"';
    tn__time_write(t, text + 1);
    tn__buf_add(buf, text, sizeof text);
}
