/* Dead letters: a message that can't have its effect is kept, with the reason and all that came with
 * it. */
#include "fixture.h"

static void text_that_is_no_json_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":");
    await_reason(f, "line 1");
}

static void a_body_that_does_not_fit_is_a_dead_letter_with_each_fault(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":-1,\"wish\":7}");
    await_reason(f, "/n: ");
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE"
                         " reason LIKE '%%/n: %%/wish: %%'"),
        1);
}

static void a_message_without_an_id_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.message_id = TN_S("");
    message.body = TN_S("{\"n\":1}");
    send_message(f, &message);
    await_reason(f, "message_id");
}

static void a_message_id_that_is_no_uuid_is_one_dead_letter(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.message_id = TN_S("seven");
    message.body = TN_S("{\"n\":1}");
    send_message(f, &message);
    send_message(f, &message);
    test_eventually(f->db, 2, 20, "SELECT sum(deaths) FROM trunnion_dead_letters");
    await_reason(f, "message_id");
}

static void a_rejected_message_is_a_dead_letter_with_the_handlers_reason(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":17,\"wish\":\"reject\"}");
    await_reason(f, "order 17 is not wanted");
}

static void a_violated_constraint_is_a_dead_letter_and_named(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":13}");
    await_reason(f, "small");
}

static void a_query_that_fails_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":1,\"wish\":\"error\"}");
    await_reason(f, "22012");
}

static void poison_in_company_takes_nobody_with_it(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        send_many(f, 10);
        send_body(f, "{\"n\":13}");
    }
    start(f);
    await_effects(f, 200);
    test_eventually(f->db, 20, 20, "SELECT count(*) FROM trunnion_dead_letters");
}

static void a_key_that_nothing_subscribes_to_is_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    const char *stray = tn_printf(f->arena, "%s.made.twice", f->name).data;
    amqp_queue_bind(f->amqp->state, 1, amqp_cstring_bytes(f->queue), amqp_cstring_bytes("events"),
        amqp_cstring_bytes(stray), amqp_empty_table);
    start(f);
    tn__amqp_message message = test_message(f->arena, stray);
    message.body = TN_S("{\"n\":1}");
    send_message(f, &message);
    await_reason(f, stray);
}

static void bytes_that_are_no_text_are_kept_as_far_as_they_can_be(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = (tn_str){ "{\"a\":\"\xff\xfe\",\0 \"\xc3\xa9\"", 16 };
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("bytes"), { "\xff\0x", 3 } };
    message.headers[message.n_headers++] = (tn__amqp_header){ { "b\0c", 3 }, TN_S("y") };
    send_message(f, &message);
    test_eventually(f->db, 1, 20, "SELECT count(*) FROM trunnion_dead_letters");
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE body ="
                         " E'{\"a\":\"\\uFFFD\\uFFFD\",\\uFFFD \"\\u00E9\"'"),
        1);
    assert_int_equal(test_sql(f->db,
                         "SELECT json_array_length(json_build_array(headers::json)) FROM"
                         " trunnion_dead_letters"),
        1);
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE"
                         " position(E'\"b\\uFFFDc\":\"y\"' in headers) > 0"),
        1);
}

static void a_dead_letter_tells_all_that_is_known(void **state)
{
    struct fixture *f = *state;
    /* Another ear on the exchange. */
    tn__amqp *tap = test_amqp_open();
    const char *pattern = tn_printf(f->arena, "%s.#", f->name).data;
    const char *queue = tn_printf(f->arena, "tap-%s", f->name).data;
    amqp_queue_declare(tap->state, 1, amqp_cstring_bytes(queue), false, false, true, true,
        amqp_empty_table);
    amqp_queue_bind(tap->state, 1, amqp_cstring_bytes(queue), amqp_cstring_bytes("events.dead"),
        amqp_cstring_bytes(pattern), amqp_empty_table);
    assert_int_equal(tn__amqp_consume(tap, queue, 10), TN__AMQP_OK);

    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("poison");
    message.correlation_id = TN_S("request-9");
    message.timestamp_s = 1760000000;
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("colour"), TN_S("blue") };
    send_message(f, &message);

    tn__amqp_message heard;
    assert_int_equal(tn__amqp_next(tap, 10000, &heard), TN__AMQP_OK);
    assert_true(tn_str_eq(heard.routing_key, tn_printf(f->arena, "%s.%s", f->name, f->key)));
    assert_true(tn_str_eq(heard.message_id, message.message_id));
    assert_true(tn_str_eq(heard.body, message.body));
    assert_int_equal(heard.n_headers, 2);
    assert_true(tn_str_eq(test_header(&heard, "colour"), TN_S("blue")));
    assert_true(test_contains(test_header(&heard, "x-death-reason"), "line 1"));
    tn__amqp_close(tap);

    test_eventually(f->db, 1, 20,
        "SELECT count(*) FROM trunnion_dead_letters WHERE id = '%s' AND type = '%s'"
        " AND source_service = 'test' AND routing_key = '%s' AND correlation_id = 'request-9'"
        " AND headers = '{\"colour\":\"blue\"}' AND body = 'poison' AND deaths = 1"
        " AND occurred_at = to_timestamp(1760000000) AND replayed_at IS NULL",
        message.message_id.data, f->key, f->key);
}

