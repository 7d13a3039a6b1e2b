/* The server over real sockets: answers, bodies, and what isn't HTTP. */
#include "fixture.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define JSON  "Content-Type: application/json\r\n"
#define THING "{\"name\":\"Nut\",\"size\":5}"
#define ID    "01890a5d-ac96-774b-bcce-b302099a8057"

/* By then a connection has ended that ends by itself. Idle ones would be kept for a minute. */
enum { ENDED_MS = 20 * 1000 };

/* ---- Answers ------------------------------------------------------------- */

static void handler_that_never_waits_is_answered(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/api/v1/things/" ID, NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(a->body, "{\"id\":\"" ID "\",\"name\":\"Bolt\",\"size\":8,\"version\":3}");
    assert_string_equal(header_of(a, "Content-Type"), "application/json");
    assert_string_equal(header_of(a, "ETag"), "\"3\"");
}

static void connection_serves_many_requests(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    for (int i = 0; i < 100; i++) {
        say(fd, "GET /api/v1/things/" ID " HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(hear(fd)->status, 200);
        say(fd, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: %zu\r\n\r\n%s",
            strlen(THING), THING);
        assert_int_equal(hear(fd)->status, 201);
    }
    close(fd);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    for (int i = 0; i < 20; i++)
        say(fd, "GET /api/v1/things?name=n%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
    for (int i = 0; i < 20; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "\"name\":\"n%d\"", i);
        assert_true(body_has(hear(fd), wanted));
    }
    close(fd);
}

static void made_thing_has_its_location(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("POST", "/api/v1/things", JSON, THING);
    assert_int_equal(a->status, 201);
    assert_string_equal(header_of(a, "Location"),
        "/api/v1/things/00000000-0000-0000-0000-000000000000");
    assert_string_equal(header_of(a, "ETag"), "\"1\"");
}

static void nothing_is_204_without_a_body(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("DELETE", "/api/v1/things/" ID, NULL, NULL);
    assert_int_equal(a->status, 204);
    assert_null(header_of(a, "Content-Type"));
    assert_null(header_of(a, "Content-Length"));
}

static void head_has_the_header_of_get(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "HEAD /api/v1/things/" ID " HTTP/1.1\r\nHost: x\r\n\r\n");
    answer *a = hear_head(fd);
    assert_int_equal(a->status, 200);
    assert_string_equal(header_of(a, "ETag"), "\"3\"");
    assert_string_equal(header_of(a, "Content-Length"), "80");
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(fd)->body, "hello");
    close(fd);
}

static void reader_who_has_it_gets_304(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/api/v1/things/" ID, "If-None-Match: W/\"3\"\r\n", NULL);
    assert_int_equal(a->status, 304);
    assert_string_equal(header_of(a, "ETag"), "\"3\"");
    assert_non_null(header_of(a, "X-Request-Id"));
    assert_int_equal(ask("GET", "/hello", "If-None-Match: \"hello\"\r\n", NULL)->status, 304);
    assert_problem(ask("GET", "/api/v1/things/" ID, "If-Match: \"2\"\r\n", NULL), 412,
        "precondition-failed");
}

static void own_problem_is_answered_as_it_is_told(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/api/v1/refused", NULL, NULL);
    assert_problem(a, 409, "out-of-things");
    assert_true(body_has(a, "None of 7 is left."));
}

static void request_id_is_taken_over_or_made(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/hello", "X-Request-Id: mine-1\r\n", NULL);
    assert_string_equal(header_of(a, "X-Request-Id"), "mine-1");
    a = ask("GET", "/hello", "X-Request-Id: not mine\r\n", NULL);
    assert_int_equal(strlen(header_of(a, "X-Request-Id")), 36);
}

static void listed_origin_may_read_and_is_told_before(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/api/v1/nothing", "Origin: https://a.example\r\n", NULL);
    assert_string_equal(header_of(a, "Access-Control-Allow-Origin"), "https://a.example");
    assert_non_null(header_of(a, "Access-Control-Expose-Headers"));
    a = ask("OPTIONS", "/api/v1/things",
        "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n", NULL);
    assert_int_equal(a->status, 204);
    assert_string_equal(header_of(a, "Access-Control-Allow-Methods"), "GET, HEAD, POST, OPTIONS");
    assert_string_equal(header_of(a, "Access-Control-Max-Age"), "600");
    a = ask("GET", "/hello", "Origin: https://b.example\r\n", NULL);
    assert_null(header_of(a, "Access-Control-Allow-Origin"));
    assert_string_equal(header_of(a, "Vary"), "Origin");
}

