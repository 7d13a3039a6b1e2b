/* Idempotency keys against a real database: one effect, one answer, however often it is sent. */
#include "store.h"

#include <stdlib.h>
#include <unistd.h>

#define BOLT "{\"name\":\"bolt\",\"size\":8}"
#define NUT  "{\"name\":\"nut\",\"size\":8}"

/* Two answers are one: status, body and the fields that belong to them. */
static void assert_replay(const answer *first, const answer *again)
{
    static const char *const fields[] = { "Location", "ETag", "Content-Type" };
    assert_int_equal(again->status, first->status);
    assert_string_equal(again->body, first->body);
    assert_string_equal(header_of(again, "Idempotent-Replayed"), "true");
    assert_null(header_of(first, "Idempotent-Replayed"));
    for (size_t i = 0; i < 3; i++) {
        char value[256] = "";
        if (header_of(first, fields[i]) != NULL)
            snprintf(value, sizeof value, "%s", header_of(first, fields[i]));
        const char *other = header_of(again, fields[i]);
        assert_string_equal(other != NULL ? other : "", value);
    }
}

static answer kept;

static const answer *keep(const answer *a)
{
    kept = *a;
    return &kept;
}

static void same_request_again_has_the_same_answer(void **state)
{
    (void)state;
    start_store();
    static const char *const paths[] = { "/api/v1/parts", "/api/v1/slow-parts",
        "/api/v1/no-parts" };
    for (size_t i = 0; i < 3; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"name\":\"bolt%zu\",\"size\":8}", i);
        const answer *first = keep(post(paths[i], "k1", body));
        assert_in_range(first->status, 200, 201);
        for (int k = 0; k < 3; k++)
            assert_replay(first, post(paths[i], "k1", body));
    }
    assert_int_equal(number("SELECT count(*) FROM parts"), 2);
    assert_int_equal(number("SELECT count(*) FROM trunnion_idempotency"), 3);
}

static void quotes_around_a_key_make_no_other_key(void **state)
{
    (void)state;
    start_store();
    const answer *first = keep(post("/api/v1/parts", "abc", BOLT));
    assert_replay(first, post("/api/v1/parts", "\"abc\"", BOLT));
}

static void post_needs_a_key(void **state)
{
    (void)state;
    start_store();
    assert_problem(post("/api/v1/parts", NULL, BOLT), 400, "idempotency-key-missing");
    assert_problem(post("/api/v1/parts", "a b", BOLT), 400, "idempotency-key-invalid");
    assert_problem(post("/api/v1/parts", "", BOLT), 400, "idempotency-key-invalid");
    assert_int_equal(number("SELECT count(*) FROM parts"), 0);
}

static void other_request_with_the_key_is_422(void **state)
{
    (void)state;
    start_store();
    post("/api/v1/parts", "k1", BOLT);
    assert_problem(post("/api/v1/parts", "k1", NUT), 422, "idempotency-key-reused");
    assert_int_equal(number("SELECT count(*) FROM parts"), 1);
}

static void key_is_of_one_principal_and_one_path(void **state)
{
    (void)state;
    start_store();
    assert_int_equal(post("/api/v1/parts", "k1", BOLT)->status, 201);
    assert_int_equal(post("/api/v1/no-parts", "k1", BOLT)->status, 200);
    answer *a = ask("POST", "/api/v1/parts",
        "Content-Type: application/json\r\nIdempotency-Key: k1\r\nX-authentik-uid: alice\r\n", NUT);
    assert_int_equal(a->status, 201);
}

static void failed_request_leaves_its_key_free(void **state)
{
    (void)state;
    start_store();
    post("/api/v1/parts", "k0", BOLT);
    assert_problem(post("/api/v1/parts", "k1", BOLT), 409, "name-taken");
    assert_int_equal(post("/api/v1/parts", "k1", NUT)->status, 201);
    assert_problem(post("/api/v1/parts", "k2", "{}"), 422, "validation-failed");
    assert_int_equal(post("/api/v1/parts", "k2", "{\"name\":\"x\",\"size\":1}")->status, 201);
}

