/* The publishes of a connection that nobody has been told the fate of.
 *
 * Tags count from 1 without gaps. The broker settles them in any order, singly or all up to one; a
 * message that no queue wants comes back before it is settled, and names no tag. Each tag is
 * reported once. */
#pragma once

#include "amqp/amqp.h"

typedef struct {
    uint64_t key; /* hash of what a returned message can be known by */
    uint8_t state;
    uint16_t reply_code; /* of a returned one */
} tn__window_slot;

typedef struct {
    tn__window_slot *slots; /* of tag t at t % TN__AMQP_UNSETTLED_MAX; NULL before the first */
    uint64_t first;         /* all below are reported */
    uint64_t open;          /* all below are settled */
    uint64_t next;          /* the tag of the next publish */
} tn__window;

void tn__window_init(tn__window *window);
void tn__window_deinit(tn__window *window);

bool tn__window_full(const tn__window *window);
/* The tag of a message that is about to be sent. */
uint64_t tn__window_add(tn__window *window, uint64_t key);
/* The broker's ack or nack. Tags that are settled already stay as they are. */
void tn__window_settle(tn__window *window, uint64_t tag, bool multiple, tn__amqp_fate fate);
/* A message with that key came back: the first of them that is still open is its publish. */
void tn__window_return(tn__window *window, uint64_t key, uint16_t reply_code);
/* True when all up to `last` are settled. */
bool tn__window_settled(tn__window *window, uint64_t last);
/* Calls on_settled for what is settled up to `last` and wasn't reported. */
void tn__window_report(tn__window *window, uint64_t last, tn__amqp_settled *on_settled, void *arg);
