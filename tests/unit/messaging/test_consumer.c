/* The consumer, with a real database and a real broker: each message has its effect once or is a dead
 * letter, whatever is taken away meanwhile. */
#include "support.h"

#include <stdatomic.h>

/* ---- A service ------------------------------------------------------------------- */

/* What is asked of the handler is in the message. */
struct order {
    int64_t n;
    const tn_str *wish;
};
static const tn_schema order_schema = TN_OPEN_SCHEMA(order, TN_INT(order, n, TN_RANGE(0, 1000000)),
    TN_STR(order, wish));

static const tn_query insert_effect = {
    "insert_effect",
    "INSERT INTO effects (message_id, n, correlation_id, type) VALUES ($1, $2, $3, $4)",
};
static const tn_query lock_row = {
    "lock_row",
    "SELECT id FROM locked WHERE id = 1 FOR UPDATE NOWAIT",
};
static const tn_query broken = { "broken", "SELECT 1 / (CASE WHEN $1 < 0 THEN 1 ELSE 0 END)" };
static const tn_event order_seen = {
    .name = "order.seen",
    .of = &order_schema,
    .subject = "wish",
};

static bool wishes(const struct order *order, const char *what)
{
    return order->wish != NULL && tn_str_eq(*order->wish, tn_str_of(what));
}

static _Atomic int calls, deliveries_again;

static tn_outcome take_order(tn_msg *msg)
{
    const struct order *order = TN_EVENT(msg, order);
    const tn_meta *meta = tn_msg_meta(msg);
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&deliveries_again, meta->redelivered);
    if (wishes(order, "reject"))
        return tn_reject(msg, "order %d is not wanted", (int)order->n);

    tn_tx *tx = tn_receive(msg);
    tn_run(tx, &insert_effect, TN_ARGS(meta->id, order->n, meta->correlation_id, meta->type));
    if (wishes(order, "lock"))
        tn_run(tx, &lock_row, TN_NO_ARGS);
    if (wishes(order, "error"))
        tn_run(tx, &broken, TN_ARGS(order->n));
    if (wishes(order, "emit"))
        tn_emit(tx, &order_seen, TN_REF(order, (struct order *)(uintptr_t)order));
    if (wishes(order, "slow"))
        tn__co_sleep(2000000);
    return tn_done(tx);
}

/* ---- The fixture ------------------------------------------------------------------- */

struct fixture {
    tn_arena *arena;
    PGconn *db;
    const char *name, *key, *queue, *dead_queue;
    tn_subscription subscription;
    tn_service service;
    tn__consumer_options options;
    tn__consumer *consumer;
    tn__amqp *amqp; /* publishes */
    size_t confirmed;
};

static void make_tables(PGconn *db)
{
    test_tables(db);
    test_sql(db,
        "CREATE TABLE effects (message_id uuid NOT NULL, n bigint CONSTRAINT small"
        " CHECK (n <> 13), correlation_id text, type text)");
    test_sql(db, "CREATE TABLE locked (id bigint PRIMARY KEY)");
    test_sql(db, "INSERT INTO locked VALUES (1)");
}

static int open_fixture(void **state)
{
    static int n;
    struct fixture *f = calloc(1, sizeof *f);
    f->arena = tn__arena_open(4096);
    f->db = test_db();
    make_tables(f->db);
    f->name = tn_printf(f->arena, "c%d-%d", getpid(), ++n).data;
    f->key = tn_printf(f->arena, "%s.made", f->name).data;
    f->queue = tn_printf(f->arena, "%s.events", f->name).data;
    f->dead_queue = tn_printf(f->arena, "%s.events.dead", f->name).data;
    f->subscription = (tn_subscription){ .event = tn_printf(f->arena, "%s.*", f->name).data,
        .handler = take_order,
        .body = &order_schema };
    f->service = (tn_service){ .name = f->name,
        .subscriptions = { .at = &f->subscription, .n = 1 } };
    f->options = (tn__consumer_options){
        .service = &f->service,
        .database = { .url = test_env("TEST_DATABASE_URL"),
            .application_name = "test consumer",
            .pool_max = 2,
            .batch_max = 64,
            .batches_in_flight_max = 2,
            .queue_max = 1024,
            .lock_timeout_ms = 200,
            .statement_timeout_ms = 5000,
            .connect_timeout_ms = 5000 },
        .amqp_url = test_env("TEST_AMQP_URL"),
        .prefetch = 128,
        .retries_max = 3,
        .retry_ms = 10,
        .retry_max_ms = 200,
        .message_timeout_ms = 5000,
    };
    f->amqp = test_amqp_open();
    tn__queue_binding binding = { f->name, &f->subscription.event, 1 };
    assert_int_equal(tn__amqp_declare(f->amqp, &binding, 1), TN__AMQP_OK);
    atomic_store(&calls, 0);
    atomic_store(&deliveries_again, 0);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    tn__consumer_close(f->consumer, 0);
    tn__amqp_close(f->amqp);
    test_forget(f->name);
    PQfinish(f->db);
    tn__arena_close(f->arena);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->consumer = tn__consumer_open(&f->options);
}

