/* The OpenAPI document says what the chassis does with the tables. */
#include "document.h"

static int open_document(void **state)
{
    tn_arena *arena = tn__arena_open(64 * 1024);
    *state = parsed(tn__openapi(arena, &orders_service));
    tn__arena_close(arena);
    return 0;
}

static int close_document(void **state)
{
    json_decref(*state);
    return 0;
}

#define DOCUMENT(f) cmocka_unit_test_setup_teardown(f, open_document, close_document)
#define POST        "/paths/~1orders/post"
#define LIST        "/paths/~1orders/get"
#define STREAM      "/paths/~1orders~1stream/get"
#define READ        "/paths/~1orders~1{id}/get"
#define PATCH       "/paths/~1orders~1{id}/patch"
#define DELETE      "/paths/~1orders~1{id}/delete"
#define PUT         "/paths/~1orders~1{id}~1home/put"

static void the_head_names_the_service(void **state)
{
    says(*state, "/openapi", "\"3.1.0\"");
    says(*state, "/info",
        "{\"title\":\"Orders\",\"version\":\"1.2.0\",\"description\":"
        "\"Takes orders and follows them home.\"}");
    says(*state, "/servers/0/url", "\"/api/v1\"");
    says(*state, "/tags/0/name", "\"orders\"");
    members(*state, "", "openapi info servers tags paths components");
}

static void every_reference_leads_somewhere_and_nothing_is_unused(void **state)
{
    refs_are_right(*state);
}

static void every_route_is_an_operation(void **state)
{
    members(*state, "/paths",
        "/orders /orders/stream /orders/{id} /orders/{id}/home /health-check");
    members(*state, "/paths/~1orders~1{id}", "get patch delete");
    says(*state, PATCH "/operationId", "\"patch_orders_by_id\"");
    says(*state, PATCH "/summary", "\"Change an order\"");
    says(*state, PATCH "/description", "\"Change an order.\"");
    says(*state, READ "/description", "\"The order as it is now.\"");
    says(*state, READ "/tags", "[\"orders\"]");
}

/* jansson writes a backslash as two. */
#define NO_NUL "\"pattern\":\"^[^\\\\u0000]*$\""

#define PARAM(name) "{\"$ref\":\"#/components/parameters/" name "\"}"

static void parameters_are_those_of_the_tables_and_of_the_chassis(void **state)
{
    says(*state, POST "/parameters", "[" PARAM("IdempotencyKey") "," PARAM("RequestId") "]");
    says(*state, STREAM "/parameters",
        "[" PARAM("From") "," PARAM("LastEventId") "," PARAM("RequestId") "]");
    says(*state, READ "/parameters",
        "[{\"name\":\"id\",\"in\":\"path\",\"description\":\"The order's id.\",\"required\":true,"
        "\"schema\":{\"type\":\"string\",\"format\":\"uuid\"}}," PARAM("IfNoneMatch") "," PARAM(
            "RequestId") "]");
    says(*state, PATCH "/parameters/1", PARAM("IdempotencyKeyOptional"));
    says(*state, PATCH "/parameters/2", PARAM("IfMatch"));
    says(*state, DELETE "/parameters/2", PARAM("IfMatch"));
    says(*state, LIST "/parameters/8", PARAM("Limit"));
    says(*state, LIST "/parameters/9", PARAM("Cursor"));
    says(*state, LIST "/parameters/0",
        "{\"name\":\"customer\",\"in\":\"query\",\"description\":\"Only orders of this customer.\","
        "\"schema\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20," NO_NUL "}}");
    says(*state, LIST "/parameters/7",
        "{\"name\":\"page\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"format\":\"int64\","
        "\"minimum\":1,\"maximum\":1000,\"default\":1}}");
    says(*state, "/components/parameters/IdempotencyKey/required", "true");
    assert_false(has(*state, "/components/parameters/IdempotencyKeyOptional/required"));
    says(*state, "/components/parameters/Limit/schema",
        "{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":20}");
    says(*state, "/components/parameters/LastEventId/schema",
        "{\"type\":\"string\",\"pattern\":\"^[0-9]{0,19}$\"}");
    says(*state, "/components/parameters/From/schema",
        "{\"type\":\"string\",\"enum\":[\"now\",\"start\"],\"default\":\"now\"}");
}

/* A pattern would promise that other values are refused. */
static void what_is_served_whatever_it_holds_has_no_pattern(void **state)
{
    const json_t *parameters = at(*state, "/components/parameters");
    says(parameters, "/RequestId/schema", "{\"type\":\"string\"}");
    says(parameters, "/IfMatch/schema", "{\"type\":\"string\"}");
    says(parameters, "/IfNoneMatch/schema", "{\"type\":\"string\"}");
}

#define CONTENT(type, name) type "\":{\"schema\":{\"$ref\":\"#/components/schemas/" name "\"}"

