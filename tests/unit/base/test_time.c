/* RFC 3339, read and written, and the calendar under it. */
#include "unit.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static tn_str text_of(int64_t us)
{
    static char text[27];
    tn__time_write((tn_time){ us }, text);
    return (tn_str){ text, sizeof text };
}

static void assert_reads(const char *text, const char *utc)
{
    tn_time t;
    if (!tn__time_parse(tn_str_of(text), &t))
        fail_msg("%s was refused", text);
    assert_str(text_of(t.us), utc);
}

static void instants_are_written_in_utc_with_six_digits(void **state)
{
    (void)state;
    assert_str(text_of(0), "1970-01-01T00:00:00.000000Z");
    assert_str(text_of(-1), "1969-12-31T23:59:59.999999Z");
    assert_str(text_of(INT64_C(1769850900123456)), "2026-01-31T09:15:00.123456Z");
    assert_str(text_of(INT64_C(951782400000000)), "2000-02-29T00:00:00.000000Z");
    assert_str(text_of(INT64_C(-62167219200000000)), "0000-01-01T00:00:00.000000Z");
    assert_str(text_of(INT64_C(253402300799999999)), "9999-12-31T23:59:59.999999Z");
}

static void instants_out_of_range_are_written_as_the_nearest_in_it(void **state)
{
    (void)state;
    assert_str(text_of(INT64_MIN), "0000-01-01T00:00:00.000000Z");
    assert_str(text_of(INT64_C(-62167219200000001)), "0000-01-01T00:00:00.000000Z");
    assert_str(text_of(INT64_MAX), "9999-12-31T23:59:59.999999Z");
    assert_str(text_of(INT64_C(253402300800000000)), "9999-12-31T23:59:59.999999Z");
}

static bool is_leap(int year)
{
    return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
}

/* A calendar that only counts up, day by day, for ten thousand years. */
static void each_day_of_ten_thousand_years_is_right(void **state)
{
    (void)state;
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t us = INT64_C(-62167219200000000);
    for (int year = 0; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            int last = days[month - 1] + (month == 2 && is_leap(year));
            for (int day = 1; day <= last; day++, us += INT64_C(86400000000)) {
                char wanted[11] = { (char)('0' + year / 1000), (char)('0' + year / 100 % 10),
                    (char)('0' + year / 10 % 10), (char)('0' + year % 10), '-',
                    (char)('0' + month / 10), (char)('0' + month % 10), '-', (char)('0' + day / 10),
                    (char)('0' + day % 10), 'T' };
                tn_time back;
                tn_str text = text_of(us);
                if (memcmp(text.data, wanted, sizeof wanted) != 0 || !tn__time_parse(text, &back) ||
                    back.us != us)
                    fail_msg("%.*s is wrong: %.*s", 10, wanted, 27, text.data);
            }
        }
    }
    assert_int_equal(us, INT64_C(253402300800000000));
}

static void every_form_of_an_instant_is_read(void **state)
{
    (void)state;
    assert_reads("2026-01-31T09:15:00Z", "2026-01-31T09:15:00.000000Z");
    assert_reads("2026-01-31t09:15:00z", "2026-01-31T09:15:00.000000Z");
    assert_reads("2026-01-31T09:15:00.1Z", "2026-01-31T09:15:00.100000Z");
    assert_reads("2026-01-31T09:15:00.123456Z", "2026-01-31T09:15:00.123456Z");
    assert_reads("2026-01-31T09:15:00.123456999Z", "2026-01-31T09:15:00.123456Z");
    assert_reads("2026-01-31T09:15:00+00:00", "2026-01-31T09:15:00.000000Z");
    assert_reads("2026-01-31T09:15:00-00:00", "2026-01-31T09:15:00.000000Z");
    assert_reads("2026-01-31T09:15:00+02:30", "2026-01-31T06:45:00.000000Z");
    assert_reads("2026-01-31T23:15:00-02:30", "2026-02-01T01:45:00.000000Z");
    assert_reads("2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00.000000Z");
    assert_reads("2024-02-29T23:59:59.5-23:59", "2024-03-01T23:58:59.500000Z");
    assert_reads("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z");
    assert_reads("0000-02-29T00:00:00Z", "0000-02-29T00:00:00.000000Z");
    assert_reads("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z");
}

