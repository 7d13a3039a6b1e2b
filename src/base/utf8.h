/* One step through UTF-8, as the JSON writer and the validator take it. */
#pragma once

#include <stddef.h>

/* The length of the character at `at`, which has `n` bytes left (at least one). 0 when it isn't
 * valid UTF-8; then `*bad` says how many bytes to replace by one U+FFFD, as the Unicode Standard
 * recommends (3.9, substitution of maximal subparts). */
size_t tn__utf8_next(const char *at, size_t n, size_t *bad);
