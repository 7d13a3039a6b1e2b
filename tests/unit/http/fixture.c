/* The server and the client of the tests: see fixture.h. */
#include "fixture.h"

#include "pg/state.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MS_MAX = 10 * 1000, TEST_MS_MAX = 1000 * 1000 };

/* ---- The service --------------------------------------------------------- */

const tn_schema thing_schema = TN_SCHEMA(thing, TN_UUID(thing, id), TN_STR(thing, name),
    TN_INT(thing, size), TN_INT(thing, version));
const tn_schema thing_new_schema = TN_SCHEMA(thing_new, TN_STR(thing_new, name, TN_LEN(1, 20)),
    TN_INT(thing_new, size, TN_RANGE(0, 100)));
const tn_schema thing_path_schema = TN_SCHEMA(thing_path, TN_UUID(thing_path, id));

struct thing_search {
    const tn_str *name;
};
static const tn_schema thing_search_schema = TN_SCHEMA(thing_search,
    TN_STR(thing_search, name, TN_LEN(1, 20)));

static tn_reply show_thing(tn_req *req)
{
    struct thing thing = {
        .id = TN_PARAMS(req, thing_path)->id,
        .name = TN_S("Bolt"),
        .size = 8,
        .version = 3,
    };
    return tn_answer(req, TN_REF(thing, &thing));
}

static tn_reply make_thing(tn_req *req)
{
    const struct thing_new *in = TN_BODY(req, thing_new);
    struct thing thing = { .name = in->name, .size = in->size, .version = 1 };
    return tn_answer(req, TN_REF(thing, &thing));
}

static tn_reply search_things(tn_req *req)
{
    const tn_str *name = TN_QUERY(req, thing_search)->name;
    struct thing thing = { .name = name != NULL ? *name : TN_S("any"), .version = 1 };
    return tn_answer(req, TN_REF(thing, &thing));
}

static tn_reply drop_thing(tn_req *req)
{
    return tn_answer(req, TN_NOTHING);
}

static const tn_problem problems[] = {
    { NULL, 409, "out-of-things", "There are no more things." },
};

static tn_reply refuse_thing(tn_req *req)
{
    return tn_refuse(req, &problems[0], "None of %d is left.", 7);
}

/* Coroutines of GET /wait, until they are released or cancelled. */
enum { WAITING_MAX = 512 };
static tn__co *waiting[WAITING_MAX];
static size_t n_waiting;

static tn_reply wait_for_release(tn_req *req)
{
    struct thing thing = { .name = TN_S("waited"), .version = 1 };
    size_t place = n_waiting++;
    waiting[place] = tn__co_current();
    tn__woke woke = tn__co_wait(TN__NEVER);
    if (woke == TN__CANCELLED)
        return tn_refuse(req, &problems[0], "Cancelled.");
    return tn_answer(req, TN_REF(thing, &thing));
}

static void release_all(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < n_waiting; i++)
        tn__co_wake(waiting[i]);
    n_waiting = 0;
}

void release_waiting(void)
{
    on_server(release_all, NULL);
}

static const tn_route routes[] = {
    { TN_GET, "/things/{id}", show_thing, .params = &thing_path_schema, .reply = &thing_schema,
        .etag = "version" },
    { TN_DELETE, "/things/{id}", drop_thing, .params = &thing_path_schema },
    { TN_POST, "/things", make_thing, .body = &thing_new_schema, .reply = &thing_schema,
        .status = 201, .location = "/things/{id}", .etag = "version" },
    { TN_GET, "/things", search_things, .query = &thing_search_schema, .reply = &thing_schema },
    { TN_GET, "/refused", refuse_thing, .reply = &thing_schema },
    { TN_GET, "/wait", wait_for_release, .reply = &thing_schema },
};

static void render_hello(void *arg, tn_arena *arena, tn__page *page)
{
    (void)arg, (void)arena;
    *page = (tn__page){
        .status = 200,
        .content_type = "text/plain",
        .etag = "\"hello\"",
        .body = TN_S("hello"),
    };
}

static const tn__page_route pages[] = { { "/hello", render_hello, NULL } };

tn_service service;
tn__http_options options;
int lock_timeout_ms, patience_ms;

int set_up(void **state)
{
    (void)state;
    service = (tn_service){
        .name = "things",
        .version = "1.0.0",
        .routes = TN_LIST(routes),
        .problems = TN_LIST(problems),
    };
    options = (tn__http_options){
        .service = &service,
        .limits = {
            .body_bytes_max = 4096,
            .header_bytes_max = 2048,
            .connections_max = 300,
            .in_flight_max = 256,
            .streams_max = 4,
            .request_timeout_ms = 30000,
            .read_timeout_ms = 60000,
            .idle_timeout_ms = 60000,
            .stream_keepalive_ms = 15000,
        },
        .cors_allowed_origins = "https://a.example",
        .idempotency_ttl_s = 60,
        .pages = pages,
        .n_pages = 1,
    };
    lock_timeout_ms = 20000;
    patience_ms = 20000;
    n_waiting = 0;
    return 0;
}

