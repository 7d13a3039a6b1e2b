/* Handlers with a database: what they read and write, and how its failures are answered. */
#include "store.h"

#include <stdlib.h>
#include <unistd.h>

#define NOBODY "/api/v1/parts/01890a5d-ac96-774b-bcce-b302099a8057"
#define PATCH  "Content-Type: application/merge-patch+json\r\n"

static char path[128];

static answer *make(const char *key, const char *body)
{
    answer *a = post("/api/v1/parts", key, body);
    if (a->status == 201)
        snprintf(path, sizeof path, "/api/v1/parts/%s", id_of(a));
    return a;
}

static void part_that_is_made_can_be_shown(void **state)
{
    (void)state;
    start_store();
    answer *a = make("k1", "{\"name\":\"bolt\",\"size\":8}");
    assert_int_equal(a->status, 201);
    assert_string_equal(header_of(a, "Location"), path);
    a = ask("GET", path, NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_true(body_has(a, "\"name\":\"bolt\",\"size\":8,\"version\":1"));
    assert_int_equal(ask("GET", path, "If-None-Match: \"1\"\r\n", NULL)->status, 304);
}

static void what_is_not_there_is_404(void **state)
{
    (void)state;
    start_store();
    assert_problem(ask("GET", NOBODY, NULL, NULL), 404, "not-found");
    assert_problem(ask("PATCH", NOBODY, PATCH, "{}"), 404, "not-found");
    assert_problem(ask("DELETE", NOBODY, NULL, NULL), 404, "not-found");
}

static void constraint_of_the_table_of_problems_is_that_problem(void **state)
{
    (void)state;
    start_store();
    make("k1", "{\"name\":\"bolt\",\"size\":8}");
    answer *a = make("k2", "{\"name\":\"bolt\",\"size\":9}");
    assert_problem(a, 409, "name-taken");
    assert_false(body_has(a, "parts_name_key"));
}

static void other_constraints_are_a_conflict_or_not_valid(void **state)
{
    (void)state;
    start_store();
    assert_int_equal(make("k1", "{\"name\":\"a\",\"size\":97}")->status, 201);
    assert_problem(make("k2", "{\"name\":\"b\",\"size\":97}"), 409, "conflict");
    assert_problem(make("k3", "{\"name\":\"c\",\"size\":98}"), 422, "validation-failed");
}

static void failure_of_a_handler_is_its_problem_and_undoes_all(void **state)
{
    (void)state;
    start_store();
    answer *a = make("k1", "{\"name\":\"c\",\"size\":99}");
    assert_problem(a, 410, "out-of-parts");
    assert_true(body_has(a, "Only 98 were there."));
    assert_int_equal(number("SELECT count(*) FROM parts"), 0);
    assert_int_equal(number("SELECT count(*) FROM trunnion_idempotency"), 0);
}

static void merge_patch_replaces_removes_and_keeps(void **state)
{
    (void)state;
    start_store();
    make("k1", "{\"name\":\"bolt\",\"size\":8,\"note\":\"old\"}");
    answer *a = ask("PATCH", path, PATCH, "{\"size\":9}");
    assert_int_equal(a->status, 200);
    assert_string_equal(header_of(a, "ETag"), "\"2\"");
    assert_true(body_has(a, "\"name\":\"bolt\",\"size\":9,\"note\":\"old\",\"version\":2"));
    a = ask("PATCH", path, PATCH, "{\"note\":null}");
    assert_true(body_has(a, "\"size\":9,\"version\":3"));
}

static void merge_patch_that_does_not_fit_is_422(void **state)
{
    (void)state;
    start_store();
    make("k1", "{\"name\":\"bolt\",\"size\":8}");
    answer *a = ask("PATCH", path, PATCH, "{\"size\":101,\"name\":null,\"x\":1}");
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "/size") && body_has(a, "/name") && body_has(a, "/x"));
    assert_problem(ask("PATCH", path, PATCH, "{"), 400, "bad-request");
    assert_int_equal(number("SELECT version FROM parts"), 1);
}

static void change_of_another_version_is_412_and_changes_nothing(void **state)
{
    (void)state;
    start_store();
    make("k1", "{\"name\":\"bolt\",\"size\":8}");
    answer *a = ask("PATCH", path, PATCH "If-Match: \"2\"\r\n", "{\"size\":9}");
    assert_problem(a, 412, "precondition-failed");
    assert_problem(ask("DELETE", path, "If-Match: W/\"1\"\r\n", NULL), 412, "precondition-failed");
    assert_int_equal(number("SELECT version FROM parts"), 1);
    assert_int_equal(ask("DELETE", path, "If-Match: \"1\"\r\n", NULL)->status, 204);
    assert_int_equal(number("SELECT count(*) FROM parts"), 0);
}

static void error_of_the_database_is_500_and_says_no_more(void **state)
{
    (void)state;
    start_store();
    answer *a = ask("GET", "/api/v1/broken", NULL, NULL);
    assert_problem(a, 500, "internal-error");
    assert_false(body_has(a, "nowhere"));
}

static void answer_that_takes_too_long_is_504(void **state)
{
    (void)state;
    options.limits.request_timeout_ms = 300;
    start_store();
    double began = seconds_now();
    assert_problem(ask("GET", "/api/v1/sleep", NULL, NULL), 504, "gateway-timeout");
    assert_true(seconds_now() - began < 4.5); /* The statement itself has five seconds. */
}

