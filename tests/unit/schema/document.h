/* Looking into documents: JSON Pointers, references, and what is never referred to. */
#pragma once

#include "unit.h"

#include <jansson.h>
#include <stdlib.h>

static inline json_t *parsed(tn_str text)
{
    json_error_t error;
    json_t *document = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        fail_msg("%d:%d: %s", error.line, error.column, error.text);
    return document;
}

/* The next part of a pointer, with ~1 and ~0 undone. */
static inline const char *part_of(const char *pointer, char *part, size_t size)
{
    size_t n = 0;
    for (; *pointer != '\0' && *pointer != '/'; pointer++) {
        assert_true(n + 1 < size);
        char c = *pointer;
        if (c == '~')
            c = *++pointer == '1' ? '/' : '~';
        part[n++] = c;
    }
    part[n] = '\0';
    return pointer;
}

/* What is at a JSON Pointer (RFC 6901), or NULL. */
static inline const json_t *at(const json_t *value, const char *pointer)
{
    char part[256];
    while (*pointer == '/' && value != NULL) {
        pointer = part_of(pointer + 1, part, sizeof part);
        value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(part, NULL, 10))
                                     : json_object_get(value, part);
    }
    return value;
}

static inline bool has(const json_t *value, const char *pointer)
{
    return at(value, pointer) != NULL;
}

/* What is at the pointer, as JSON on one line. */
static inline void says(const json_t *value, const char *pointer, const char *json)
{
    const json_t *found = at(value, pointer);
    if (found == NULL)
        fail_msg("nothing is at %s", pointer);
    char *text = json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
    if (strcmp(text, json) != 0)
        fail_msg("%s\nfound   %s\nwanted  %s", pointer, text, json);
    free(text);
}

/* The names of an object's members, with spaces between. */
static inline void members(const json_t *value, const char *pointer, const char *names)
{
    tn__buf found = { 0 };
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)at(value, pointer), name, member)
        tn__buf_printf(&found, "%s%s", found.len == 0 ? "" : " ", name);
    assert_str(tn__buf_str(&found), names);
    tn__buf_deinit(&found);
}

/* Calls fn for each "$ref" below. */
static inline void each_ref(const json_t *value, void (*fn)(const char *ref, void *arg), void *arg)
{
    const char *name;
    json_t *member;
    size_t i;
    json_object_foreach((json_t *)value, name, member)
    {
        if (strcmp(name, "$ref") == 0)
            fn(json_string_value(member), arg);
        each_ref(member, fn, arg);
    }
    if (json_is_array(value))
        json_array_foreach((json_t *)value, i, member) each_ref(member, fn, arg);
}

static inline void must_lead_somewhere(const char *ref, void *document)
{
    assert_int_equal(ref[0], '#');
    if (!has(document, ref + 1))
        fail_msg("%s leads nowhere", ref);
}

typedef struct {
    const char *ref;
    bool found;
} search;

static inline void compare(const char *ref, void *arg)
{
    search *s = arg;
    s->found = s->found || strcmp(s->ref, ref) == 0;
}

/* Every reference leads somewhere, and every component is referred to. */
static inline void refs_are_right(const json_t *document)
{
    each_ref(document, must_lead_somewhere, (void *)document);
    const char *section, *name;
    json_t *components, *component;
    json_object_foreach((json_t *)at(document, "/components"), section, components)
    {
        json_object_foreach(components, name, component)
        {
            char ref[256];
            snprintf(ref, sizeof ref, "#/components/%s/%s", section, name);
            search s = { ref, false };
            each_ref(document, compare, &s);
            if (!s.found)
                fail_msg("%s is never used", ref);
        }
    }
}