static void options_of_a_star_is_about_the_server(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("OPTIONS", "*", "Origin: https://a.example\r\n", NULL);
    assert_int_equal(a->status, 204);
    assert_string_equal(header_of(a, "Allow"), "GET, HEAD, POST, DELETE, OPTIONS");
    assert_problem(ask("GET", "*", NULL, NULL), 400, "bad-request");
    assert_problem(ask("OPTIONS", "*?", NULL, NULL), 400, "bad-request");
    assert_problem(ask("OPTIONS", "**", NULL, NULL), 400, "bad-request");
}

/* Half a request on each of the connections, read by the server. */
static void begin_halves(int fds[], size_t n, const char *half)
{
    for (size_t i = 0; i < n; i++) {
        fds[i] = dial();
        say(fds[i], "%s", half);
    }
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

static void finish_halves(const int fds[], size_t n, const char *rest, int status)
{
    for (size_t i = 0; i < n; i++) {
        say(fds[i], "%s", rest);
        assert_int_equal(hear(fds[i])->status, status);
        close(fds[i]);
    }
}

/* The library doesn't say on which connection it has met what it can't parse. */
static void junk_is_told_from_half_a_request(void **state)
{
    (void)state;
    enum { HALVES = 5, TIMES = 20 };
    int halves[HALVES];
    start_server();
    begin_halves(halves, HALVES, "GET /hello HTTP/1.1\r\nHost:");
    for (int i = 0; i < TIMES; i++) {
        int junk = dial();
        say(junk, "GET /hello HTTP/1.1\r\n%s\r\n", i % 2 == 0 ? "" : "broken header\r\n");
        assert_problem(hear(junk), 400, "bad-request");
        assert_true(ends_within(junk, ENDED_MS));
        close(junk);
    }
    finish_halves(halves, HALVES, " here\r\n\r\n", 200);
}

static void junk_of_many_at_once_is_answered_to_each(void **state)
{
    (void)state;
    enum { N = 20 };
    int halves[N], junk[N];
    start_server();
    begin_halves(halves, N, "GET");
    begin_halves(junk, N, "GET /hello HTTP/1.1\r\nHost");
    for (size_t i = 0; i < N; i++)
        say(junk[i], "\r\n\r\n");
    for (size_t i = 0; i < N; i++) {
        assert_problem(hear(junk[i]), 400, "bad-request");
        close(junk[i]);
    }
    finish_halves(halves, N, " /hello HTTP/1.1\r\nHost: here\r\n\r\n", 200);
}

/* Each connection that is kept has to be looked at for each junk; to whom that is done too often, the
 * library answers in its own way. */
static void much_junk_among_many_is_not_looked_into(void **state)
{
    (void)state;
    enum { KEPT = 280 };
    int kept[KEPT];
    start_server();
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = dial();
        say(kept[i], "GET /hello HTTP/1.1\r\nHost: here\r\n\r\n");
        assert_int_equal(hear(kept[i])->status, 200);
    }
    bool looked_into = true;
    for (int64_t until_us = tn__mono_us() + 20000000; looked_into && tn__mono_us() < until_us;) {
        int junk = dial();
        say(junk, "GET /hello HTTP/1.1\r\n\r\n");
        answer *a = hear(junk);
        assert_int_equal(a->status, 400);
        const char *type = header_of(a, "Content-Type");
        looked_into = type != NULL && strcmp(type, "application/problem+json") == 0;
        close(junk);
    }
    assert_false(looked_into);
    sleep(1);
    int junk = dial();
    say(junk, "GET /hello HTTP/1.1\r\n\r\n");
    assert_problem(hear(junk), 400, "bad-request");
    close(junk);
    finish_halves(kept, KEPT, "GET /hello HTTP/1.1\r\nHost: here\r\n\r\n", 200);
}