static void bodies_are_required_and_typed(void **state)
{
    says(*state, POST "/requestBody/required", "true");
    members(*state, POST "/requestBody/content", "application/json");
    says(*state, POST "/requestBody/content/application~1json/schema/$ref",
        "\"#/components/schemas/OrderNew\"");
    members(*state, PATCH "/requestBody/content", "application/merge-patch+json application/json");
    says(*state, PATCH "/requestBody/content/application~1merge-patch+json/schema/$ref",
        "\"#/components/schemas/OrderNewPatch\"");
    assert_false(has(*state, DELETE "/requestBody"));
}

/* ---- Answers ------------------------------------------------------------------ */

static void every_answer_that_can_come_is_listed(void **state)
{
    members(*state, POST "/responses",
        "201 400 406 408 409 413 414 415 422 431 500 503 504 default");
    members(*state, LIST "/responses", "200 400 406 408 409 414 422 431 500 503 504 default");
    members(*state, STREAM "/responses", "200 400 406 408 414 422 431 500 503 504 default");
    members(*state, READ "/responses",
        "200 304 400 404 406 408 409 414 422 431 500 503 504 default");
    members(*state, PATCH "/responses",
        "200 400 404 406 408 409 412 413 414 415 422 431 500 503 504 default");
    members(*state, DELETE "/responses",
        "204 400 404 406 408 409 412 414 422 431 500 503 504 default");
    members(*state, PUT "/responses",
        "200 400 404 406 408 409 413 414 415 422 431 500 503 504 default");
    members(*state, "/paths/~1health-check/get/responses",
        "204 400 406 408 409 414 422 431 500 503 504 default");
}

/* The slugs of the problems behind a status of an operation. */
static void slugs(const json_t *document, const char *operation, const char *status,
    const char *expected)
{
    char pointer[256];
    snprintf(pointer, sizeof pointer, "%s/responses/%s/$ref", operation, status);
    const char *ref = json_string_value(at(document, pointer));
    assert_non_null(ref);
    snprintf(pointer, sizeof pointer, "%s/content/application~1problem+json/examples", ref + 1);
    members(document, pointer, expected);
}

static void every_answer_names_its_problems(void **state)
{
    slugs(*state, POST, "400", "bad-request idempotency-key-missing idempotency-key-invalid");
    slugs(*state, PATCH, "400", "bad-request idempotency-key-invalid");
    slugs(*state, READ, "400", "bad-request");
    slugs(*state, POST, "409", "idempotency-key-in-use conflict number-taken order-shipped");
    slugs(*state, PUT, "409", "conflict number-taken order-shipped");
    slugs(*state, READ, "409", "order-shipped");
    slugs(*state, POST, "422", "idempotency-key-reused validation-failed cart-empty");
    slugs(*state, LIST, "422", "validation-failed cart-empty");
    slugs(*state, STREAM, "422", "validation-failed");
    slugs(*state, "/paths/~1health-check/get", "422", "validation-failed cart-empty");
    slugs(*state, PATCH, "412", "precondition-failed");
    slugs(*state, READ, "404", "not-found");
    slugs(*state, READ, "503", "service-unavailable");
}

static void every_problem_is_problem_json_with_a_request_id(void **state)
{
    const char *name;
    json_t *answer;
    json_object_foreach((json_t *)at(*state, "/components/responses"), name, answer)
    {
        members(answer, "/content", "application/problem+json");
        assert_true(has(answer, "/headers/X-Request-Id"));
        const char *slug;
        json_t *example;
        json_object_foreach((json_t *)at(answer, "/content/application~1problem+json/examples"),
            slug, example)
        {
            const char *type = json_string_value(at(example, "/value/type"));
            assert_string_equal(type + strlen("/problems/"), slug);
            assert_true(has(example, "/value/detail") && has(example, "/value/request_id"));
        }
    }
    says(*state, "/components/responses/ServiceUnavailable/headers/Retry-After/$ref",
        "\"#/components/headers/RetryAfter\"");
    says(*state, "/components/schemas/Problem/required",
        "[\"type\",\"title\",\"status\",\"detail\",\"request_id\"]");
    says(*state, "/components/schemas/ValidationProblem/allOf/1/required", "[\"errors\"]");
}

static void successes_have_their_headers(void **state)
{
    members(*state, POST "/responses/201/headers",
        "Location ETag Idempotent-Replayed X-Request-Id");
    members(*state, LIST "/responses/200/headers", "Link X-Request-Id");
    members(*state, READ "/responses/304/headers", "ETag X-Request-Id");
    members(*state, DELETE "/responses/204/headers", "Idempotent-Replayed X-Request-Id");
    assert_false(has(*state, DELETE "/responses/204/content"));
    says(*state, LIST "/responses/200/content/application~1json/schema/$ref",
        "\"#/components/schemas/OrderPage\"");
    members(*state, STREAM "/responses/200/content", "text/event-stream");
    says(*state, STREAM "/responses/200/content/text~1event-stream/x-event-data/$ref",
        "\"#/components/schemas/Change\"");
}

