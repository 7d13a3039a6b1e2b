/* Reads: batches on the read lane, rows into structs. */
#include "fixture.h"

#include "pg/state.h"

struct t_row {
    int64_t id;
    tn_str v;
};
static const tn_schema t_row_schema = TN_SCHEMA(t_row, TN_INT(t_row, id), TN_STR(t_row, v));

static const tn_query by_id = { "by_id", "SELECT * FROM t WHERE id = $1" };
static const tn_query page = { "page", "SELECT * FROM t WHERE id > $1 ORDER BY id LIMIT $2" };

static void read_one(job *j)
{
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(t_row, &row), &by_id, TN_ARGS(j->id));
    commit(j, tx);
    if (j->ok) {
        assert_int_equal(row.id, j->id);
        assert_str(row.v, tn_printf(j->arena, "v%d", (int)j->id).data);
    }
}

static void fill(int n)
{
    sql("INSERT INTO t SELECT n, 'v' || n FROM generate_series(0, %d) AS n", n - 1);
}

static void reads_in_flight_together_get_each_its_own_row(void **state)
{
    (void)state;
    fill(200);
    job *j[200];
    for (int i = 0; i < 200; i++)
        j[i] = start(read_one, i);
    finish();
    for (int i = 0; i < 200; i++)
        assert_true(j[i]->ok);
}

static void a_missing_row_fails_only_its_reader(void **state)
{
    (void)state;
    fill(10);
    job *missing = start(read_one, 99), *found = start(read_one, 5);
    finish();
    assert_true(found->ok);
    assert_failed(missing, TN__FAIL_NOT_FOUND);
    assert_str(missing->failure.query, "by_id");
}

static void read_several(job *j)
{
    struct t_row first = { 0 }, second = { 0 }, third = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(t_row, &first), &by_id, TN_ARGS((int64_t)1));
    tn_one(tx, TN_REF(t_row, &second), &by_id, TN_ARGS((int64_t)2));
    assert_true(tn__tx_pending(tx, &first));
    assert_true(tn_wait(tx));
    assert_false(tn__tx_pending(tx, &first));
    assert_str(first.v, "v1");
    assert_str(second.v, "v2");
    assert_true(tn_maybe(tx, TN_REF(t_row, &third), &by_id, TN_ARGS((int64_t)3)));
    assert_str(third.v, "v3");
    assert_false(tn_maybe(tx, TN_REF(t_row, &third), &by_id, TN_ARGS((int64_t)99)));
    tn_rows rows = tn_all(tx, &t_row_schema, &page, TN_ARGS((int64_t)4, (int64_t)3));
    const struct t_row *at = rows.at;
    assert_ptr_equal(rows.schema, &t_row_schema);
    assert_int_equal(rows.n, 3);
    assert_str(at[0].v, "v5");
    assert_str(at[2].v, "v7");
    assert_int_equal(tn_all(tx, &t_row_schema, &page, TN_ARGS((int64_t)999, (int64_t)3)).n, 0);
    commit(j, tx);
}

static void a_read_may_look_as_often_as_it_likes(void **state)
{
    (void)state;
    fill(10);
    job *j = start(read_several, 0);
    finish();
    assert_true(j->ok);
}

static void read_newest(job *j)
{
    struct count before = { 0 }, after = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(count, &before), &count_t, TN_NO_ARGS);
    assert_true(tn_wait(tx));
    sql("INSERT INTO t VALUES (1000, 'meanwhile')");
    tn_one(tx, TN_REF(count, &after), &count_t, TN_NO_ARGS);
    commit(j, tx);
    assert_int_equal(after.n, before.n + 1);
}

static void each_statement_sees_the_newest_committed_state(void **state)
{
    (void)state;
    job *j = start(read_newest, 0);
    finish();
    assert_true(j->ok);
}

static void write_in_read(job *j)
{
    tn_tx *tx = begin(j, TN__READ);
    tn_run(tx, &insert_t, TN_ARGS(j->id, TN_S("x")));
    commit(j, tx);
}

static void a_read_can_not_write(void **state)
{
    (void)state;
    fill(2);
    job *writer = start(write_in_read, 50), *reader = start(read_one, 1);
    finish();
    assert_failed(writer, TN__FAIL_ERROR);
    assert_str(writer->failure.sqlstate, "25006");
    assert_true(reader->ok);
}

