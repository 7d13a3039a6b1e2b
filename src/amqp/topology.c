/* The exchanges and queues that events travel through. Declaring is idempotent as long as everybody
 * declares the same; the arguments below are part of the contract between services. */
#include "amqp/internal.h"

#include <assert.h>
#include <stdio.h>

enum {
    NAME_MAX_BYTES = 256,
    /* A dead letter waits for its consumer however often that dies: the broker's default would drop
     * it, and only RabbitMQ 4 knows a way to say "never". */
    DEAD_DELIVERY_LIMIT = 1000000000,
};

static amqp_table_entry_t text(const char *key, const char *value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(key),
        .value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value) } };
}

static amqp_table_entry_t number(const char *key, int64_t value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(key),
        .value = { .kind = AMQP_FIELD_KIND_I64, .value.i64 = value } };
}

static void join(char *out, const char *a, const char *b)
{
    int n = snprintf(out, NAME_MAX_BYTES, "%s%s", a, b);
    assert(n > 0 && n < NAME_MAX_BYTES);
}

static tn__amqp_result answer(tn__amqp *amqp, const char *doing, const char *name)
{
    char what[NAME_MAX_BYTES + 64];
    snprintf(what, sizeof what, "%s %s", doing, name);
    tn__amqp_result result = tn__amqp_answer(amqp, what, amqp_get_rpc_reply(amqp->state));
    tn__amqp_release(amqp);
    return result;
}

static tn__amqp_result declare_exchange(tn__amqp *amqp, const char *name)
{
    amqp_exchange_declare(amqp->state, TN__CHANNEL, amqp_cstring_bytes(name),
        amqp_cstring_bytes("topic"), false, true, false, false, amqp_empty_table);
    return answer(amqp, "declaring the exchange", name);
}

static tn__amqp_result declare_queue(tn__amqp *amqp, const char *name,
    amqp_table_entry_t *arguments, int n)
{
    amqp_queue_declare(amqp->state, TN__CHANNEL, amqp_cstring_bytes(name), false, true, false,
        false, (amqp_table_t){ .num_entries = n, .entries = arguments });
    return answer(amqp, "declaring the queue", name);
}

static tn__amqp_result bind(tn__amqp *amqp, const char *queue, const char *exchange,
    const char *pattern)
{
    amqp_queue_bind(amqp->state, TN__CHANNEL, amqp_cstring_bytes(queue),
        amqp_cstring_bytes(exchange), amqp_cstring_bytes(pattern), amqp_empty_table);
    return answer(amqp, "binding the queue", queue);
}

/* Before the queue whose dead letters it takes. */
static tn__amqp_result declare_dead(tn__amqp *amqp, const char *consumer)
{
    char queue[NAME_MAX_BYTES], pattern[NAME_MAX_BYTES];
    amqp_table_entry_t arguments[] = {
        text("x-queue-type", "quorum"),
        number("x-delivery-limit", DEAD_DELIVERY_LIMIT),
    };
    join(queue, consumer, TN__QUEUE_SUFFIX_DEAD);
    join(pattern, consumer, ".#");
    tn__amqp_result result = declare_queue(amqp, queue, arguments,
        sizeof arguments / sizeof *arguments);
    return result == TN__AMQP_OK ? bind(amqp, queue, TN__EXCHANGE_DEAD, pattern) : result;
}

/* At-least-once dead-lettering keeps a message until the dead letters' queue has it; the broker
 * offers that only to queues that refuse publishes when they are full. */
static tn__amqp_result declare_events(tn__amqp *amqp, const tn__queue_binding *of)
{
    char queue[NAME_MAX_BYTES];
    amqp_table_entry_t arguments[] = {
        text("x-queue-type", "quorum"),
        text("x-dead-letter-exchange", TN__EXCHANGE_DEAD),
        text("x-dead-letter-routing-key", of->consumer),
        text("x-dead-letter-strategy", "at-least-once"),
        text("x-overflow", "reject-publish"),
        number("x-delivery-limit", TN__DELIVERY_LIMIT),
    };
    join(queue, of->consumer, TN__QUEUE_SUFFIX);
    tn__amqp_result result = declare_queue(amqp, queue, arguments,
        sizeof arguments / sizeof *arguments);
    for (size_t i = 0; result == TN__AMQP_OK && i < of->n_patterns; i++)
        result = bind(amqp, queue, TN__EXCHANGE, of->patterns[i]);
    return result;
}

tn__amqp_result tn__amqp_declare(tn__amqp *amqp, const tn__queue_binding *queues, size_t n)
{
    if (amqp->lost)
        return TN__AMQP_LOST;
    tn__amqp_flush(amqp);
    tn__amqp_result result = declare_exchange(amqp, TN__EXCHANGE);
    if (result == TN__AMQP_OK)
        result = declare_exchange(amqp, TN__EXCHANGE_DEAD);
    for (size_t i = 0; result == TN__AMQP_OK && i < n; i++) {
        result = declare_dead(amqp, queues[i].consumer);
        if (result == TN__AMQP_OK)
            result = declare_events(amqp, &queues[i]);
    }
    return result;
}
