/* The server over real sockets: clients that are slow, handlers that wait, and the end. */
#include "fixture.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define JSON  "Content-Type: application/json\r\n"
#define THING "{\"name\":\"Nut\",\"size\":5}"
#define ID    "01890a5d-ac96-774b-bcce-b302099a8057"

/* Time for what takes a moment; the machine may stand still for seconds. */
enum { ENDED_MS = 20 * 1000 };

/* ---- Slow clients -------------------------------------------------------- */

/* Not before its time; and before hear() gives up, while idle connections are kept for a minute. */
static void assert_408(int fd, double began)
{
    assert_problem(hear(fd), 408, "request-timeout");
    assert_true(seconds_now() - began > 0.25);
    assert_true(ends_within(fd, ENDED_MS));
    close(fd);
}

static void header_that_does_not_end_is_408(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 300;
    start_server();
    static const char *const parts[] = { "G", "GET /hello HT", "GET /hello HTTP/1.1\r\nX: " };
    for (size_t i = 0; i < 3; i++) {
        int fd = dial();
        double began = seconds_now();
        say(fd, "%s", parts[i]);
        assert_408(fd, began);
    }
}

static void second_header_has_a_deadline_too(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 300;
    start_server();
    int fd = dial();
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd)->status, 200);
    usleep(500 * 1000);
    double began = seconds_now();
    say(fd, "GET /hel");
    assert_408(fd, began);
}

static void body_that_does_not_come_is_408(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 300;
    start_server();
    static const char *const delimiters[] = { "Content-Length: 23", "Transfer-Encoding: chunked" };
    for (size_t i = 0; i < 2; i++) {
        int fd = dial();
        double began = seconds_now();
        say(fd, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "%s\r\n\r\n", delimiters[i]);
        assert_408(fd, began);
    }
}

static void drops_now_and_then_gain_no_time(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 300;
    start_server();
    int fd = dial();
    double began = seconds_now();
    say(fd, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 4000\r\n\r\n");
    struct pollfd answered = { .fd = fd, .events = POLLIN };
    int drops = 0;
    while (poll(&answered, 1, 50) == 0 && drops++ < 200)
        say(fd, "x");
    assert_true(drops < 200); /* It comes while they fall. */
    assert_408(fd, began);
}

static void idle_connection_ends_without_a_word(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 200;
    options.limits.idle_timeout_ms = 4000;
    start_server();
    int fd = dial(), fresh = dial();
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd)->status, 200);
    usleep(500 * 1000);
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd)->status, 200);
    assert_string_equal(hear_text(fd), "");
    assert_string_equal(hear_text(fresh), "");
    assert_true(ends_within(fd, 0) && ends_within(fresh, 0));
    close(fd);
    close(fresh);
}

/* ---- Waiting ------------------------------------------------------------- */

static void handler_that_waits_is_answered_later(void **state)
{
    (void)state;
    start_server();
    int fds[100];
    for (int i = 0; i < 100; i++) {
        fds[i] = dial();
        say(fds[i], "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    await_in_flight(100);
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
    release_waiting();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hear(fds[i])->status, 200);
        say(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hear(fds[i])->status, 200);
        close(fds[i]);
    }
    assert_int_equal(in_flight(), 0);
}

static void requests_sent_ahead_of_one_that_waits_keep_their_order(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd,
        "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    await_in_flight(1);
    release_waiting();
    assert_true(body_has(hear(fd), "waited"));
    assert_string_equal(hear(fd)->body, "hello");
    assert_int_equal(hear(fd)->status, 404);
    close(fd);
}

static void client_that_has_shut_its_side_still_gets_its_answer(void **state)
{
    (void)state;
    int fds[20];
    start_server();
    for (int i = 0; i < 20; i++) {
        fds[i] = dial();
        say(fds[i], "GET /api/v1/%s HTTP/1.1\r\nHost: x\r\n\r\n", i % 2 == 0 ? "wait" : "things");
        shutdown(fds[i], SHUT_WR);
    }
    await_in_flight(10);
    usleep(50 * 1000);
    release_waiting();
    for (int i = 0; i < 20; i++) {
        answer *a = hear(fds[i]);
        assert_int_equal(a->status, 200);
        assert_true(body_has(a, i % 2 == 0 ? "waited" : "any"));
        close(fds[i]);
    }
}

static void stray_line_end_after_a_body_is_no_request(void **state)
{
    (void)state;
    options.limits.read_timeout_ms = 200;
    start_server();
    int fd = dial();
    for (int i = 0; i < 3; i++) {
        say(fd,
            "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 23\r\n\r\n" THING
            "\r\n");
        assert_int_equal(hear(fd)->status, 201);
        usleep(400 * 1000);
    }
    say(fd, "GET");
    assert_problem(hear(fd), 408, "request-timeout");
    close(fd);
}