static void read_two_as_one(job *j)
{
    static const tn_query both = { "both", "SELECT * FROM t LIMIT 2" };
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(t_row, &row), &both, TN_NO_ARGS);
    commit(j, tx);
}

static void two_rows_are_not_one(void **state)
{
    (void)state;
    fill(2);
    capture_log();
    job *j = start(read_two_as_one, 0);
    finish();
    assert_failed(j, TN__FAIL_ERROR);
    assert_non_null(strstr(captured_log(), "2 rows where at most one was expected"));
}

static void read_many(job *j)
{
    static const tn_query many = {
        "many",
        "SELECT n AS id, '' AS v FROM generate_series(1, $1::bigint) AS n",
    };
    tn_tx *tx = begin(j, TN__READ);
    tn_rows rows = tn_all(tx, &t_row_schema, &many, TN_ARGS(j->id));
    commit(j, tx);
    assert_int_equal(rows.n, j->ok ? j->id : 0);
}

static void ten_thousand_rows_are_the_most(void **state)
{
    (void)state;
    capture_log();
    job *most = start(read_many, 10000), *more = start(read_many, 10001);
    finish();
    assert_true(most->ok);
    assert_failed(more, TN__FAIL_ERROR);
    assert_non_null(strstr(captured_log(), "10001 rows, which is more than 10000"));
}

static void read_wrong_type(job *j)
{
    static const tn_query wrong = { "wrong_type", "SELECT 1.5 AS id, 'x' AS v" };
    tn_tx *tx = begin(j, TN__READ);
    tn_all(tx, &t_row_schema, &wrong, TN_NO_ARGS);
    commit(j, tx);
}

static void a_type_that_does_not_fit_is_logged_with_query_and_column(void **state)
{
    (void)state;
    capture_log();
    job *j = start(read_wrong_type, 0);
    finish();
    assert_failed(j, TN__FAIL_ERROR);
    assert_non_null(strstr(captured_log(), "\"query\":\"wrong_type\""));
    assert_non_null(strstr(captured_log(), "column id is of type numeric"));
}

static void run_without_rows(job *j)
{
    static const tn_query no_rows = { "no_rows", "SET LOCAL lock_timeout = 100" };
    struct t_row row = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(t_row, &row), &no_rows, TN_NO_ARGS);
    commit(j, tx);
}

static void a_statement_that_gives_no_rows_is_no_missing_row(void **state)
{
    (void)state;
    capture_log();
    job *j = start(run_without_rows, 0);
    finish();
    assert_failed(j, TN__FAIL_ERROR);
    assert_non_null(strstr(captured_log(), "RETURNING is missing"));
}

static void a_table_may_be_altered_under_a_read(void **state)
{
    (void)state;
    fill(10);
    start(read_one, 1);
    finish();
    sql("ALTER TABLE t ADD COLUMN w text");
    for (int i = 0; i < 10; i++)
        start(read_one, i);
    job *j = start(read_one, 1);
    finish();
    assert_true(j->ok);
}

/* The server tells prepared statements apart by the first 63 bytes of their names. */
static void read_by_long_names(job *j)
{
    static const tn_query queries[] = {
        { "a_name_that_says_all_there_is_to_say_about_what_the_query_is_for_and_one",
            "SELECT * FROM t WHERE id = $1" },
        { "a_name_that_says_all_there_is_to_say_about_what_the_query_is_for_and_two",
            "SELECT * FROM t WHERE id = $1 + 1" },
    };
    struct t_row one = { 0 }, two = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(t_row, &one), &queries[0], TN_ARGS(j->id));
    tn_one(tx, TN_REF(t_row, &two), &queries[1], TN_ARGS(j->id));
    commit(j, tx);
    assert_true(!j->ok || (one.id == j->id && two.id == j->id + 1));
}

static void names_of_queries_may_be_long(void **state)
{
    (void)state;
    fill(10);
    job *before = start(read_by_long_names, 1);
    finish();
    assert_true(before->ok);
    sql("ALTER TABLE t ADD COLUMN w text");
    job *after = start(read_by_long_names, 1);
    finish();
    assert_true(after->ok);
}

/* ---- Every type there and back ------------------------------------------- */

enum mood { SAD, FINE, GREAT };

struct point {
    int64_t x, y;
};
static const tn_schema point_schema = TN_SCHEMA(point, TN_INT(point, x), TN_INT(point, y));