/* ---- Schemas ------------------------------------------------------------------- */

#define FIELD(name) "/components/schemas/OrderNew/properties/" name

static void what_may_be_sent_is_described_as_it_is_checked(void **state)
{
    says(*state, "/components/schemas/OrderNew/required",
        "[\"customer\",\"account_id\",\"extra\",\"home\",\"lines\"]");
    says(*state, "/components/schemas/OrderNew/additionalProperties", "false");
    says(*state, FIELD("customer"),
        "{\"description\":\"Who orders.\",\"type\":\"string\",\"minLength\":1,\"maxLength\":20," NO_NUL
        ",\"examples\":[\"Ada\"]}");
    says(*state, FIELD("note"), "{\"type\":[\"string\",\"null\"],\"maxLength\":100," NO_NUL "}");
    says(*state, FIELD("priority"),
        "{\"type\":[\"integer\",\"null\"],\"format\":\"int64\",\"minimum\":0,\"maximum\":9,"
        "\"default\":5}");
    says(*state, FIELD("weight_kg"),
        "{\"type\":[\"number\",\"null\"],\"format\":\"double\",\"minimum\":0,\"maximum\":31.5,"
        "\"default\":1.5}");
    says(*state, FIELD("gift"), "{\"type\":[\"boolean\",\"null\"],\"default\":false}");
    says(*state, FIELD("how"),
        "{\"type\":[\"string\",\"null\"],\"enum\":[\"standard\",\"express\",\"pickup\",null],"
        "\"default\":\"express\"}");
    says(*state, FIELD("deliver_at"),
        "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\",\"examples\":"
        "[\"2026-02-01T08:00:00Z\"]}");
    says(*state, FIELD("extra"), "{\"description\":\"Anything.\",\"examples\":[{\"a\":[1,2.5]}]}");
    says(*state, FIELD("home"),
        "{\"description\":\"Where it goes.\",\"allOf\":[{\"$ref\":"
        "\"#/components/schemas/AddressInput\"}]}");
    says(*state, FIELD("billing"),
        "{\"anyOf\":[{\"$ref\":\"#/components/schemas/AddressInput\"},{\"type\":\"null\"}]}");
    says(*state, FIELD("lines"),
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/LineInput\"},"
        "\"minItems\":1,\"maxItems\":3}");
    says(*state, FIELD("tags"),
        "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\",\"minLength\":1,"
        "\"maxLength\":10," NO_NUL "},\"default\":[]}");
    says(*state, "/components/schemas/LineInput/properties/sku/pattern", "\"^[A-Z0-9-]{3,32}$\"");
    assert_false(has(*state, "/components/schemas/LineInput/properties/sku/maxLength"));
}

static void what_is_answered_is_never_null_and_may_grow(void **state)
{
    says(*state, "/components/schemas/Address/required", "[\"street\",\"country\"]");
    says(*state, "/components/schemas/Address/properties/line2",
        "{\"type\":\"string\",\"maxLength\":80}");
    assert_false(has(*state, "/components/schemas/Order/additionalProperties"));
    says(*state, "/components/schemas/OrderPage/required", "[\"items\"]");
    says(*state, "/components/schemas/OrderPage/properties/items",
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Order\"},"
        "\"maxItems\":100}");
}

static void a_patch_may_leave_out_all_and_remove_what_is_optional(void **state)
{
    const char *patch = "/components/schemas/OrderNewPatch/properties";
    const json_t *properties = at(*state, patch);
    assert_false(has(*state, "/components/schemas/OrderNewPatch/required"));
    says(*state, "/components/schemas/OrderNewPatch/additionalProperties", "false");
    says(properties, "/customer/type", "\"string\"");
    says(properties, "/note/pattern", "\"^[^\\\\u0000]*$\"");
    says(properties, "/note/type", "[\"string\",\"null\"]");
    says(properties, "/priority/type", "[\"integer\",\"null\"]");
    assert_false(has(properties, "/priority/default"));
    says(properties, "/extra/not", "{\"type\":\"null\"}");
    says(properties, "/labels", "{}");
    says(at(properties, "/home"), "/allOf/0/$ref", "\"#/components/schemas/AddressPatch\"");
    says(properties, "/lines/items/$ref", "\"#/components/schemas/LineInput\"");
}

/* ---- Examples -------------------------------------------------------------------- */

