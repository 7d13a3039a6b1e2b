/* Consuming: deliveries in, acknowledgements out. */
#include "amqp/internal.h"

#include <assert.h>

/* Names the one consumer of the channel, for basic.cancel. */
#define CONSUMER_TAG amqp_cstring_bytes("trunnion")

tn__amqp_result tn__amqp_consume(tn__amqp *amqp, const char *queue, int prefetch)
{
    assert(!amqp->consuming && prefetch > 0 && prefetch <= UINT16_MAX);
    if (amqp->lost)
        return TN__AMQP_LOST;
    tn__buf_add_z(&amqp->queue, queue);
    tn__amqp_flush(amqp);
    amqp->consuming = true;
    amqp_basic_qos(amqp->state, TN__CHANNEL, 0, (uint16_t)prefetch, false);
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(amqp->state);
    if (tn__amqp_answer(amqp, "asking for a prefetch", reply) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    amqp_basic_consume(amqp->state, TN__CHANNEL, amqp_cstring_bytes(queue), CONSUMER_TAG, false,
        false, false, amqp_empty_table);
    return tn__amqp_answer(amqp, "consuming", amqp_get_rpc_reply(amqp->state));
}

tn__amqp_result tn__amqp_cancel(tn__amqp *amqp)
{
    assert(amqp->consuming);
    if (tn__amqp_heed(amqp) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    /* Without waiting for the answer, which comes after the deliveries that are on their way. */
    amqp_basic_cancel_t cancel = { .consumer_tag = CONSUMER_TAG, .nowait = true };
    int status = amqp_send_method(amqp->state, TN__CHANNEL, AMQP_BASIC_CANCEL_METHOD, &cancel);
    return status == AMQP_STATUS_OK ? TN__AMQP_OK
                                    : tn__amqp_lose_status(amqp, "cancelling", status);
}

/* ---- A delivery as a message --------------------------------------------- */

static bool integer_of(const amqp_field_value_t *value, int64_t *out)
{
    switch (value->kind) {
    case AMQP_FIELD_KIND_I8:
        *out = value->value.i8;
        return true;
    case AMQP_FIELD_KIND_U8:
        *out = value->value.u8;
        return true;
    case AMQP_FIELD_KIND_I16:
        *out = value->value.i16;
        return true;
    case AMQP_FIELD_KIND_U16:
        *out = value->value.u16;
        return true;
    case AMQP_FIELD_KIND_I32:
        *out = value->value.i32;
        return true;
    case AMQP_FIELD_KIND_U32:
        *out = value->value.u32;
        return true;
    case AMQP_FIELD_KIND_I64:
        *out = value->value.i64;
        return true;
    case AMQP_FIELD_KIND_U64:
        *out = (int64_t)value->value.u64;
        return true;
    default:
        return false;
    }
}

static bool is_string(const amqp_field_value_t *value)
{
    return value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES;
}

static const amqp_field_value_t *find(const amqp_table_t *table, const char *name)
{
    for (int i = 0; i < table->num_entries; i++)
        if (tn_str_eq(tn__amqp_str(table->entries[i].key), tn_str_of(name)))
            return &table->entries[i].value;
    return NULL;
}

/* x-death is an array of tables, the newest death first; each has the array routing-keys. */
static tn_str death_routing_key(const amqp_table_t *headers)
{
    const amqp_field_value_t *deaths = find(headers, "x-death");
    if (deaths == NULL || deaths->kind != AMQP_FIELD_KIND_ARRAY ||
        deaths->value.array.num_entries == 0)
        return TN_S("");
    const amqp_field_value_t *newest = &deaths->value.array.entries[0];
    if (newest->kind != AMQP_FIELD_KIND_TABLE)
        return TN_S("");
    const amqp_field_value_t *keys = find(&newest->value.table, "routing-keys");
    if (keys == NULL || keys->kind != AMQP_FIELD_KIND_ARRAY || keys->value.array.num_entries == 0 ||
        !is_string(&keys->value.array.entries[0]))
        return TN_S("");
    return tn__amqp_str(keys->value.array.entries[0].value.bytes);
}

static void read_headers(tn__amqp_message *message, const amqp_table_t *table)
{
    const amqp_field_value_t *count = find(table, "x-delivery-count");
    if (count != NULL)
        integer_of(count, &message->delivery_count);
    message->death_routing_key = death_routing_key(table);
    for (int i = 0; i < table->num_entries && message->n_headers < TN__AMQP_HEADERS_MAX; i++)
        if (is_string(&table->entries[i].value))
            message->headers[message->n_headers++] = (tn__amqp_header){ .name = tn__amqp_str(
                                                                            table->entries[i].key),
                .value = tn__amqp_str(table->entries[i].value.value.bytes) };
}

/* The last second of the year 9999, the last year that RFC 3339 can write. */
#define TIMESTAMP_S_MAX 253402300799

static void read_properties(tn__amqp_message *message, const amqp_basic_properties_t *properties)
{
    if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0)
        message->message_id = tn__amqp_str(properties->message_id);
    if ((properties->_flags & AMQP_BASIC_TYPE_FLAG) != 0)
        message->type = tn__amqp_str(properties->type);
    if ((properties->_flags & AMQP_BASIC_APP_ID_FLAG) != 0)
        message->app_id = tn__amqp_str(properties->app_id);
    if ((properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0)
        message->correlation_id = tn__amqp_str(properties->correlation_id);
    if ((properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) != 0)
        message->content_type = tn__amqp_str(properties->content_type);
    if ((properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 &&
        properties->timestamp <= TIMESTAMP_S_MAX)
        message->timestamp_s = (int64_t)properties->timestamp;
    if ((properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0)
        read_headers(message, &properties->headers);
}

static void read_delivery(const tn__amqp *amqp, tn__amqp_message *message)
{
    const amqp_basic_deliver_t *delivery = amqp->content.method;
    *message = (tn__amqp_message){
        .exchange = tn__amqp_str(delivery->exchange),
        .routing_key = tn__amqp_str(delivery->routing_key),
        .body = tn__buf_str(&amqp->body),
        .body_bytes = amqp->content.body_bytes,
        .delivery_tag = delivery->delivery_tag,
        .redelivered = delivery->redelivered != 0,
    };
    read_properties(message, amqp->content.properties);
}

/* ---- The next one, and what becomes of it -------------------------------- */

static bool is_delivered(const tn__amqp *amqp)
{
    const tn__content *content = &amqp->content;
    return content->kind == TN__CONTENT_DELIVERY && content->properties != NULL &&
        content->body_seen == content->body_bytes;
}

tn__amqp_result tn__amqp_next(tn__amqp *amqp, int timeout_ms, tn__amqp_message *message)
{
    assert(amqp->consuming && timeout_ms >= 0);
    if (amqp->lost)
        return TN__AMQP_LOST;
    /* The one before has been used. */
    if (is_delivered(amqp))
        amqp->content.kind = TN__CONTENT_NONE;
    int64_t deadline_us = timeout_ms == 0 ? 0 : tn__mono_us() + (int64_t)timeout_ms * 1000;
    bool delivered = false;
    while (!delivered) {
        tn__amqp_release(amqp);
        tn__amqp_result result = tn__amqp_step(amqp, deadline_us, &delivered);
        if (result != TN__AMQP_OK)
            return result;
    }
    read_delivery(amqp, message);
    return TN__AMQP_OK;
}

tn__amqp_result tn__amqp_ack(tn__amqp *amqp, uint64_t delivery_tag, bool multiple)
{
    if (tn__amqp_heed(amqp) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    int status = amqp_basic_ack(amqp->state, TN__CHANNEL, delivery_tag, multiple);
    return status == AMQP_STATUS_OK ? TN__AMQP_OK : tn__amqp_lose_status(amqp, "acking", status);
}

tn__amqp_result tn__amqp_reject(tn__amqp *amqp, uint64_t delivery_tag, bool requeue)
{
    if (tn__amqp_heed(amqp) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    int status = amqp_basic_reject(amqp->state, TN__CHANNEL, delivery_tag, requeue);
    return status == AMQP_STATUS_OK ? TN__AMQP_OK : tn__amqp_lose_status(amqp, "rejecting", status);
}
