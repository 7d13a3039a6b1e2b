/* A server of one worker on a thread of its own, and a client that speaks HTTP by hand.
 *
 * The client runs on the test's thread with blocking sockets; each answer is read whole. With
 * TEST_DATABASE_URL set (tests/support/with-stack) the server has a database. */
#pragma once

#include "unit/base/unit.h"

#include "http/http.h"

/* ---- The service under test ---------------------------------------------- */

struct thing {
    tn_uuid id;
    tn_str name;
    int64_t size;
    int64_t version;
};
extern const tn_schema thing_schema;

struct thing_new {
    tn_str name;
    int64_t size;
};
extern const tn_schema thing_new_schema;

struct thing_path {
    tn_uuid id;
};
extern const tn_schema thing_path_schema;

/* The service's tables; a test may change them before start_server(). */
extern tn_service service;
extern tn__http_options options;
extern int lock_timeout_ms; /* of its database, if it has one */
extern int patience_ms;     /* how long a request waits for a database that is away */

/* Sets both to what most tests want, with routes that need no database. */
int set_up(void **state);
/* Stops the server if it runs. */
int tear_down(void **state);
#define HTTP_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

void start_server(void);
/* Drains it and waits for its end; false when that took longer than `ms`. */
bool drain_server(int ms);
/* Starts draining and returns. */
void begin_drain(void);
bool await_drained(int ms);
void cancel_server(void);
/* Runs fn(arg) on the server's thread and waits for its end. */
void on_server(void (*fn)(void *arg), void *arg);
extern tn__http *http;
extern tn__loop *server_loop;

/* Lets the handler of GET /api/v1/wait go on; it answers 200 then. */
void release_waiting(void);
size_t in_flight(void);
void await_in_flight(size_t n);

/* ---- The client ---------------------------------------------------------- */

typedef struct {
    int status; /* 0: the connection ended before there was an answer */
    char head[8192];
    char body[65536];
    size_t body_bytes;
} answer;

int dial(void);
void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_bytes(int fd, const void *bytes, size_t n);
/* Reads one answer, up to 10 s; `has_body` is false after a HEAD. */
answer *hear(int fd);
answer *hear_head(int fd);
/* The next bytes as they come, for streams and for what is no answer; "" at the end. */
const char *hear_text(int fd);
/* Reads until `text` has come; false when the connection ended before, or 10 s have passed. */
bool hear_until(int fd, const char *text, char *out, size_t n);
/* True when the server ends the connection within `ms`. */
bool ends_within(int fd, int ms);

/* One request on a connection of its own. `lines` are header lines, each with its CRLF. */
answer *ask(const char *method, const char *path, const char *lines, const char *body);
/* The value of a header of the answer, or NULL. */
const char *header_of(const answer *a, const char *name);
void assert_problem(const answer *a, int status, const char *slug);
bool body_has(const answer *a, const char *text);
double seconds_now(void);
