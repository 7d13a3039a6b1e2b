/* Checks what a service announces and what it listens to. */
#include "schema/check.h"

enum { ROUTING_KEY_MAX = 255 }; /* AMQP 0-9-1: a short string */

static bool is_word(tn_str word, bool wild)
{
    if (wild && (tn_str_eq(word, TN_S("*")) || tn_str_eq(word, TN_S("#"))))
        return true;
    for (size_t i = 0; i < word.len; i++) {
        char a = word.data[i];
        if (!(a >= 'a' && a <= 'z') && !(a >= '0' && a <= '9') && a != '_' && a != '-')
            return false;
    }
    return word.len > 0;
}

void tn__check_topic(tn__checker *c, tn_str place, const char *topic, bool wild)
{
    tn_str rest = tn_str_of(topic), word;
    bool fine = rest.len > 0 && rest.len <= ROUTING_KEY_MAX;
    while (fine && tn__str_cut(&rest, '.', &word))
        fine = is_word(word, wild);
    if (!fine)
        tn__check_fail(c, place,
            "the %s must be words of [a-z0-9_-] with dots between%s, at most %d",
            wild ? "pattern" : "name", wild ? ", or * or #" : "", ROUTING_KEY_MAX);
}

/* ---- Events ------------------------------------------------------------- */

static void check_subject(tn__checker *c, tn_str place, const tn_event *event)
{
    const tn_field *field = event->subject == NULL
        ? NULL
        : tn__field_find(event->of, tn_str_of(event->subject));
    if (field == NULL || field->optional ||
        (field->kind != TN_KIND_UUID && field->kind != TN_KIND_STR))
        tn__check_fail(c, place, ".subject \"%s\" is no required tn_uuid or tn_str field of .of",
            event->subject == NULL ? "" : event->subject);
}

static void check_event(tn__checker *c, tn_str place, const tn_event *event)
{
    tn__check_topic(c, place, event->name, false);
    if (event->of == NULL) {
        tn__check_fail(c, place, ".of is missing");
        return;
    }
    tn__check_schema(c, event->of);
    check_subject(c, place, event);
    if (event->data != NULL && event->data != event->of)
        tn__check_fail(c, place, ".data must be the same schema as .of");
}

static tn_str place_of(tn__checker *c, const char *what, const char *name)
{
    return tn_printf(c->arena, "%s %s", what, name == NULL ? "?" : name);
}

static void check_events(tn__checker *c, const tn_service *service)
{
    for (size_t i = 0; i < service->events.n; i++) {
        const tn_event *event = service->events.at[i];
        if (event == NULL) {
            tn__check_fail(c, TN_S("events"), "row %zu is NULL", i);
            continue;
        }
        tn_str place = place_of(c, "event", event->name);
        check_event(c, place, event);
        for (size_t j = 0; j < i; j++) {
            const tn_event *other = service->events.at[j];
            if (other != NULL && tn_str_eq(tn_str_of(other->name), tn_str_of(event->name)))
                tn__check_fail(c, place, "the event is in the table twice");
        }
    }
}

/* ---- Subscriptions ------------------------------------------------------ */

/* True when whatever `topic` matches, `over` matches too. The words of `topic` stand for themselves:
 * its * is only covered by * or #, its # only by #. Patterns are short, so trying is cheap. */
static bool covers(tn_str over, tn_str topic)
{
    tn_str a = TN_S(""), b = TN_S(""), over_rest = over, topic_rest = topic;
    bool more_over = tn__str_cut(&over_rest, '.', &a);
    bool more_topic = tn__str_cut(&topic_rest, '.', &b);
    if (!more_over)
        return !more_topic;
    if (tn_str_eq(a, TN_S("#")))
        return covers(over_rest, topic) || (more_topic && covers(over, topic_rest));
    if (!more_topic || tn_str_eq(b, TN_S("#")))
        return false;
    return (tn_str_eq(a, TN_S("*")) || tn_str_eq(a, b)) && covers(over_rest, topic_rest);
}

static void check_subscription(tn__checker *c, tn_str place, const tn_subscription *subscription)
{
    tn__check_topic(c, place, subscription->event, true);
    if (subscription->handler == NULL)
        tn__check_fail(c, place, "the handler is missing");
    if (subscription->body == NULL) {
        tn__check_fail(c, place, ".body is missing");
        return;
    }
    tn__check_schema(c, subscription->body);
    if (!subscription->body->open)
        tn__check_fail(c, place,
            ".body must be a TN_OPEN_SCHEMA: what others add to their events is no fault");
}

static void check_subscriptions(tn__checker *c, const tn_service *service)
{
    for (size_t i = 0; i < service->subscriptions.n; i++) {
        const tn_subscription *subscription = &service->subscriptions.at[i];
        tn_str place = place_of(c, "subscription", subscription->event);
        check_subscription(c, place, subscription);
        for (size_t j = 0; j < i; j++) {
            const char *earlier = service->subscriptions.at[j].event;
            if (earlier != NULL && subscription->event != NULL &&
                covers(tn_str_of(earlier), tn_str_of(subscription->event)))
                tn__check_fail(c, place, "it never gets a message: %s stands before it", earlier);
        }
    }
}

void tn__check_events(tn__checker *c, const tn_service *service)
{
    check_events(c, service);
    check_subscriptions(c, service);
}