struct everything {
    tn_str a_text, a_varchar, a_char, a_name, an_enum_text;
    int64_t a_smallint, an_integer, a_bigint;
    double a_real, a_double, an_integer_real;
    bool a_boolean;
    enum mood an_enum, a_text_enum;
    tn_uuid a_uuid;
    tn_time a_time;
    tn_json a_json, a_jsonb;
    struct point a_point;
    TN_ARRAY_OF(tn_str) tags;
    const tn_str *no_text;
    const int64_t *no_int;
    const double *no_real;
    const bool *no_bool;
    const tn_uuid *no_uuid;
    const tn_time *no_time;
    const tn_json *no_json;
};
#define MOODS .names = TN_NAMES("sad", "fine", "great")
static const tn_schema everything_schema = TN_SCHEMA(everything, TN_STR(everything, a_text),
    TN_STR(everything, a_varchar), TN_STR(everything, a_char), TN_STR(everything, a_name),
    TN_STR(everything, an_enum_text), TN_INT(everything, a_smallint),
    TN_INT(everything, an_integer), TN_INT(everything, a_bigint), TN_REAL(everything, a_real),
    TN_REAL(everything, a_double), TN_REAL(everything, an_integer_real),
    TN_BOOL(everything, a_boolean), TN_ENUM(everything, an_enum, MOODS),
    TN_ENUM(everything, a_text_enum, MOODS), TN_UUID(everything, a_uuid),
    TN_TIME(everything, a_time), TN_JSON(everything, a_json), TN_JSON(everything, a_jsonb),
    TN_OBJECT(everything, a_point, point),
    TN_ARRAY(everything, tags, .each = TN_EACH(TN_KIND_STR, str)), TN_STR(everything, no_text),
    TN_INT(everything, no_int), TN_REAL(everything, no_real), TN_BOOL(everything, no_bool),
    TN_UUID(everything, no_uuid), TN_TIME(everything, no_time), TN_JSON(everything, no_json));

#define FIRST_HALF                                                                                 \
    "a_text, a_varchar, a_char, a_name, a_smallint, an_integer, a_bigint, a_real,"                 \
    " a_double, a_boolean, an_enum, a_uuid, a_time, a_json, a_jsonb"
static const tn_query insert_everything = {
    "insert_everything",
    "INSERT INTO everything (" FIRST_HALF ") VALUES"
    " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
};
static const tn_query insert_rest = {
    "insert_rest",
    "UPDATE everything SET a_point = $1, tags = $2, no_text = $3, no_int = $4, no_real = $5,"
    " no_bool = $6, no_uuid = $7, no_time = $8, no_json = $9",
};
static const tn_query select_everything = {
    "select_everything",
    "SELECT *, an_enum AS an_enum_text, an_integer AS an_integer_real,"
    " an_enum::text AS a_text_enum FROM everything",
};

static void make_everything(void)
{
    sql("CREATE TYPE mood AS ENUM ('sad', 'fine', 'great');"
        "CREATE TABLE everything (a_text text, a_varchar varchar(20), a_char char(3), a_name name,"
        " a_smallint smallint, an_integer integer, a_bigint bigint, a_real real,"
        " a_double double precision, a_boolean boolean, an_enum mood, a_uuid uuid,"
        " a_time timestamptz, a_json json, a_jsonb jsonb, a_point jsonb, tags json, no_text text,"
        " no_int integer, no_real real, no_bool boolean, no_uuid uuid, no_time timestamptz,"
        " no_json jsonb)");
    reopen(); /* the lanes learn of the new type when they connect */
}

static const tn_uuid an_id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
static const tn_time a_time = { INT64_C(1769850900123456) };

static void write_everything(job *j)
{
    bool yes = true;
    tn_json object = { TN_S("{\"x\": [1, null]}") }, point = { TN_S("{\"x\":3,\"y\":-4}") };
    tn_json tags = { TN_S("[\"a\", \"b\"]") };
    const tn_str *no_text = NULL;
    const int64_t *no_int = NULL;
    const double *no_real = NULL;
    const bool *no_bool = NULL;
    const tn_uuid *no_uuid = NULL;
    const tn_time *no_time = NULL;
    const tn_json *no_json = NULL;
    tn_tx *tx = begin(j, TN__WRITE);
    tn_run(tx, &insert_everything,
        TN_ARGS(TN_S("t\xc3\xa9xt \xf0\x9f\x8c\xb1"), TN_S("varchar"), TN_S("ab"), TN_S("name"),
            (int64_t)-7, (int64_t)70000, INT64_MIN, 1.5, -0.1, yes, TN_S("great"), an_id, a_time,
            object, object));
    tn_run(tx, &insert_rest,
        TN_ARGS(point, tags, no_text, no_int, no_real, no_bool, no_uuid, no_time, no_json));
    commit(j, tx);
}

