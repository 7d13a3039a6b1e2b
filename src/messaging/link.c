/* One connection of the consumer: kept, read, acknowledged on, published on, lost and made again. */
#include "messaging/consumer.h"

#include <assert.h>
#include <sys/epoll.h>

enum {
    CONNECT_TIMEOUT_MS = 3000,
    RPC_TIMEOUT_MS = 5000,
    HEARTBEAT_S = 10,
    CONFIRM_TIMEOUT_US = 10000000,
};

bool tn__link_has(const tn__link *link, uint64_t epoch)
{
    return link->amqp != NULL && link->epoch == epoch;
}

/* ---- Lost ---------------------------------------------------------------------- */

static void release_waiting(tn__link *link)
{
    for (tn__awaited *at = link->awaited; at != NULL; at = at->next) {
        at->lost = true;
        tn__co_wake(at->co);
    }
    link->awaited = NULL;
}

void tn__link_down(tn__link *link, tn_str why)
{
    tn__loop *loop = link->consumer->loop;
    if (link->amqp != NULL) {
        tn__watch_stop(loop, &link->watch);
        tn__acks_deinit(&link->acks);
        release_waiting(link);
    }
    link->epoch++;
    link->consuming = false;
    tn__contact_down(&link->contact, why);
    tn__consumer_tell(link->consumer, link, why);
    tn__amqp_close(link->amqp);
    link->amqp = NULL;
    if (!link->consumer->draining)
        tn__timer_start(loop, &link->retry, link->contact.retry_at_us);
}

static void lost(tn__link *link)
{
    tn__link_down(link, tn__amqp_why(link->amqp));
}

/* ---- Reading ------------------------------------------------------------------- */

static void on_settled(void *arg, uint64_t tag, tn__amqp_fate fate, tn_str why)
{
    tn__link *link = arg;
    (void)why;
    for (tn__awaited **at = &link->awaited; *at != NULL; at = &(*at)->next) {
        if ((*at)->tag != tag)
            continue;
        tn__awaited *found = *at;
        *at = found->next;
        found->settled = true;
        found->fate = fate;
        tn__co_wake(found->co);
        return;
    }
}

void tn__link_read(tn__link *link)
{
    tn__amqp_message message;
    tn__amqp_result result = TN__AMQP_NOTHING;
    uint64_t epoch = link->epoch;
    if (!link->consuming)
        result = tn__amqp_pump(link->amqp);
    /* A message that was started may have ended the connection. */
    while (link->consuming && (result = tn__amqp_next(link->amqp, 0, &message)) == TN__AMQP_OK) {
        if (link->consumer->draining)
            continue;
        tn__acks_delivered(&link->acks, message.delivery_tag);
        link->on_message(link, &message);
        if (!tn__link_has(link, epoch))
            return;
    }
    if (link->awaited != NULL)
        tn__amqp_confirms(link->amqp, link->last_tag, 0, on_settled, link);
    if (result == TN__AMQP_LOST)
        lost(link);
}

static void on_readable(tn__watch *watch, uint32_t events)
{
    (void)events;
    tn__link_read(watch->owner);
}

/* ---- Acknowledging ------------------------------------------------------------- */

static void flush(tn__task *task)
{
    tn__link *link = task->owner;
    uint64_t tag;
    bool multiple;
    while (link->amqp != NULL && tn__acks_take(&link->acks, &tag, &multiple))
        if (tn__amqp_ack(link->amqp, tag, multiple) != TN__AMQP_OK)
            lost(link);
}

void tn__link_done(tn__link *link, uint64_t epoch, uint64_t tag)
{
    if (!tn__link_has(link, epoch))
        return;
    tn__acks_done(&link->acks, tag);
    tn__loop_later(link->consumer->loop, &link->flush);
}

void tn__link_reject(tn__link *link, uint64_t epoch, uint64_t tag, bool requeue)
{
    if (!tn__link_has(link, epoch))
        return;
    tn__acks_settled(&link->acks, tag);
    if (tn__amqp_reject(link->amqp, tag, requeue) != TN__AMQP_OK)
        lost(link);
}

/* ---- Publishing ---------------------------------------------------------------- */

static void forget(tn__link *link, tn__awaited *awaited)
{
    for (tn__awaited **at = &link->awaited; *at != NULL; at = &(*at)->next)
        if (*at == awaited) {
            *at = awaited->next;
            return;
        }
}

