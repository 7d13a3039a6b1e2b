/* From rows to structs: which columns fit which fields. The results are made by hand, so that the
 * server's bytes can also be wrong. */
#include "../base/unit.h"

#include "pg/oid.h"
#include "pg/rows.h"

#include <stdlib.h>

static tn_arena *arena;
static PGresult *result;
static tn_str why;

static int open_arena(void **state)
{
    (void)state;
    arena = tn__arena_open(4096);
    result = NULL;
    why = (tn_str){ NULL, 0 };
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    PQclear(result);
    tn__arena_close(arena);
    return 0;
}

#define ROWS_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_arena, close_arena)

/* One column of the one row of a result: `len` -1 is NULL. */
typedef struct {
    const char *name;
    Oid type;
    const char *bytes;
    int len;
} cell;

static void make_result(const cell *cells, int n)
{
    PQclear(result);
    result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[16];
    assert_true(n <= 16);
    for (int i = 0; i < n; i++)
        columns[i] = (PGresAttDesc){ .name = (char *)cells[i].name, .typid = cells[i].type };
    assert_int_equal(PQsetResultAttrs(result, n, columns), 1);
    for (int i = 0; i < n; i++)
        assert_int_equal(PQsetvalue(result, 0, i, (char *)cells[i].bytes, cells[i].len), 1);
}

static const Oid mood_type = 20001;
static const tn__text_types text_types = { (Oid[]){ 20001 }, 1 };

/* Reads the row; false, with `why`, when the plan or the row doesn't fit. */
static bool read_cells(const cell *cells, int n, const tn_schema *schema, void *out)
{
    make_result(cells, n);
    tn__plan *plan = tn__plan_make(arena, schema, result, &text_types, &why);
    bool ok = plan != NULL && tn__row_read(arena, plan, result, 0, out, &why);
    free(plan);
    return ok;
}

#define READ(schema, out, ...)                                                                     \
    read_cells((const cell[]){ __VA_ARGS__ },                                                      \
        sizeof((const cell[]){ __VA_ARGS__ }) / sizeof(cell), (schema), (out))

/* ---- One field of each kind --------------------------------------------- */

struct int_row {
    int64_t v;
};
static const tn_schema int_row_schema = TN_SCHEMA(int_row, TN_INT(int_row, v));
struct real_row {
    double v;
};
static const tn_schema real_row_schema = TN_SCHEMA(real_row, TN_REAL(real_row, v));
struct bool_row {
    bool v;
};
static const tn_schema bool_row_schema = TN_SCHEMA(bool_row, TN_BOOL(bool_row, v));
struct str_row {
    tn_str v;
};
static const tn_schema str_row_schema = TN_SCHEMA(str_row, TN_STR(str_row, v));
struct uuid_row {
    tn_uuid v;
};
static const tn_schema uuid_row_schema = TN_SCHEMA(uuid_row, TN_UUID(uuid_row, v));
struct time_row {
    tn_time v;
};
static const tn_schema time_row_schema = TN_SCHEMA(time_row, TN_TIME(time_row, v));
struct json_row {
    tn_json v;
};
static const tn_schema json_row_schema = TN_SCHEMA(json_row, TN_JSON(json_row, v));
enum mood { SAD, FINE, GREAT };
struct enum_row {
    enum mood v;
};
static const tn_schema enum_row_schema = TN_SCHEMA(enum_row,
    TN_ENUM(enum_row, v, .names = TN_NAMES("sad", "fine", "great")));

static void integers_of_each_width_become_int(void **state)
{
    (void)state;
    struct int_row row;
    assert_true(READ(&int_row_schema, &row, { "v", TN__OID_INT2, "\xff\xfe", 2 }));
    assert_int_equal(row.v, -2);
    assert_true(READ(&int_row_schema, &row, { "v", TN__OID_INT4, "\0\x01\0\0", 4 }));
    assert_int_equal(row.v, 65536);
    assert_true(READ(&int_row_schema, &row, { "v", TN__OID_INT8, "\x80\0\0\0\0\0\0\0", 8 }));
    assert_true(row.v == INT64_MIN);
}

static void floats_and_integers_become_real(void **state)
{
    (void)state;
    struct real_row row;
    assert_true(READ(&real_row_schema, &row, { "v", TN__OID_FLOAT4, "\x3f\xc0\0\0", 4 }));
    assert_true(row.v == 1.5);
    assert_true(READ(&real_row_schema, &row, { "v", TN__OID_FLOAT8, "\xbf\xe0\0\0\0\0\0\0", 8 }));
    assert_true(row.v == -0.5);
    assert_true(READ(&real_row_schema, &row, { "v", TN__OID_INT4, "\0\0\0\x07", 4 }));
    assert_true(row.v == 7.0);
}

