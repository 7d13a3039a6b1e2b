/* Encodes arguments.
 *
 * Invariants: all that a tn__params points to lies in the arena, so a statement can be sent again as
 * long as its transaction lives. Binary values are at most 16 bytes; `lengths` counts only for them,
 * as text values end in NUL. */
#include "pg/params.h"

#include "pg/oid.h"
#include "pg/wire.h"

#include <assert.h>
#include <stdlib.h>

enum { BINARY_BYTES_MAX = sizeof(tn_uuid), ARRAY_HEAD_BYTES = 20 };

Oid tn__param_type(tn_kind kind)
{
    switch (kind) {
    case TN_KIND_INT:
        return TN__OID_INT8;
    case TN_KIND_REAL:
        return TN__OID_FLOAT8;
    case TN_KIND_BOOL:
        return TN__OID_BOOL;
    case TN_KIND_UUID:
        return TN__OID_UUID;
    case TN_KIND_TIME:
        return TN__OID_TIMESTAMPTZ;
    default:
        return InvalidOid;
    }
}

int tn__param_format(tn_kind kind)
{
    return tn__param_type(kind) != InvalidOid;
}

static bool is_text(tn_kind kind)
{
    assert(kind != TN_KIND_ENUM && kind != TN_KIND_OBJECT && kind != TN_KIND_ARRAY);
    return kind == TN_KIND_STR || kind == TN_KIND_JSON;
}

static tn_str text_of(const tn_arg *arg)
{
    return arg->kind == TN_KIND_JSON ? arg->j.text : arg->s;
}

bool tn__args_hold_nul(tn_args args)
{
    for (size_t i = 0; i < args.n; i++) {
        const tn_arg *arg = &args.at[i];
        if (!arg->null && is_text(arg->kind)) {
            tn_str text = text_of(arg);
            if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
                return true;
        }
    }
    return false;
}

/* Writes a value that isn't text; returns its length. */
static int put_binary(char out[BINARY_BYTES_MAX], const tn_arg *arg)
{
    uint64_t bits;
    switch (arg->kind) {
    case TN_KIND_INT:
        tn__put64(out, (uint64_t)arg->i);
        return 8;
    case TN_KIND_TIME:
        tn__put64(out, (uint64_t)tn__time_to_pg(arg->t.us));
        return 8;
    case TN_KIND_REAL:
        memcpy(&bits, &arg->d, sizeof bits);
        tn__put64(out, bits);
        return 8;
    case TN_KIND_BOOL:
        out[0] = arg->b;
        return 1;
    case TN_KIND_UUID:
        memcpy(out, arg->u.b, sizeof arg->u.b);
        return sizeof arg->u.b;
    default:
        abort(); /* no other kind is ever an argument */
    }
}

/* ---- One by one --------------------------------------------------------- */

bool tn__params_encode(tn_arena *arena, tn_args args, tn__params *params)
{
    *params = (tn__params){ NULL, NULL };
    if (tn__args_hold_nul(args))
        return false;
    if (args.n == 0)
        return true;
    const char **values = tn_alloc(arena, args.n * (sizeof *values + sizeof(int)));
    int *lengths = (int *)(values + args.n);
    char *binary = tn_alloc(arena, args.n * BINARY_BYTES_MAX);
    for (size_t i = 0; i < args.n; i++, binary += BINARY_BYTES_MAX) {
        const tn_arg *arg = &args.at[i];
        if (arg->null)
            continue;
        if (is_text(arg->kind)) {
            values[i] = tn_copy(arena, text_of(arg)).data;
        } else {
            lengths[i] = put_binary(binary, arg);
            values[i] = binary;
        }
    }
    *params = (tn__params){ values, lengths };
    return true;
}

/* ---- Arrays ------------------------------------------------------------- */

/* Of array_recv(): number of dimensions, has-nulls, element type; for the one dimension its length
 * and lower bound; then each element's length (-1 is NULL) and bytes. */

static Oid element_type(tn_kind kind)
{
    return is_text(kind) ? TN__OID_TEXT : tn__param_type(kind);
}

Oid tn__array_type(tn_kind kind)
{
    switch (element_type(kind)) {
    case TN__OID_INT8:
        return TN__OID_INT8_ARRAY;
    case TN__OID_FLOAT8:
        return TN__OID_FLOAT8_ARRAY;
    case TN__OID_BOOL:
        return TN__OID_BOOL_ARRAY;
    case TN__OID_UUID:
        return TN__OID_UUID_ARRAY;
    case TN__OID_TIMESTAMPTZ:
        return TN__OID_TIMESTAMPTZ_ARRAY;
    default:
        return TN__OID_TEXT_ARRAY;
    }
}

void tn__array_begin(tn__buf *out, tn_kind kind)
{
    assert(out->len == 0);
    char head[ARRAY_HEAD_BYTES] = { 0 };
    tn__put32(head, 1);
    tn__put32(head + 8, element_type(kind));
    tn__put32(head + 16, 1);
    tn__buf_add(out, head, sizeof head);
}

static void add_length(tn__buf *out, int length)
{
    char bytes[4];
    tn__put32(bytes, (uint32_t)length);
    tn__buf_add(out, bytes, sizeof bytes);
}

void tn__array_add(tn__buf *out, const tn_arg *arg)
{
    if (arg->null) {
        tn__put32(out->data + 4, 1);
        add_length(out, -1);
    } else if (is_text(arg->kind)) {
        tn_str text = text_of(arg);
        assert(text.len <= INT32_MAX);
        add_length(out, (int)text.len);
        tn__buf_add_str(out, text);
    } else {
        char binary[BINARY_BYTES_MAX];
        int length = put_binary(binary, arg);
        add_length(out, length);
        tn__buf_add(out, binary, (size_t)length);
    }
}

void tn__array_end(tn__buf *out, size_t n)
{
    assert(n > 0 && n <= INT32_MAX && out->len >= ARRAY_HEAD_BYTES);
    tn__put32(out->data + 12, (uint32_t)n);
}