static void cancelled_handler_is_503(void **state)
{
    (void)state;
    start_store();
    int fd = dial();
    say(fd, "GET /api/v1/sleep HTTP/1.1\r\nHost: x\r\n\r\n");
    await_in_flight(1);
    begin_drain();
    assert_false(await_drained(200));
    cancel_server();
    assert_problem(hear(fd), 503, "service-unavailable");
    assert_true(await_drained(10 * 1000));
    close(fd);
}

static void database_that_is_away_is_503(void **state)
{
    (void)state;
    options.limits.request_timeout_ms = 3000;
    patience_ms = 1000;
    start_store();
    make("k1", "{\"name\":\"bolt\",\"size\":8}");
    postgres("kill");
    assert_problem(ask("GET", path, NULL, NULL), 503, "service-unavailable");
    assert_problem(make("k2", "{\"name\":\"nut\",\"size\":8}"), 503, "service-unavailable");
    postgres("start");
    for (int i = 0; i < 500 && ask("GET", path, NULL, NULL)->status != 200; i++)
        usleep(20 * 1000);
    for (int i = 0; i < 500 && make("k2", "{\"name\":\"nut\",\"size\":8}")->status != 201; i++)
        usleep(20 * 1000);
    assert_int_equal(number("SELECT count(*) FROM parts"), 2);
}

/* ---- Pages --------------------------------------------------------------- */

static void fill(int n)
{
    sql("INSERT INTO parts (id, name, size, version)"
        " SELECT gen_random_uuid(), 'p' || i, 1, 1 FROM generate_series(1, %d) AS i",
        n);
}

/* The path of the next page, from Link; "" on the last one. */
static const char *next_of(const answer *a)
{
    static char next[512];
    const char *link = header_of(a, "Link");
    next[0] = '\0';
    if (link == NULL)
        return next;
    const char *end = strstr(link, ">; rel=\"next\"");
    assert_true(link[0] == '<' && end != NULL);
    snprintf(next, sizeof next, "%.*s", (int)(end - link - 1), link + 1);
    return next;
}

static int count(const answer *a, const char *text)
{
    int n = 0;
    for (const char *at = strstr(a->body, text); at != NULL; at = strstr(at + 1, text))
        n++;
    return n;
}

static void pages_follow_each_other_to_the_last(void **state)
{
    (void)state;
    start_store();
    fill(7);
    answer *a = ask("GET", "/api/v1/parts?limit=3&name=p", NULL, NULL);
    const int sizes[] = { 3, 3, 1 };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a->status, 200);
        assert_int_equal(count(a, "\"id\":"), sizes[i]);
        assert_int_equal(body_has(a, "\"next_cursor\":\""), i < 2);
        const char *next = next_of(a);
        assert_int_equal(next[0] != '\0', i < 2);
        if (i < 2) {
            assert_non_null(strstr(next, "/api/v1/parts?limit=3&name=p&cursor="));
            a = ask("GET", next, NULL, NULL);
        }
    }
    assert_true(body_has(a, "\"name\":\"p1\""));
}

static void page_that_is_just_full_is_the_last(void **state)
{
    (void)state;
    start_store();
    fill(3);
    answer *a = ask("GET", "/api/v1/parts?limit=3", NULL, NULL);
    assert_int_equal(count(a, "\"id\":"), 3);
    assert_null(header_of(a, "Link"));
}

static void list_of_none_is_an_empty_page(void **state)
{
    (void)state;
    start_store();
    assert_string_equal(ask("GET", "/api/v1/parts", NULL, NULL)->body, "{\"items\":[]}");
}

static void link_keeps_what_was_searched_for(void **state)
{
    (void)state;
    start_store();
    sql("INSERT INTO parts (id, name, size, version) SELECT gen_random_uuid(), 'a&b> ' || i, 1, 1"
        " FROM generate_series(1, 3) AS i");
    answer *a = ask("GET", "/api/v1/parts?limit=2&name=a%26b%3E+", NULL, NULL);
    assert_int_equal(count(a, "\"id\":"), 2);
    a = ask("GET", next_of(a), NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_int_equal(count(a, "\"id\":"), 1);
}

static void faults_of_a_list_are_told_at_once(void **state)
{
    (void)state;
    start_store();
    answer *a = ask("GET", "/api/v1/parts?limit=0&cursor=x&colour=red", NULL, NULL);
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "\"parameter\":\"limit\",\"in\":\"query\"") &&
        body_has(a, "\"parameter\":\"cursor\"") && body_has(a, "\"parameter\":\"colour\""));
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        STORE_TEST(part_that_is_made_can_be_shown),
        STORE_TEST(what_is_not_there_is_404),
        STORE_TEST(constraint_of_the_table_of_problems_is_that_problem),
        STORE_TEST(other_constraints_are_a_conflict_or_not_valid),
        STORE_TEST(failure_of_a_handler_is_its_problem_and_undoes_all),
        STORE_TEST(merge_patch_replaces_removes_and_keeps),
        STORE_TEST(merge_patch_that_does_not_fit_is_422),
        STORE_TEST(change_of_another_version_is_412_and_changes_nothing),
        STORE_TEST(error_of_the_database_is_500_and_says_no_more),
        STORE_TEST(answer_that_takes_too_long_is_504),
        STORE_TEST(cancelled_handler_is_503),
        STORE_TEST(pages_follow_each_other_to_the_last),
        STORE_TEST(page_that_is_just_full_is_the_last),
        STORE_TEST(list_of_none_is_an_empty_page),
        STORE_TEST(link_keeps_what_was_searched_for),
        STORE_TEST(faults_of_a_list_are_told_at_once),
        STORE_TEST(database_that_is_away_is_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
