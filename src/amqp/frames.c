/* Reading: one frame at a time, each within its time.
 *
 * All that comes in passes through tn__amqp_step(): confirms and returns go to the window, a close
 * or a cancellation marks the connection as lost, the frames of a delivery are put together. So it
 * doesn't matter in which call a frame happens to be read. */
#include "amqp/internal.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <sys/time.h>

/* One large message shall not cost its memory for as long as the connection lives. */
enum { BODY_BYTES_KEPT = 256 * 1024 };

/* Waits until the socket has something to say, bytes or its end, and notes when it had. */
static bool is_readable(tn__amqp *amqp, int timeout_ms)
{
    struct pollfd at = { .fd = amqp->fd, .events = POLLIN };
    if (poll(&at, 1, timeout_ms) <= 0)
        return false;
    amqp->heard_us = tn__mono_us();
    return true;
}

/* rabbitmq-c 0.11 waits for ever when it publishes after the broker's time for a heartbeat is over,
 * so we give up before it comes to that. */
static bool is_silent(const tn__amqp *amqp)
{
    if (amqp->heartbeat_s == 0)
        return false;
    int64_t limit_us = (int64_t)amqp->heartbeat_s * 2000000;
    int64_t margin_us = limit_us / 4 < 1000000 ? limit_us / 4 : 1000000;
    return tn__mono_us() - amqp->heard_us > limit_us - margin_us;
}

tn__amqp_result tn__amqp_heed(tn__amqp *amqp)
{
    if (amqp->lost)
        return TN__AMQP_LOST;
    if (amqp_data_in_buffer(amqp->state) || is_readable(amqp, 0) || !is_silent(amqp))
        return TN__AMQP_OK;
    return tn__amqp_lose(amqp, "no heartbeat from the broker");
}

/* How long to wait for input at once: our heartbeats are sent in between. */
static int nap_ms(const tn__amqp *amqp, int64_t deadline_us)
{
    int64_t left_ms = (deadline_us - tn__mono_us() + 999) / 1000;
    int64_t beat_ms = amqp->heartbeat_s > 0 ? amqp->heartbeat_s * 250 : 1000;
    int64_t nap = left_ms < beat_ms ? left_ms : beat_ms;
    return nap > 0 ? (int)nap : 0;
}

/* The waiting is ours, so that we know when the broker was last heard; rabbitmq-c is only asked for
 * what is there, and sends a heartbeat when one is due. */
static tn__amqp_result read_frame(tn__amqp *amqp, int64_t deadline_us, amqp_frame_t *frame)
{
    for (;;) {
        if (!amqp_frames_enqueued(amqp->state) && tn__amqp_heed(amqp) != TN__AMQP_OK)
            return TN__AMQP_LOST;
        int status = amqp_simple_wait_frame_noblock(amqp->state, frame, &(struct timeval){ 0, 0 });
        if (status == AMQP_STATUS_OK)
            return TN__AMQP_OK;
        if (status != AMQP_STATUS_TIMEOUT)
            return tn__amqp_lose_status(amqp, "reading", status);
        if (tn__mono_us() >= deadline_us)
            return TN__AMQP_NOTHING;
        is_readable(amqp, nap_ms(amqp, deadline_us));
    }
}

static void start_content(tn__amqp *amqp, tn__content_kind kind, const void *method)
{
    amqp->content = (tn__content){ .kind = kind, .method = method };
    amqp->body.len = 0;
    if (amqp->body.cap > BODY_BYTES_KEPT)
        tn__buf_deinit(&amqp->body);
}

