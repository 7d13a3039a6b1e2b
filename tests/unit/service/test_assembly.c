/* What the chassis adds to a service, and what it makes of a service's tables. */

#include "service/service.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

static tn_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = tn__arena_open(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

static const tn_route own[] = { { .method = TN_GET, .path = "/own" } };
static const tn_subscription subscriptions[] = { { .event = "item.*" } };

static void a_service_that_listens_gets_the_routes_of_dead_letters(void **state)
{
    (void)state;
    tn_service service = { .name = "s",
        .routes = TN_LIST(own),
        .subscriptions = TN_LIST(subscriptions) };
    const tn_service *whole = tn__assemble(arena, &service);
    assert_int_equal(whole->routes.n, 4);
    assert_string_equal(whole->routes.at[0].path, "/own");
    assert_string_equal(whole->routes.at[1].path, "/dead-letters");
    assert_string_equal(whole->routes.at[2].path, "/dead-letters/{id}");
    assert_string_equal(whole->routes.at[3].path, "/dead-letters/{id}/replay");
    assert_true(whole->routes.at[3].idempotent);
    assert_int_equal(whole->routes.at[3].status, 202);
    assert_string_equal(whole->name, "s");
    assert_int_equal(service.routes.n, 1);
}

static void a_service_that_listens_and_has_no_routes_gets_them_too(void **state)
{
    (void)state;
    tn_service service = { .name = "s", .subscriptions = TN_LIST(subscriptions) };
    assert_int_equal(tn__assemble(arena, &service)->routes.n, 3);
}

static void a_service_that_does_not_listen_stays_as_it_is(void **state)
{
    (void)state;
    tn_service service = { .name = "s", .routes = TN_LIST(own) };
    assert_ptr_equal(tn__assemble(arena, &service), &service);
}

/* The chassis's own tables are held to what it asks of others. */
static void the_tables_of_dead_letters_are_right(void **state)
{
    (void)state;
    tn_service service = { .name = "s", .version = "1.0.0", .title = "S" };
    service.routes.at = tn__dead_letter_routes;
    service.routes.n = tn__dead_letter_routes_n;
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    tn__tables_check(arena, &service, faults);
    for (size_t i = 0; i < faults->n; i++)
        print_error("%.*s: %.*s\n", TN_FMT(faults->at[i].pointer), TN_FMT(faults->at[i].detail));
    assert_int_equal(faults->n, 0);
}

static void bindings_of_one_consumer_come_together(void **state)
{
    (void)state;
    size_t n = 0;
    const tn__queue_binding *bindings = tn__bindings_of(arena,
        TN_S("activity=item.*, audit=#,activity=order.created"), &n);
    assert_int_equal(n, 2);
    assert_string_equal(bindings[0].consumer, "activity");
    assert_int_equal(bindings[0].n_patterns, 2);
    assert_string_equal(bindings[0].patterns[0], "item.*");
    assert_string_equal(bindings[0].patterns[1], "order.created");
    assert_string_equal(bindings[1].consumer, "audit");
    assert_int_equal(bindings[1].n_patterns, 1);
    assert_string_equal(bindings[1].patterns[0], "#");
}

static void no_consumers_are_no_bindings(void **state)
{
    (void)state;
    size_t n = 7;
    tn__bindings_of(arena, TN_S(""), &n);
    assert_int_equal(n, 0);
}

static void patience_grows_to_its_limit(void **state)
{
    (void)state;
    tn__patience patience = { 0 };
    tn__log_level(TN_ERROR);
    assert_in_range(tn__patience_ms(&patience, TN_S("refused")), 24, 50);
    assert_in_range(tn__patience_ms(&patience, TN_S("refused")), 49, 100);
    for (int i = 0; i < 100; i++)
        assert_in_range(tn__patience_ms(&patience, TN_S("refused")), 49, 2000);
    assert_in_range(tn__patience_ms(&patience, TN_S("refused")), 999, 2000);
}

static void a_new_reason_is_told_at_once_and_an_old_one_now_and_then(void **state)
{
    (void)state;
    tn__patience patience = { 0 };
    tn__log_level(TN_ERROR);
    tn__patience_ms(&patience, TN_S("refused"));
    assert_true(patience.told_us > 0);
    int64_t earlier_us = patience.told_us -= 1000;
    tn__patience_ms(&patience, TN_S("refused"));
    assert_true(patience.told_us == earlier_us);
    tn__patience_ms(&patience, TN_S("locked"));
    assert_true(patience.told_us > earlier_us);
    assert_string_equal(patience.why, "locked");
    earlier_us = patience.told_us -= 11 * 1000 * 1000;
    tn__patience_ms(&patience, TN_S("locked"));
    assert_true(patience.told_us > earlier_us);
}

static void the_tag_of_a_document_follows_its_text(void **state)
{
    (void)state;
    tn_service one = { .name = "one", .version = "1.0.0", .title = "One", .summary = "The one." };
    tn_service two = { .name = "two", .version = "1.0.0", .title = "Two", .summary = "The two." };
    tn__documents a, again, b;
    tn__documents_make(arena, &one, &a);
    tn__documents_make(arena, &one, &again);
    tn__documents_make(arena, &two, &b);
    assert_string_equal(a.openapi.etag, again.openapi.etag);
    assert_string_not_equal(a.openapi.etag, b.openapi.etag);
    assert_string_not_equal(a.openapi.etag, a.asyncapi.etag);
    assert_int_equal(strlen(a.openapi.etag), 18);
    assert_int_equal(a.openapi.etag[0], '"');
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_service_that_listens_gets_the_routes_of_dead_letters),
        CASE(a_service_that_listens_and_has_no_routes_gets_them_too),
        CASE(a_service_that_does_not_listen_stays_as_it_is),
        CASE(the_tables_of_dead_letters_are_right),
        CASE(bindings_of_one_consumer_come_together),
        CASE(no_consumers_are_no_bindings),
        CASE(patience_grows_to_its_limit),
        CASE(a_new_reason_is_told_at_once_and_an_old_one_now_and_then),
        CASE(the_tag_of_a_document_follows_its_text),
    };
    return cmocka_run_group_tests_name("assembly", tests, NULL, NULL);
}
