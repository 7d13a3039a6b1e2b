/* Publishing, and the wait for the broker's word on it.
 *
 * A batch is sent without waiting; what comes back meanwhile is read every few messages, so that a
 * broker with much to say never waits for us while we wait for it. */
#include "amqp/internal.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    SHORT_STRING_MAX = 255,
    DELIVERY_PERSISTENT = 2,
    ABSORB_EVERY = 64, /* publishes */
    ABSORB_AFTER_US = 500000,
    /* Of a header frame, beside the headers' own bytes: the frame, the fixed properties at their
     * longest; and what each header costs. */
    HEADER_FRAME_BYTES = 2048,
    HEADER_BYTES = 6,
};

static bool are_short(const tn__amqp_message *m)
{
    size_t longest = m->exchange.len;
    const size_t lengths[] = { m->routing_key.len, m->message_id.len, m->type.len, m->app_id.len,
        m->correlation_id.len, m->content_type.len };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        longest = lengths[i] > longest ? lengths[i] : longest;
    for (size_t i = 0; i < m->n_headers; i++)
        longest = m->headers[i].name.len > longest ? m->headers[i].name.len : longest;
    return longest <= SHORT_STRING_MAX;
}

static size_t header_bytes(const tn__amqp_message *message)
{
    size_t sum = HEADER_FRAME_BYTES;
    for (size_t i = 0; i < message->n_headers; i++)
        sum += HEADER_BYTES + message->headers[i].name.len + message->headers[i].value.len;
    return sum;
}

bool tn__amqp_fits(const tn__amqp *amqp, const tn__amqp_message *message, tn_str *why)
{
    if (message->n_headers > TN__AMQP_HEADERS_MAX)
        *why = TN_S("more than 32 headers");
    else if (!are_short(message))
        *why = TN_S("a property or a header's name is longer than 255 bytes");
    else if (header_bytes(message) > (size_t)amqp_get_frame_max(amqp->state))
        *why = TN_S("the headers are longer than a frame");
    else if (message->body.len > TN__AMQP_BODY_BYTES_MAX)
        *why = TN_S("the body is longer than 16 MiB");
    else
        return true;
    return false;
}

uint64_t tn__amqp_key(tn_str exchange, tn_str routing_key, tn_str message_id)
{
    uint64_t key = tn__hash(exchange);
    key = key * 31 + tn__hash(routing_key);
    return key * 31 + tn__hash(message_id);
}

static void set_string(amqp_basic_properties_t *to, amqp_flags_t flag, amqp_bytes_t *at, tn_str s)
{
    if (s.len == 0)
        return;
    to->_flags |= flag;
    *at = tn__amqp_bytes(s);
}

static amqp_basic_properties_t properties_of(const tn__amqp_message *message,
    amqp_table_entry_t *entries)
{
    amqp_basic_properties_t to = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = DELIVERY_PERSISTENT };
    set_string(&to, AMQP_BASIC_MESSAGE_ID_FLAG, &to.message_id, message->message_id);
    set_string(&to, AMQP_BASIC_TYPE_FLAG, &to.type, message->type);
    set_string(&to, AMQP_BASIC_APP_ID_FLAG, &to.app_id, message->app_id);
    set_string(&to, AMQP_BASIC_CORRELATION_ID_FLAG, &to.correlation_id, message->correlation_id);
    set_string(&to, AMQP_BASIC_CONTENT_TYPE_FLAG, &to.content_type, message->content_type);
    if (message->timestamp_s > 0) {
        to._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        to.timestamp = (uint64_t)message->timestamp_s;
    }
    for (size_t i = 0; i < message->n_headers; i++)
        entries[i] = (amqp_table_entry_t){ .key = tn__amqp_bytes(message->headers[i].name),
            .value = { .kind = AMQP_FIELD_KIND_UTF8,
                .value.bytes = tn__amqp_bytes(message->headers[i].value) } };
    if (message->n_headers > 0) {
        to._flags |= AMQP_BASIC_HEADERS_FLAG;
        to.headers = (amqp_table_t){ .num_entries = (int)message->n_headers, .entries = entries };
    }
    return to;
}

/* Reads what came meanwhile, where that is ours to do. */
static tn__amqp_result look_around(tn__amqp *amqp)
{
    bool due = amqp->window.next % ABSORB_EVERY == 0 ||
        tn__mono_us() - amqp->heard_us > ABSORB_AFTER_US;
    if (!due)
        return TN__AMQP_OK;
    return amqp->consuming ? tn__amqp_heed(amqp) : tn__amqp_absorb(amqp);
}

static void cork(tn__amqp *amqp)
{
    if (amqp->corked)
        return;
    amqp->corked = true;
    setsockopt(amqp->fd, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int));
}

tn__amqp_result tn__amqp_publish(tn__amqp *amqp, const tn__amqp_message *message, uint64_t *tag)
{
    assert(tn__amqp_fits(amqp, message, &(tn_str){ 0 }));
    amqp_table_entry_t entries[TN__AMQP_HEADERS_MAX];
    if (amqp->lost || look_around(amqp) != TN__AMQP_OK)
        return TN__AMQP_LOST;
    if (amqp->blocked || tn__window_full(&amqp->window))
        return TN__AMQP_NOTHING;
    cork(amqp);
    amqp_basic_properties_t properties = properties_of(message, entries);
    int status = amqp_basic_publish(amqp->state, TN__CHANNEL, tn__amqp_bytes(message->exchange),
        tn__amqp_bytes(message->routing_key), true, false, &properties,
        tn__amqp_bytes(message->body));
    if (status != AMQP_STATUS_OK)
        return tn__amqp_lose_status(amqp, "publishing", status);
    *tag = tn__window_add(&amqp->window,
        tn__amqp_key(message->exchange, message->routing_key, message->message_id));
    return TN__AMQP_OK;
}

static tn__amqp_result await(tn__amqp *amqp, uint64_t last, int64_t deadline_us)
{
    tn__amqp_result result = amqp->lost ? TN__AMQP_LOST : TN__AMQP_OK;
    bool delivered;
    while (!tn__window_settled(&amqp->window, last)) {
        if (result != TN__AMQP_OK)
            return result;
        if (amqp->consuming)
            return TN__AMQP_NOTHING;
        result = tn__amqp_step(amqp, deadline_us, &delivered);
        tn__amqp_release(amqp);
    }
    return TN__AMQP_OK;
}

tn__amqp_result tn__amqp_confirms(tn__amqp *amqp, uint64_t last, int64_t deadline_us,
    tn__amqp_settled *on_settled, void *arg)
{
    tn__amqp_flush(amqp);
    tn__amqp_result result = await(amqp, last, deadline_us);
    tn__window_report(&amqp->window, last, on_settled, arg);
    return result;
}
