/* The AsyncAPI 3.0 document of a service, from its tables.
 *
 * A channel is a routing key of the exchange "events": one for each event that the service sends, and
 * one for each pattern that it listens to. What the binding has no word for (the queue behind a
 * pattern) stands in an extension. */
#include "schema/doc_example.h"
#include "schema/paths.h"

static const char BINDING[] = "0.3.0";
static const char PROPERTIES[] =
    "AMQP properties: `message_id` is the event's id (a UUID), by which a second delivery is known; "
    "`type` the event; `app_id` the service that sent it; `timestamp`; `content_type`; "
    "`correlation_id`, as in the headers.";
static const char EXAMPLE_REQUEST[] = "my-request-1";

typedef struct {
    tn__doc doc;
    const tn_service *service;
    tn__components *schemas;
} writer;

/* ---- Names ------------------------------------------------------------------- */

static bool is_sent(const tn_service *service, const char *name)
{
    for (size_t i = 0; i < service->events.n; i++)
        if (strcmp(service->events.at[i]->name, name) == 0)
            return true;
    return false;
}

/* What a service sends and hears itself has two channels, which need two names. */
static tn_str heard_name(writer *w, const tn_subscription *subscription)
{
    tn_arena *arena = w->doc.out.arena;
    tn_str name = tn__pascal(arena, subscription->event);
    if (is_sent(w->service, subscription->event))
        return tn_printf(arena, "%.*sReceived", TN_FMT(name));
    return name;
}

static tn_str sent_name(writer *w, const tn_event *event)
{
    return tn__pascal(w->doc.out.arena, event->name);
}

/* ---- Info --------------------------------------------------------------------- */