static void a_broken_chunk_is_told_from_others(void **state)
{
    (void)state;
    enum { HALVES = 3 };
    int halves[HALVES], broken;
    static const char head[] = "POST /api/v1/things HTTP/1.1\r\nHost: here\r\n" JSON
                               "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"na\r\n";
    start_server();
    begin_halves(halves, HALVES, head);
    begin_halves(&broken, 1, head);
    say(broken, "ZZ\r\n");
    assert_problem(hear(broken), 400, "bad-request");
    close(broken);
    finish_halves(halves, HALVES, "1\r\n}\r\n0\r\n\r\n", 400);
}

static void all_faults_are_told_at_once(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("POST", "/api/v1/things?x=1", JSON, "{\"name\":\"\",\"size\":101,\"y\":1}");
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "\"pointer\":\"/name\"") && body_has(a, "\"pointer\":\"/size\"") &&
        body_has(a, "\"pointer\":\"/y\"") && body_has(a, "\"parameter\":\"x\",\"in\":\"query\""));
    a = ask("GET", "/api/v1/things/nobody", NULL, NULL);
    assert_problem(a, 422, "validation-failed");
    assert_true(body_has(a, "\"parameter\":\"id\",\"in\":\"path\""));
}

static void refusals_are_problems(void **state)
{
    (void)state;
    start_server();
    assert_problem(ask("GET", "/nothing", NULL, NULL), 404, "not-found");
    answer *a = ask("PUT", "/api/v1/things", NULL, "x");
    assert_problem(a, 405, "method-not-allowed");
    assert_string_equal(header_of(a, "Allow"), "GET, HEAD, POST, OPTIONS");
    assert_problem(ask("GET", "/api/v1/things", "Accept: text/html\r\n", NULL), 406,
        "not-acceptable");
    assert_problem(ask("POST", "/api/v1/things", NULL, THING), 415, "unsupported-media-type");
    a = ask("POST", "/api/v1/things", JSON, "{\"name\":\n}");
    assert_problem(a, 400, "bad-request");
    assert_true(body_has(a, "line 2, column"));
    assert_problem(ask("GET", "/api/v1/things?name=%zz", NULL, NULL), 400, "bad-request");
}

static void refusal_leaves_the_connection_fit(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%1000s", "x");
        assert_problem(hear(fd), 404, "not-found");
        say(fd,
            "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\nabcde\r\n0\r\n\r\n");
        assert_problem(hear(fd), 404, "not-found");
    }
    close(fd);
}

static void problem_types_have_pages(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/problems/not-found", "Accept: text/html\r\n", NULL);
    assert_int_equal(a->status, 200);
    assert_true(body_has(a, "<h1>"));
    a = ask("GET", "/problems/out-of-things", NULL, NULL);
    assert_true(body_has(a, "\"status\":409"));
    assert_problem(ask("GET", "/problems/none", NULL, NULL), 404, "not-found");
}

static void docs_are_served_under_a_strict_policy(void **state)
{
    (void)state;
    start_server();
    answer *a = ask("GET", "/docs", NULL, NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(header_of(a, "Content-Type"), "text/html; charset=utf-8");
    assert_non_null(strstr(header_of(a, "Content-Security-Policy"), "default-src 'none'"));
}

static void closed_server_shows_pages_and_refuses_routes(void **state)
{
    (void)state;
    options.closed = true;
    start_server();
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
    assert_problem(ask("GET", "/api/v1/things", NULL, NULL), 503, "service-unavailable");
}

/* ---- Bodies -------------------------------------------------------------- */

static void body_is_read_however_it_is_cut(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    const char request[] = "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON
                           "Content-Length: 23\r\n\r\n" THING;
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        say_bytes(fd, &request[i], 1);
        usleep(200);
    }
    assert_int_equal(hear(fd)->status, 201);
    say(fd,
        "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n");
    for (const char *at = THING; *at != '\0'; at++)
        say(fd, "1\r\n%c\r\n", *at);
    say(fd, "0\r\n\r\n");
    assert_int_equal(hear(fd)->status, 201);
    close(fd);
}

static void body_announced_too_long_is_413_at_once(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 4097\r\n\r\n");
    assert_problem(hear(fd), 413, "content-too-large");
    assert_true(ends_within(fd, ENDED_MS));
    close(fd);
}

