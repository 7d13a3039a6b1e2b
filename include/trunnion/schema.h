/* Schemas: what a struct looks like as JSON, and which values it may hold.
 *
 * A schema is a table of fields beside a plain struct. From the one table come decoding,
 * validation, encoding, the binding of database rows, OpenAPI and AsyncAPI. A member's type decides
 * whether it is optional: `tn_str name` is required, `const tn_str *name` is optional and NULL when
 * absent. A kind that doesn't fit the member, a misspelt member or a rule of another kind fails to
 * compile. */
#pragma once

#include <trunnion/types.h>

typedef enum {
    TN_KIND_STR,    /* tn_str; JSON string */
    TN_KIND_INT,    /* int64_t; JSON integer, format int64 */
    TN_KIND_REAL,   /* double; JSON number */
    TN_KIND_BOOL,   /* bool */
    TN_KIND_ENUM,   /* a C enum whose values count the names from 0; JSON string */
    TN_KIND_UUID,   /* tn_uuid; JSON string, format uuid */
    TN_KIND_TIME,   /* tn_time; JSON string, format date-time */
    TN_KIND_JSON,   /* tn_json; any JSON value */
    TN_KIND_OBJECT, /* a struct with a schema of its own */
    TN_KIND_ARRAY,  /* TN_ARRAY_OF(T) */
} tn_kind;

typedef struct tn_schema tn_schema;
typedef struct tn_field tn_field;

/* Lengths count Unicode code points, as JSON Schema's minLength and maxLength do. `pattern` is a
 * POSIX extended regular expression that is also valid ECMA-262; it is anchored where it says so.
 * No string that comes in holds a NUL, for PostgreSQL's text can't: where a rule has no pattern, the
 * documents say so with one. */
struct tn_str_rule {
    bool bounded;
    int64_t min, max;
    const char *pattern;
    const char *fallback; /* Used when the member is absent, which makes a required one optional. */
    const char *summary, *example;
};

struct tn_int_rule {
    bool bounded;
    int64_t min, max;
    bool has_fallback;
    int64_t fallback;
    const char *summary, *example;
};

struct tn_real_rule {
    bool bounded;
    double min, max;
    bool has_fallback;
    double fallback;
    const char *summary, *example;
};

struct tn_bool_rule {
    bool has_fallback;
    bool fallback;
    const char *summary, *example;
};

/* `names` ends with NULL; the value of the C enum is the name's index. */
struct tn_enum_rule {
    const char *const *names;
    const char *fallback;
    const char *summary, *example;
};

struct tn_any_rule {
    const char *summary, *example;
};

struct tn_object_rule {
    const tn_schema *schema;
    const char *summary;
};

/* `each` describes an element: its name and offset are not used. */
struct tn_array_rule {
    const tn_field *each;
    bool bounded;
    int64_t min, max;
    bool may_be_absent; /* An absent array is read as an empty one. */
    const char *summary;
};

struct tn_field {
    const char *name;
    size_t offset;
    tn_kind kind;
    bool optional;
    union {
        struct tn_str_rule str;
        struct tn_int_rule num;
        struct tn_real_rule real;
        struct tn_bool_rule flag;
        struct tn_enum_rule choice;
        struct tn_any_rule any;
        struct tn_object_rule object;
        struct tn_array_rule array;
    };
};

struct tn_schema {
    const char *name;
    size_t size;
    const tn_field *fields;
    size_t n_fields;
    bool open; /* Members that the table doesn't name are ignored, not refused. */
};

/* clang-format off */
/* false for T, true for const T *, a compile error for anything else. */
#define TN_OPTIONAL_(tag, m, T) _Generic(((struct tag *)0)->m, T: false, const T *: true)
/* The same for enums, which gcc 12 can't match behind a const pointer: so what the pointer points to
 * is looked at. 5 is the compilers' class of pointers. */
#define TN_IS_POINTER_(x) (__builtin_classify_type(x) == 5)
#define TN_ENUM_OF_(x)    (*__builtin_choose_expr(TN_IS_POINTER_(x), (x), &(x)))
#define TN_OPTIONAL_ENUM_(tag, m)                                                                  \
    (_Generic(TN_ENUM_OF_(((struct tag *)0)->m), int: true, unsigned: true) &&                     \
        TN_IS_POINTER_(((struct tag *)0)->m))
