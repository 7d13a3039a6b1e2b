/* Dead letters: published with their reason, and drained from their queue into the table.
 *
 * Whoever dies in between leaves a second copy, which the table's key makes one row. */
#include "messaging/consumer.h"

#include <stdlib.h>

enum { TRIES_MAX = 5, REASON_BYTES_MAX = 4000, ARENA_BYTES = 4096 };

/* ---- Out: to the exchange ------------------------------------------------------- */

/* Replaces the reason that an earlier death left. */
static void set_reason(tn__amqp_message *message, tn_str reason)
{
    size_t at = 0;
    while (at < message->n_headers && !tn_str_eq(message->headers[at].name, TN_S(TN__DEATH_REASON)))
        at++;
    if (at == TN__AMQP_HEADERS_MAX)
        at--;
    if (at >= message->n_headers)
        message->n_headers = at + 1;
    if (reason.len > REASON_BYTES_MAX)
        reason.len = REASON_BYTES_MAX;
    message->headers[at] = (tn__amqp_header){ TN_S(TN__DEATH_REASON), reason };
}

static tn__amqp_message letter_of(const tn_msg *msg)
{
    const char *service = msg->consumer->options.service->name;
    tn_str key = msg->meta.routing_key;
    tn__amqp_message letter = msg->raw;
    letter.exchange = TN_S(TN__EXCHANGE_DEAD);
    letter.routing_key = tn_printf(msg->arena, "%s.%.*s", service, TN_FMT(key));
    set_reason(&letter, msg->reason);
    return letter;
}

bool tn__message_bury(tn_msg *msg)
{
    tn__consumer *consumer = msg->consumer;
    const tn__link *dead = &consumer->dead;
    tn__amqp_message letter = letter_of(msg);
    tn__amqp_fate fate;
    tn_str why;
    int refusals = 0;
    if (msg->raw.body_bytes > TN__AMQP_BODY_BYTES_MAX)
        return false; /* Only the broker still has its body. */
    for (int failures = 1;; failures++) {
        if (!tn__link_has(&consumer->events, msg->epoch))
            return false;
        /* What stands before its routing key, or its reason, may make it too long. */
        if (dead->amqp != NULL && !tn__amqp_fits(dead->amqp, &letter, &why))
            return false;
        if (tn__link_publish(&consumer->dead, &letter, &fate)) {
            if (fate == TN__AMQP_CONFIRMED)
                return true;
            if (++refusals == TRIES_MAX)
                return false;
        }
        if (!tn__consumer_pause(consumer, failures))
            return false;
    }
}

/* ---- In: from the queue to the table ----------------------------------------------- */

static const tn_query keep = {
    "trunnion_dead_letter_keep",
    "INSERT INTO trunnion_dead_letters (id, type, source_service, routing_key, correlation_id,"
    " reason, headers, body, occurred_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, headers = excluded.headers,"
    " body = excluded.body, died_at = now(), deaths = trunnion_dead_letters.deaths + 1,"
    " replayed_at = NULL",
};

struct letter {
    tn__link *link;
    tn_arena *arena;
    tn__amqp_message raw;
    uint64_t epoch;
};

/* PostgreSQL's text holds neither NUL nor invalid UTF-8; U+FFFD stands for what it can't hold. */
static tn_str storable(tn_arena *arena, tn_str s)
{
    if (tn__utf8_valid(s) && (s.len == 0 || memchr(s.data, '\0', s.len) == NULL))
        return s;
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < s.len;) {
        size_t n = 1;
        while (n < 4 && i + n < s.len && !tn__utf8_valid((tn_str){ s.data + i, n }))
            n++;
        bool ok = s.data[i] != '\0' && tn__utf8_valid((tn_str){ s.data + i, n });
        tn__buf_add(&out, ok ? s.data + i : "\xEF\xBF\xBD", ok ? n : 3);
        i += ok ? n : 1;
    }
    return tn__buf_str(&out);
}

/* One that came without a UUID gets the same one each time that it comes: from its contents, as
 * version 8 (RFC 9562 5.8). */
static tn_uuid id_of(const tn__amqp_message *raw, tn_str key)
{
    tn_uuid id;
    if (tn__uuid_parse(raw->message_id, &id))
        return id;
    uint64_t halves[2] = { tn__hash(raw->body) * 31 + tn__hash(key),
        tn__hash(raw->message_id) * 31 + tn__hash(raw->correlation_id) };
    halves[1] += halves[0] * 0x9E3779B97F4A7C15u + (uint64_t)raw->timestamp_s;
    memcpy(id.b, halves, sizeof id.b);
    id.b[6] = (uint8_t)((id.b[6] & 0x0F) | 0x80);
    id.b[8] = (uint8_t)((id.b[8] & 0x3F) | 0x80);
    return id;
}

