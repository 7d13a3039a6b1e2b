/* The AsyncAPI document says what is on the wire. */
#include "document.h"

static int open_document(void **state)
{
    tn_arena *arena = tn__arena_open(64 * 1024);
    *state = parsed(tn__asyncapi(arena, &orders_service));
    tn__arena_close(arena);
    return 0;
}

static int close_document(void **state)
{
    json_decref(*state);
    return 0;
}

#define DOCUMENT(f) cmocka_unit_test_setup_teardown(f, open_document, close_document)
#define MESSAGE(m)  "/components/messages/" m

static void the_head_names_the_service_and_its_broker(void **state)
{
    says(*state, "/asyncapi", "\"3.0.0\"");
    says(*state, "/info/title", "\"Orders\"");
    says(*state, "/info/version", "\"1.2.0\"");
    says(*state, "/servers/broker/protocol", "\"amqp\"");
}

static void every_reference_leads_somewhere_and_nothing_is_unused(void **state)
{
    refs_are_right(*state);
}

static void a_channel_is_a_routing_key_of_the_exchange(void **state)
{
    members(*state, "/channels", "OrderPlaced OrderCancelled StockMoved StockAny");
    says(*state, "/channels/OrderPlaced/address", "\"order.placed\"");
    says(*state, "/channels/StockAny/address", "\"stock.*\"");
    says(*state, "/channels/StockAny/bindings/amqp",
        "{\"is\":\"routingKey\",\"exchange\":{\"name\":\"events\",\"type\":\"topic\","
        "\"durable\":true,\"autoDelete\":false},\"bindingVersion\":\"0.3.0\"}");
}

static void events_are_sent_and_subscriptions_received(void **state)
{
    members(*state, "/operations",
        "sendOrderPlaced sendOrderCancelled receiveStockMoved receiveStockAny");
    says(*state, "/operations/sendOrderPlaced/action", "\"send\"");
    says(*state, "/operations/sendOrderPlaced/bindings/amqp",
        "{\"deliveryMode\":2,\"mandatory\":true,\"timestamp\":true,\"bindingVersion\":\"0.3.0\"}");
    says(*state, "/operations/receiveStockAny/action", "\"receive\"");
    says(*state, "/operations/receiveStockAny/bindings/amqp/x-queue/name", "\"orders.events\"");
    says(*state, "/operations/receiveStockAny/messages/0/$ref",
        "\"#/channels/StockAny/messages/StockAny\"");
}

static void the_body_of_an_event_is_the_envelope(void **state)
{
    says(*state, MESSAGE("OrderCancelled/payload"),
        "{\"type\":\"object\",\"required\":[\"id\",\"timestamp\",\"source_service\"],\"properties\":"
        "{\"id\":{\"type\":\"string\",\"examples\":[\"Ada\"]},"
        "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"source_service\":{\"type\":\"string\",\"const\":\"orders\"}}}");
    says(*state, MESSAGE("OrderPlaced/payload/properties/id/format"), "\"uuid\"");
    says(*state, MESSAGE("OrderPlaced/payload/required"),
        "[\"id\",\"timestamp\",\"source_service\",\"data\"]");
    says(*state, MESSAGE("OrderPlaced/payload/properties/data/$ref"),
        "\"#/components/schemas/Order\"");
    says(*state, MESSAGE("OrderPlaced/examples/0/payload/source_service"), "\"orders\"");
}

static void what_is_received_is_described_by_the_subscriptions_schema(void **state)
{
    says(*state, MESSAGE("StockMoved/payload/$ref"), "\"#/components/schemas/StockMoved\"");
    says(*state, "/components/schemas/StockMoved/required",
        "[\"id\",\"timestamp\",\"source_service\"]");
    assert_false(has(*state, "/components/schemas/StockMoved/additionalProperties"));
}

static void headers_and_correlation_are_described(void **state)
{
    says(*state, MESSAGE("OrderPlaced/headers/$ref"), "\"#/components/schemas/SentHeaders\"");
    says(*state, "/components/schemas/SentHeaders/required", "[\"correlation_id\"]");
    members(*state, "/components/schemas/SentHeaders/properties",
        "correlation_id idempotency_key traceparent tracestate");
    assert_false(has(*state, "/components/schemas/ReceivedHeaders/required"));
    says(*state, MESSAGE("StockAny/correlationId/$ref"), "\"#/components/correlationIds/Request\"");
    says(*state, "/components/correlationIds/Request/location",
        "\"$message.header#/correlation_id\"");
    says(*state, MESSAGE("OrderPlaced/bindings/amqp/messageType"), "\"order.placed\"");
}

static void a_service_without_messages_has_a_document(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    static const tn_service least = { .name = "least", .version = "0.1.0" };
    json_t *document = parsed(tn__asyncapi(arena, &least));
    says(document, "/channels", "{}");
    says(document, "/operations", "{}");
    json_decref(document);
    tn__arena_close(arena);
}

static tn_outcome hear(tn_msg *msg)
{
    (void)msg;
    return (tn_outcome){ 0 };
}

static void what_is_sent_and_heard_has_two_channels(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    static const tn_event moved = { "stock.moved", .of = &stock_moved_schema, .subject = "id" };
    static const tn_event *const events[] = { &moved };
    static const tn_subscription heard[] = { { "stock.moved", hear, &stock_moved_schema, "" } };
    const tn_service service = { .name = "s",
        .version = "1.0.0",
        .events = TN_LIST(events),
        .subscriptions = TN_LIST(heard) };
    json_t *document = parsed(tn__asyncapi(arena, &service));
    refs_are_right(document);
    members(document, "/channels", "StockMoved StockMovedReceived");
    says(document, "/channels/StockMovedReceived/address", "\"stock.moved\"");
    json_decref(document);
    tn__arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCUMENT(the_head_names_the_service_and_its_broker),
        DOCUMENT(every_reference_leads_somewhere_and_nothing_is_unused),
        DOCUMENT(a_channel_is_a_routing_key_of_the_exchange),
        DOCUMENT(events_are_sent_and_subscriptions_received),
        DOCUMENT(the_body_of_an_event_is_the_envelope),
        DOCUMENT(what_is_received_is_described_by_the_subscriptions_schema),
        DOCUMENT(headers_and_correlation_are_described),
        DOCUMENT(a_service_without_messages_has_a_document),
        DOCUMENT(what_is_sent_and_heard_has_two_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
