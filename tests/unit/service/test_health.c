/* /livez and /readyz: what is told of what is known. */

#include "service/service.h"

#include <jansson.h>
#include <setjmp.h>

#include <cmocka.h>

static const tn_event *const events[1];
static const tn_service quiet = { .name = "quiet", .version = "1.0.0" };
static const tn_service talking = { .name = "talking",
    .version = "2.1.0",
    .events = { events, 1 } };

static tn_arena *arena;
static tn__health health;

static void open_health(const tn_service *service, size_t n_workers)
{
    arena = tn__arena_open(4096);
    tn__health_open(&health, service, n_workers);
}

static int close_health(void **state)
{
    (void)state;
    tn__health_close(&health);
    tn__arena_close(arena);
    return 0;
}

static void assert_told(tn__readiness expected, const char *json)
{
    tn__buf body = { .arena = arena };
    assert_int_equal(tn__health_read(&health, arena, &body), expected);
    assert_int_equal(tn__health_read(&health, arena, NULL), expected);
    json_t *told = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loads(json, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(told, wanted))
        fail_msg("told %.*s instead of %s", (int)body.len, body.data, json);
    json_decref(told);
    json_decref(wanted);
}

static void before_the_tables_are_there_it_is_unavailable_and_says_why(void **state)
{
    (void)state;
    open_health(&quiet, 1);
    tn__health_worker(&health, 0, true, TN_S(""));
    assert_told(TN__UNAVAILABLE,
        "{\"status\":\"unavailable\",\"checks\":{\"database\":"
        "{\"status\":\"down\",\"detail\":\"not reached yet\"}}}");
    tn__health_migrating(&health, TN_S("connection \"refused\""));
    assert_told(TN__UNAVAILABLE,
        "{\"status\":\"unavailable\",\"checks\":{\"database\":"
        "{\"status\":\"down\",\"detail\":\"connection \\\"refused\\\"\"}}}");
    tn__health_migrated(&health);
    assert_told(TN__READY, "{\"status\":\"ready\",\"checks\":{\"database\":{\"status\":\"up\"}}}");
}

static void one_worker_without_a_database_makes_it_unavailable(void **state)
{
    (void)state;
    open_health(&quiet, 3);
    tn__health_migrated(&health);
    tn__health_worker(&health, 0, true, TN_S(""));
    tn__health_worker(&health, 2, true, TN_S(""));
    assert_told(TN__UNAVAILABLE,
        "{\"status\":\"unavailable\",\"checks\":{\"database\":"
        "{\"status\":\"down\",\"detail\":\"not connected yet\"}}}");
    tn__health_worker(&health, 1, true, TN_S(""));
    assert_told(TN__READY, "{\"status\":\"ready\",\"checks\":{\"database\":{\"status\":\"up\"}}}");
    tn__health_worker(&health, 0, false, TN_S("server closed the connection"));
    assert_told(TN__UNAVAILABLE,
        "{\"status\":\"unavailable\",\"checks\":{\"database\":"
        "{\"status\":\"down\",\"detail\":\"server closed the connection\"}}}");
}

static void without_its_broker_it_is_degraded(void **state)
{
    (void)state;
    open_health(&talking, 1);
    tn__health_migrated(&health);
    tn__health_worker(&health, 0, true, TN_S(""));
    assert_told(TN__DEGRADED,
        "{\"status\":\"degraded\",\"checks\":{\"database\":{\"status\":\"up\"},\"broker\":"
        "{\"status\":\"down\",\"detail\":\"waits for the database\"}}}");
}

static void while_it_drains_it_says_so_whatever_else_is_true(void **state)
{
    (void)state;
    open_health(&quiet, 1);
    tn__health_draining(&health);
    assert_told(TN__DRAINING,
        "{\"status\":\"draining\",\"checks\":{\"database\":"
        "{\"status\":\"down\",\"detail\":\"not reached yet\"}}}");
    tn__health_migrated(&health);
    tn__health_worker(&health, 0, true, TN_S(""));
    assert_told(TN__DRAINING,
        "{\"status\":\"draining\",\"checks\":{\"database\":{\"status\":\"up\"}}}");
}

static void a_reason_is_cut_to_its_room(void **state)
{
    (void)state;
    char why[2 * TN__WHY_BYTES_MAX];
    memset(why, 'w', sizeof why);
    open_health(&quiet, 1);
    tn__health_worker(&health, 0, false, (tn_str){ why, sizeof why });
    assert_int_equal(strlen(health.workers[0].why), TN__WHY_BYTES_MAX - 1);
    tn__health_worker(&health, 0, false, (tn_str){ NULL, 0 });
    assert_string_equal(health.workers[0].why, "");
}

static void livez_tells_who_is_alive(void **state)
{
    (void)state;
    open_health(&talking, 1);
    tn__page page = { 0 };
    tn__health_livez(&health, arena, &page);
    assert_int_equal(page.status, 200);
    json_t *told = json_loadb(page.body.data, page.body.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(told, "status")), "alive");
    assert_string_equal(json_string_value(json_object_get(told, "service")), "talking");
    assert_string_equal(json_string_value(json_object_get(told, "version")), "2.1.0");
    assert_true(json_number_value(json_object_get(told, "uptime_s")) >= 0);
    json_decref(told);
}

#define CASE(f) cmocka_unit_test_teardown(f, close_health)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(before_the_tables_are_there_it_is_unavailable_and_says_why),
        CASE(one_worker_without_a_database_makes_it_unavailable),
        CASE(without_its_broker_it_is_degraded),
        CASE(while_it_drains_it_says_so_whatever_else_is_true),
        CASE(a_reason_is_cut_to_its_room),
        CASE(livez_tells_who_is_alive),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