/* ---- The server's thread ------------------------------------------------- */

tn__http *http;
tn__loop *server_loop;
static pthread_t thread;
static bool running;
static int port;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, drained, joined;
} shared = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, false };

static void announce(bool *what)
{
    pthread_mutex_lock(&shared.lock);
    *what = true;
    pthread_cond_broadcast(&shared.changed);
    pthread_mutex_unlock(&shared.lock);
}

static bool await(const bool *what, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&shared.lock);
    while (!*what && pthread_cond_timedwait(&shared.changed, &shared.lock, &until) == 0)
        ;
    bool came = *what;
    pthread_mutex_unlock(&shared.lock);
    return came;
}

static tn__pg *open_database(void)
{
    const char *url = getenv("TEST_DATABASE_URL");
    if (url == NULL)
        return NULL;
    tn__pg *pg = tn__pg_open(server_loop,
        &(tn__pg_options){
            .url = url,
            .application_name = "things",
            .pool_max = 2,
            .batch_max = 32,
            .batches_in_flight_max = 2,
            .queue_max = 1000,
            .lock_timeout_ms = lock_timeout_ms,
            .statement_timeout_ms = 5000,
            .connect_timeout_ms = 2000,
        });
    pg->reconnect_wait_us = (int64_t)patience_ms * 1000;
    return pg;
}

static void on_drained(void *arg)
{
    (void)arg;
    announce(&shared.drained);
    tn__loop_stop(server_loop);
}

static void *serve(void *arg)
{
    tn_arena *arena = tn__arena_open(256);
    tn_str why;
    (void)arg;
    server_loop = tn__loop_open();
    int fd = tn__http_listen(arena, "127.0.0.1", 0, &why);
    if (fd < 0)
        abort();
    port = tn__http_port(fd);
    options.pg = open_database();
    http = tn__http_open(server_loop, fd, &options);
    announce(&shared.started);
    tn__loop_run(server_loop);
    await(&shared.joined, TEST_MS_MAX); /* nobody posts to the loop any more */
    tn__http_close(http);
    if (options.pg != NULL)
        tn__pg_close(options.pg);
    tn__loop_close(server_loop);
    tn__arena_close(arena);
    return NULL;
}

void start_server(void)
{
    shared.started = shared.drained = shared.joined = false;
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    running = true;
    assert_true(await(&shared.started, ANSWER_MS_MAX));
}

static void do_drain(void *arg)
{
    (void)arg;
    tn__http_drain(http, on_drained, NULL);
}

static void do_cancel(void *arg)
{
    (void)arg;
    tn__http_cancel(http);
}

void begin_drain(void)
{
    tn__loop_post(server_loop, do_drain, NULL);
}

bool await_drained(int ms)
{
    if (!await(&shared.drained, ms))
        return false;
    announce(&shared.joined);
    pthread_join(thread, NULL);
    running = false;
    return true;
}

bool drain_server(int ms)
{
    begin_drain();
    return await_drained(ms);
}

void cancel_server(void)
{
    tn__loop_post(server_loop, do_cancel, NULL);
}

int tear_down(void **state)
{
    (void)state;
    if (!running)
        return 0;
    begin_drain();
    if (await_drained(2000))
        return 0;
    cancel_server();
    return await_drained(ANSWER_MS_MAX) ? 0 : -1;
}

typedef struct {
    void (*fn)(void *arg);
    void *arg;
    bool done;
} errand;

static void run_errand(void *arg)
{
    errand *e = arg;
    e->fn(e->arg);
    announce(&e->done);
}

void on_server(void (*fn)(void *arg), void *arg)
{
    errand e = { fn, arg, false };
    tn__loop_post(server_loop, run_errand, &e);
    assert_true(await(&e.done, ANSWER_MS_MAX));
}

static void count_in_flight(void *arg)
{
    *(size_t *)arg = tn__http_in_flight(http);
}

size_t in_flight(void)
{
    size_t n;
    on_server(count_in_flight, &n);
    return n;
}

void await_in_flight(size_t n)
{
    for (int i = 0; i < 500 && in_flight() != n; i++)
        usleep(10 * 1000);
    assert_int_equal(in_flight(), n);
}

/* ---- The client ---------------------------------------------------------- */

double seconds_now(void)
{
    return (double)tn__mono_us() / 1e6;
}

int dial(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void say_bytes(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server has ended it, which the test will see */
        at += sent;
        n -= (size_t)sent;
    }
}

void say(int fd, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    assert_true(n >= 0);
    say_bytes(fd, text, (size_t)n);
    free(text);
}

