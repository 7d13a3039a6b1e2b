/* cmocka with the headers that it wants before it, and how faults are expected. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fixture.h"
#include "schema/schema.h"

/* The bytes of `s` are those of `z`. */
#define assert_str(s, z)                                                                           \
    do {                                                                                           \
        tn_str got_ = (s);                                                                         \
        if (!tn_str_eq(got_, tn_str_of(z)))                                                        \
            fail_msg("found   %.*s\nwanted  %s", TN_FMT(got_), (z));                               \
    } while (0)

/* Every case has an arena as its state. */
static inline int open_arena(void **state)
{
    *state = tn__arena_open(4096);
    return 0;
}

static inline int close_arena(void **state)
{
    tn__arena_close(*state);
    return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

/* The faults, one a line, as "pointer: detail". */
static inline tn_str faults_text(tn_arena *arena, const tn__faults *faults)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < faults->n; i++)
        tn__buf_printf(&out, "%s%.*s: %.*s", i == 0 ? "" : "\n", TN_FMT(faults->at[i].pointer),
            TN_FMT(faults->at[i].detail));
    if (faults->more > 0)
        tn__buf_printf(&out, "\nand %zu more", faults->more);
    return out.data == NULL ? TN_S("") : tn__buf_str(&out);
}