static void booleans_uuids_and_times_are_read(void **state)
{
    (void)state;
    struct bool_row flag;
    assert_true(READ(&bool_row_schema, &flag, { "v", TN__OID_BOOL, "\x01", 1 }));
    assert_true(flag.v);
    struct uuid_row id;
    assert_true(READ(&uuid_row_schema, &id, { "v", TN__OID_UUID, "0123456789abcdef", 16 }));
    assert_memory_equal(id.v.b, "0123456789abcdef", 16);
    struct time_row time;
    assert_true(
        READ(&time_row_schema, &time, { "v", TN__OID_TIMESTAMPTZ, "\0\0\0\0\0\0\0\x01", 8 }));
    assert_true(time.v.us == INT64_C(946684800000001));
}

static void text_of_each_type_becomes_str(void **state)
{
    (void)state;
    struct str_row row;
    const Oid types[] = { TN__OID_TEXT, TN__OID_VARCHAR, TN__OID_BPCHAR, TN__OID_NAME, mood_type };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_true(READ(&str_row_schema, &row, { "v", types[i], "h\xc3\xa9", 3 }));
        assert_str(row.v, "h\xc3\xa9");
    }
    assert_true(READ(&str_row_schema, &row, { "v", TN__OID_TEXT, "", 0 }));
    assert_int_equal(row.v.len, 0);
}

static void names_become_enums_and_unknown_ones_do_not(void **state)
{
    (void)state;
    struct enum_row row;
    assert_true(READ(&enum_row_schema, &row, { "v", mood_type, "great", 5 }));
    assert_int_equal(row.v, GREAT);
    assert_true(READ(&enum_row_schema, &row, { "v", TN__OID_TEXT, "sad", 3 }));
    assert_int_equal(row.v, SAD);
    assert_false(READ(&enum_row_schema, &row, { "v", TN__OID_TEXT, "furious", 7 }));
    assert_str(why, "the value of column v doesn't fit a field of kind enum");
}

static void json_and_jsonb_become_json(void **state)
{
    (void)state;
    struct json_row row;
    assert_true(READ(&json_row_schema, &row, { "v", TN__OID_JSON, "[1]", 3 }));
    assert_str(row.v.text, "[1]");
    assert_true(READ(&json_row_schema, &row, { "v", TN__OID_JSONB, "\x01[2]", 4 }));
    assert_str(row.v.text, "[2]");
    assert_false(READ(&json_row_schema, &row, { "v", TN__OID_JSONB, "\x02[2]", 4 }));
}

/* ---- Nested ------------------------------------------------------------- */

struct line {
    int64_t amount;
};
static const tn_schema line_schema = TN_SCHEMA(line, TN_INT(line, amount));
struct order_row {
    int64_t before;
    struct line line;
    const struct line *other;
    TN_ARRAY_OF(struct line) lines;
};
static const tn_schema order_row_schema = TN_SCHEMA(order_row, TN_INT(order_row, before),
    TN_OBJECT(order_row, line, line), TN_OBJECT(order_row, other, line),
    TN_ARRAY(order_row, lines, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &line_schema)));

static void json_columns_become_objects_and_arrays(void **state)
{
    (void)state;
    struct order_row row;
    assert_true(READ(&order_row_schema, &row, { "before", TN__OID_INT2, "\0\x09", 2 },
        { "line", TN__OID_JSON, "{\"amount\": 3}", 13 },
        { "other", TN__OID_JSONB, "\x01{\"amount\": 4}", 14 },
        { "lines", TN__OID_JSONB, "\x01[{\"amount\":1},{\"amount\":2}]", 28 }));
    assert_int_equal(row.before, 9);
    assert_int_equal(row.line.amount, 3);
    assert_int_equal(row.other->amount, 4);
    assert_int_equal(row.lines.n, 2);
    assert_int_equal(row.lines.at[1].amount, 2);
}

static void json_that_does_not_fit_its_schema_is_refused(void **state)
{
    (void)state;
    struct order_row row;
    assert_false(READ(&order_row_schema, &row, { "before", TN__OID_INT2, "\0\x09", 2 },
        { "line", TN__OID_JSON, "{\"amount\": \"x\"}", 15 }, { "other", TN__OID_JSON, NULL, -1 },
        { "lines", TN__OID_JSON, "[]", 2 }));
    assert_str(why, "the value of column line doesn't fit a field of kind object");
}

/* ---- Null and missing --------------------------------------------------- */

struct optional_row {
    const int64_t *number;
    const tn_str *text;
    const tn_uuid *id;
};
static const tn_schema optional_row_schema = TN_SCHEMA(optional_row, TN_INT(optional_row, number),
    TN_STR(optional_row, text), TN_UUID(optional_row, id));

static void optional_fields_point_at_values_or_nowhere(void **state)
{
    (void)state;
    int64_t before = 1;
    struct optional_row row = { .number = &before };
    assert_true(READ(&optional_row_schema, &row, { "number", TN__OID_INT4, NULL, -1 },
        { "text", TN__OID_TEXT, "x", 1 }, { "id", TN__OID_UUID, NULL, -1 }));
    assert_null(row.number);
    assert_str(*row.text, "x");
    assert_null(row.id);
}

