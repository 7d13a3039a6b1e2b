/* cmocka with the headers that it wants before it, and how strings are compared. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/base.h"

/* The bytes of `s` are those of `z`. */
#define assert_str(s, z)                                                                           \
    do {                                                                                           \
        tn_str got_ = (s);                                                                         \
        assert_int_equal(got_.len, strlen(z));                                                     \
        assert_memory_equal(got_.data, (z), strlen(z));                                            \
    } while (0)
