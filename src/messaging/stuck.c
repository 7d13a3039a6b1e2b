/* Rows that are held back: a small table, searched from end to end. */
#include "messaging/stuck.h"

#include "messaging/contact.h"

#include <assert.h>

enum { HOLD_MS = 1000, HOLD_MS_MAX = 30000 };

static tn__stuck_entry *find(tn__stuck *stuck, tn_str key)
{
    for (size_t i = 0; i < stuck->n; i++)
        if (tn_str_eq((tn_str){ stuck->at[i].key, stuck->at[i].len }, key))
            return &stuck->at[i];
    return NULL;
}

static tn__stuck_entry *next_due(tn__stuck *stuck)
{
    tn__stuck_entry *first = &stuck->at[0];
    for (size_t i = 1; i < stuck->n; i++)
        if (stuck->at[i].retry_at_us < first->retry_at_us)
            first = &stuck->at[i];
    return first;
}

bool tn__stuck_failed(tn__stuck *stuck, tn_str key)
{
    assert(key.len > 0 && key.len <= TN__STUCK_KEY_BYTES_MAX);
    tn__stuck_entry *entry = find(stuck, key);
    bool is_new = entry == NULL;
    if (is_new) {
        entry = stuck->n < TN__STUCK_MAX ? &stuck->at[stuck->n++] : next_due(stuck);
        *entry = (tn__stuck_entry){ .len = key.len };
        memcpy(entry->key, key.data, key.len);
    }
    entry->failed_now = true;
    return is_new;
}

void tn__stuck_went(tn__stuck *stuck, tn_str key)
{
    tn__stuck_entry *entry = stuck->n > 0 ? find(stuck, key) : NULL;
    if (entry != NULL)
        entry->went_now = true;
}

static void hold(tn__stuck_entry *entry, int64_t now_us)
{
    entry->failures = entry->went_now ? 1 : entry->failures + 1;
    entry->retry_at_us = now_us +
        (int64_t)tn__backoff_ms(HOLD_MS, HOLD_MS_MAX, entry->failures) * 1000;
}

void tn__stuck_settle(tn__stuck *stuck, int64_t now_us, void (*freed)(void *arg, tn_str key),
    void *arg)
{
    for (size_t i = stuck->n; i-- > 0;) {
        tn__stuck_entry *entry = &stuck->at[i];
        bool failed = entry->failed_now, went = entry->went_now;
        if (failed)
            hold(entry, now_us);
        entry->failed_now = entry->went_now = false;
        if (failed || !went)
            continue;
        freed(arg, (tn_str){ entry->key, entry->len });
        *entry = stuck->at[--stuck->n];
    }
}

/* An element of an array literal: quoted, with backslashes before quotes and backslashes. */
static void add_element(tn__buf *out, const tn__stuck_entry *entry)
{
    if (out->len > 1)
        tn__buf_add_char(out, ',');
    tn__buf_add_char(out, '"');
    for (size_t i = 0; i < entry->len; i++) {
        if (entry->key[i] == '"' || entry->key[i] == '\\')
            tn__buf_add_char(out, '\\');
        tn__buf_add_char(out, entry->key[i]);
    }
    tn__buf_add_char(out, '"');
}

tn_str tn__stuck_array(const tn__stuck *stuck, tn_arena *arena, int64_t now_us)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < stuck->n; i++) {
        if (stuck->at[i].retry_at_us <= now_us)
            continue;
        if (out.len == 0)
            tn__buf_add_char(&out, '{');
        add_element(&out, &stuck->at[i]);
    }
    if (out.len == 0)
        return TN_S("");
    tn__buf_add(&out, "}", 2); /* with a NUL, for libpq */
    return (tn_str){ out.data, out.len - 1 };
}

int64_t tn__stuck_due_us(const tn__stuck *stuck, int64_t now_us)
{
    int64_t due_us = INT64_MAX;
    for (size_t i = 0; i < stuck->n; i++)
        if (stuck->at[i].retry_at_us > now_us && stuck->at[i].retry_at_us < due_us)
            due_us = stuck->at[i].retry_at_us;
    return due_us;
}