static void null_in_a_required_field_is_refused(void **state)
{
    (void)state;
    struct int_row row;
    assert_false(READ(&int_row_schema, &row, { "v", TN__OID_INT4, NULL, -1 }));
    assert_str(why, "column v is null, but the field is required");
}

struct fallback_row {
    int64_t number;
    double real;
    bool flag;
    tn_str text;
    enum mood mood;
    TN_ARRAY_OF(int64_t) list;
};
static const tn_schema fallback_row_schema = TN_SCHEMA(fallback_row,
    TN_INT(fallback_row, number, TN_FALLBACK(7)), TN_REAL(fallback_row, real, TN_FALLBACK(0.5)),
    TN_BOOL(fallback_row, flag, TN_FALLBACK(true)), TN_STR(fallback_row, text, .fallback = "none"),
    TN_ENUM(fallback_row, mood, .names = TN_NAMES("sad", "fine"), .fallback = "fine"),
    TN_ARRAY(fallback_row, list, .each = TN_EACH(TN_KIND_INT, num), .may_be_absent = true));

static void null_takes_the_fallback(void **state)
{
    (void)state;
    struct fallback_row row;
    memset(&row, 0xee, sizeof row);
    assert_true(READ(&fallback_row_schema, &row, { "number", TN__OID_INT4, NULL, -1 },
        { "real", TN__OID_FLOAT8, NULL, -1 }, { "flag", TN__OID_BOOL, NULL, -1 },
        { "text", TN__OID_TEXT, NULL, -1 }, { "mood", TN__OID_TEXT, NULL, -1 },
        { "list", TN__OID_JSONB, NULL, -1 }));
    assert_int_equal(row.number, 7);
    assert_true(row.real == 0.5);
    assert_true(row.flag);
    assert_str(row.text, "none");
    assert_int_equal(row.mood, FINE);
    assert_int_equal(row.list.n, 0);
}

static void columns_without_a_field_are_ignored(void **state)
{
    (void)state;
    struct int_row row;
    assert_true(READ(&int_row_schema, &row, { "extra", 1700, "??", 2 },
        { "v", TN__OID_INT2, "\0\x01", 2 }, { "v", TN__OID_TEXT, "second of its name", 18 }));
    assert_int_equal(row.v, 1);
}

static void a_required_field_without_a_column_is_refused(void **state)
{
    (void)state;
    struct int_row row;
    assert_false(READ(&int_row_schema, &row, { "w", TN__OID_INT2, "\0\x01", 2 }));
    assert_str(why, "no column v, which the schema int_row requires");
}

/* ---- What doesn't fit --------------------------------------------------- */

static void a_type_that_does_not_fit_is_named(void **state)
{
    (void)state;
    struct int_row row;
    assert_false(READ(&int_row_schema, &row, { "v", 1700, "", 0 }));
    assert_str(why,
        "column v is of type numeric, which can't be read into a field of kind integer");
    struct str_row text;
    assert_false(READ(&str_row_schema, &text, { "v", 99999, "", 0 }));
    assert_str(why,
        "column v is of type type with oid 99999, which can't be read into a field of kind string");
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    union {
        struct int_row i;
        struct real_row r;
        struct bool_row b;
        struct uuid_row u;
        struct time_row t;
    } row;
    assert_false(READ(&int_row_schema, &row, { "v", TN__OID_INT8, "123", 3 }));
    assert_false(READ(&int_row_schema, &row, { "v", TN__OID_INT8, "", 0 }));
    assert_false(READ(&real_row_schema, &row, { "v", TN__OID_FLOAT8, "12", 2 }));
    assert_false(READ(&bool_row_schema, &row, { "v", TN__OID_BOOL, "", 0 }));
    assert_false(READ(&uuid_row_schema, &row, { "v", TN__OID_UUID, "0123456789abcde", 15 }));
    assert_false(READ(&time_row_schema, &row, { "v", TN__OID_TIMESTAMPTZ, "1234", 4 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROWS_TEST(integers_of_each_width_become_int),
        ROWS_TEST(floats_and_integers_become_real),
        ROWS_TEST(booleans_uuids_and_times_are_read),
        ROWS_TEST(text_of_each_type_becomes_str),
        ROWS_TEST(names_become_enums_and_unknown_ones_do_not),
        ROWS_TEST(json_and_jsonb_become_json),
        ROWS_TEST(json_columns_become_objects_and_arrays),
        ROWS_TEST(json_that_does_not_fit_its_schema_is_refused),
        ROWS_TEST(optional_fields_point_at_values_or_nowhere),
        ROWS_TEST(null_in_a_required_field_is_refused),
        ROWS_TEST(null_takes_the_fallback),
        ROWS_TEST(columns_without_a_field_are_ignored),
        ROWS_TEST(a_required_field_without_a_column_is_refused),
        ROWS_TEST(a_type_that_does_not_fit_is_named),
        ROWS_TEST(wrong_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