bool tn__link_publish(tn__link *link, const tn__amqp_message *message, tn__amqp_fate *fate)
{
    tn__awaited awaited = { .co = tn__co_current() };
    tn_str why;
    if (link->amqp == NULL || !tn__amqp_fits(link->amqp, message, &why))
        return false;
    tn__amqp_result result = tn__amqp_publish(link->amqp, message, &awaited.tag);
    if (result == TN__AMQP_LOST)
        lost(link);
    if (result != TN__AMQP_OK)
        return false;
    link->last_tag = awaited.tag;
    awaited.next = link->awaited;
    link->awaited = &awaited;
    /* Sends it: its bytes may have been held back. */
    tn__amqp_confirms(link->amqp, link->last_tag, 0, on_settled, link);
    int64_t deadline_us = tn__mono_us() + CONFIRM_TIMEOUT_US;
    while (!awaited.settled && !awaited.lost)
        if (tn__co_wait(deadline_us) != TN__WOKEN)
            break;
    if (!awaited.settled && !awaited.lost)
        forget(link, &awaited);
    *fate = awaited.fate;
    return awaited.settled;
}

/* ---- Made ---------------------------------------------------------------------- */

static bool set_up(tn__link *link)
{
    const tn__consumer *consumer = link->consumer;
    return tn__amqp_declare(link->amqp, &consumer->binding, 1) == TN__AMQP_OK;
}

static void came_up(tn__link *link)
{
    tn__loop *loop = link->consumer->loop;
    link->epoch++;
    link->last_tag = 0;
    tn__acks_init(&link->acks, (size_t)link->prefetch);
    link->watch = (tn__watch){ .fd = tn__amqp_fd(link->amqp),
        .events = EPOLLIN,
        .on_ready = on_readable,
        .owner = link };
    tn__watch_start(loop, &link->watch);
    tn__contact_up(&link->contact);
    tn__consumer_tell(link->consumer, link, TN_S("waiting for the database"));
}

/* It blocks the loop, within its limits. While the broker is away there is little to hold up. */
static void connect_link(tn__link *link)
{
    const tn__consumer_options *options = &link->consumer->options;
    tn_arena *arena = tn__arena_open(1024);
    tn_str why = { 0 };
    link->amqp = tn__amqp_open(
        &(tn__amqp_options){
            .url = options->amqp_url,
            .connection_name = link->queue,
            .connect_timeout_ms = CONNECT_TIMEOUT_MS,
            .rpc_timeout_ms = RPC_TIMEOUT_MS,
            .heartbeat_s = HEARTBEAT_S,
        },
        arena, &why);
    if (link->amqp != NULL && set_up(link)) {
        came_up(link);
    } else {
        if (link->amqp != NULL)
            why = tn_copy(arena, tn__amqp_why(link->amqp));
        tn__amqp_close(link->amqp);
        link->amqp = NULL;
        tn__link_down(link, why);
    }
    tn__arena_close(arena);
}

static void on_retry(tn__timer *timer)
{
    tn__link *link = timer->owner;
    const tn__consumer *consumer = link->consumer;
    if (link->amqp != NULL || consumer->draining)
        return;
    /* One attempt at a time is enough to learn that the broker isn't there. */
    if (link == &consumer->dead && consumer->events.amqp == NULL) {
        tn__timer_start(consumer->loop, timer, consumer->events.contact.retry_at_us + 1000);
        return;
    }
    connect_link(link);
}

void tn__link_consume(tn__link *link)
{
    if (link->amqp == NULL || link->consuming)
        return;
    if (tn__amqp_consume(link->amqp, link->queue, link->prefetch) != TN__AMQP_OK) {
        lost(link);
        return;
    }
    link->consuming = true;
    tn__consumer_tell(link->consumer, link, TN_S(""));
    /* Deliveries may have been read with the answer. */
    tn__link_read(link);
}

void tn__link_open(tn__link *link)
{
    link->retry = (tn__timer){ .on_time = on_retry, .owner = link };
    link->flush = (tn__task){ .run = flush, .owner = link };
    tn__timer_start(link->consumer->loop, &link->retry, tn__mono_us());
}

void tn__link_close(tn__link *link)
{
    tn__loop *loop = link->consumer->loop;
    tn__timer_stop(loop, &link->retry);
    tn__loop_not_later(loop, &link->flush);
    assert(link->awaited == NULL);
    if (link->amqp == NULL)
        return;
    flush(&link->flush);
    if (link->amqp == NULL)
        return;
    tn__watch_stop(loop, &link->watch);
    tn__acks_deinit(&link->acks);
    tn__amqp_close(link->amqp);
    link->amqp = NULL;
    link->epoch++;
}
