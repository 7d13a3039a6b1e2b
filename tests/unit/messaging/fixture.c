/* A consumer for the tests: see fixture.h. */
#include "fixture.h"

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

_Atomic int calls, deliveries_again;

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
    if (wishes(order, "endless"))
        tn__co_sleep(INT64_C(100000000));
    return tn_done(tx);
}

/* ---- The fixture ------------------------------------------------------------------- */

static void make_tables(PGconn *db)
{
    test_tables(db);
    test_sql(db,
        "CREATE TABLE effects (message_id uuid NOT NULL, n bigint CONSTRAINT small"
        " CHECK (n <> 13), correlation_id text, type text)");
    test_sql(db, "CREATE TABLE locked (id bigint PRIMARY KEY)");
    test_sql(db, "INSERT INTO locked VALUES (1)");
}

int open_fixture(void **state)
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

int close_fixture(void **state)
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

void start(struct fixture *f)
{
    f->consumer = tn__consumer_open(&f->options);
}

void await_up(struct fixture *f)
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

void send_message(struct fixture *f, const tn__amqp_message *message)
{
    uint64_t tag;
    f->confirmed = 0;
    assert_int_equal(tn__amqp_publish(f->amqp, message, &tag), TN__AMQP_OK);
    assert_int_equal(tn__amqp_confirms(f->amqp, tag, tn__mono_us() + 10000000, count, f),
        TN__AMQP_OK);
    assert_int_equal(f->confirmed, 1);
}

tn_str send_body(struct fixture *f, const char *body)
{
    tn__amqp_message message = test_message(f->arena, f->key);
    message.body = tn_str_of(body);
    message.correlation_id = TN_S("request-1");
    send_message(f, &message);
    return message.message_id;
}

void send_many(struct fixture *f, int n)
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

void await_effects(struct fixture *f, int64_t n)
{
    test_eventually(f->db, n, 40, "SELECT count(*) FROM effects");
    assert_int_equal(test_sql(f->db, "SELECT count(DISTINCT message_id) FROM effects"), n);
}

static void close_consumer(struct fixture *f)
{
    tn__consumer_close(f->consumer, 5000);
    f->consumer = NULL;
}

/* A quorum queue forgets acknowledgements that were sent, but not carried out when their connection
 * closed. What comes again must be known, and is gone after that. */
void stop(struct fixture *f)
{
    int64_t effects = test_sql(f->db, "SELECT count(*) FROM effects");
    close_consumer(f);
    for (int again = 0; again < 5 && test_depth(f->queue) > 0; again++) {
        start(f);
        await_depth(f->queue, 0);
        close_consumer(f);
    }
    assert_int_equal(test_depth(f->queue), 0);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), effects);
}

int64_t dead(struct fixture *f)
{
    return test_sql(f->db, "SELECT count(*) FROM trunnion_dead_letters");
}

void await_depth(const char *queue, int64_t n)
{
    for (int i = 0; i < 400 && test_depth(queue) != n; i++)
        usleep(50000);
    assert_int_equal(test_depth(queue), n);
}

void await_reason(struct fixture *f, const char *part)
{
    test_eventually(f->db, 1, 20,
        "SELECT count(*) FROM trunnion_dead_letters WHERE position('%s' in reason) > 0", part);
    assert_int_equal(dead(f), 1);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM trunnion_inbox"), 0);
    assert_int_equal(test_sql(f->db, "SELECT count(*) FROM effects"), 0);
    stop(f);
    assert_int_equal(test_depth(f->dead_queue), 0);
}