static void await_up(struct fixture *f)
{
    tn_str why = { 0 };
    for (int i = 0; i < 6000 && !tn__consumer_up(f->consumer, f->arena, &why); i++)
        usleep(5000);
    if (!tn__consumer_up(f->consumer, f->arena, &why))
        fail_msg("%.*s", TN_FMT(why));
}

static void count(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    (void)tag, (void)why;
    ((struct fixture *)arg)->confirmed += fate == TN__AMQP_CONFIRMED;
}

static void send_message(struct fixture *f, const tn__amqp_message *message)
{
    uint64_t tag;
    f->confirmed = 0;
    assert_int_equal(tn__amqp_publish(f->amqp, message, &tag), TN__AMQP_OK);
    assert_int_equal(tn__amqp_confirms(f->amqp, tag, tn__mono_us() + 10000000, count, f),
        TN__AMQP_OK);
    assert_int_equal(f->confirmed, 1);
}

/* A message with that body; its id. */
static tn_str send_body(struct fixture *f, const char *body)
{
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = tn_str_of(body);
    message.correlation_id = TN_S("request-1");
    send_message(f, &message);
    return message.message_id;
}

static void send_many(struct fixture *f, int n)
{
    uint64_t tag = 0;
    f->confirmed = 0;
    for (int i = 0; i < n; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"n\":%d}", i + 100);
        tn__amqp_message message = test_message(f->arena, f->key);
        message.body = tn_str_of(body);
        assert_int_equal(tn__amqp_publish(f->amqp, &message, &tag), TN__AMQP_OK);
    }
    assert_int_equal(tn__amqp_confirms(f->amqp, tag, tn__mono_us() + 20000000, count, f),
        TN__AMQP_OK);
    assert_int_equal(f->confirmed, n);
}

static void await_effects(struct fixture *f, int64_t n)
{
    test_eventually(f->db, n, 40, "SELECT count(*) FROM effects");
    assert_int_equal(test_sql(f->db, "SELECT count(DISTINCT message_id) FROM effects"), n);
}

/* With all done: nothing is left in its queue. */
static void stop(struct fixture *f)
{
    tn__consumer_close(f->consumer, 5000);
    f->consumer = NULL;
    assert_int_equal(test_depth(f->queue), 0);
}

static int64_t dead(struct fixture *f)
{
    return test_sql(f->db, "SELECT count(*) FROM trunnion_dead_letters");
}

static void await_depth(const char *queue, int64_t n)
{
    for (int i = 0; i < 400 && test_depth(queue) != n; i++)
        usleep(50000);
    assert_int_equal(test_depth(queue), n);
}

/* The one dead letter's reason contains the text. */
static void await_reason(struct fixture *f, const char *part)
{
    test_eventually(f->db, 1, 20,
        "SELECT count(*) FROM trunnion_dead_letters WHERE position('%s' in reason) > 0", part);
    assert_int_equal(dead(f), 1);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM trunnion_inbox"), 0);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 0);
    stop(f);
    assert_int_equal(test_depth(f->dead_queue), 0);
}

/* ---- Once -------------------------------------------------------------------------- */

static void each_message_has_its_effect_and_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_many(f, 2000);
    await_effects(f, 2000);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM trunnion_inbox"), 2000);
    stop(f);
    assert_int_equal(dead(f), 0);
}

static void a_copy_changes_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":1}");
    for (int i = 0; i < 50; i++)
        send_message(f, &message);
    await_effects(f, 1);
    send_many(f, 10);
    await_effects(f, 11);
    stop(f);
    assert_int_equal(dead(f), 0);
}

static void copies_in_one_batch_change_nothing(void **state)
{
    struct fixture *f = *state;
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":1}");
    for (int i = 0; i < 30; i++) {
        send_message(f, &message);
        send_many(f, 2);
    }
    start(f);
    await_effects(f, 61);
    await_depth(f->queue, 0);
    assert_int_equal(dead(f), 0);
}

