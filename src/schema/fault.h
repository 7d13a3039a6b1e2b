/* Faults and the places where they are found. Shared inside the layer. */
#pragma once

#include "schema/schema.h"

/* A place in a document: a member of a given name, or the element at `index` when `name.data` is
 * NULL, of the place above it; NULL is the whole. A chain of them lies on the stack of a decoder and
 * costs nothing until a fault is found there. */
typedef struct tn__where tn__where;
struct tn__where {
    const tn__where *up;
    tn_str name;
    size_t index;
};

/* Names that came from outside are cut to this many bytes in pointers and texts. */
#define TN__NAME_SHOWN_MAX 64
/* Values that came from outside are cut to this many characters. */
#define TN__VALUE_SHOWN_MAX 40

typedef struct {
    tn_arena *arena;
    tn__faults *faults;
    bool plain; /* Places are single names, shown as they are, not JSON Pointers. */
} tn__reporter;

void tn__faults_reset(tn__faults *faults);
/* True when there is room for another fault; else counts it in `more`: the text would be lost. */
bool tn__fault_wanted(tn__reporter *r);
/* Adds a fault, if one is wanted. */
void tn__fault_add(tn__reporter *r, const tn__where *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes text from outside so that it is short and on one line: at most `chars_max` characters, an
 * ellipsis after a cut, and '?' for control characters and bytes that aren't UTF-8. */
void tn__show(tn__buf *out, tn_str s, size_t chars_max);
