/* Tables of fields that the compiler takes and that are wrong nonetheless. */
#include "unit.h"

#include <math.h>

/* The smallest service around one schema, as a body. */
static void check(tn_arena *arena, const tn_schema *schema, tn__faults *faults)
{
    const tn_event event = { "a.b", .of = schema, .subject = "id" };
    const tn_event *const events[] = { &event };
    const tn_service service = { .name = "s", .version = "1.0.0", .events = TN_LIST(events) };
    tn__tables_check(arena, &service, faults);
}

struct it {
    tn_uuid id;
    tn_str s;
    int64_t i;
    double r;
    bool b;
    int e;
    const tn_str *o;
    TN_ARRAY_OF(tn_str) a;
};

/* A table of an id and one field; the field is at fault. */
#define WRONG(detail, ...)                                                                         \
    do {                                                                                           \
        const tn_schema schema_ = TN_SCHEMA(it, TN_UUID(it, id), __VA_ARGS__);                     \
        tn__faults faults_;                                                                        \
        check(*state, &schema_, &faults_);                                                         \
        assert_str(faults_text(*state, &faults_), "schema it: " detail);                           \
    } while (0)

static void bounds_that_hold_nothing_are_found(void **state)
{
    WRONG("s: TN_LEN(2, 1) holds nothing", TN_STR(it, s, TN_LEN(2, 1)));
    WRONG("s: TN_LEN(-1, 1) holds nothing", TN_STR(it, s, TN_LEN(-1, 1)));
    WRONG("i: TN_RANGE(2, 1) holds nothing", TN_INT(it, i, TN_RANGE(2, 1)));
    WRONG("r: TN_RANGE(2, 1) holds nothing", TN_REAL(it, r, TN_RANGE(2, 1)));
    WRONG("r: TN_RANGE(nan, 1) holds nothing", TN_REAL(it, r, TN_RANGE(NAN, 1)));
    WRONG("a: TN_COUNT(2, 1) holds nothing",
        TN_ARRAY(it, a, TN_COUNT(2, 1), .each = TN_EACH(TN_KIND_STR, str, .bounded = false)));
}

static void bounds_without_their_macro_are_found(void **state)
{
    WRONG("s: a bound is set without TN_LEN", TN_STR(it, s, .min = 1));
    WRONG("i: a bound is set without TN_RANGE", TN_INT(it, i, .max = 1));
    WRONG("r: a bound is set without TN_RANGE", TN_REAL(it, r, .max = 1));
    WRONG("a: a bound is set without TN_COUNT",
        TN_ARRAY(it, a, .max = 1, .each = TN_EACH(TN_KIND_STR, str, .bounded = false)));
}

static void fallbacks_that_break_their_own_rule_are_found(void **state)
{
    WRONG("s: the fallback \"ab\" breaks the field's own rule",
        TN_STR(it, s, TN_LEN(0, 1), .fallback = "ab"));
    WRONG("s: the fallback \"ab\" breaks the field's own rule",
        TN_STR(it, s, .pattern = "^[0-9]*$", .fallback = "ab"));
    WRONG("i: the fallback 3 breaks the field's own rule",
        TN_INT(it, i, TN_RANGE(0, 2), TN_FALLBACK(3)));
    WRONG("r: the fallback 3 breaks the field's own rule",
        TN_REAL(it, r, TN_RANGE(0, 2), TN_FALLBACK(3)));
    WRONG("r: the fallback inf breaks the field's own rule", TN_REAL(it, r, TN_FALLBACK(INFINITY)));
    WRONG("e: the fallback \"b\" breaks the field's own rule",
        TN_ENUM(it, e, .names = TN_NAMES("a"), .fallback = "b"));
}

static void fallbacks_without_their_macro_are_found(void **state)
{
    WRONG("i: a fallback is set without TN_FALLBACK", TN_INT(it, i, .fallback = 3));
    WRONG("r: a fallback is set without TN_FALLBACK", TN_REAL(it, r, .fallback = 3));
    WRONG("b: a fallback is set without TN_FALLBACK", TN_BOOL(it, b, .fallback = true));
}

static void a_fallback_of_a_pointer_is_found(void **state)
{
    WRONG("o: a fallback means that the member is always there: no pointer",
        TN_STR(it, o, .fallback = "x"));
}

static void bad_patterns_are_found(void **state)
{
    WRONG("s: the pattern ^\\d+$: a backslash may only stand before one of .[]{}()*+?^$|\\",
        TN_STR(it, s, .pattern = "^\\d+$", .fallback = "x", .example = "y"));
    WRONG("s: a string with a pattern may have at most 1024 characters",
        TN_STR(it, s, .pattern = "^a*$", TN_LEN(0, 1025)));
}

static void bad_names_of_enums_are_found(void **state)
{
    WRONG("e: it has no names", TN_ENUM(it, e, .fallback = "x"));
    WRONG("e: it has no names", TN_ENUM(it, e, .names = (const char *const[]){ NULL }));
    WRONG("e: the name \"a\" is there twice", TN_ENUM(it, e, .names = TN_NAMES("a", "b", "a")));
    WRONG("e: a name is empty or not UTF-8", TN_ENUM(it, e, .names = TN_NAMES("a", "")));
}