static void connections_that_are_cut_change_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        send_many(f, 2000);
    start(f);
    await_up(f);
    int64_t cuts = 0;
    for (; test_sql(f->db, "SELECT count(*) FROM effects") < 20000 && cuts < 10; cuts++)
        test_stack("rabbitmqctl close_all_connections cut");
    assert_true(cuts > 0);
    await_effects(f, 20000);
    stop(f);
    assert_int_equal(dead(f), 0);
    tn__amqp_close(f->amqp);
    f->amqp = test_amqp_open();
}

static void two_consumers_share_a_queue(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__consumer *other = tn__consumer_open(&f->options);
    send_many(f, 3000);
    await_effects(f, 3000);
    tn__consumer_close(other, 2000);
    stop(f);
}

static void the_handler_sees_what_came_with_the_message(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":5, \"later\":{\"fields\":\"are ignored\"}}");
    await_effects(f, 1);
    assert_int_equal(test_sql(f->db,
                         "SELECT count(*) FROM effects WHERE n = 5 AND"
                         " correlation_id = 'request-1' AND type = '%s'",
                         f->key),
        1);
}

static void an_event_of_a_handler_belongs_to_the_same_request_and_trace(void **state)
{
    struct fixture *f = *state;
    start(f);
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = TN_S("{\"n\":5,\"wish\":\"emit\"}");
    message.correlation_id = TN_S("request-7");
    message.headers[message.n_headers++] = (tn__amqp_header){ TN_S("traceparent"),
        TN_S("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") };
    send_message(f, &message);
    await_effects(f, 1);
    assert_int_equal(
        test_sql(f->db,
            "SELECT count(*) FROM trunnion_outbox WHERE exchange = 'events' AND routing_key ="
            " 'order.seen' AND type = 'order.seen' AND app_id = '%s' AND correlation_id = 'request-7'"
            " AND headers::json->>'correlation_id' = 'request-7'"
            " AND headers::json->>'traceparent' LIKE '00-4bf92f3577b34da6a3ce929d0e0e4736-%%-01'"
            " AND headers::json->>'traceparent' NOT LIKE '%%00f067aa0ba902b7%%'"
            " AND body::json->>'id' = 'emit' AND body::json->>'source_service' = '%s'"
            " AND (body::json->>'timestamp')::timestamptz > now() - interval '1 minute'",
            f->name, f->name),
        1);
}

/* ---- Dead letters -------------------------------------------------------------------- */

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

/* ---- Failures that pass ----------------------------------------------------------------- */

static void a_failure_that_passes_is_retried(void **state)
{
    struct fixture *f = *state;
    f->options.retries_max = 1000;
    start(f);
    await_up(f);
    PGconn *holder = test_db();
    test_sql(holder, "BEGIN");
    test_sql(holder, "SELECT id FROM locked FOR UPDATE");
    send_body(f, "{\"n\":1,\"wish\":\"lock\"}");
    test_until(atomic_load(&calls) >= 5, 20);
    send_many(f, 100); /* It holds up nobody. */
    await_effects(f, 100);
    test_sql(holder, "COMMIT");
    PQfinish(holder);
    await_effects(f, 101);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

static void after_its_retries_it_waits_in_the_queue(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    PGconn *holder = test_db();
    test_sql(holder, "BEGIN");
    test_sql(holder, "SELECT id FROM locked FOR UPDATE");
    send_body(f, "{\"n\":1,\"wish\":\"lock\"}");
    test_until(atomic_load(&deliveries_again) >= 3, 20);
    test_sql(holder, "COMMIT");
    PQfinish(holder);
    await_effects(f, 1);
    assert_int_equal(dead(f), 0);
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

/* ---- Outages ------------------------------------------------------------------------------- */

static void without_a_database_nothing_is_consumed(void **state)
{
    struct fixture *f = *state;
    f->options.database.url = "postgresql://nobody@127.0.0.1:1/nowhere";
    start(f);
    send_many(f, 10);
    tn_str why = { 0 };
    for (int i = 0; i < 400 && !test_contains(why, "database"); i++) {
        usleep(10000);
        assert_false(tn__consumer_up(f->consumer, f->arena, &why));
    }
    assert_true(test_contains(why, "database"));
    assert_int_equal(test_depth(f->queue), 10);
    tn__consumer_close(f->consumer, 1000);
    f->consumer = NULL;
    assert_int_equal(test_depth(f->queue), 10);
}

static void a_database_that_is_away_uses_up_no_deliveries(void **state)
{
    struct fixture *f = *state;
    start(f);
    await_up(f);
    send_many(f, 300);
    await_effects(f, 300);
    test_stack("kill postgres");
    PQfinish(f->db);
    send_many(f, 300);
    sleep(6); /* More than all retries would take. */
    test_stack("start");
    f->db = test_db();
    await_effects(f, 600);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

/* Stops or continues the server: what accepts connections, and those of the consumer. */
static void signal_database(pid_t postmaster, PGresult *backends, int signal)
{
    kill(postmaster, signal);
    for (int i = 0; i < PQntuples(backends); i++)
        kill((pid_t)strtol(PQgetvalue(backends, i, 0), NULL, 10), signal);
}

static void a_database_that_stands_still_uses_up_no_deliveries(void **state)
{
    struct fixture *f = *state;
    f->options.message_timeout_ms = 300;
    start(f);
    await_up(f);
    send_many(f, 10);
    await_effects(f, 10);
    pid_t postmaster = test_pid_of("PostgreSQL");
    PGresult *backends = PQexec(f->db,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'test consumer'");
    assert_true(PQntuples(backends) > 0);
    signal_database(postmaster, backends, SIGSTOP);
    send_many(f, 50);
    sleep(5);
    signal_database(postmaster, backends, SIGCONT);
    PQclear(backends);
    await_effects(f, 60);
    assert_int_equal(dead(f), 0);
    assert_int_equal(atomic_load(&deliveries_again), 0);
}

static void a_database_killed_while_consuming_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 500, 30);
    test_stack("kill postgres");
    PQfinish(f->db);
    test_stack("start");
    f->db = test_db();
    await_effects(f, 4000);
    assert_int_equal(dead(f), 0);
}

static void a_broker_killed_while_consuming_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    sleep(2); /* The broker writes the names of new queues late. */
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 500, 30);
    test_stack("kill rabbitmq");
    test_stack("start");
    await_effects(f, 4000);
    await_up(f);
    tn__amqp_close(f->amqp);
    f->amqp = test_amqp_open();
    send_many(f, 10);
    await_effects(f, 4010);
    assert_int_equal(dead(f), 0);
}