static void body_that_is_sent_all_the_same_does_not_cost_the_answer(void **state)
{
    (void)state;
    start_server();
    char *body = calloc(1, 1000000);
    for (int i = 0; i < 10; i++) {
        int fd = dial();
        say(fd,
            "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 1000000\r\n\r\n");
        say_bytes(fd, body, 1000000);
        assert_problem(hear(fd), 413, "content-too-large");
        close(fd);
    }
    free(body);
}

static void body_in_chunks_that_grows_too_long_is_413(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd,
        "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 10; i++)
        say(fd, "200\r\n%512s\r\n", "x");
    assert_problem(hear(fd), 413, "content-too-large");
    assert_true(ends_within(fd, ENDED_MS));
    close(fd);
}

static void client_that_asks_first_is_told(void **state)
{
    (void)state;
    start_server();
    char text[512];
    int fd = dial();
    say(fd,
        "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON
        "Content-Length: 23\r\nExpect: 100-continue\r\n\r\n");
    assert_true(hear_until(fd, "100 Continue\r\n\r\n", text, sizeof text));
    say(fd, "%s", THING);
    assert_int_equal(hear(fd)->status, 201);
    close(fd);
    fd = dial();
    say(fd,
        "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 23\r\n"
        "Expect: 100-continue\r\n\r\n");
    assert_problem(hear(fd), 404, "not-found");
    assert_null(strstr(hear_text(fd), "100"));
    close(fd);
}

static void body_nobody_asked_for_is_ignored(void **state)
{
    (void)state;
    start_server();
    assert_int_equal(ask("GET", "/api/v1/things/" ID, NULL, "not json")->status, 200);
    assert_int_equal(ask("DELETE", "/api/v1/things/" ID, NULL, "not json")->status, 204);
}

static void smugglers_are_refused_and_cut_off(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        "Transfer-Encoding: gzip\r\n\r\nabcde",
        "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: -5\r\n\r\n",
        "Content-Length: 5x\r\n\r\nabcde",
        "Content-Length : 5\r\n\r\nabcde",
        "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        "Host: y\r\n\r\n",
    };
    start_server();
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int fd = dial();
        say(fd, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "%s", lines[i]);
        assert_problem(hear(fd), 400, "bad-request");
        assert_true(ends_within(fd, ENDED_MS));
        close(fd);
    }
}

static void chunks_are_not_of_http_1_0(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd,
        "POST /nothing HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n");
    assert_problem(hear(fd), 400, "bad-request");
    assert_true(ends_within(fd, ENDED_MS));
    close(fd);
}

/* ---- What isn't HTTP ----------------------------------------------------- */

static void long_header_is_431_at_any_length(void **state)
{
    (void)state;
    static const size_t lengths[] = { 2100, 5000, 9000, 20000, 100000, 1000000 };
    start_server();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *big = malloc(lengths[i] + 1);
        memset(big, 'x', lengths[i]);
        big[lengths[i]] = '\0';
        int fd = dial();
        say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", big);
        assert_problem(hear(fd), 431, "header-fields-too-large");
        close(fd);
        free(big);
    }
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

static void header_as_long_as_may_be_is_served(void **state)
{
    (void)state;
    static const struct {
        size_t limit, fields, bytes;
    } shapes[] = { { 8192, 1, 8100 }, { 8192, 80, 100 }, { 2048, 1, 1950 }, { 2048, 20, 95 } };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        options.limits.header_bytes_max = shapes[i].limit;
        start_server();
        int fd = dial();
        say(fd, "GET /api/v1/things/" ID " HTTP/1.1\r\nHost: x\r\n");
        for (size_t k = 0; k < shapes[i].fields; k++)
            say(fd, "X-%02zu: %*s\r\n", k, (int)shapes[i].bytes - 8, "x");
        say(fd, "\r\n");
        assert_int_equal(hear(fd)->status, 200);
        close(fd);
        assert_true(drain_server(10 * 1000));
    }
}

static void many_fields_are_431(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 500; i++)
        say(fd, "A: b\r\n");
    say(fd, "\r\n");
    assert_problem(hear(fd), 431, "header-fields-too-large");
    close(fd);
}

static void long_target_is_414_at_any_length(void **state)
{
    (void)state;
    static const size_t lengths[] = { 2100, 20000, 100000 };
    start_server();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *big = malloc(lengths[i] + 1);
        memset(big, 'x', lengths[i]);
        big[lengths[i]] = '\0';
        int fd = dial();
        say(fd, "GET /hello?%s HTTP/1.1\r\nHost: x\r\n\r\n", big);
        assert_problem(hear(fd), 414, "uri-too-long");
        close(fd);
        free(big);
    }
}