static void leap_second_is_read_as_the_instant_after_it(void **state)
{
    (void)state;
    assert_reads("1998-12-31T23:59:60Z", "1999-01-01T00:00:00.000000Z");
    assert_reads("1998-12-31T15:59:60.25-08:00", "1999-01-01T00:00:00.250000Z");
    assert_reads("1999-01-01T01:29:60+01:30", "1999-01-01T00:00:00.000000Z");
}

static void parse_refuses_what_is_not_an_instant(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T09:15:00",
        "2026-01-31 09:15:00Z",
        "2026-01-31T09:15Z",
        "2026-01-31T0915:00Z",
        "20260131T091500Z",
        "2026-1-31T09:15:00Z",
        "026-01-31T09:15:00Z",
        "12026-01-31T09:15:00Z",
        "+2026-01-31T09:15:00Z",
        "-026-01-31T09:15:00Z",
        "2026-00-10T09:15:00Z",
        "2026-13-10T09:15:00Z",
        "2026-01-00T09:15:00Z",
        "2026-01-32T09:15:00Z",
        "2026-04-31T09:15:00Z",
        "2026-02-29T09:15:00Z",
        "1900-02-29T09:15:00Z",
        "2024-02-30T09:15:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:60:00Z",
        "2026-01-31T09:15:61Z",
        "2026-01-31T09:15:60Z",
        "1998-12-31T22:59:60Z",
        "1998-12-31T23:58:60Z",
        "1998-12-31T23:59:60+01:00",
        "2026-01-31T09:15:00.Z",
        "2026-01-31T09:15:00,5Z",
        "2026-01-31T09:15:00.1234567890Z",
        "2026-01-31T09:15:00.",
        "2026-01-31T09:15:00.5",
        "2026-01-31T09:15:00+24:00",
        "2026-01-31T09:15:00+01:60",
        "2026-01-31T09:15:00+0100",
        "2026-01-31T09:15:00+01",
        "2026-01-31T09:15:00+1:00",
        "2026-01-31T09:15:00+01:000",
        "2026-01-31T09:15:00ZZ",
        "2026-01-31T09:15:00Z ",
        " 2026-01-31T09:15:00Z",
        "2026-01-31T09:15:00X",
        "2026-01-3\xD9\xA1T09:15:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tn_time t = { 42 };
        if (tn__time_parse(tn_str_of(bad[i]), &t))
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(t.us, 42);
    }
    tn_time t;
    assert_false(tn__time_parse((tn_str){ NULL, 0 }, &t));
    assert_false(tn__time_parse(TN_S("2026-01-31T09:15:00Z\0"), &t));
}

/* Each cut of a valid text is refused without reading behind its end: AddressSanitizer looks on. */
static void every_cut_of_an_instant_is_refused(void **state)
{
    (void)state;
    tn_str whole = TN_S("2026-01-31T09:15:00.123456+01:00");
    for (size_t len = 0; len < whole.len; len++) {
        char *cut = tn__xmalloc(len);
        memcpy(cut, whole.data, len);
        tn_time t;
        assert_false(tn__time_parse((tn_str){ cut, len }, &t));
        free(cut);
    }
}

static void clocks_go_on(void **state)
{
    (void)state;
    int64_t start = tn__mono_us();
    int64_t wall = tn_now().us;
    usleep(2000);
    assert_true(tn__mono_us() - start >= 2000);
    assert_true(tn_now().us > wall);
    int64_t seconds = (int64_t)time(NULL);
    assert_true(llabs(tn_now().us / 1000000 - seconds) <= 1);
}

static void str_is_in_the_arena(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(128);
    assert_str(tn_time_str(arena, (tn_time){ 1000000 }), "1970-01-01T00:00:01.000000Z");
    tn__arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_written_in_utc_with_six_digits),
        cmocka_unit_test(instants_out_of_range_are_written_as_the_nearest_in_it),
        cmocka_unit_test(each_day_of_ten_thousand_years_is_right),
        cmocka_unit_test(every_form_of_an_instant_is_read),
        cmocka_unit_test(leap_second_is_read_as_the_instant_after_it),
        cmocka_unit_test(parse_refuses_what_is_not_an_instant),
        cmocka_unit_test(every_cut_of_an_instant_is_refused),
        cmocka_unit_test(clocks_go_on),
        cmocka_unit_test(str_is_in_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
