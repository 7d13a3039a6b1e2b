/* AMQP URIs. */
#include "amqp/url.h"

#include <setjmp.h>

#include <cmocka.h>

static int open_arena(void **state)
{
    *state = tn__arena_open(1024);
    return 0;
}

static int close_arena(void **state)
{
    tn__arena_close(*state);
    return 0;
}

static void all_parts_are_read_and_decoded(void **state)
{
    tn__amqp_url url;
    tn_str why;
    assert_true(tn__amqp_url_parse(*state, "amqp://us%40er:p%3Aw%2Fd@broker.example:5673/a%2Fb",
        &url, &why));
    assert_string_equal(url.user, "us@er");
    assert_string_equal(url.password, "p:w/d");
    assert_string_equal(url.host, "broker.example");
    assert_int_equal(url.port, 5673);
    assert_string_equal(url.vhost, "a/b");
    assert_false(url.tls);
}

static void the_vhost_is_the_default_one_with_and_without_a_slash(void **state)
{
    tn__amqp_url url;
    tn_str why;
    assert_true(tn__amqp_url_parse(*state, "amqp://a:b@host", &url, &why));
    assert_string_equal(url.vhost, "/");
    assert_int_equal(url.port, 5672);
    assert_true(tn__amqp_url_parse(*state, "amqp://a:b@host:1/", &url, &why));
    assert_string_equal(url.vhost, "/");
    assert_true(tn__amqp_url_parse(*state, "amqp://a:b@host:1/%2F", &url, &why));
    assert_string_equal(url.vhost, "/");
}

static void amqps_verifies_unless_told_otherwise(void **state)
{
    tn__amqp_url url;
    tn_str why;
    assert_true(tn__amqp_url_parse(*state, "amqps://a:b@host", &url, &why));
    assert_true(url.tls);
    assert_false(url.verify_none);
    assert_int_equal(url.port, 5671);
    assert_null(url.cacertfile);
    assert_true(tn__amqp_url_parse(*state,
        "amqps://a:b@host/?verify=verify_peer&cacertfile=/etc/my%20ca.pem&certfile=/c&keyfile=/k",
        &url, &why));
    assert_false(url.verify_none);
    assert_string_equal(url.cacertfile, "/etc/my ca.pem");
    assert_string_equal(url.certfile, "/c");
    assert_string_equal(url.keyfile, "/k");
    assert_true(tn__amqp_url_parse(*state, "amqps://a:b@host?verify=verify_none", &url, &why));
    assert_true(url.verify_none);
}

static void what_is_wrong_is_refused_without_repeating_the_password(void **state)
{
    static const char *const bad[] = {
        "",
        "http://a:secret@host",
        "amqp://a:secret@host:99999",
        "amqp://a:secret@host:port/",
        "amqp://a:secret@host/v/w",
        "amqp://a:secret@host/%zz",
        "amqps://a:secret@host?verify=maybe",
        "amqps://a:secret@host?verify",
        "amqps://a:secret@host?heartbeat=10",
        "amqps://a:secret@host?certfile=/c",
        "amqps://a:secret@host?cacertfile=%0",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tn__amqp_url url;
        tn_str why = { 0 };
        assert_false(tn__amqp_url_parse(*state, bad[i], &url, &why));
        assert_true(why.len > 0);
        assert_null(memmem(why.data, why.len, "secret", 6));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_are_read_and_decoded),
        cmocka_unit_test(the_vhost_is_the_default_one_with_and_without_a_slash),
        cmocka_unit_test(amqps_verifies_unless_told_otherwise),
        cmocka_unit_test(what_is_wrong_is_refused_without_repeating_the_password),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