static void broken_syntax_is_a_problem(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\n\r\n",
        "POST /api/v1/things HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    };
    start_server();
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = dial();
        say(fd, "%s", requests[i]);
        assert_problem(hear(fd), 400, "bad-request");
        assert_true(ends_within(fd, ENDED_MS));
        close(fd);
    }
}

static void broken_syntax_of_one_does_not_hurt_another(void **state)
{
    (void)state;
    start_server();
    int slow = dial(), upload = dial();
    say(upload, "POST /api/v1/things HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 23\r\n\r\n{");
    say(slow, "GET /hello HTTP/1.1\r\nHo");
    for (int i = 0; i < 20; i++) {
        int fd = dial();
        say(fd, "GET /hello HTTP/1.1\r\n\r\n");
        assert_int_equal(hear(fd)->status, 400);
        close(fd);
    }
    say(slow, "st: x\r\n\r\n");
    assert_int_equal(hear(slow)->status, 200);
    say(upload, "%s", &THING[1]);
    assert_int_equal(hear(upload)->status, 201);
    close(slow);
    close(upload);
}

static void bytes_that_are_nothing_harm_nobody(void **state)
{
    (void)state;
    start_server();
    srandom(7);
    for (int i = 0; i < 100; i++) {
        unsigned char noise[300];
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (unsigned char)(k % 40 == 39 ? '\n' : random());
        int fd = dial();
        say_bytes(fd, noise, sizeof noise);
        shutdown(fd, SHUT_WR);
        ends_within(fd, 2000);
        close(fd);
    }
    assert_int_equal(ask("GET", "/hello", NULL, NULL)->status, 200);
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        HTTP_TEST(handler_that_never_waits_is_answered),
        HTTP_TEST(connection_serves_many_requests),
        HTTP_TEST(requests_sent_ahead_are_answered_in_order),
        HTTP_TEST(made_thing_has_its_location),
        HTTP_TEST(nothing_is_204_without_a_body),
        HTTP_TEST(head_has_the_header_of_get),
        HTTP_TEST(reader_who_has_it_gets_304),
        HTTP_TEST(own_problem_is_answered_as_it_is_told),
        HTTP_TEST(request_id_is_taken_over_or_made),
        HTTP_TEST(listed_origin_may_read_and_is_told_before),
        HTTP_TEST(junk_is_told_from_half_a_request),
        HTTP_TEST(junk_of_many_at_once_is_answered_to_each),
        HTTP_TEST(much_junk_among_many_is_not_looked_into),
        HTTP_TEST(a_broken_chunk_is_told_from_others),
        HTTP_TEST(options_of_a_star_is_about_the_server),
        HTTP_TEST(all_faults_are_told_at_once),
        HTTP_TEST(refusals_are_problems),
        HTTP_TEST(refusal_leaves_the_connection_fit),
        HTTP_TEST(problem_types_have_pages),
        HTTP_TEST(docs_are_served_under_a_strict_policy),
        HTTP_TEST(closed_server_shows_pages_and_refuses_routes),
        HTTP_TEST(body_is_read_however_it_is_cut),
        HTTP_TEST(body_announced_too_long_is_413_at_once),
        HTTP_TEST(body_that_is_sent_all_the_same_does_not_cost_the_answer),
        HTTP_TEST(body_in_chunks_that_grows_too_long_is_413),
        HTTP_TEST(client_that_asks_first_is_told),
        HTTP_TEST(body_nobody_asked_for_is_ignored),
        HTTP_TEST(smugglers_are_refused_and_cut_off),
        HTTP_TEST(chunks_are_not_of_http_1_0),
        HTTP_TEST(long_header_is_431_at_any_length),
        HTTP_TEST(header_as_long_as_may_be_is_served),
        HTTP_TEST(many_fields_are_431),
        HTTP_TEST(long_target_is_414_at_any_length),
        HTTP_TEST(broken_syntax_is_a_problem),
        HTTP_TEST(broken_syntax_of_one_does_not_hurt_another),
        HTTP_TEST(bytes_that_are_nothing_harm_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