static void client_that_goes_while_its_handler_waits_harms_nobody(void **state)
{
    (void)state;
    start_server();
    for (int i = 0; i < 50; i++) {
        int fd = dial();
        say(fd, "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
        if (i % 2 == 0) { /* a reset instead of a FIN */
            struct linger none = { 1, 0 };
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        }
        await_in_flight((size_t)i + 1);
        close(fd);
    }
    release_waiting();
    await_in_flight(0);
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

static void client_that_goes_at_any_byte_harms_nobody(void **state)
{
    (void)state;
    static const char request[] = "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON
                                  "Content-Length: 23\r\n\r\n" THING;
    start_server();
    for (size_t i = 0; i < sizeof request; i++) {
        int fd = dial();
        struct linger none = { 1, 0 };
        if (i % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        say_bytes(fd, request, i);
        if (i % 3 == 0)
            usleep(500);
        close(fd);
    }
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

static void requests_beyond_those_in_flight_are_503(void **state)
{
    (void)state;
    options.limits.in_flight_max = 2;
    start_server();
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = dial();
        say(fds[i], "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    await_in_flight(2);
    assert_problem(ask("GET", "/api/v1/things", NULL, NULL), 503, "service-unavailable");
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
    release_waiting();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hear(fds[i])->status, 200);
        close(fds[i]);
    }
    assert_int_equal(ask("GET", "/api/v1/things", NULL, NULL)->status, 200);
}

static void connections_beyond_the_limit_are_told(void **state)
{
    (void)state;
    options.limits.connections_max = 3;
    start_server();
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        say(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(hear(fds[i])->status, 200);
    }
    assert_problem(ask("GET", "/hello", NULL, NULL), 503, "service-unavailable");
    close(fds[0]);
    int status = 0;
    for (int i = 0; i < 500 && status != 200; i++) {
        usleep(10 * 1000); /* until it has seen that */
        status = ask("GET", "/hello", NULL, NULL)->status;
    }
    assert_int_equal(status, 200);
    close(fds[1]);
    close(fds[2]);
}

/* ---- Ending -------------------------------------------------------------- */

static void drain_without_anything_to_do_is_quick(void **state)
{
    (void)state;
    start_server();
    int idle = dial(), used = dial();
    say(used, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(used)->status, 200);
    assert_true(drain_server(ENDED_MS));
    assert_string_equal(hear_text(idle), "");
    assert_string_equal(hear_text(used), "");
    close(idle);
    close(used);
}

static void drain_lets_a_request_finish_and_ends_its_connection(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    await_in_flight(1);
    begin_drain();
    assert_false(await_drained(300));
    release_waiting();
    answer *a = hear(fd);
    assert_int_equal(a->status, 200);
    assert_string_equal(header_of(a, "Connection"), "close");
    assert_true(await_drained(ENDED_MS));
    close(fd);
}

static void drain_lets_a_request_arrive_whole(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "GET /hel");
    for (int i = 0; i < 3; i++) /* It has read that by the time it has answered others. */
        assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
    begin_drain();
    assert_false(await_drained(200));
    say(fd, "lo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(hear(fd)->status, 200);
    assert_true(await_drained(ENDED_MS));
    close(fd);
}

static void cancel_ends_what_waits(void **state)
{
    (void)state;
    start_server();
    int fd = dial(), slow = dial();
    say(fd, "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    say(slow, "GET /hel");
    await_in_flight(1);
    begin_drain();
    assert_false(await_drained(200));
    cancel_server();
    assert_problem(hear(fd), 409, "out-of-things");
    assert_true(await_drained(ENDED_MS));
    close(fd);
    close(slow);
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        HTTP_TEST(header_that_does_not_end_is_408),
        HTTP_TEST(second_header_has_a_deadline_too),
        HTTP_TEST(body_that_does_not_come_is_408),
        HTTP_TEST(drops_now_and_then_gain_no_time),
        HTTP_TEST(idle_connection_ends_without_a_word),
        HTTP_TEST(handler_that_waits_is_answered_later),
        HTTP_TEST(requests_sent_ahead_of_one_that_waits_keep_their_order),
        HTTP_TEST(client_that_has_shut_its_side_still_gets_its_answer),
        HTTP_TEST(stray_line_end_after_a_body_is_no_request),
        HTTP_TEST(client_that_goes_while_its_handler_waits_harms_nobody),
        HTTP_TEST(client_that_goes_at_any_byte_harms_nobody),
        HTTP_TEST(requests_beyond_those_in_flight_are_503),
        HTTP_TEST(connections_beyond_the_limit_are_told),
        HTTP_TEST(drain_without_anything_to_do_is_quick),
        HTTP_TEST(drain_lets_a_request_finish_and_ends_its_connection),
        HTTP_TEST(drain_lets_a_request_arrive_whole),
        HTTP_TEST(cancel_ends_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
