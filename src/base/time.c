/* Clocks, and RFC 3339 with civil-date arithmetic of our own: no locale, no time zone, no calendar of
 * the C library's.
 *
 * Dates are of the proleptic Gregorian calendar, years 0000 to 9999. Writing clamps an instant
 * outside them (PostgreSQL has such, and infinities) to the nearest within; reading refuses it. A
 * second 60 is read only where leap seconds are, at 23:59 UTC, and means the instant after it. */
#include "base/base.h"

#include <assert.h>
#include <time.h>

#define DAY_US        INT64_C(86400000000)
#define YEAR_0_US     (INT64_C(-719528) * DAY_US)
#define YEAR_10000_US (INT64_C(2932897) * DAY_US)

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    int failed = clock_gettime(clock, &t);
    assert(failed == 0);
    (void)failed;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

tn_time tn_now(void)
{
    return (tn_time){ clock_us(CLOCK_REALTIME) };
}

int64_t tn__mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    assert(month >= 1 && month <= 12);
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Both ways count years from 1 March, so that the leap day is the last of its year, in eras of 400
 * years (146097 days), which repeat exactly. 719468 days lie between 0000-03-01 and 1970-01-01. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                              day_of_era / 146096) /
        365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1);
    *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* `n` digits at `*at`, which moves on. */
static bool read_digits(const char **at, const char *end, int n, int *v)
{
    if (end - *at < n)
        return false;
    *v = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *v = *v * 10 + (**at - '0');
    }
    return true;
}

/* One character; both cases of a letter are the same (RFC 3339 5.6). */
static bool read_char(const char **at, const char *end, char wanted)
{
    if (*at == end)
        return false;
    bool lower = **at >= 'a' && **at <= 'z';
    if (**at - (lower ? 'a' - 'A' : 0) != wanted)
        return false;
    (*at)++;
    return true;
}

static bool read_date(const char **at, const char *end, int64_t *days)
{
    int year, month, day;
    bool ok = read_digits(at, end, 4, &year) && read_char(at, end, '-') &&
        read_digits(at, end, 2, &month) && read_char(at, end, '-') && read_digits(at, end, 2, &day);
    if (!ok || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *days = days_from_date(year, month, day);
    return true;
}

/* Seconds since midnight; the second may be 60. */
static bool read_clock(const char **at, const char *end, int *seconds, bool *leap)
{
    int hour, minute, second;
    bool ok = read_digits(at, end, 2, &hour) && read_char(at, end, ':') &&
        read_digits(at, end, 2, &minute) && read_char(at, end, ':') &&
        read_digits(at, end, 2, &second);
    if (!ok || hour > 23 || minute > 59 || second > 60)
        return false;
    *seconds = (hour * 60 + minute) * 60 + second;
    *leap = second == 60;
    return true;
}

/* Nothing, or a point and one to nine digits, of which six are kept. */
static bool read_fraction(const char **at, const char *end, int *us)
{
    *us = 0;
    if (!read_char(at, end, '.'))
        return true;
    int n = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; n++, (*at)++)
        if (n < 6)
            *us = *us * 10 + (**at - '0');
    for (int i = n; i < 6; i++)
        *us *= 10;
    return n >= 1 && n <= 9;
}

/* Z, or hours and minutes ahead of UTC. */
static bool read_offset(const char **at, const char *end, int *seconds)
{
    *seconds = 0;
    if (read_char(at, end, 'Z'))
        return true;
    int sign = 1, hours, minutes;
    if (!read_char(at, end, '+')) {
        if (!read_char(at, end, '-'))
            return false;
        sign = -1;
    }
    bool ok = read_digits(at, end, 2, &hours) && read_char(at, end, ':') &&
        read_digits(at, end, 2, &minutes);
    if (!ok || hours > 23 || minutes > 59)
        return false;
    *seconds = sign * (hours * 60 + minutes) * 60;
    return true;
}

bool tn__time_parse(tn_str s, tn_time *t)
{
    if (s.len == 0)
        return false;
    const char *at = s.data, *end = s.data + s.len;
    int64_t days;
    int clock, fraction, offset;
    bool leap;
    bool ok = read_date(&at, end, &days) && read_char(&at, end, 'T') &&
        read_clock(&at, end, &clock, &leap) && read_fraction(&at, end, &fraction) &&
        read_offset(&at, end, &offset) && at == end;
    if (!ok)
        return false;
    int64_t second = days * 86400 + clock - offset;
    int64_t us = second * 1000000 + fraction;
    if ((leap && second % 86400 != 0) || us < YEAR_0_US || us >= YEAR_10000_US)
        return false;
    t->us = us;
    return true;
}

static char *write_digits(char *at, int n, int v)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        at[i] = (char)('0' + v % 10);
    return at + n;
}

static char *write_date(char *at, int64_t days)
{
    int year, month, day;
    date_from_days(days, &year, &month, &day);
    at = write_digits(at, 4, year);
    *at++ = '-';
    at = write_digits(at, 2, month);
    *at++ = '-';
    return write_digits(at, 2, day);
}

static int64_t clamp(int64_t us)
{
    if (us < YEAR_0_US)
        return YEAR_0_US;
    return us >= YEAR_10000_US ? YEAR_10000_US - 1 : us;
}

void tn__time_write(tn_time t, char out[27])
{
    int64_t since_year_0 = clamp(t.us) - YEAR_0_US; /* never below zero: division rounds down */
    int64_t days = since_year_0 / DAY_US + YEAR_0_US / DAY_US;
    int64_t us = since_year_0 % DAY_US;
    int seconds = (int)(us / 1000000);
    char *at = write_date(out, days);
    *at++ = 'T';
    at = write_digits(at, 2, seconds / 3600);
    *at++ = ':';
    at = write_digits(at, 2, seconds / 60 % 60);
    *at++ = ':';
    at = write_digits(at, 2, seconds % 60);
    *at++ = '.';
    at = write_digits(at, 6, (int)(us % 1000000));
    *at++ = 'Z';
    assert(at == out + 27);
}

tn_str tn_time_str(tn_arena *arena, tn_time time)
{
    char text[27];
    tn__time_write(time, text);
    return tn_copy(arena, (tn_str){ text, sizeof text });
}