static void bad_arrays_and_objects_are_found(void **state)
{
    WRONG("a: it has no .each", TN_ARRAY(it, a, .may_be_absent = true));
    WRONG("a[]: elements cannot be absent: no optional, no fallback",
        TN_ARRAY(it, a, .each = TN_EACH(TN_KIND_STR, str, .fallback = "x")));
    WRONG("a[]: TN_LEN(2, 1) holds nothing",
        TN_ARRAY(it, a, .each = TN_EACH(TN_KIND_STR, str, TN_LEN(2, 1))));
    WRONG("a[]: it has no .schema", TN_ARRAY(it, a, .each = TN_EACH(TN_KIND_OBJECT, object, 0)));
}

static void bad_examples_are_found(void **state)
{
    WRONG("s: the example \"ab\" breaks the field's own rule",
        TN_STR(it, s, TN_LEN(0, 1), .example = "ab"));
    WRONG("i: the example \"ab\" breaks the field's own rule", TN_INT(it, i, .example = "ab"));
    WRONG("b: the example \"1\" breaks the field's own rule", TN_BOOL(it, b, .example = "1"));
}

static void a_field_named_twice_is_found(void **state)
{
    WRONG("s: the field is in the table twice", TN_STR(it, s), TN_STR(it, s));
}

struct wide {
    tn_uuid id;
    char much[1000];
    tn_str far;
};

static void a_field_of_another_struct_is_found(void **state)
{
    WRONG("far: the field lies outside of struct it", TN_STR(wide, far));
}

/* ---- Whole schemas ------------------------------------------------------------ */

static void told(tn_arena *arena, const tn_schema *schema, const char *text)
{
    tn__faults faults;
    check(arena, schema, &faults);
    assert_str(faults_text(arena, &faults), text);
}

static void names_that_documents_need_are_found(void **state)
{
    struct problem {
        tn_uuid id;
    };
    const tn_schema schema = TN_SCHEMA(problem, TN_UUID(problem, id));
    told(*state, &schema, "schema problem: the documents have a Problem of their own");
}

struct twin {
    tn_uuid id;
};
static const tn_schema twin_schema = TN_SCHEMA(twin, TN_UUID(twin, id));
static const tn_schema other_schema = TN_SCHEMA(twin, TN_UUID(twin, id));
struct both {
    tn_uuid id;
    struct twin a;
    struct twin b;
};

static void two_schemas_of_one_name_are_found(void **state)
{
    const tn_schema schema = TN_SCHEMA(both, TN_UUID(both, id), TN_OBJECT(both, a, twin),
        { .name = "b",
            .offset = offsetof(struct both, b),
            .kind = TN_KIND_OBJECT,
            .object = { .schema = &other_schema } });
    told(*state, &schema, "schema twin: another schema has this name");
}

struct tree {
    tn_uuid id;
    TN_ARRAY_OF(struct tree) below;
};
static const tn_schema tree_schema = TN_SCHEMA(tree, TN_UUID(tree, id),
    TN_ARRAY(tree, below, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &tree_schema)));

static void a_schema_may_contain_itself(void **state)
{
    told(*state, &tree_schema, "");
}

static void nested_schemas_are_checked_too(void **state)
{
    static const tn_field inner[] = { { .name = "x y", .kind = TN_KIND_INT } };
    static const tn_schema inner_schema = { "inner", 8, inner, 1, false };
    static const tn_field fields[] = { { .name = "id", .kind = TN_KIND_UUID },
        { .name = "in",
            .offset = 16,
            .kind = TN_KIND_OBJECT,
            .object = { .schema = &inner_schema } } };
    static const tn_schema schema = { "holder", 24, fields, 2, false };
    told(*state, &schema, "schema inner: x y: the name of a field must be a C identifier");
}

static void a_schema_has_a_name_and_fields(void **state)
{
    static const tn_field id[] = { { .name = "id", .kind = TN_KIND_UUID } };
    static const tn_schema nameless = { "a-b", 16, id, 1, false };
    told(*state, &nameless, "schema a-b: the name must be a C identifier");
    const tn_field empty[] = { { .name = "id",
        .kind = TN_KIND_OBJECT,
        .object = { .schema = &(const tn_schema){ .name = "hollow" } } } };
    const tn_schema schema = { "holder", 16, empty, 1, false };
    told(*state, &schema,
        "schema hollow: a schema may have 1 to 256 fields\n"
        "event a.b: .subject \"id\" is no required tn_uuid or tn_str field of .of");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(bounds_that_hold_nothing_are_found),
        CASE(bounds_without_their_macro_are_found),
        CASE(fallbacks_that_break_their_own_rule_are_found),
        CASE(fallbacks_without_their_macro_are_found),
        CASE(a_fallback_of_a_pointer_is_found),
        CASE(bad_patterns_are_found),
        CASE(bad_names_of_enums_are_found),
        CASE(bad_arrays_and_objects_are_found),
        CASE(bad_examples_are_found),
        CASE(a_field_named_twice_is_found),
        CASE(a_field_of_another_struct_is_found),
        CASE(names_that_documents_need_are_found),
        CASE(two_schemas_of_one_name_are_found),
        CASE(a_schema_may_contain_itself),
        CASE(nested_schemas_are_checked_too),
        CASE(a_schema_has_a_name_and_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
