/* Numbers as text. */
#include "unit.h"

#include <math.h>

static void integers_are_read_in_full_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t v;
    } cases[] = { { "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-7", -7 }, { "1000000", 1000000 },
        { "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN },
        { "-9223372036854775807", -INT64_MAX } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t v = 42;
        assert_true(tn__i64_parse(tn_str_of(cases[i].text), &v));
        assert_true(v == cases[i].v);
    }
}

static void parse_refuses_what_is_not_an_integer(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "007", "00",
        "-01", "--1", "1-", "a", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "99999999999999999999999", "1\n", "\xD9\xA1" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t v = 42;
        if (tn__i64_parse(tn_str_of(bad[i]), &v))
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(v, 42);
    }
    int64_t v;
    assert_false(tn__i64_parse((tn_str){ NULL, 0 }, &v));
    assert_false(tn__i64_parse(TN_S("1\0"), &v));
}

static void reals_are_read_as_the_nearest_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double v;
    } cases[] = { { "0", 0 }, { "-0", -0.0 }, { "1", 1 }, { "0.1", 0.1 }, { "-2.5", -2.5 },
        { "1e3", 1000 }, { "1E+3", 1000 }, { "1.5e-3", 0.0015 }, { "1e00", 1 },
        { "1.7976931348623157e308", 1.7976931348623157e308 }, { "5e-324", 5e-324 }, { "1e-400", 0 },
        { "0e999999", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double v = 42;
        assert_true(tn__real_parse(tn_str_of(cases[i].text), &v));
        assert_memory_equal(&v, &cases[i].v, sizeof v);
    }
}

static void parse_refuses_what_is_not_a_real(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "-", ".", ".5", "5.", "1.e3", "1e", "1e+", "e3", "+1.5",
        " 1.5", "1.5 ", "01.5", "1,5", "0x1p3", "inf", "nan", "-inf", "Infinity", "1e309", "-1e309",
        "1e99999999999", "1.5.5", "1e3.5", "1_000" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double v = 42;
        if (tn__real_parse(tn_str_of(bad[i]), &v))
            fail_msg("%s was accepted", bad[i]);
        assert_true(v == 42);
    }
    char digits[401];
    double v;
    memset(digits, '1', sizeof digits);
    digits[1] = '.';
    assert_true(tn__real_parse((tn_str){ digits, 400 }, &v));
    assert_false(tn__real_parse((tn_str){ digits, 401 }, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_in_full_range),
        cmocka_unit_test(parse_refuses_what_is_not_an_integer),
        cmocka_unit_test(reals_are_read_as_the_nearest_double),
        cmocka_unit_test(parse_refuses_what_is_not_a_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
