/* Patterns of strings: POSIX extended regular expressions that mean the same in ECMA-262. */
#pragma once

#include "base/base.h"

/* A string longer than this many code points never reaches the matcher: a field with a pattern and
 * no TN_LEN has this as its longest length, in the documents too. It bounds the matcher's time. */
#define TN__PATTERN_CHARS_MAX 1024
/* A thread keeps this many compiled patterns; when there are more it starts anew. */
#define TN__PATTERNS_MAX 512

typedef struct tn__patterns tn__patterns;
tn__patterns *tn__patterns_open(void);
void tn__patterns_close(tn__patterns *patterns);

/* True when the pattern, which must be valid, matches somewhere in `s`. Compiled once a thread. A NUL
 * must follow the string, though it isn't looked at: AddressSanitizer's regexec() wants one. */
bool tn__pattern_matches(const char *pattern, tn_str s);

/* Empty when the pattern compiles and stays within what both grammars read alike; else why not. */
tn_str tn__pattern_fault(tn_arena *arena, const char *pattern);

/* True when the pattern is seen to match whole strings of limited length only: anchored on both
 * ends, without alternatives and without endless repetition. */
bool tn__pattern_is_finite(const char *pattern);
