/* Which patterns may stand in a table: those that POSIX (which matches them) and ECMA-262 (which
 * readers of the documents use) read alike, and that mean the same for bytes and for characters.
 *
 * Allowed: ASCII literals, "." and [...] sets with ranges, ( ) groups, |, ^, $, the repetitions
 * * + ? {n} {n,} {n,m}, and a backslash before a character of the grammar. Refused, with the reason:
 * what only one of the two knows, back references, and a counted "." or [^...], which would count
 * bytes where a character of several bytes is one. */
#include "schema/pattern.h"

#include <regex.h>

static const char GRAMMAR[] = ".[]{}()*+?^$|\\";

typedef struct {
    const char *at;  /* what comes next */
    const char *why; /* the first thing wrong, or NULL */
    bool atom;       /* something that may be repeated stands before `at` */
    bool any;        /* that is "." or [^...], or a group while there are such */
    bool any_seen;
} scanner;

static void refuse(scanner *s, const char *why)
{
    if (s->why == NULL)
        s->why = why;
    s->at += strlen(s->at); /* nothing more to see */
}

static void take_atom(scanner *s, const char *end, bool any)
{
    s->at = end;
    s->atom = true;
    s->any = any;
    s->any_seen = s->any_seen || any;
}

/* A valid pattern; a $ after a backslash would be a letter. Sets hold no ] and no backslash. */
bool tn__pattern_is_finite(const char *pattern)
{
    size_t len = strlen(pattern);
    if (len < 2 || pattern[0] != '^' || pattern[len - 1] != '$' || pattern[len - 2] == '\\')
        return false;
    for (const char *at = pattern; *at != '\0'; at++)
        if (*at == '\\')
            at++;
        else if (*at == '[')
            at = strchr(at, ']');
        else if (strchr("*+|", *at) != NULL || (*at == ',' && at[1] == '}'))
            return false;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void scan_escape(scanner *s)
{
    char c = s->at[1];
    if (c == '\0')
        refuse(s, "it ends with a backslash");
    else if (strchr(GRAMMAR, c) == NULL)
        refuse(s, "a backslash may only stand before one of .[]{}()*+?^$|\\");
    else
        take_atom(s, s->at + 2, false);
}

static void scan_set(scanner *s)
{
    const char *at = s->at + 1;
    bool negated = *at == '^';
    at += negated;
    if (*at == ']') {
        refuse(s, "a set may not begin with ], which means different things");
        return;
    }
    for (; *at != ']'; at++) {
        if (*at == '\0' || *at == '\\' || *at == '[') {
            refuse(s, *at == '\0' ? "a set does not end" : "a set may not hold [ or a backslash");
            return;
        }
    }
    take_atom(s, at + 1, negated);
}

static void scan_count(scanner *s)
{
    const char *at = s->at + 1;
    bool digits = is_digit(*at);
    while (is_digit(*at))
        at++;
    if (*at == ',')
        for (at++; is_digit(*at);)
            at++;
    if (!s->atom)
        refuse(s, "there is nothing to repeat before {");
    else if (!digits || *at != '}')
        refuse(s, "a count must be {n}, {n,} or {n,m}");
    else if (s->any)
        refuse(s, "a counted . or [^...] counts bytes; use TN_LEN");
    else
        s->at = at + 1;
    s->atom = false;
}

static void scan_repeat(scanner *s)
{
    if (!s->atom)
        refuse(s, "there is nothing to repeat, or it is repeated twice");
    else
        s->at++;
    s->atom = false;
}

static void scan_group(scanner *s)
{
    if (s->at[1] == '?')
        refuse(s, "groups may not begin with ?");
    else
        s->at++;
    s->atom = false;
}

static void scan_other(scanner *s)
{
    unsigned char c = (unsigned char)*s->at;
    if (c < 0x20 || c >= 0x7F)
        refuse(s, "it may only hold visible ASCII");
    else if (c == ']' || c == '}')
        refuse(s, "] and } need a backslash");
    else
        take_atom(s, s->at + 1, c == '.');
}

static void scan_one(scanner *s)
{
    switch (*s->at) {
    case '\\':
        scan_escape(s);
        break;
    case '[':
        scan_set(s);
        break;
    case '{':
        scan_count(s);
        break;
    case '*':
    case '+':
    case '?':
        scan_repeat(s);
        break;
    case '(':
        scan_group(s);
        break;
    case ')':
        take_atom(s, s->at + 1, s->any_seen);
        break;
    case '^':
    case '$':
    case '|':
        s->at++;
        s->atom = false;
        break;
    default:
        scan_other(s);
        break;
    }
}

tn_str tn__pattern_fault(tn_arena *arena, const char *pattern)
{
    scanner s = { .at = pattern };
    while (*s.at != '\0')
        scan_one(&s);
    if (s.why != NULL)
        return tn_str_of(s.why);
    regex_t compiled;
    int error = regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB);
    if (error == 0) {
        regfree(&compiled);
        return TN_S("");
    }
    char text[128];
    regerror(error, &compiled, text, sizeof text);
    return tn_copy(arena, tn_str_of(text));
}