static void write_info(writer *w)
{
    const tn_service *service = w->service;
    const char *title = service->title != NULL ? service->title : service->name;
    tn__doc_object(&w->doc, "info");
    tn__doc_z(&w->doc, "title", title);
    tn__doc_z(&w->doc, "version", service->version);
    tn__doc_z(&w->doc, "description", service->summary != NULL ? service->summary : title);
    tn__doc_array(&w->doc, "tags");
    tn__doc_object(&w->doc, NULL);
    tn__doc_z(&w->doc, "name", service->name);
    tn__doc_z(&w->doc, "description", service->summary != NULL ? service->summary : title);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

/* Which broker it is depends on where the service runs. */
static void write_servers(writer *w)
{
    tn__doc_object(&w->doc, "servers");
    tn__doc_object(&w->doc, "broker");
    tn__doc_z(&w->doc, "host", "{host}");
    tn__doc_z(&w->doc, "protocol", "amqp");
    tn__doc_z(&w->doc, "protocolVersion", "0.9.1");
    tn__doc_z(&w->doc, "description", "The broker that the service's AMQP_URL names.");
    tn__doc_object(&w->doc, "variables");
    tn__doc_object(&w->doc, "host");
    tn__doc_z(&w->doc, "default", "localhost:5672");
    for (int i = 0; i < 4; i++)
        tn__doc_end(&w->doc);
}

/* ---- Channels ----------------------------------------------------------------- */

static void write_exchange(writer *w)
{
    tn__doc_object(&w->doc, "bindings");
    tn__doc_object(&w->doc, "amqp");
    tn__doc_z(&w->doc, "is", "routingKey");
    tn__doc_object(&w->doc, "exchange");
    tn__doc_z(&w->doc, "name", "events");
    tn__doc_z(&w->doc, "type", "topic");
    tn__doc_bool(&w->doc, "durable", true);
    tn__doc_bool(&w->doc, "autoDelete", false);
    tn__doc_end(&w->doc);
    tn__doc_z(&w->doc, "bindingVersion", BINDING);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static void write_channel(writer *w, tn_str name, const char *address, const char *summary)
{
    tn__doc_object(&w->doc, name.data);
    tn__doc_z(&w->doc, "address", address);
    if (summary != NULL)
        tn__doc_z(&w->doc, "description", summary);
    tn__doc_object(&w->doc, "messages");
    tn__doc_ref(&w->doc, name.data, "messages", name);
    tn__doc_end(&w->doc);
    write_exchange(w);
    tn__doc_end(&w->doc);
}

static void write_channels(writer *w)
{
    tn__doc_object(&w->doc, "channels");
    for (size_t i = 0; i < w->service->events.n; i++) {
        const tn_event *event = w->service->events.at[i];
        write_channel(w, sent_name(w, event), event->name, event->summary);
    }
    for (size_t i = 0; i < w->service->subscriptions.n; i++) {
        const tn_subscription *subscription = &w->service->subscriptions.at[i];
        write_channel(w, heard_name(w, subscription), subscription->event, subscription->summary);
    }
    tn__doc_end(&w->doc);
}

/* ---- Operations ---------------------------------------------------------------- */

static void open_operation(writer *w, const char *action, tn_str name, const char *summary)
{
    tn_arena *arena = w->doc.out.arena;
    tn__doc_object(&w->doc, tn_printf(arena, "%s%.*s", action, TN_FMT(name)).data);
    tn__doc_z(&w->doc, "action", action);
    tn__doc_object(&w->doc, "channel");
    tn__doc_printf(&w->doc, "$ref", "#/channels/%.*s", TN_FMT(name));
    tn__doc_end(&w->doc);
    if (summary != NULL)
        tn__doc_z(&w->doc, "summary", summary);
    tn__doc_printf(&w->doc, "description", "The service %ss %.*s.", action, TN_FMT(name));
    tn__doc_array(&w->doc, "messages");
    tn__doc_object(&w->doc, NULL);
    tn__doc_printf(&w->doc, "$ref", "#/channels/%.*s/messages/%.*s", TN_FMT(name), TN_FMT(name));
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "bindings");
    tn__doc_object(&w->doc, "amqp");
}

static void close_operation(writer *w)
{
    tn__doc_z(&w->doc, "bindingVersion", BINDING);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static void write_send(writer *w, const tn_event *event)
{
    open_operation(w, "send", sent_name(w, event), event->summary);
    tn__doc_int(&w->doc, "deliveryMode", 2);
    tn__doc_bool(&w->doc, "mandatory", true);
    tn__doc_bool(&w->doc, "timestamp", true);
    close_operation(w);
}

static void write_receive(writer *w, const tn_subscription *subscription)
{
    open_operation(w, "receive", heard_name(w, subscription), subscription->summary);
    tn__doc_bool(&w->doc, "ack", true);
    tn__doc_object(&w->doc, "x-queue");
    tn__doc_printf(&w->doc, "name", "%s.events", w->service->name);
    tn__doc_bool(&w->doc, "durable", true);
    tn__doc_bool(&w->doc, "exclusive", false);
    tn__doc_bool(&w->doc, "autoDelete", false);
    tn__doc_end(&w->doc);
    close_operation(w);
}

static void write_operations(writer *w)
{
    tn__doc_object(&w->doc, "operations");
    for (size_t i = 0; i < w->service->events.n; i++)
        write_send(w, w->service->events.at[i]);
    for (size_t i = 0; i < w->service->subscriptions.n; i++)
        write_receive(w, &w->service->subscriptions.at[i]);
    tn__doc_end(&w->doc);
}

/* ---- Messages -------------------------------------------------------------------- */

static void write_header(writer *w, const char *name, const char *description)
{
    tn__doc_object(&w->doc, name);
    tn__doc_z(&w->doc, "description", description);
    tn__doc_z(&w->doc, "type", "string");
    tn__doc_end(&w->doc);
}

static void write_headers(writer *w, const char *name, bool sent)
{
    tn__doc_object(&w->doc, name);
    tn__doc_z(&w->doc, "type", "object");
    if (sent) {
        tn__doc_array(&w->doc, "required");
        tn__doc_z(&w->doc, NULL, "correlation_id");
        tn__doc_end(&w->doc);
    }
    tn__doc_object(&w->doc, "properties");
    write_header(w, "correlation_id", "The X-Request-Id of the request that caused it.");
    write_header(w, "idempotency_key", "The Idempotency-Key of that request, if it had one.");
    write_header(w, "traceparent", "W3C Trace Context: the span that caused it.");
    write_header(w, "tracestate", "W3C Trace Context: what vendors add, if they did.");
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

/* The schemas of headers stand beside those of the tables. */
static void write_headers_schemas(writer *w)
{
    if (w->service->events.n > 0)
        write_headers(w, "SentHeaders", true);
    if (w->service->subscriptions.n > 0)
        write_headers(w, "ReceivedHeaders", false);
}

static void write_correlation_id(writer *w)
{
    tn__doc_object(&w->doc, "correlationIds");
    tn__doc_object(&w->doc, "Request");
    tn__doc_z(&w->doc, "description", "The request that caused it.");
    tn__doc_z(&w->doc, "location", "$message.header#/correlation_id");
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static const tn_field *subject_of(const tn_event *event)
{
    return tn__field_find(event->of, tn_str_of(event->subject));
}

/* The envelope: {"id", "timestamp", "source_service"}, and "data" when the event says so. */
static void write_envelope(writer *w, const tn_event *event)
{
    static const char *const members[] = { "id", "timestamp", "source_service", "data" };
    size_t n = event->data != NULL ? 4 : 3;
    tn__doc_object(&w->doc, "payload");
    tn__doc_z(&w->doc, "type", "object");
    tn__doc_array(&w->doc, "required");
    for (size_t i = 0; i < n; i++)
        tn__doc_z(&w->doc, NULL, members[i]);
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "properties");
    tn__doc_parameter(&w->doc, "id", subject_of(event), TN__FORM_REPLY);
    tn__doc_object(&w->doc, "timestamp");
    tn__doc_z(&w->doc, "type", "string");
    tn__doc_z(&w->doc, "format", "date-time");
    tn__doc_end(&w->doc);
    tn__doc_object(&w->doc, "source_service");
    tn__doc_z(&w->doc, "type", "string");
    tn__doc_z(&w->doc, "const", w->service->name);
    tn__doc_end(&w->doc);
    if (event->data != NULL)
        tn__doc_schema_ref(&w->doc, "data", w->schemas, event->data, TN__FORM_REPLY);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static void open_examples(writer *w)
{
    tn__doc_array(&w->doc, "examples");
    tn__doc_object(&w->doc, NULL);
    tn__doc_object(&w->doc, "headers");
    tn__doc_z(&w->doc, "correlation_id", EXAMPLE_REQUEST);
    tn__doc_end(&w->doc);
}

static void close_examples(writer *w)
{
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static void write_sent_example(writer *w, const tn_event *event)
{
    const tn_field *subject = subject_of(event);
    bool data = event->data != NULL;
    if (!tn__has_value(subject) || (data && !tn__has_example(event->data, TN__FORM_REPLY)))
        return;
    open_examples(w);
    tn__doc_object(&w->doc, "payload");
    tn__doc_value(&w->doc, "id", subject);
    tn__doc_z(&w->doc, "timestamp", tn__example_time);
    tn__doc_z(&w->doc, "source_service", w->service->name);
    if (data)
        tn__doc_example(&w->doc, "data", event->data, TN__FORM_REPLY);
    tn__doc_end(&w->doc);
    close_examples(w);
}

static void write_heard_example(writer *w, const tn_subscription *subscription)
{
    if (!tn__has_example(subscription->body, TN__FORM_BODY))
        return;
    open_examples(w);
    tn__doc_example(&w->doc, "payload", subscription->body, TN__FORM_BODY);
    close_examples(w);
}

static void open_message(writer *w, tn_str name, const char *event, const char *summary,
    const char *headers)
{
    tn__doc_object(&w->doc, name.data);
    tn__doc_z(&w->doc, "name", event);
    tn__doc_str(&w->doc, "title", name);
    if (summary != NULL)
        tn__doc_z(&w->doc, "summary", summary);
    tn__doc_z(&w->doc, "description", PROPERTIES);
    tn__doc_z(&w->doc, "contentType", "application/json");
    tn__doc_ref(&w->doc, "correlationId", "correlationIds", TN_S("Request"));
    tn__doc_ref(&w->doc, "headers", "schemas", tn_str_of(headers));
}

static void write_message_type(writer *w, const char *type)
{
    tn__doc_object(&w->doc, "bindings");
    tn__doc_object(&w->doc, "amqp");
    tn__doc_z(&w->doc, "messageType", type);
    tn__doc_z(&w->doc, "bindingVersion", BINDING);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

static void write_messages(writer *w)
{
    tn__doc_object(&w->doc, "messages");
    for (size_t i = 0; i < w->service->events.n; i++) {
        const tn_event *event = w->service->events.at[i];
        open_message(w, sent_name(w, event), event->name, event->summary, "SentHeaders");
        write_envelope(w, event);
        write_message_type(w, event->name);
        write_sent_example(w, event);
        tn__doc_end(&w->doc);
    }
    for (size_t i = 0; i < w->service->subscriptions.n; i++) {
        const tn_subscription *subscription = &w->service->subscriptions.at[i];
        open_message(w, heard_name(w, subscription), subscription->event, subscription->summary,
            "ReceivedHeaders");
        tn__doc_schema_ref(&w->doc, "payload", w->schemas, subscription->body, TN__FORM_BODY);
        write_heard_example(w, subscription);
        tn__doc_end(&w->doc);
    }
    tn__doc_end(&w->doc);
}

/* ---- The document ------------------------------------------------------------------ */

static void add_schemas(writer *w)
{
    for (size_t i = 0; i < w->service->events.n; i++)
        tn__components_add(w->schemas, w->service->events.at[i]->data, TN__FORM_REPLY);
    for (size_t i = 0; i < w->service->subscriptions.n; i++)
        tn__components_add(w->schemas, w->service->subscriptions.at[i].body, TN__FORM_BODY);
    tn__components_name(w->schemas);
}

static void write_components(writer *w)
{
    tn__doc_object(&w->doc, "components");
    write_messages(w);
    write_correlation_id(w);
    tn__doc_object(&w->doc, "schemas");
    tn__components_write(&w->doc, w->schemas);
    write_headers_schemas(w);
    tn__doc_end(&w->doc);
    tn__doc_end(&w->doc);
}

tn_str tn__asyncapi(tn_arena *arena, const tn_service *service)
{
    writer w = { .doc = { .out = { .arena = arena } }, .service = service };
    w.schemas = tn_alloc(arena, sizeof *w.schemas);
    w.schemas->arena = arena;
    add_schemas(&w);
    tn__doc_object(&w.doc, NULL);
    tn__doc_z(&w.doc, "asyncapi", "3.0.0");
    write_info(&w);
    tn__doc_z(&w.doc, "defaultContentType", "application/json");
    write_servers(&w);
    write_channels(&w);
    write_operations(&w);
    write_components(&w);
    tn__doc_end(&w.doc);
    return tn__doc_text(&w.doc);
}