static void patch_and_delete_are_replayed_when_they_have_a_key(void **state)
{
    (void)state;
    char path[128];
    start_store();
    snprintf(path, sizeof path, "/api/v1/parts/%s", id_of(post("/api/v1/parts", "k1", BOLT)));
    const char *lines = "Content-Type: application/json\r\nIdempotency-Key: p1\r\n";
    const answer *first = keep(ask("PATCH", path, lines, "{\"size\":9}"));
    assert_int_equal(first->status, 200);
    assert_replay(first, ask("PATCH", path, lines, "{\"size\":9}"));
    assert_int_equal(number("SELECT version FROM parts"), 2);
    assert_int_equal(ask("PATCH", path, "Content-Type: application/json\r\n", "{}")->status, 200);
    first = keep(ask("DELETE", path, "Idempotency-Key: d1\r\n", NULL));
    assert_int_equal(first->status, 204);
    assert_replay(first, ask("DELETE", path, "Idempotency-Key: d1\r\n", NULL));
    assert_int_equal(ask("DELETE", path, "Idempotency-Key: d2\r\n", NULL)->status, 404);
}

static void expired_key_is_a_new_one(void **state)
{
    (void)state;
    start_store();
    post("/api/v1/parts", "k1", BOLT);
    sql("UPDATE trunnion_idempotency SET expires_at = now() - interval '1 second'");
    answer *a = post("/api/v1/parts", "k1", NUT);
    assert_int_equal(a->status, 201);
    assert_null(header_of(a, "Idempotent-Replayed"));
    assert_int_equal(number("SELECT count(*) FROM trunnion_idempotency"), 1);
}

static void send_bolt(int fd, const char *key)
{
    say(fd,
        "POST /api/v1/parts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Idempotency-Key: %s\r\nContent-Length: %zu\r\n\r\n" BOLT,
        key, strlen(BOLT));
}

static void key_at_work_is_409_and_then_replayed(void **state)
{
    (void)state;
    start_store();
    begin_other("LOCK TABLE parts IN ACCESS EXCLUSIVE MODE");
    int fd = dial();
    send_bolt(fd, "k1");
    await_in_flight(1);
    usleep(50 * 1000);
    answer *a = post("/api/v1/parts", "k1", BOLT);
    assert_problem(a, 409, "idempotency-key-in-use");
    assert_string_equal(header_of(a, "Retry-After"), "1");
    roll_back_other();
    const answer *first = keep(hear(fd));
    assert_int_equal(first->status, 201);
    assert_replay(first, post("/api/v1/parts", "k1", BOLT));
    close(fd);
}

static void twins_side_by_side_have_one_effect(void **state)
{
    (void)state;
    enum { TWINS = 20 };
    int fds[TWINS], made = 0;
    start_store();
    for (int i = 0; i < TWINS; i++) {
        fds[i] = dial();
        send_bolt(fds[i], "k1");
    }
    for (int i = 0; i < TWINS; i++) {
        const answer *a = hear(fds[i]);
        assert_true(a->status == 201 || a->status == 409);
        made += a->status == 201 && header_of(a, "Idempotent-Replayed") == NULL;
        close(fds[i]);
    }
    assert_int_equal(made, 1);
    assert_int_equal(number("SELECT count(*) FROM parts"), 1);
}

/* What another replica does with the same request: it has written the effect and the key, and not
 * committed yet. */
static const answer *begin_twin(void)
{
    const answer *first = keep(post("/api/v1/parts", "k1", BOLT));
    assert_int_equal(first->status, 201);
    sql("CREATE TABLE key_aside AS TABLE trunnion_idempotency; DELETE FROM trunnion_idempotency;"
        "CREATE TABLE part_aside AS SELECT id, name, size, version FROM parts; DELETE FROM parts");
    begin_other("INSERT INTO trunnion_idempotency TABLE key_aside;"
                "INSERT INTO parts (id, name, size, version) TABLE part_aside");
    return first;
}

