/* Server-sent events from a real database. */
#include "store.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char heard[1 << 20];

static int follow(const char *query, const char *lines)
{
    int fd = dial();
    say(fd, "GET /api/v1/parts/stream%s HTTP/1.1\r\nHost: x\r\n%s\r\n", query, lines);
    return fd;
}

static bool hears(int fd, const char *text)
{
    return hear_until(fd, text, heard, sizeof heard);
}

static void add(int from, int to)
{
    sql("INSERT INTO parts (id, name, size, version)"
        " SELECT gen_random_uuid(), 'p' || i, 1, 1 FROM generate_series(%d, %d) AS i",
        from, to);
}

static size_t n_streams;

static void count_streams(void *arg)
{
    (void)arg;
    n_streams = tn__http_streams(http);
}

static void await_streams(size_t n)
{
    for (int i = 0; i < 500; i++) {
        on_server(count_streams, NULL);
        if (n_streams == n)
            return;
        usleep(10 * 1000);
    }
    assert_int_equal(n_streams, n);
}

static void stream_from_the_start_tells_all(void **state)
{
    (void)state;
    start_store();
    add(1, 3);
    int fd = follow("?from=start", "");
    assert_true(hears(fd, "id: 3\nevent: p3\ndata: {\"position\":3,"));
    assert_non_null(strstr(heard, "200 OK"));
    assert_non_null(strstr(heard, "Content-Type: text/event-stream"));
    assert_non_null(strstr(heard, "retry: 2000\n\n"));
    assert_non_null(strstr(heard, "id: 1\nevent: p1\n"));
    close(fd);
}

static void stream_from_now_tells_what_comes(void **state)
{
    (void)state;
    start_store();
    add(1, 3);
    int fd = follow("", "");
    await_streams(1);
    usleep(100 * 1000);
    add(4, 4);
    assert_true(hears(fd, "id: 4\n")); /* Without a notification it would look too late. */
    assert_null(strstr(heard, "id: 3\n"));
    close(fd);
}

static void stream_resumes_after_the_last_id(void **state)
{
    (void)state;
    start_store();
    add(1, 5);
    int fd = follow("", "Last-Event-ID: 3\r\n");
    assert_true(hears(fd, "id: 5\n"));
    assert_null(strstr(heard, "id: 3\n"));
    assert_non_null(strstr(heard, "id: 4\n"));
    close(fd);
}

static void stream_of_many_rows_loses_none(void **state)
{
    (void)state;
    start_store();
    add(1, 1234);
    int fd = follow("?from=start", "");
    assert_true(hears(fd, "id: 1234\n"));
    for (int i = 1; i <= 1234; i++) {
        char id[32];
        snprintf(id, sizeof id, "id: %d\n", i);
        assert_non_null(strstr(heard, id));
    }
    close(fd);
}

static void slow_client_gets_all_in_the_end(void **state)
{
    (void)state;
    start_store();
    sql("INSERT INTO parts (id, name, size, version, note) SELECT gen_random_uuid(), 'p' || i, 1, 1,"
        " repeat('x', 2000) FROM generate_series(1, 200) AS i");
    int fd = dial(), small = 32768;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, "GET /api/v1/parts/stream?from=start HTTP/1.1\r\nHost: x\r\n\r\n");
    await_streams(1);
    usleep(300 * 1000);
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
    assert_true(hears(fd, "id: 200\n"));
    close(fd);
}

static void quiet_stream_is_kept_alive(void **state)
{
    (void)state;
    options.limits.stream_keepalive_ms = 100;
    start_store();
    int fd = follow("", "");
    assert_true(hears(fd, ": keepalive\n\n"));
    assert_true(hears(fd, ": keepalive\n\n"));
    close(fd);
}

static void stream_whose_client_is_gone_ends_at_once(void **state)
{
    (void)state;
    start_store();
    for (int i = 0; i < 10; i++) {
        int fd = follow("", "");
        await_streams(1);
        struct linger none = { 1, 0 };
        if (i % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(fd);
        await_streams(0);
    }
}

static void client_that_goes_in_the_middle_of_events_harms_nobody(void **state)
{
    (void)state;
    start_store();
    add(1, 1000);
    for (int i = 0; i < 20; i++) {
        int fd = follow("?from=start", "");
        usleep((useconds_t)(i * 500));
        close(fd);
    }
    await_streams(0);
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

static void streams_beyond_the_limit_are_503(void **state)
{
    (void)state;
    int fds[4];
    start_store();
    for (int i = 0; i < 4; i++)
        fds[i] = follow("", "");
    await_streams(4);
    assert_problem(ask("GET", "/api/v1/parts/stream", NULL, NULL), 503, "service-unavailable");
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    await_streams(0);
}

static void what_a_stream_cannot_start_from_is_422(void **state)
{
    (void)state;
    start_store();
    answer *a = ask("GET", "/api/v1/parts/stream", "Last-Event-ID: x\r\n", NULL);
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "\"parameter\":\"Last-Event-ID\",\"in\":\"header\""));
    a = ask("GET", "/api/v1/parts/stream?from=yesterday", NULL, NULL);
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "\"parameter\":\"from\""));
    a = ask("GET", "/api/v1/parts/stream", "Accept: application/json\r\n", NULL);
    assert_problem(a, 406, "not-acceptable");
}

static void head_of_a_stream_is_only_its_header(void **state)
{
    (void)state;
    start_store();
    answer *a = ask("HEAD", "/api/v1/parts/stream", NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(header_of(a, "Content-Type"), "text/event-stream");
    await_streams(0);
}

static void drain_ends_streams(void **state)
{
    (void)state;
    start_store();
    int fd = follow("", "");
    assert_true(hears(fd, "retry: 2000"));
    await_streams(1);
    assert_true(drain_server(10 * 1000));
    assert_true(ends_within(fd, 10 * 1000));
    close(fd);
}

static void stream_outlives_the_database(void **state)
{
    (void)state;
    options.limits.stream_keepalive_ms = 500;
    start_store();
    int fd = follow("", "");
    assert_true(hears(fd, "retry: 2000"));
    await_streams(1);
    postgres("kill");
    usleep(300 * 1000);
    postgres("start");
    add(1, 1);
    assert_true(hears(fd, "id: 1\n"));
    close(fd);
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        STORE_TEST(stream_from_the_start_tells_all),
        STORE_TEST(stream_from_now_tells_what_comes),
        STORE_TEST(stream_resumes_after_the_last_id),
        STORE_TEST(stream_of_many_rows_loses_none),
        STORE_TEST(slow_client_gets_all_in_the_end),
        STORE_TEST(quiet_stream_is_kept_alive),
        STORE_TEST(stream_whose_client_is_gone_ends_at_once),
        STORE_TEST(client_that_goes_in_the_middle_of_events_harms_nobody),
        STORE_TEST(streams_beyond_the_limit_are_503),
        STORE_TEST(what_a_stream_cannot_start_from_is_422),
        STORE_TEST(head_of_a_stream_is_only_its_header),
        STORE_TEST(drain_ends_streams),
        STORE_TEST(stream_outlives_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