static bool is_of_the_death(tn_str name)
{
    return tn__str_has_prefix(name, TN_S("x-death")) ||
        tn__str_has_prefix(name, TN_S("x-first-")) || tn__str_has_prefix(name, TN_S("x-last-"));
}

static void add_header(tn__buf *out, tn_str name, tn_str value)
{
    if (out->len > 1)
        tn__buf_add_char(out, ',');
    tn__json_str(out, name);
    tn__buf_add_char(out, ':');
    tn__json_str(out, value);
}

/* The headers for the way back: without those of the death, and with the first routing key where the
 * type doesn't tell it. */
static tn_str headers_of(const struct letter *letter, tn_str key)
{
    tn__buf out = { .arena = letter->arena };
    tn__buf_add_char(&out, '{');
    size_t n = 0;
    /* One place is left for the key, so that the way back is never too narrow. */
    for (size_t i = 0; i < letter->raw.n_headers && n + 1 < TN__AMQP_HEADERS_MAX; i++) {
        if (is_of_the_death(letter->raw.headers[i].name))
            continue;
        add_header(&out, storable(letter->arena, letter->raw.headers[i].name),
            letter->raw.headers[i].value);
        n++;
    }
    if (!tn_str_eq(key, letter->raw.type) && letter->raw.type.len > 0)
        add_header(&out, TN_S(TN__FIRST_KEY), key);
    tn__buf_add_char(&out, '}');
    return tn__buf_str(&out);
}

/* Ours came under <service>.<key>; the broker's own under <service>, with the key that the message
 * had when it died. */
static tn_str first_key(const struct letter *letter)
{
    const tn__amqp_message *raw = &letter->raw;
    tn_str rest = raw->routing_key, service, kept = tn__message_header(raw, TN__FIRST_KEY);
    tn__str_cut(&rest, '.', &service);
    if (rest.len > 0)
        return rest;
    bool sent_back = tn_str_eq(raw->death_routing_key,
        tn_str_of(letter->link->consumer->events.queue));
    if (raw->death_routing_key.len > 0 && !sent_back)
        return raw->death_routing_key;
    return kept.len > 0 ? kept : raw->type;
}

static tn_str reason_of(const struct letter *letter)
{
    tn_str own = tn__message_header(&letter->raw, TN__DEATH_REASON);
    tn_str brokers = tn__message_header(&letter->raw, "x-first-death-reason");
    if (own.len > 0)
        return own;
    if (tn_str_eq(brokers, TN_S("delivery_limit")))
        return TN_S("it was delivered too often without taking effect");
    return brokers.len > 0 ? tn_printf(letter->arena, "the broker: %.*s", TN_FMT(brokers))
                           : TN_S("unknown");
}

static bool store(const struct letter *letter)
{
    tn__consumer *consumer = letter->link->consumer;
    const tn__amqp_message *raw = &letter->raw;
    tn_arena *arena = letter->arena;
    tn_str key = first_key(letter);
    tn_str correlation = tn__message_correlation_id(raw);
    tn_time time = { raw->timestamp_s * 1000000 };
    int64_t deadline_us = tn__mono_us() + (int64_t)consumer->options.message_timeout_ms * 1000;
    tn_tx *tx = tn__tx_open(consumer->pg, arena, TN__WRITE, deadline_us);
    tn_run(tx, &keep,
        TN_ARGS(id_of(raw, key), storable(arena, raw->type.len > 0 ? raw->type : key),
            storable(arena, raw->app_id), storable(arena, key), storable(arena, correlation),
            storable(arena, reason_of(letter)), headers_of(letter, key), storable(arena, raw->body),
            raw->timestamp_s > 0 ? &time : (const tn_time *)NULL));
    return tn__tx_commit(tx);
}

/* Until the table has it: nobody else knows of it. */
static void run(void *arg)
{
    struct letter *letter = arg;
    tn__link *link = letter->link;
    int failures = 0;
    while (tn__link_has(link, letter->epoch)) {
        if (store(letter)) {
            tn__link_done(link, letter->epoch, letter->raw.delivery_tag);
            break;
        }
        if (!tn__consumer_pause(link->consumer, ++failures))
            break;
    }
    tn__arena_close(letter->arena);
}

void tn__dead_letter_start(tn__link *link, const tn__amqp_message *message)
{
    tn_arena *arena = tn__arena_open(ARENA_BYTES);
    struct letter *letter = tn_alloc(arena, sizeof *letter);
    *letter = (struct letter){ .link = link, .arena = arena, .epoch = link->epoch };
    tn__message_copy(arena, message, &letter->raw);
    tn__scope_start(link->consumer->scope, run, letter);
}