static void twin_on_another_replica_answers_for_both(void **state)
{
    (void)state;
    start_store();
    const answer *first = begin_twin();
    int fd = dial();
    send_bolt(fd, "k1");
    await_waiting();
    commit_other();
    assert_replay(first, hear(fd));
    assert_int_equal(number("SELECT count(*) FROM parts"), 1);
    close(fd);
}

static void twin_on_another_replica_that_fails_leaves_the_work_to_us(void **state)
{
    (void)state;
    start_store();
    begin_twin();
    int fd = dial();
    send_bolt(fd, "k1");
    await_waiting();
    roll_back_other();
    const answer *a = hear(fd);
    assert_int_equal(a->status, 201);
    assert_null(header_of(a, "Idempotent-Replayed"));
    assert_int_equal(number("SELECT count(*) FROM parts"), 1);
    close(fd);
}

static void twin_on_another_replica_that_takes_long_is_409(void **state)
{
    (void)state;
    lock_timeout_ms = 500;
    start_store();
    begin_twin();
    answer *a = post("/api/v1/parts", "k1", BOLT);
    assert_problem(a, 409, "idempotency-key-in-use");
    assert_string_equal(header_of(a, "Retry-After"), "1");
    roll_back_other();
    assert_int_equal(post("/api/v1/parts", "k1", BOLT)->status, 201);
}

/* The handler reads what its twin has written, and fails by it. */
static void failure_that_is_the_shadow_of_a_twin_is_answered_as_the_twin_was(void **state)
{
    (void)state;
    char path[128], id[40];
    const char *lines = "Idempotency-Key: d1\r\n";
    start_store();
    snprintf(id, sizeof id, "%s", id_of(post("/api/v1/parts", "k1", BOLT)));
    snprintf(path, sizeof path, "/api/v1/parts/%s", id);
    const answer *first = keep(ask("DELETE", path, lines, NULL));
    assert_int_equal(first->status, 204);
    sql("CREATE TABLE key_aside AS SELECT * FROM trunnion_idempotency WHERE status = 204;"
        "DELETE FROM trunnion_idempotency;"
        "INSERT INTO parts (id, name, size, version) VALUES ('%s', 'bolt', 8, 1)",
        id);
    begin_other("DELETE FROM parts; INSERT INTO trunnion_idempotency TABLE key_aside");
    int fd = dial();
    say(fd, "DELETE %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, lines);
    await_waiting(); /* for the row */
    commit_other();
    assert_replay(first, hear(fd));
    close(fd);
}

static void lost_answer_is_found_again(void **state)
{
    (void)state;
    start_store();
    begin_other("LOCK TABLE parts IN ACCESS EXCLUSIVE MODE");
    int fd = dial();
    send_bolt(fd, "k1");
    await_in_flight(1);
    close(fd); /* the client gives up before its answer */
    roll_back_other();
    await_in_flight(0);
    answer *a = post("/api/v1/parts", "k1", BOLT);
    assert_int_equal(a->status, 201);
    assert_string_equal(header_of(a, "Idempotent-Replayed"), "true");
    assert_int_equal(number("SELECT count(*) FROM parts"), 1);
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        STORE_TEST(same_request_again_has_the_same_answer),
        STORE_TEST(quotes_around_a_key_make_no_other_key),
        STORE_TEST(post_needs_a_key),
        STORE_TEST(other_request_with_the_key_is_422),
        STORE_TEST(key_is_of_one_principal_and_one_path),
        STORE_TEST(failed_request_leaves_its_key_free),
        STORE_TEST(patch_and_delete_are_replayed_when_they_have_a_key),
        STORE_TEST(expired_key_is_a_new_one),
        STORE_TEST(key_at_work_is_409_and_then_replayed),
        STORE_TEST(twins_side_by_side_have_one_effect),
        STORE_TEST(twin_on_another_replica_answers_for_both),
        STORE_TEST(twin_on_another_replica_that_fails_leaves_the_work_to_us),
        STORE_TEST(twin_on_another_replica_that_takes_long_is_409),
        STORE_TEST(failure_that_is_the_shadow_of_a_twin_is_answered_as_the_twin_was),
        STORE_TEST(lost_answer_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