/* ---- Close ---------------------------------------------------------------------------------- */

static void closing_finishes_what_is_in_hand(void **state)
{
    struct fixture *f = *state;
    send_many(f, 4000);
    start(f);
    test_until(test_sql(f->db, "SELECT count(*) FROM effects") >= 500, 30);
    tn__consumer_close(f->consumer, 10000);
    f->consumer = NULL;
    int64_t done = test_sql(f->db, "SELECT count(*) FROM effects");
    assert_in_range(done, 500, 3999);
    /* What had its effect is acknowledged, the rest is there. */
    await_depth(f->queue, 4000 - done);
}

static void closing_waits_for_a_slow_handler(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":1,\"wish\":\"slow\"}");
    test_until(atomic_load(&calls) != 0, 20);
    tn__consumer_close(f->consumer, 10000);
    f->consumer = NULL;
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 1);
    assert_int_equal(test_depth(f->queue), 0);
}

static void closing_gives_a_slow_handler_up_in_time(void **state)
{
    struct fixture *f = *state;
    start(f);
    send_body(f, "{\"n\":1,\"wish\":\"slow\"}");
    test_until(atomic_load(&calls) != 0, 20);
    int64_t before_us = tn__mono_us();
    tn__consumer_close(f->consumer, 300);
    f->consumer = NULL;
    assert_true(tn__mono_us() - before_us < 1800000);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 0);
    await_depth(f->queue, 1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(each_message_has_its_effect_and_is_acknowledged),
        WITH(a_copy_changes_nothing),
        WITH(copies_in_one_batch_change_nothing),
        WITH(connections_that_are_cut_change_nothing),
        WITH(two_consumers_share_a_queue),
        WITH(the_handler_sees_what_came_with_the_message),
        WITH(an_event_of_a_handler_belongs_to_the_same_request_and_trace),
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
        WITH(a_message_sent_back_to_its_queue_finds_its_handler),
        WITH(a_failure_that_passes_is_retried),
        WITH(after_its_retries_it_waits_in_the_queue),
        WITH(one_that_never_passes_is_a_dead_letter_in_the_end),
        WITH(without_a_database_nothing_is_consumed),
        WITH(a_database_that_is_away_uses_up_no_deliveries),
        WITH(a_database_that_stands_still_uses_up_no_deliveries),
        WITH(a_database_killed_while_consuming_loses_and_doubles_nothing),
        WITH(a_broker_killed_while_consuming_loses_and_doubles_nothing),
        WITH(closing_finishes_what_is_in_hand),
        WITH(closing_waits_for_a_slow_handler),
        WITH(closing_gives_a_slow_handler_up_in_time),
    };
    tn__log_level(getenv("TEST_LOG") != NULL ? TN_DEBUG : TN_ERROR);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
