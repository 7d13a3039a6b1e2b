/* The wire format of Protocol Buffers, and the answers of receivers. That spans are written as OTLP
 * has them is for the official definitions to say: tests/integration/test_otlp.py. */

#include "telemetry/otlp.h"
#include "telemetry/otlp_http.h"
#include "telemetry/protobuf.h"

#include <setjmp.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

static void a_varint_is_written_in_as_few_bytes_as_can_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        size_t bytes;
    } cases[] = { { 0, 1 }, { 1, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 }, { 16384, 3 },
        { UINT32_MAX, 5 }, { UINT64_MAX >> 1, 9 }, { UINT64_MAX, 10 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[TN__PB_VARINT_BYTES_MAX];
        assert_int_equal(tn__pb_varint_size(cases[i].v), cases[i].bytes);
        assert_int_equal(tn__pb_varint(out, cases[i].v) - out, cases[i].bytes);
    }
}

static void fields_are_read_as_they_were_written(void **state)
{
    (void)state;
    char text[64];
    char *at = tn__pb_uint(text, 1, 300);
    at = tn__pb_fixed64(at, 7, UINT64_C(0x0102030405060708));
    at = tn__pb_fixed32(at, 16, 0xfffefdfc);
    at = tn__pb_bytes(at, 5, "abc", 3);
    assert_memory_equal(text, "\x08\xac\x02", 3); /* the example of the specification */
    tn_str rest = { text, (size_t)(at - text) };
    tn__pb_field field;
    assert_true(tn__pb_read(&rest, &field));
    assert_true(field.field == 1 && field.wire == TN__PB_VARINT && field.number == 300);
    assert_true(tn__pb_read(&rest, &field));
    assert_true(field.field == 7 && field.number == UINT64_C(0x0102030405060708));
    assert_true(tn__pb_read(&rest, &field));
    assert_true(field.field == 16 && field.number == 0xfffefdfc);
    assert_true(tn__pb_read(&rest, &field));
    assert_true(field.field == 5 && tn_str_eq(field.bytes, TN_S("abc")));
    assert_false(tn__pb_read(&rest, &field));
}

static void what_is_no_field_ends_the_reading(void **state)
{
    (void)state;
    static const tn_str broken[] = {
        { "", 0 }, { "\x00\x01", 2 },                               /* field 0 */
        { "\x08", 1 },                                              /* a number is missing */
        { "\x08\xff", 2 },                                          /* half of one */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* too long a one */
        { "\x09\x01\x02", 3 },                                      /* eight bytes are missing */
        { "\x0d\x01", 2 },                                          /* four bytes */
        { "\x12\x05"
          "abc",
            5 },                                                /* a string that is too short */
        { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, /* longer than anything */
        { "\x0b", 1 },                                          /* a group */
        { "\xff\xff\xff\xff\xff\x7f\x01", 7 },                  /* a field number of 40 bits */
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        tn_str rest = broken[i];
        tn__pb_field field;
        assert_false(tn__pb_read(&rest, &field));
    }
}

static void an_empty_answer_is_a_full_success(void **state)
{
    (void)state;
    tn__otlp_partial partial = tn__otlp_response(TN_S(""));
    assert_int_equal(partial.rejected, 0);
    assert_int_equal(partial.message.len, 0);
}

static void a_partial_success_is_read_past_what_is_unknown(void **state)
{
    (void)state;
    tn__otlp_partial partial = tn__otlp_response(TN_S("\x10\x05\x0a\x0a\x08\x2a\x1a\x01x\x12\x03"
                                                      "old"));
    assert_int_equal(partial.rejected, 42);
    assert_true(tn_str_eq(partial.message, TN_S("old")));
}

static void the_message_of_an_error_is_found(void **state)
{
    (void)state;
    assert_true(tn_str_eq(tn__otlp_status_message(TN_S("\x08\x03\x12\x02"
                                                       "no")),
        TN_S("no")));
    assert_int_equal(tn__otlp_status_message(TN_S("<html>Bad Gateway</html>")).len, 0);
}

static void gzip_unpacks_to_what_was_packed(void **state)
{
    (void)state;
    tn__buf in = { 0 }, out = { 0 };
    for (int i = 0; i < 20000; i++)
        tn__buf_add_i64(&in, i % 77);
    tn__gzip(&out, TN_S("what was there before goes"));
    tn__gzip(&out, tn__buf_str(&in));
    assert_true(out.len < in.len / 5);
    unsigned char *unpacked = tn__xmalloc(in.len + 1);
    z_stream stream = { .next_in = (Bytef *)out.data,
        .avail_in = (uInt)out.len,
        .next_out = unpacked,
        .avail_out = (uInt)in.len + 1 };
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, in.len);
    assert_memory_equal(unpacked, in.data, in.len);
    inflateEnd(&stream);
    free(unpacked);
    tn__buf_deinit(&in);
    tn__buf_deinit(&out);
}

static void spans_stand_behind_each_other(void **state)
{
    (void)state;
    tn__buf out = { 0 };
    static char text[TN__SPAN_VALUE_BYTES_MAX];
    memset(text, 'x', sizeof text);
    const tn__trace trace = { .trace_id = { 1 }, .span_id = { 2 } };
    size_t ends[40];
    for (size_t i = 0; i < 40; i++) {
        tn_log_field attributes[20];
        for (size_t k = 0; k < 20; k++)
            attributes[k] = TN_LOG_S("k", ((tn_str){ text, i * 25 }));
        tn__span span = { .trace = trace,
            .kind = TN__SPAN_CLIENT,
            .name = TN_S("n"),
            .attributes = attributes,
            .n_attributes = i % 21 };
        tn__otlp_add_span(&out, &span, 0);
        ends[i] = out.len;
    }
    tn_str rest = tn__buf_str(&out);
    for (size_t i = 0; i < 40; i++) {
        size_t n = tn__otlp_span_bytes(rest);
        rest = (tn_str){ rest.data + n, rest.len - n };
        assert_int_equal((size_t)(rest.data - out.data), ends[i]);
    }
    tn__buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_varint_is_written_in_as_few_bytes_as_can_be),
        cmocka_unit_test(fields_are_read_as_they_were_written),
        cmocka_unit_test(what_is_no_field_ends_the_reading),
        cmocka_unit_test(an_empty_answer_is_a_full_success),
        cmocka_unit_test(a_partial_success_is_read_past_what_is_unknown),
        cmocka_unit_test(the_message_of_an_error_is_found),
        cmocka_unit_test(gzip_unpacks_to_what_was_packed),
        cmocka_unit_test(spans_stand_behind_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