static void read_everything(job *j)
{
    struct everything got = { 0 };
    tn_tx *tx = begin(j, TN__READ);
    tn_one(tx, TN_REF(everything, &got), &select_everything, TN_NO_ARGS);
    commit(j, tx);
    assert_true(j->ok);
    assert_str(got.a_text, "t\xc3\xa9xt \xf0\x9f\x8c\xb1");
    assert_str(got.a_varchar, "varchar");
    assert_str(got.a_char, "ab ");
    assert_str(got.a_name, "name");
    assert_str(got.an_enum_text, "great");
    assert_int_equal(got.a_smallint, -7);
    assert_int_equal(got.an_integer, 70000);
    assert_true(got.a_bigint == INT64_MIN);
    assert_true(got.a_real == 1.5 && got.a_double == -0.1 && got.an_integer_real == 70000.0);
    assert_true(got.a_boolean);
    assert_int_equal(got.an_enum, GREAT);
    assert_int_equal(got.a_text_enum, GREAT);
    assert_memory_equal(got.a_uuid.b, an_id.b, sizeof an_id.b);
    assert_true(got.a_time.us == a_time.us);
    assert_str(got.a_json.text, "{\"x\": [1, null]}");
    assert_str(got.a_jsonb.text, "{\"x\": [1, null]}");
    assert_true(got.a_point.x == 3 && got.a_point.y == -4);
    assert_int_equal(got.tags.n, 2);
    assert_str(got.tags.at[1], "b");
    assert_null(got.no_text);
    assert_null(got.no_int);
    assert_null(got.no_real);
    assert_null(got.no_bool);
    assert_null(got.no_uuid);
    assert_null(got.no_time);
    assert_null(got.no_json);
}

static void every_type_goes_there_and_back(void **state)
{
    (void)state;
    make_everything();
    job *write = start(write_everything, 0);
    finish();
    assert_true(write->ok);
    assert_int_equal(
        number("SELECT count(*) FROM everything WHERE a_time = '2026-01-31T09:15:00.123456Z'"
               " AND a_uuid = '01020304-0506-0708-090a-0b0c0d0e0f10' AND an_enum = 'great'"),
        1);
    start(read_everything, 0);
    finish();
}

static const tn__bulk bulk_everything = {
    .name = "bulk_everything",
    .sql = "INSERT INTO everything (a_text, a_bigint, a_double, a_boolean, a_uuid, a_time, a_jsonb)"
           " SELECT a, b, c, d, e, f, g::jsonb FROM unnest($1::text[], $2::bigint[], $3::float8[],"
           " $4::boolean[], $5::uuid[], $6::timestamptz[], $7::text[]) AS u(a, b, c, d, e, f, g)",
    .kinds = (const tn_kind[]){ TN_KIND_STR, TN_KIND_INT, TN_KIND_REAL, TN_KIND_BOOL, TN_KIND_UUID,
        TN_KIND_TIME, TN_KIND_JSON },
    .n_kinds = 7,
};

static void write_in_bulk(job *j)
{
    bool no = false;
    tn_json json = { TN_S("{\"n\":1}") };
    const tn_str *no_text = NULL;
    const tn_uuid *no_id = NULL;
    tn_tx *tx = begin(j, TN__WRITE);
    tn__tx_bulk(tx, &bulk_everything, TN_ARGS(TN_S("bulk"), j->id, 2.5, no, an_id, a_time, json));
    tn__tx_bulk(tx, &bulk_everything, TN_ARGS(no_text, j->id, 2.5, no, no_id, a_time, json));
    commit(j, tx);
}

