/* How many transactions a second one worker's connections carry, without HTTP around them.
 *
 *     pg_batch URL MODE [SECONDS [IN_FLIGHT [BATCH_MAX [COROUTINES]]]]
 *
 * write     the item with its key and its event: what a POST comes down to (reference/write.sql)
 * alone     the same, one Sync a write: what sharing saves
 * violate   write, where one in ten violates a constraint
 * known     write, where one in a hundred brings a key that is there already
 * session   an item is locked, looked at and changed, on a session of its own
 * read      an item by its id
 *
 * For each number of coroutines: transactions a second, CPU of this process a transaction, p50, p99. */
#include "migrations.h"

#include "pg/pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { ITEMS = 10000, LATENCIES_MAX = 1 << 20 };

typedef struct {
    tn_arena *arena;
} client;

static struct {
    tn__pg *pg;
    tn__loop *loop;
    void (*act)(client *c);
    bool ending;
    size_t n_running, n_done, n_failed;
    int64_t until_us;
    int64_t *latencies_us;
    tn_uuid *items;
} bench;

/* ---- Transactions ------------------------------------------------------- */

#define ITEM "id, sku, name, price_cents, description, version, created_at, updated_at"
#define REPLY                                                                                      \
    "{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"sku\":\"BENCH-0-00000001\","               \
    "\"name\":\"Bolt M8 x 40\",\"price_cents\":125,\"description\":\"Zinc-plated, with nut.\","    \
    "\"version\":1,\"created_at\":\"2026-01-31T09:15:00.123456Z\","                                \
    "\"updated_at\":\"2026-01-31T09:15:00.123456Z\"}"

static const tn_query insert_item = {
    "insert_item",
    "INSERT INTO items (" ITEM ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};
static const tn__bulk keys = {
    .name = "insert_keys",
    .sql = "INSERT INTO trunnion_idempotency (id, fingerprint, status, headers, body, expires_at)"
           " SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[],"
           " $6::timestamptz[])",
    .kinds = (const tn_kind[]){ TN_KIND_UUID, TN_KIND_STR, TN_KIND_INT, TN_KIND_JSON, TN_KIND_STR,
        TN_KIND_TIME },
    .n_kinds = 6,
    .first = true,
};
static const tn__bulk outbox = {
    .name = "insert_outbox",
    .sql = "INSERT INTO trunnion_outbox (message_id, exchange, routing_key, type, app_id,"
           " occurred_at, correlation_id, headers, body) SELECT * FROM unnest($1::uuid[],"
           " $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],"
           " $8::text[], $9::text[])",
    .kinds = (const tn_kind[]){ TN_KIND_UUID, TN_KIND_STR, TN_KIND_STR, TN_KIND_STR, TN_KIND_STR,
        TN_KIND_TIME, TN_KIND_STR, TN_KIND_JSON, TN_KIND_STR },
    .n_kinds = 9,
};

static bool write_item(client *c, tn_str sku, tn_uuid key)
{
    const tn_time now = tn_now(), later = { now.us + INT64_C(86400000000) };
    tn_json reply_headers = {
        TN_S(
            "{\"Location\":\"/api/v1/items/01890a5d-ac96-774b-bcce-b302099a8057\",\"ETag\":\"\\\"1\\\"\"}")
    };
    tn_json event_headers = { TN_S(
        "{\"correlation_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
        "\"idempotency_key\":\"BENCH-0-00000001\","
        "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}") };
    tn_tx *tx = tn__tx_open(bench.pg, c->arena, TN__WRITE, tn__mono_us() + 5000000);
    tn_run(tx, &insert_item,
        TN_ARGS(tn_uuid_v7(), sku, TN_S("Bolt M8 x 40"), (int64_t)125,
            TN_S("Zinc-plated, with nut."), (int64_t)1, now, now));
    tn__tx_bulk(tx, &outbox,
        TN_ARGS(tn_uuid_v7(), TN_S("events"), TN_S("item.created"), TN_S("item.created"),
            TN_S("items"), now, TN_S("01890a5d-ac96-774b-bcce-b302099a8057"), event_headers,
            TN_S("{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"timestamp\":"
                 "\"2026-01-31T09:15:00.123456Z\",\"source_service\":\"items\"}")));
    tn__tx_bulk(tx, &keys,
        TN_ARGS(key, TN_S("dxHxHNNhdOThDJ8nKwEYmLz4tXqVOm9HmbWqJq8Xg0E"), (int64_t)201,
            reply_headers, TN_S(REPLY), later));
    return tn__tx_commit(tx);
}

