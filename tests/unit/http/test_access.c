/* What is told of each request: the line in the log and the counts in the metrics. */
#include "fixture.h"

#include "telemetry/telemetry.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define ID    "01890a5d-ac96-774b-bcce-b302099a8057"
#define TRACE "0af7651916cd43dd8448eb211c80319c"

static char log_text[65536];

/* Runs `requests` with the log going to a file, and reads the file. */
static void log_of(void (*requests)(void))
{
    char name[] = "/tmp/trunnion-access-XXXXXX";
    int file = mkstemp(name), out = dup(STDOUT_FILENO);
    assert_true(file >= 0 && out >= 0);
    unlink(name);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    tn__log_open("things", "1.0.0", TN_INFO);
    options.access_log = true;
    start_server();
    requests();
    drain_server(2000);
    tn__log_close();
    dup2(out, STDOUT_FILENO);
    close(out);
    ssize_t n = pread(file, log_text, sizeof log_text - 1, 0);
    assert_true(n >= 0);
    log_text[n] = '\0';
    close(file);
}

/* The line of the request with this id, as JSON. */
static json_t *line_of(const char *request_id)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\"request_id\":\"%s\"", request_id);
    const char *at = strstr(log_text, wanted);
    assert_non_null(at);
    while (at > log_text && at[-1] != '\n')
        at--;
    json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(line);
    return line;
}

static void assert_member(const json_t *line, const char *name, const char *value)
{
    assert_string_equal(json_string_value(json_object_get(line, name)), value);
}

static void ask_some(void)
{
    ask("GET", "/api/v1/things/" ID "?",
        "X-Request-Id: r1\r\nX-authentik-username: alice\r\n"
        "traceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n",
        NULL);
    ask("GET", "/secret/path", "X-Request-Id: r2\r\n", NULL);
    ask("DELETE", "/api/v1/things/" ID, "X-Request-Id: r3\r\n", NULL);
    ask("BREW", "/api/v1/things", "X-Request-Id: r4\r\n", NULL);
}

static void each_request_is_one_line(void **state)
{
    (void)state;
    log_of(ask_some);
    json_t *line = line_of("r1");
    assert_member(line, "message", "request");
    assert_member(line, "method", "GET");
    assert_member(line, "route", "/api/v1/things/{id}");
    assert_member(line, "actor", "alice");
    assert_member(line, "trace_id", TRACE);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes")), 80);
    assert_true(json_number_value(json_object_get(line, "duration_ms")) > 0);
    json_decref(line);
    line = line_of("r2");
    assert_member(line, "route", "");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 404);
    json_decref(line);
    line = line_of("r3");
    assert_int_equal(json_integer_value(json_object_get(line, "bytes")), 0);
    json_decref(line);
    assert_null(strstr(log_text, "secret"));
}

/* The value of a series, 0 when there is none. */
static double metric(const char *series)
{
    tn__buf out = { .arena = NULL };
    tn__metrics_write(&out);
    tn__buf_add_char(&out, '\0');
    const char *at = strstr(out.data, series);
    double v = at == NULL ? 0 : strtod(at + strlen(series), NULL);
    tn__buf_deinit(&out);
    return v;
}

#define COUNT(method, route, status)                                                               \
    metric("http_server_request_duration_seconds_count{http_request_method=\"" method              \
           "\",http_route=\"" route "\",http_response_status_code=\"" status "\"}")

static void requests_are_counted_by_route_and_never_by_path(void **state)
{
    (void)state;
    double before = COUNT("GET", "/api/v1/things/{id}", "200");
    double unknown = COUNT("GET", "", "404");
    start_server();
    for (int i = 0; i < 3; i++)
        ask("GET", "/api/v1/things/" ID, NULL, NULL);
    ask("GET", "/one", NULL, NULL);
    ask("GET", "/two", NULL, NULL);
    ask("BREW", "/hello", NULL, NULL);
    drain_server(2000);
    assert_true(COUNT("GET", "/api/v1/things/{id}", "200") == before + 3);
    assert_true(COUNT("GET", "", "404") == unknown + 2);
    assert_true(COUNT("_OTHER", "/hello", "405") == 1);
}

static void requests_at_work_are_told(void **state)
{
    (void)state;
    start_server();
    int fd = dial();
    say(fd, "GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    await_in_flight(1);
    assert_true(metric("\nhttp_server_active_requests ") == 1);
    release_waiting();
    hear(fd);
    close(fd);
    drain_server(2000);
    assert_true(metric("\nhttp_server_active_requests ") == 0);
}

int main(void)
{
    tn__log_level(TN_ERROR);
    const struct CMUnitTest tests[] = {
        HTTP_TEST(requests_are_counted_by_route_and_never_by_path),
        HTTP_TEST(requests_at_work_are_told),
        HTTP_TEST(each_request_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