static void every_kind_goes_in_bulk(void **state)
{
    (void)state;
    make_everything();
    for (int i = 0; i < 10; i++)
        start(write_in_bulk, i);
    finish();
    assert_int_equal(number(
                         "SELECT count(*) FROM everything WHERE a_double = 2.5 AND NOT a_boolean"
                         " AND a_time = '2026-01-31T09:15:00.123456Z' AND a_jsonb = '{\"n\": 1}'"),
        20);
    assert_int_equal(number("SELECT count(DISTINCT a_bigint) FROM everything WHERE a_text = 'bulk'"
                            " AND a_uuid = '01020304-0506-0708-090a-0b0c0d0e0f10'"),
        10);
    assert_int_equal(number(
                         "SELECT count(*) FROM everything WHERE a_text IS NULL AND a_uuid IS NULL"),
        10);
}

/* ---- Session settings and metrics ---------------------------------------- */

struct settings {
    tn_str sync, lock_ms, statement_ms, idle_ms, zone, name, encoding;
};
static const tn_schema settings_schema = TN_SCHEMA(settings, TN_STR(settings, sync),
    TN_STR(settings, lock_ms), TN_STR(settings, statement_ms), TN_STR(settings, idle_ms),
    TN_STR(settings, zone), TN_STR(settings, name), TN_STR(settings, encoding));

static void read_settings(job *j)
{
    static const tn_query settings = {
        "settings",
        "SELECT current_setting('synchronous_commit') AS sync,"
        " current_setting('lock_timeout') AS lock_ms,"
        " current_setting('statement_timeout') AS statement_ms,"
        " current_setting('idle_in_transaction_session_timeout') AS idle_ms,"
        " current_setting('timezone') AS zone, current_setting('application_name') AS name,"
        " current_setting('client_encoding') AS encoding",
    };
    struct settings got = { 0 };
    tn_tx *tx = begin(j, j->id == 0 ? TN__READ : TN__WRITE);
    tn_one(tx, TN_REF(settings, &got), &settings, TN_NO_ARGS);
    commit(j, tx);
    assert_true(j->ok);
    assert_str(got.sync, "on");
    assert_str(got.lock_ms, "500ms");
    assert_str(got.statement_ms, "5s");
    assert_str(got.idle_ms, "1min");
    assert_str(got.zone, "UTC");
    assert_str(got.name, "test");
    assert_str(got.encoding, "UTF8");
}

static void sessions_are_set_up_as_the_guarantees_need(void **state)
{
    (void)state;
    static char url[512];
    snprintf(url, sizeof url, "%s?options=-c%%20synchronous_commit%%3Doff%%20-c%%20work_mem%%3D1MB",
        options.url);
    sql("ALTER ROLE CURRENT_USER SET synchronous_commit = off");
    options.url = url;
    reopen();
    start(read_settings, 0);
    start(read_settings, 1);
    finish();
    sql("ALTER ROLE CURRENT_USER RESET synchronous_commit");
}

static bool in_metrics(const char *text)
{
    tn__buf out = { .arena = NULL };
    tn__metrics_write(&out);
    tn__buf_add_char(&out, '\0');
    bool found = strstr(out.data, text) != NULL;
    tn__buf_deinit(&out);
    return found;
}

static void operations_and_connections_are_counted(void **state)
{
    (void)state;
    start(insert_row_with_key, 1);
    finish();
    assert_true(in_metrics(
        "db_client_operation_duration_seconds_count{db_operation_name=\"insert_keys\"}"));
    assert_true(in_metrics("db_client_connections{db_client_connection_state=\"idle\"} 2"));
    assert_true(in_metrics("db_client_connections{db_client_connection_state=\"used\"} 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(reads_in_flight_together_get_each_its_own_row),
        PG_TEST(a_missing_row_fails_only_its_reader),
        PG_TEST(a_read_may_look_as_often_as_it_likes),
        PG_TEST(each_statement_sees_the_newest_committed_state),
        PG_TEST(a_read_can_not_write),
        PG_TEST(two_rows_are_not_one),
        PG_TEST(ten_thousand_rows_are_the_most),
        PG_TEST(a_type_that_does_not_fit_is_logged_with_query_and_column),
        PG_TEST(a_statement_that_gives_no_rows_is_no_missing_row),
        PG_TEST(a_table_may_be_altered_under_a_read),
        PG_TEST(names_of_queries_may_be_long),
        PG_TEST(every_type_goes_there_and_back),
        PG_TEST(every_kind_goes_in_bulk),
        PG_TEST(sessions_are_set_up_as_the_guarantees_need),
        PG_TEST(operations_and_connections_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