static tn_str fresh_sku(client *c)
{
    return tn_uuid_str(c->arena, tn_uuid_v7());
}

static void write_once(client *c)
{
    bench.n_failed += !write_item(c, fresh_sku(c), tn_uuid_v7());
}

static void write_or_violate(client *c)
{
    bool bad = random() % 10 == 0;
    bool ok = write_item(c, bad ? TN_S("TAKEN") : fresh_sku(c), tn_uuid_v7());
    bench.n_failed += ok == bad;
}

static void write_or_repeat(client *c)
{
    bool known = random() % 100 == 0;
    tn_uuid key = known ? bench.items[0] : tn_uuid_v7();
    bench.n_failed += write_item(c, fresh_sku(c), key) == known;
}

struct item {
    tn_uuid id;
    tn_str sku;
    tn_str name;
    int64_t price_cents;
    const tn_str *description;
    int64_t version;
    tn_time created_at;
    tn_time updated_at;
};
static const tn_schema item_schema = TN_SCHEMA(item, TN_UUID(item, id), TN_STR(item, sku),
    TN_STR(item, name), TN_INT(item, price_cents), TN_STR(item, description), TN_INT(item, version),
    TN_TIME(item, created_at), TN_TIME(item, updated_at));

static const tn_query select_item = { "select_item", "SELECT " ITEM " FROM items WHERE id = $1" };
static const tn_query lock_item = {
    "lock_item",
    "SELECT " ITEM " FROM items WHERE id = $1 FOR UPDATE",
};
static const tn_query set_price = {
    "set_price",
    "UPDATE items SET price_cents = $2, version = version + 1 WHERE id = $1",
};

static void read_once(client *c)
{
    struct item item = { 0 };
    tn_tx *tx = tn__tx_open(bench.pg, c->arena, TN__READ, tn__mono_us() + 5000000);
    tn_one(tx, TN_REF(item, &item), &select_item, TN_ARGS(bench.items[random() % ITEMS]));
    bench.n_failed += !tn__tx_commit(tx);
}

static void change_once(client *c)
{
    struct item item = { 0 };
    tn_tx *tx = tn__tx_open(bench.pg, c->arena, TN__WRITE, tn__mono_us() + 5000000);
    tn_one(tx, TN_REF(item, &item), &lock_item, TN_ARGS(bench.items[random() % ITEMS]));
    tn_wait(tx);
    tn_run(tx, &set_price, TN_ARGS(item.id, item.price_cents + 1));
    bench.n_failed += !tn__tx_commit(tx);
}

/* ---- Clients ------------------------------------------------------------ */

