/* The window of unreported publishes: a ring indexed by the tag. */
#include "amqp/window.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN, SETTLED_CONFIRMED, SETTLED_RETURNED, SETTLED_NACKED, REPORTED };

static tn__window_slot *slot_of(const tn__window *window, uint64_t tag)
{
    assert(window->slots != NULL && tag >= window->first && tag < window->next);
    return &window->slots[tag % TN__AMQP_UNSETTLED_MAX];
}

void tn__window_init(tn__window *window)
{
    *window = (tn__window){ .first = 1, .open = 1, .next = 1 };
}

void tn__window_deinit(tn__window *window)
{
    free(window->slots);
    *window = (tn__window){ 0 };
}

bool tn__window_full(const tn__window *window)
{
    return window->next - window->first == TN__AMQP_UNSETTLED_MAX;
}

uint64_t tn__window_add(tn__window *window, uint64_t key)
{
    assert(!tn__window_full(window));
    /* A connection that never publishes needs no ring. */
    if (window->slots == NULL)
        window->slots = tn__xcalloc(TN__AMQP_UNSETTLED_MAX, sizeof(tn__window_slot));
    uint64_t tag = window->next++;
    *slot_of(window, tag) = (tn__window_slot){ .key = key, .state = OPEN };
    return tag;
}

static uint8_t state_of(tn__amqp_fate fate)
{
    switch (fate) {
    case TN__AMQP_CONFIRMED:
        return SETTLED_CONFIRMED;
    case TN__AMQP_RETURNED:
        return SETTLED_RETURNED;
    case TN__AMQP_NACKED:
        return SETTLED_NACKED;
    }
    assert(false);
    return OPEN;
}

void tn__window_settle(tn__window *window, uint64_t tag, bool multiple, tn__amqp_fate fate)
{
    uint64_t from = multiple ? window->first : tag;
    /* Tag 0 with `multiple` means all (AMQP 0-9-1, basic.ack). */
    uint64_t to = multiple && tag == 0 ? window->next - 1 : tag;
    for (uint64_t at = from; at <= to && at < window->next; at++) {
        if (at < window->first)
            continue;
        tn__window_slot *slot = slot_of(window, at);
        if (slot->state == OPEN)
            slot->state = state_of(fate);
    }
}

void tn__window_return(tn__window *window, uint64_t key, uint16_t reply_code)
{
    for (uint64_t tag = window->first; tag < window->next; tag++) {
        tn__window_slot *slot = slot_of(window, tag);
        if (slot->state != OPEN || slot->key != key)
            continue;
        slot->state = SETTLED_RETURNED;
        slot->reply_code = reply_code;
        return;
    }
}

static void report(tn__window_slot *slot, uint64_t tag, tn__amqp_settled *on_settled, void *arg)
{
    char text[48];
    uint8_t state = slot->state;
    slot->state = REPORTED;
    switch (state) {
    case SETTLED_CONFIRMED:
        on_settled(arg, tag, TN__AMQP_CONFIRMED, TN_S(""));
        return;
    case SETTLED_RETURNED:
        snprintf(text, sizeof text, "no queue is bound for it (%u)", (unsigned)slot->reply_code);
        on_settled(arg, tag, TN__AMQP_RETURNED, tn_str_of(text));
        return;
    case SETTLED_NACKED:
        on_settled(arg, tag, TN__AMQP_NACKED, TN_S("refused by a queue or the broker (nack)"));
        return;
    default:
        assert(false);
    }
}

bool tn__window_settled(tn__window *window, uint64_t last)
{
    assert(last < window->next);
    while (window->open < window->next && slot_of(window, window->open)->state != OPEN)
        window->open++;
    return window->open > last;
}

void tn__window_report(tn__window *window, uint64_t last, tn__amqp_settled *on_settled, void *arg)
{
    tn__window_settled(window, last);
    for (uint64_t tag = window->first; tag <= last; tag++) {
        tn__window_slot *slot = slot_of(window, tag);
        if (slot->state != OPEN && slot->state != REPORTED)
            report(slot, tag, on_settled, arg);
    }
    uint64_t end = window->open <= last ? window->open : last + 1;
    if (end > window->first)
        window->first = end;
}
