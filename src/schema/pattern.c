/* Patterns: compiled once a thread, matched with regexec().
 *
 * The locale of the C library stays "C" in this process, so the matcher sees bytes. Literals and
 * sets of ASCII characters mean the same for bytes and characters; what would count bytes of a
 * character (a repeated "." or [^...]) is refused by pattern_check.c.
 *
 * Invariants: an entry's text is a copy, so tables may come and go. There are at most
 * TN__PATTERNS_MAX entries. */
#include "schema/pattern.h"
#include "schema/local.h"

#include <assert.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 64 };

typedef struct entry entry;
struct entry {
    entry *next;
    regex_t compiled;
    char text[];
};

struct tn__patterns {
    entry *slots[SLOTS];
    size_t n;
};

tn__patterns *tn__patterns_open(void)
{
    return tn__xcalloc(1, sizeof(tn__patterns));
}

static void forget_all(tn__patterns *patterns)
{
    for (size_t i = 0; i < SLOTS; i++) {
        while (patterns->slots[i] != NULL) {
            entry *e = patterns->slots[i];
            patterns->slots[i] = e->next;
            regfree(&e->compiled);
            free(e);
        }
    }
    patterns->n = 0;
}

void tn__patterns_close(tn__patterns *patterns)
{
    forget_all(patterns);
    free(patterns);
}

static entry *compile(const char *pattern, size_t len)
{
    entry *e = tn__xmalloc(sizeof *e + len + 1);
    memcpy(e->text, pattern, len + 1);
    if (regcomp(&e->compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        fprintf(stderr, "trunnion: a schema has the invalid pattern %s\n", pattern);
        abort(); /* a programmer error, which tn__tables_check() finds at the start */
    }
    return e;
}

static const regex_t *find(tn__patterns *patterns, const char *pattern)
{
    size_t len = strlen(pattern);
    entry **slot = &patterns->slots[tn__hash((tn_str){ pattern, len }) % SLOTS];
    for (const entry *e = *slot; e != NULL; e = e->next)
        if (strcmp(e->text, pattern) == 0)
            return &e->compiled;
    if (patterns->n == TN__PATTERNS_MAX)
        forget_all(patterns);
    entry *e = compile(pattern, len);
    e->next = *slot;
    *slot = e;
    patterns->n++;
    return &e->compiled;
}

bool tn__pattern_matches(const char *pattern, tn_str s)
{
    assert(s.len <= (size_t)TN__PATTERN_CHARS_MAX * 4);
    const regex_t *compiled = find(tn__local_get()->patterns, pattern);
    regmatch_t whole = { .rm_so = 0, .rm_eo = (regoff_t)s.len };
    return regexec(compiled, s.len == 0 ? "" : s.data, 1, &whole, REG_STARTEND) == 0;
}
