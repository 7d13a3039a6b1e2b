/* Faults: what is wrong, and where.
 *
 * Invariants: at most TN__FAULTS_MAX texts are made for one input, each of bounded length, whatever
 * the input is; the rest is counted. What came from outside appears cut and without control
 * characters. */
#include "schema/fault.h"

#include <assert.h>

void tn__faults_reset(tn__faults *faults)
{
    faults->n = 0;
    faults->more = 0;
}

bool tn__fault_wanted(tn__reporter *r)
{
    assert(r->faults->n <= TN__FAULTS_MAX);
    if (r->faults->n < TN__FAULTS_MAX)
        return true;
    r->faults->more++;
    return false;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The bytes that the first `chars_max` characters take; bytes that aren't UTF-8 count as one each,
 * so that the length is bounded whatever they are. */
static size_t shown_bytes(tn_str s, size_t chars_max)
{
    size_t at = 0;
    for (size_t chars = 0; at < s.len && chars < chars_max; chars++) {
        size_t start = at++;
        while (at < s.len && at - start < 4 && is_continuation(s.data[at]))
            at++;
    }
    return at;
}

void tn__show(tn__buf *out, tn_str s, size_t chars_max)
{
    tn_str shown = { s.data, shown_bytes(s, chars_max) };
    bool valid = tn__utf8_valid(shown);
    for (size_t i = 0; i < shown.len; i++) {
        unsigned char c = (unsigned char)shown.data[i];
        bool odd = c < 0x20 || c == 0x7F || (c >= 0x80 && !valid);
        tn__buf_add_char(out, odd ? '?' : (char)c);
    }
    if (shown.len < s.len)
        tn__buf_add_z(out, "…");
}

/* RFC 6901: "~" is written ~0 and "/" is written ~1. */
static void add_escaped(tn__buf *out, tn_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '~')
            tn__buf_add_z(out, "~0");
        else if (name.data[i] == '/')
            tn__buf_add_z(out, "~1");
        else
            tn__buf_add_char(out, name.data[i]);
}

/* Recursion is as deep as the document is nested: TN__JSON_DEPTH_MAX. */
static void add_pointer(tn__buf *out, const tn__where *place)
{
    if (place == NULL)
        return;
    add_pointer(out, place->up);
    tn__buf_add_char(out, '/');
    if (place->name.data == NULL) {
        tn__buf_add_i64(out, (int64_t)place->index);
        return;
    }
    tn__buf name = { .arena = out->arena };
    tn__show(&name, place->name, TN__NAME_SHOWN_MAX);
    add_escaped(out, tn__buf_str(&name));
}

static tn_str pointer_of(tn__reporter *r, const tn__where *place)
{
    tn__buf out = { .arena = r->arena };
    if (r->plain && place != NULL)
        tn__show(&out, place->name, TN__NAME_SHOWN_MAX);
    else
        add_pointer(&out, place);
    return out.data == NULL ? TN_S("") : tn__buf_str(&out);
}

void tn__fault_add(tn__reporter *r, const tn__where *place, const char *format, ...)
{
    if (!tn__fault_wanted(r))
        return;
    va_list args;
    va_start(args, format);
    r->faults->at[r->faults->n++] = (tn__fault){
        .pointer = pointer_of(r, place),
        .detail = tn_vprintf(r->arena, format, args),
    };
    va_end(args);
}
