/* A consumer with a real database and a real broker, and what its tests do with it.
 *
 * Its service has one table, effects, in which each message leaves a row, and one handler, which does
 * what the message wishes: "reject", "lock", "error", "emit", "slow" or "endless". */
#pragma once

#include "support.h"

#include <stdatomic.h>

struct fixture {
    tn_arena *arena;
    PGconn *db;
    const char *name, *key, *queue, *dead_queue;
    tn_subscription subscription;
    tn_service service;
    tn__consumer_options options;
    tn__consumer *consumer;
    tn__amqp *amqp; /* publishes */
    size_t confirmed;
};

/* Of the handler; and how many of them were for a message that had been delivered before. */
extern _Atomic int calls, deliveries_again;

int open_fixture(void **state);
int close_fixture(void **state);
#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

void start(struct fixture *f);
void await_up(struct fixture *f);
/* With all done: nothing is left in its queue, and nothing takes effect that hadn't. */
void stop(struct fixture *f);

/* Sends it, and waits until the broker has confirmed it. */
void send_message(struct fixture *f, const tn__amqp_message *message);
/* A message with that body; its id. */
tn_str send_body(struct fixture *f, const char *body);
void send_many(struct fixture *f, int n);

/* Waits for the effects of that many messages, each once. */
void await_effects(struct fixture *f, int64_t n);
void await_depth(const char *queue, int64_t n);
/* How many dead letters there are. */
int64_t dead(struct fixture *f);
/* The one dead letter's reason contains the text. */
void await_reason(struct fixture *f, const char *part);