/* -1 when nothing came in time. */
static ssize_t receive(int fd, void *out, size_t n, int ms)
{
    struct pollfd wanted = { .fd = fd, .events = POLLIN };
    if (poll(&wanted, 1, ms) != 1)
        return -1;
    ssize_t got = recv(fd, out, n, 0);
    return got < 0 ? 0 : got;
}

/* Reads bytes one by one, so that nothing of a next answer is taken. */
static bool read_line(int fd, char *out, size_t n)
{
    size_t len = 0;
    while (len + 1 < n) {
        if (receive(fd, &out[len], 1, ANSWER_MS_MAX) != 1)
            return false;
        if (out[len++] == '\n') {
            out[len] = '\0';
            return true;
        }
    }
    return false;
}

static void read_head(int fd, answer *a)
{
    size_t len = 0;
    while (read_line(fd, a->head + len, sizeof a->head - len)) {
        size_t line = strlen(a->head + len);
        len += line;
        if (line == 2) {
            a->status = (int)strtol(a->head + strlen("HTTP/1.1 "), NULL, 10);
            return;
        }
    }
}

static void read_bytes(int fd, answer *a, size_t n)
{
    assert_true(a->body_bytes + n < sizeof a->body);
    while (n > 0) {
        ssize_t got = receive(fd, a->body + a->body_bytes, n, ANSWER_MS_MAX);
        assert_true(got > 0);
        a->body_bytes += (size_t)got;
        n -= (size_t)got;
    }
}

static void read_chunks(int fd, answer *a)
{
    char line[128];
    for (;;) {
        assert_true(read_line(fd, line, sizeof line));
        size_t n = strtoul(line, NULL, 16);
        if (n > 0)
            read_bytes(fd, a, n);
        assert_true(read_line(fd, line, sizeof line));
        if (n == 0)
            return;
    }
}

const char *header_of(const answer *a, const char *name)
{
    static char value[2048];
    size_t n = strlen(name);
    for (const char *line = strchr(a->head, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *from = line + n + 1 + strspn(line + n + 1, " ");
        size_t len = strcspn(from, "\r\n");
        assert_true(len < sizeof value);
        memcpy(value, from, len);
        value[len] = '\0';
        return value;
    }
    return NULL;
}

static answer *hear_any(int fd, bool has_body)
{
    static answer a;
    memset(&a, 0, sizeof a);
    do {
        read_head(fd, &a);
    } while (a.status == 100);
    if (!has_body || a.status == 0 || a.status == 204 || a.status == 304)
        return &a;
    const char *length = header_of(&a, "Content-Length");
    if (length != NULL)
        read_bytes(fd, &a, strtoul(length, NULL, 10));
    else if (header_of(&a, "Transfer-Encoding") != NULL)
        read_chunks(fd, &a);
    return &a;
}

answer *hear(int fd)
{
    return hear_any(fd, true);
}

answer *hear_head(int fd)
{
    return hear_any(fd, false);
}

const char *hear_text(int fd)
{
    static char text[65536];
    ssize_t n = receive(fd, text, sizeof text - 1, ANSWER_MS_MAX);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

bool hear_until(int fd, const char *wanted, char *out, size_t n)
{
    size_t len = 0;
    out[0] = '\0';
    while (strstr(out, wanted) == NULL) {
        ssize_t got = len + 1 < n ? receive(fd, out + len, n - len - 1, ANSWER_MS_MAX) : 0;
        if (got <= 0)
            return false;
        len += (size_t)got;
        out[len] = '\0';
    }
    return true;
}

bool ends_within(int fd, int ms)
{
    char dropped[4096];
    int64_t until_us = tn__mono_us() + (int64_t)ms * 1000;
    for (;;) {
        int left_ms = (int)((until_us - tn__mono_us()) / 1000);
        ssize_t n = left_ms < 0 ? -1 : receive(fd, dropped, sizeof dropped, left_ms);
        if (n <= 0)
            return n == 0;
    }
}

answer *ask(const char *method, const char *path, const char *lines, const char *body)
{
    int fd = dial();
    say(fd, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, path, lines != NULL ? lines : "");
    if (body != NULL)
        say(fd, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        say(fd, "\r\n");
    answer *a = hear_any(fd, strcmp(method, "HEAD") != 0);
    close(fd);
    return a;
}

bool body_has(const answer *a, const char *text)
{
    return strstr(a->body, text) != NULL;
}

void assert_problem(const answer *a, int status, const char *slug)
{
    char type[128];
    snprintf(type, sizeof type, "\"type\":\"/problems/%s\"", slug);
    assert_int_equal(a->status, status);
    assert_string_equal(header_of(a, "Content-Type"), "application/problem+json");
    assert_string_equal(header_of(a, "Cache-Control"), "no-store");
    assert_non_null(header_of(a, "X-Request-Id"));
    if (status == 503)
        assert_non_null(header_of(a, "Retry-After"));
    assert_true(body_has(a, type));
}