static void end_return(tn__amqp *amqp)
{
    const amqp_basic_return_t *back = amqp->content.method;
    const amqp_basic_properties_t *properties = amqp->content.properties;
    tn_str id = (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0
        ? tn__amqp_str(properties->message_id)
        : TN_S("");
    uint64_t key = tn__amqp_key(tn__amqp_str(back->exchange), tn__amqp_str(back->routing_key), id);
    tn__window_return(&amqp->window, key, back->reply_code);
    amqp->content.kind = TN__CONTENT_NONE;
}

/* The content is whole when all of its body was seen. */
static void check_content(tn__amqp *amqp, bool *delivered)
{
    const tn__content *content = &amqp->content;
    if (content->properties == NULL || content->body_seen < content->body_bytes)
        return;
    if (content->kind == TN__CONTENT_DELIVERY)
        *delivered = true;
    else if (content->kind == TN__CONTENT_RETURN)
        end_return(amqp);
}

static tn__amqp_result on_header(tn__amqp *amqp, const amqp_frame_t *frame, bool *delivered)
{
    tn__content *content = &amqp->content;
    if (content->kind == TN__CONTENT_NONE || content->properties != NULL)
        return tn__amqp_lose(amqp, "the broker sent a header that belongs to no message");
    content->properties = frame->payload.properties.decoded;
    content->body_bytes = frame->payload.properties.body_size;
    check_content(amqp, delivered);
    return TN__AMQP_OK;
}

static tn__amqp_result on_body(tn__amqp *amqp, const amqp_frame_t *frame, bool *delivered)
{
    tn__content *content = &amqp->content;
    amqp_bytes_t part = frame->payload.body_fragment;
    if (content->properties == NULL || part.len > content->body_bytes - content->body_seen)
        return tn__amqp_lose(amqp, "the broker sent a body that belongs to no message");
    content->body_seen += part.len;
    /* What comes back was published from memory that we still have. */
    if (content->kind == TN__CONTENT_DELIVERY && content->body_bytes <= TN__AMQP_BODY_BYTES_MAX)
        tn__buf_add(&amqp->body, part.bytes, part.len);
    check_content(amqp, delivered);
    return TN__AMQP_OK;
}

static void on_blocked(tn__amqp *amqp, const amqp_connection_blocked_t *method)
{
    tn_str reason = tn__amqp_str(method->reason);
    amqp->blocked = true;
    snprintf(amqp->blocked_why, sizeof amqp->blocked_why, "the broker takes no messages: %.*s",
        TN_FMT(reason));
}

static tn__amqp_result on_method(tn__amqp *amqp, const amqp_method_t *method)
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD:
        tn__window_settle(&amqp->window, ack->delivery_tag, ack->multiple != 0, TN__AMQP_CONFIRMED);
        return TN__AMQP_OK;
    case AMQP_BASIC_NACK_METHOD:
        tn__window_settle(&amqp->window, nack->delivery_tag, nack->multiple != 0, TN__AMQP_NACKED);
        return TN__AMQP_OK;
    case AMQP_BASIC_RETURN_METHOD:
        start_content(amqp, TN__CONTENT_RETURN, method->decoded);
        return TN__AMQP_OK;
    case AMQP_BASIC_DELIVER_METHOD:
        start_content(amqp, TN__CONTENT_DELIVERY, method->decoded);
        return TN__AMQP_OK;
    case AMQP_BASIC_CANCEL_METHOD:
        return tn__amqp_lose(amqp, "the broker cancelled the consumer of the queue %.*s",
            TN_FMT(tn__buf_str(&amqp->queue)));
    case AMQP_CONNECTION_BLOCKED_METHOD:
        on_blocked(amqp, method->decoded);
        return TN__AMQP_OK;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        amqp->blocked = false;
        return TN__AMQP_OK;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        return tn__amqp_closed(amqp, NULL, method);
    default:
        return TN__AMQP_OK;
    }
}

tn__amqp_result tn__amqp_step(tn__amqp *amqp, int64_t deadline_us, bool *delivered)
{
    amqp_frame_t frame;
    *delivered = false;
    if (amqp->lost)
        return TN__AMQP_LOST;
    tn__amqp_flush(amqp);
    tn__amqp_result result = read_frame(amqp, deadline_us, &frame);
    if (result != TN__AMQP_OK)
        return result;
    switch (frame.frame_type) {
    case AMQP_FRAME_METHOD:
        return on_method(amqp, &frame.payload.method);
    case AMQP_FRAME_HEADER:
        return on_header(amqp, &frame, delivered);
    case AMQP_FRAME_BODY:
        return on_body(amqp, &frame, delivered);
    default: /* a heartbeat that was read while we wrote */
        return TN__AMQP_OK;
    }
}

tn__amqp_result tn__amqp_absorb(tn__amqp *amqp)
{
    assert(!amqp->consuming);
    bool delivered;
    tn__amqp_result result;
    while ((result = tn__amqp_step(amqp, 0, &delivered)) == TN__AMQP_OK)
        tn__amqp_release(amqp);
    return result == TN__AMQP_NOTHING ? TN__AMQP_OK : result;
}

void tn__amqp_release(tn__amqp *amqp)
{
    if (amqp->content.kind == TN__CONTENT_NONE)
        amqp_maybe_release_buffers(amqp->state);
}