/* What is kept fits into one message again. */
static void a_dead_letter_with_many_headers_can_go_back(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("poison");
    message.type = TN_S("another.type");
    for (int i = 0; i < TN__AMQP_HEADERS_MAX; i++)
        message.headers[message.n_headers++] = (tn__amqp_header){ tn_printf(f->arena, "h%d", i),
            TN_S("x") };
    send_message(f, &message);
    test_eventually(f->db, TN__AMQP_HEADERS_MAX, 20,
        "SELECT count(*) FROM trunnion_dead_letters, json_object_keys(headers::json)");
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE"
                         " headers::json->>'x-first-routing-key' = '%s'",
                         f->key),
        1);
}

static void what_the_broker_gives_up_is_a_dead_letter_too(void **state)
{
    struct fixture *f = *state;
    tn_str id = send_body(f, "{\"n\":1}");
    tn__amqp *amqp = test_amqp_open();
    tn__amqp_message in;
    assert_int_equal(tn__amqp_consume(amqp, f->queue, 1), TN__AMQP_OK);
    assert_int_equal(tn__amqp_next(amqp, 10000, &in), TN__AMQP_OK);
    assert_int_equal(tn__amqp_reject(amqp, in.delivery_tag, false), TN__AMQP_OK);
    tn__amqp_close(amqp);
    start(f);
    await_reason(f, "rejected");
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE id = '%s'"
                         " AND routing_key = '%s' AND headers = '{}'",
                         id.data, f->key),
        1);
}

/* With our name before it its routing key is longer than one may be, so it goes the broker's way. */
static void a_letter_that_cannot_be_written_goes_the_brokers_way(void **state)
{
    struct fixture *f = *state;
    char key[255 + 1] = "";
    int n = snprintf(key, sizeof key, "%s.", f->name);
    memset(key + n, 'x', sizeof key - 1 - (size_t)n);
    start(f);
    tn__amqp_message message = test_message(f->arena, key);
    message.body = TN_S("poison");
    send_message(f, &message);
    await_reason(f, "rejected");
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM trunnion_dead_letters WHERE routing_key = '%s'",
                         key),
        1);
}

static void a_message_sent_back_to_its_queue_finds_its_handler(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":1}");
    message.exchange = TN_S("");
    message.routing_key = tn_str_of(f->queue);
    send_message(f, &message);
    await_effects(f, 1);
    message.message_id = tn_uuid_str(f->arena, tn_uuid_v7());
    message.type = TN_S("another.type");
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("x-first-routing-key"),
        tn_str_of(f->key) };
    send_message(f, &message);
    await_effects(f, 2);
    message.message_id = tn_uuid_str(f->arena, tn_uuid_v7());
    message.n_headers = 0;
    send_message(f, &message);
    test_eventually(f->db, 1, 20, "SELECT count(*) FROM trunnion_dead_letters");
}

static void one_that_never_passes_is_a_dead_letter_in_the_end(void **state)
{
    struct fixture *f = *state;
    f->options.retries_max = 1;
    f->options.retry_max_ms = 10;
    start(f);
    await_up(f);
    PGconn *holder = test_db();
    test_sql(holder, "BEGIN");
    test_sql(holder, "SELECT id FROM locked FOR UPDATE");
    tn_str id = send_body(f, "{\"n\":1,\"wish\":\"lock\"}");
    test_eventually(f->db, 1, 40,
        "SELECT count(*) FROM trunnion_dead_letters WHERE id = '%s' AND routing_key = '%s'",
        id.data, f->key);
    test_sql(holder, "COMMIT");
    PQfinish(holder);
    await_reason(f, "delivered too often");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(text_that_is_no_json_is_a_dead_letter),
        WITH(a_body_that_does_not_fit_is_a_dead_letter_with_each_fault),
        WITH(a_message_without_an_id_is_a_dead_letter),
        WITH(a_message_id_that_is_no_uuid_is_one_dead_letter),
        WITH(a_rejected_message_is_a_dead_letter_with_the_handlers_reason),
        WITH(a_violated_constraint_is_a_dead_letter_and_named),
        WITH(a_query_that_fails_is_a_dead_letter),
        WITH(poison_in_company_takes_nobody_with_it),
        WITH(a_key_that_nothing_subscribes_to_is_a_dead_letter),
        WITH(bytes_that_are_no_text_are_kept_as_far_as_they_can_be),
        WITH(a_dead_letter_tells_all_that_is_known),
        WITH(a_dead_letter_with_many_headers_can_go_back),
        WITH(what_the_broker_gives_up_is_a_dead_letter_too),
        WITH(a_letter_that_cannot_be_written_goes_the_brokers_way),
        WITH(a_message_sent_back_to_its_queue_finds_its_handler),
        WITH(one_that_never_passes_is_a_dead_letter_in_the_end),
    };
    tn__log_level(getenv("TEST_LOG") != NULL ? TN_DEBUG : TN_ERROR);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
