/* Documents as text: layout, order, nothing invalid. */
#include "document.h"

#include "schema/doc.h"
#include "schema/paths.h"

static void a_document_is_laid_out_with_two_spaces(void **state)
{
    tn__doc doc = { .out = { .arena = *state } };
    tn__doc_object(&doc, NULL);
    tn__doc_z(&doc, "text", "a \"b\"\n");
    tn__doc_array(&doc, "list");
    tn__doc_int(&doc, NULL, -1);
    tn__doc_real(&doc, NULL, 0.5);
    tn__doc_bool(&doc, NULL, true);
    tn__doc_null(&doc, NULL);
    tn__doc_object(&doc, NULL);
    tn__doc_end(&doc);
    tn__doc_array(&doc, NULL);
    tn__doc_end(&doc);
    tn__doc_end(&doc);
    tn__doc_ref(&doc, "ref", "schemas", TN_S("A"));
    tn__doc_printf(&doc, "made", "%d%s", 1, "x");
    tn__doc_end(&doc);
    assert_str(tn__doc_text(&doc),
        "{\n"
        "  \"text\": \"a \\\"b\\\"\\n\",\n"
        "  \"list\": [\n"
        "    -1,\n"
        "    0.5,\n"
        "    true,\n"
        "    null,\n"
        "    {},\n"
        "    []\n"
        "  ],\n"
        "  \"ref\": {\n"
        "    \"$ref\": \"#/components/schemas/A\"\n"
        "  },\n"
        "  \"made\": \"1x\"\n"
        "}\n");
}

static void json_of_others_is_laid_out_too(void **state)
{
    json_t *value = json_pack("{s:[i, n], s:{}}", "a", 1, "b");
    tn__doc doc = { .out = { .arena = *state } };
    tn__doc_json(&doc, NULL, value);
    assert_str(tn__doc_text(&doc), "{\n  \"a\": [\n    1,\n    null\n  ],\n  \"b\": {}\n}\n");
    json_decref(value);
}

static void names_are_made_of_names(void **state)
{
    assert_str(tn__pascal(*state, "order_new"), "OrderNew");
    assert_str(tn__pascal(*state, "item.created"), "ItemCreated");
    assert_str(tn__pascal(*state, "stock.*"), "StockAny");
    assert_str(tn__pascal(*state, "#.x"), "AllX");
    assert_str(tn__pascal(*state, "aB2_c"), "AB2C");
    const tn_route route = { .method = TN_POST, .path = "/dead-letters/{id}/replay" };
    assert_str(tn__operation_id(*state, &route), "post_dead_letters_by_id_replay");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_document_is_laid_out_with_two_spaces),
        CASE(json_of_others_is_laid_out_too),
        CASE(names_are_made_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