static void run_client(void *arg)
{
    client *c = arg;
    for (int64_t began_us = tn__mono_us(), now_us; began_us < bench.until_us; began_us = now_us) {
        bench.act(c);
        now_us = tn__mono_us();
        bench.latencies_us[bench.n_done++ % LATENCIES_MAX] = now_us - began_us;
        tn__arena_reset(c->arena);
    }
    if (--bench.n_running == 0)
        tn__loop_stop(bench.loop);
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
        (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run(size_t n_clients, int seconds)
{
    client *clients = tn__xcalloc(n_clients, sizeof *clients);
    bench.n_done = bench.n_failed = 0;
    bench.n_running = n_clients;
    int64_t began_us = tn__mono_us();
    double cpu_before_us = cpu_us();
    bench.until_us = began_us + (int64_t)seconds * 1000000;
    for (size_t i = 0; i < n_clients; i++) {
        clients[i].arena = tn__arena_open(4096);
        tn__co_start(bench.loop, run_client, &clients[i]);
    }
    tn__loop_run(bench.loop);
    double took_s = (double)(tn__mono_us() - began_us) / 1e6;
    double cpu_each_us = (cpu_us() - cpu_before_us) / (double)bench.n_done;
    size_t n = bench.n_done < LATENCIES_MAX ? bench.n_done : LATENCIES_MAX;
    qsort(bench.latencies_us, n, sizeof *bench.latencies_us, compare);
    printf("%4zu coroutines  %7.0f /s  %5.1f us CPU  p50 %6lld us  p99 %6lld us  failed %zu\n",
        n_clients, (double)bench.n_done / took_s, cpu_each_us, (long long)bench.latencies_us[n / 2],
        (long long)bench.latencies_us[n * 99 / 100], bench.n_failed);
    fflush(stdout);
    for (size_t i = 0; i < n_clients; i++)
        tn__arena_close(clients[i].arena);
    free(clients);
}

/* ---- Setting up --------------------------------------------------------- */

static void look_if_up(tn__timer *timer)
{
    if (tn__pg_up(bench.pg, NULL))
        tn__loop_stop(bench.loop);
    else
        tn__timer_start(bench.loop, timer, tn__mono_us() + 1000);
}

static void open_worker(const char *url, int in_flight, int batch_max)
{
    bench.loop = tn__loop_open();
    bench.pg = tn__pg_open(bench.loop,
        &(tn__pg_options){
            .url = url,
            .application_name = "bench",
            .pool_max = 4,
            .batch_max = batch_max,
            .batches_in_flight_max = in_flight,
            .queue_max = 4096,
            .lock_timeout_ms = 2000,
            .statement_timeout_ms = 5000,
            .connect_timeout_ms = 5000,
        });
    tn__timer timer = { .on_time = look_if_up };
    tn__timer_start(bench.loop, &timer, tn__mono_us());
    tn__loop_run(bench.loop);
    tn__timer_stop(bench.loop, &timer);
}

static void prepare(const char *url)
{
    tn_arena *arena = tn__arena_open(4096);
    tn_str why;
    if (tn__migrate(arena, url, "bench", migrations, sizeof migrations / sizeof *migrations, 10000,
            &why) != TN__MIGRATE_DONE) {
        fprintf(stderr, "%.*s\n", TN_FMT(why));
        exit(1);
    }
    tn__arena_close(arena);
    PGconn *pq = PQconnectdb(url);
    PQclear(PQexec(pq, "TRUNCATE items, trunnion_idempotency, trunnion_outbox"));
    PQclear(PQexec(pq,
        "INSERT INTO items (id, sku, name, price_cents) VALUES"
        " (gen_random_uuid(), 'TAKEN', 'taken', 1)"));
    PQclear(PQexec(pq,
        "INSERT INTO items (id, sku, name, price_cents, description)"
        " SELECT gen_random_uuid(), 'SKU-' || n, 'Bolt M8 x 40', 125,"
        " 'Zinc-plated, with nut.' FROM generate_series(1, 10000) AS n"));
    PQclear(PQexec(pq,
        "INSERT INTO trunnion_idempotency SELECT id, '', 201, '', '', now()"
        " FROM items"));
    PGresult *ids = PQexecParams(pq, "SELECT id FROM items LIMIT 10000", 0, NULL, NULL, NULL, NULL,
        1);
    for (int i = 0; i < PQntuples(ids); i++)
        memcpy(bench.items[i].b, PQgetvalue(ids, i, 0), 16);
    PQclear(ids);
    PQclear(PQexec(pq, "VACUUM ANALYZE items, trunnion_idempotency, trunnion_outbox"));
    PQfinish(pq);
}

static const struct {
    const char *name;
    void (*act)(client *c);
} modes[] = {
    { "write", write_once },
    { "alone", write_once },
    { "violate", write_or_violate },
    { "known", write_or_repeat },
    { "session", change_once },
    { "read", read_once },
};

static bool choose(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, name) == 0) {
            bench.act = modes[i].act;
            return true;
        }
    }
    return false;
}

static int number_at(int argc, char **argv, int at, int otherwise)
{
    int64_t found;
    return at < argc && tn__i64_parse(tn_str_of(argv[at]), &found) ? (int)found : otherwise;
}

int main(int argc, char **argv)
{
    if (argc < 3 || !choose(argv[2])) {
        fprintf(stderr,
            "pg_batch URL write|alone|violate|known|session|read"
            " [SECONDS [IN_FLIGHT [BATCH_MAX]]]\n");
        return 64;
    }
    int seconds = number_at(argc, argv, 3, 3), in_flight = number_at(argc, argv, 4, 2);
    int batch_max = strcmp(argv[2], "alone") == 0 ? 1 : number_at(argc, argv, 5, 128);
    tn__log_level(TN_WARN);
    bench.latencies_us = tn__xcalloc(LATENCIES_MAX, sizeof *bench.latencies_us);
    bench.items = tn__xcalloc(ITEMS, sizeof *bench.items);
    prepare(argv[1]);
    open_worker(argv[1], in_flight, batch_max);
    const int clients[] = { 1, 8, 32, 128 };
    int only = number_at(argc, argv, 6, 0);
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++)
        if (only == 0 || only == clients[i])
            run((size_t)clients[i], seconds);
    tn__pg_close(bench.pg);
    tn__loop_close(bench.loop);
    free(bench.latencies_us);
    free(bench.items);
    return 0;
}
