/* Reading JSON text into jansson's trees, strictly, in memory of the thread. */
#pragma once

#include "schema/schema.h"
#include <jansson.h>

/* Parses exactly one JSON value. The tree lives until tn__json_done() on the same thread, and must
 * not be changed or freed. NULL when the text isn't JSON as schema.h wants it; then `*why` (in the
 * arena) says so with line and column. */
const json_t *tn__json_read(tn_arena *arena, tn_str text, tn_str *why);
/* Gives the memory of all trees that the thread has read back. */
void tn__json_done(void);

/* Writes a tree as JSON text on one line. */
void tn__json_write(tn__buf *out, const json_t *value);

static inline tn_str tn__json_text(const json_t *string)
{
    return (tn_str){ json_string_value(string), json_string_length(string) };
}

/* -0.0 is written "-0", which reads as the integer 0: what is read once has no such sign, so that
 * what is written reads back as the same. Adding a zero does that. */
static inline double tn__without_sign_of_zero(double v)
{
    return v + 0.0;
}