static void examples_are_what_the_decoder_takes(void **state)
{
    tn_arena *arena = tn__arena_open(4096);
    struct order_new order;
    tn__faults faults;
    tn__patch *patch;
    char *text = json_dumps(at(*state, POST "/requestBody/content/application~1json/example"), 0);
    if (tn__decode_json(arena, &order_new_schema, tn_str_of(text), &order, &faults) != TN__DECODED)
        fail_msg("%.*s", TN_FMT(faults_text(arena, &faults)));
    free(text);
    text = json_dumps(at(*state, PATCH "/requestBody/content/application~1json/example"), 0);
    assert_int_equal(tn__decode_patch(arena, &order_new_schema, tn_str_of(text), &patch, &faults),
        TN__DECODED);
    free(text);
    says(*state, READ "/responses/200/content/application~1json/example/home",
        "{\"street\":\"Main Street 1\",\"country\":\"DE\"}");
    says(*state, LIST "/responses/200/content/application~1json/example/items/0/version", "1");
    tn__arena_close(arena);
}

static void a_document_is_the_same_each_time(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    tn_str first = tn__openapi(arena, &orders_service), again = tn__openapi(arena, &orders_service);
    assert_true(tn_str_eq(first, again));
    assert_int_equal(first.data[first.len - 1], '\n');
    tn__arena_close(arena);
}

static void a_service_without_routes_has_a_document(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    static const tn_service least = { .name = "least", .version = "0.1.0" };
    json_t *document = parsed(tn__openapi(arena, &least));
    says(document, "/paths", "{}");
    says(document, "/info",
        "{\"title\":\"least\",\"version\":\"0.1.0\",\"description\":\"least\"}");
    json_decref(document);
    tn__arena_close(arena);
}

/* ---- Where names meet -------------------------------------------------------------- */

struct thing {
    tn_uuid id;
    const tn_str *name;
};
static const tn_schema thing_schema = TN_SCHEMA(thing, TN_UUID(thing, id), TN_STR(thing, name));
struct thing_patch {
    const tn_str *name;
};
static const tn_schema thing_patch_schema = TN_SCHEMA(thing_patch, TN_STR(thing_patch, name));
struct node {
    tn_str name;
    TN_ARRAY_OF(struct node) below;
};
static const tn_schema node_schema = TN_SCHEMA(node, TN_STR(node, name),
    TN_ARRAY(node, below, .each = TN_EACH(TN_KIND_OBJECT, object, .schema = &node_schema)));

static void schemas_are_named_by_what_they_are_for(void **state)
{
    (void)state;
    tn_arena *arena = tn__arena_open(4096);
    static const tn_route routes[] = {
        { TN_POST, "/things", NULL, .summary = "", .body = &thing_schema, .reply = &thing_schema },
        { TN_PATCH, "/things", NULL, .summary = "", .body = &thing_patch_schema,
            .merge_patch = true, .reply = &thing_schema },
        { TN_PATCH, "/others", NULL, .summary = "", .body = &thing_schema, .merge_patch = true },
        { TN_GET, "/nodes", NULL, .summary = "", .reply = &node_schema },
    };
    const tn_service service = { .name = "s", .version = "1.0.0", .routes = TN_LIST(routes) };
    json_t *document = parsed(tn__openapi(arena, &service));
    refs_are_right(document);
    members(document, "/components/schemas",
        "ThingInput Thing ThingPatch ThingPatch_ Node Problem ValidationProblem");
    says(document, "/paths/~1things/patch/requestBody/content/application~1json/schema/$ref",
        "\"#/components/schemas/ThingPatch\"");
    says(document, "/components/schemas/Node/properties/below/items/$ref",
        "\"#/components/schemas/Node\"");
    assert_false(
        has(document, "/paths/~1nodes/get/responses/200/content/application~1json/example"));
    json_decref(document);
    tn__arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOCUMENT(the_head_names_the_service),
        DOCUMENT(every_reference_leads_somewhere_and_nothing_is_unused),
        DOCUMENT(every_route_is_an_operation),
        DOCUMENT(parameters_are_those_of_the_tables_and_of_the_chassis),
        DOCUMENT(what_is_served_whatever_it_holds_has_no_pattern),
        DOCUMENT(bodies_are_required_and_typed),
        DOCUMENT(every_answer_that_can_come_is_listed),
        DOCUMENT(every_answer_names_its_problems),
        DOCUMENT(every_problem_is_problem_json_with_a_request_id),
        DOCUMENT(successes_have_their_headers),
        DOCUMENT(what_may_be_sent_is_described_as_it_is_checked),
        DOCUMENT(what_is_answered_is_never_null_and_may_grow),
        DOCUMENT(a_patch_may_leave_out_all_and_remove_what_is_optional),
        DOCUMENT(examples_are_what_the_decoder_takes),
        DOCUMENT(a_document_is_the_same_each_time),
        DOCUMENT(a_service_without_routes_has_a_document),
        DOCUMENT(schemas_are_named_by_what_they_are_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