/* clang-format on */
#define TN_FIELD_(tag, m, isoptional, k, u, ...)                                                   \
    {                                                                                              \
        .name = #m, .offset = offsetof(struct tag, m), .kind = k, .optional = isoptional, .u = {   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* Bounds, both included. They also say that a bound exists: a bare .min would publish a max of 0. */
#define TN_LEN(lo, hi)     .bounded = true, .min = (lo), .max = (hi)
#define TN_RANGE(lo, hi)   .bounded = true, .min = (lo), .max = (hi)
#define TN_COUNT(lo, hi)   .bounded = true, .min = (lo), .max = (hi)
#define TN_FALLBACK(value) .has_fallback = true, .fallback = (value)

/* The fields of `struct tag`, one macro a kind; the rest of the arguments are the kind's rule. */
#define TN_STR(tag, m, ...)                                                                        \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, tn_str), TN_KIND_STR, str, __VA_ARGS__)
#define TN_INT(tag, m, ...)                                                                        \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, int64_t), TN_KIND_INT, num, __VA_ARGS__)
#define TN_REAL(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, double), TN_KIND_REAL, real, __VA_ARGS__)
#define TN_BOOL(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, bool), TN_KIND_BOOL, flag, __VA_ARGS__)
#define TN_ENUM(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_ENUM_(tag, m), TN_KIND_ENUM, choice, __VA_ARGS__)
#define TN_UUID(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, tn_uuid), TN_KIND_UUID, any, __VA_ARGS__)
#define TN_TIME(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, tn_time), TN_KIND_TIME, any, __VA_ARGS__)
#define TN_JSON(tag, m, ...)                                                                       \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, tn_json), TN_KIND_JSON, any, __VA_ARGS__)
/* An object inside an object: `struct address home` or `const struct address *home`; the schema is
 * address_schema, by name. */
#define TN_OBJECT(tag, m, nested, ...)                                                             \
    TN_FIELD_(tag, m, TN_OPTIONAL_(tag, m, struct nested), TN_KIND_OBJECT, object,                 \
        .schema = &nested##_schema, __VA_ARGS__)
/* TN_ARRAY(order, tags, .each = TN_EACH(TN_KIND_STR, str, TN_LEN(1, 20)), TN_COUNT(0, 10))
 * TN_ARRAY(order, lines, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &line_schema)) */
#define TN_ARRAY(tag, m, ...) TN_FIELD_(tag, m, false, TN_KIND_ARRAY, array, __VA_ARGS__)
#define TN_EACH(k, u, ...)    (&(const tn_field){ .kind = k, .u = { __VA_ARGS__ } })
#define TN_NAMES(...)         ((const char *const[]){ __VA_ARGS__, NULL })

/* static const tn_schema item_schema = TN_SCHEMA(item, TN_STR(item, name), ...); */
#define TN_SCHEMA(tag, ...)                                                                        \
    {                                                                                              \
        .name = #tag, .size = sizeof(struct tag), .fields = (const tn_field[]){ __VA_ARGS__ },     \
        .n_fields = sizeof((const tn_field[]){ __VA_ARGS__ }) / sizeof(tn_field)                   \
    }
/* The same, but members that the table doesn't name are ignored: for what others send. */
#define TN_OPEN_SCHEMA(tag, ...)                                                                   \
    {                                                                                              \
        .name = #tag, .size = sizeof(struct tag), .fields = (const tn_field[]){ __VA_ARGS__ },     \
        .n_fields = sizeof((const tn_field[]){ __VA_ARGS__ }) / sizeof(tn_field), .open = true     \
    }

/* A typed reference: the pointer and the schema that describes it travel together. */
typedef struct {
    const tn_schema *schema;
    void *at;
} tn_ref;

/* The reference to a `struct tag`; a pointer to anything else fails to compile. */
#define TN_REF(tag, p) ((tn_ref){ &tag##_schema, (true ? (p) : (struct tag *)NULL) })
