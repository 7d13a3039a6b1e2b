/* The least that an HTTP server on libmicrohttpd can do: the same JSON to everybody, from memory.
 *
 * usage: fixed PORT THREADS [suspended]. Each thread runs the library in an epoll loop of its own,
 * with its own listening socket, as a worker of a service does. `suspended`: no request is answered
 * at once. Its connection is put aside until the loop's next turn, which is what a handler that waits
 * for anything at all costs. What a service reaches of these says what the chassis costs. */

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { CONNECTIONS_MAX = 1024, THREADS_MAX = 64 };

static const char body[] =
    "{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"sku\":\"BENCH-0-00000001\","
    "\"name\":\"Bolt M8 x 40\",\"price_cents\":125,\"description\":\"Zinc-plated, with nut.\","
    "\"version\":1,\"created_at\":\"2026-01-31T09:15:00.123456Z\","
    "\"updated_at\":\"2026-01-31T09:15:00.123456Z\"}";

static uint16_t port;
static bool suspends;

typedef struct {
    struct MHD_Response *reply;
    struct MHD_Connection *aside[CONNECTIONS_MAX];
    size_t n_aside;
} loop;

static char seen, waited; /* their addresses are a request's states */

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    loop *l = arg;
    (void)url, (void)method, (void)version, (void)upload;
    /* An answer to the first call, before the whole request is there, would end the connection. */
    if (*state == NULL || *upload_bytes > 0) {
        *state = &seen;
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (suspends && *state == &seen) {
        *state = &waited;
        MHD_suspend_connection(connection);
        l->aside[l->n_aside++] = connection;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, l->reply);
}

static struct MHD_Daemon *start(loop *l)
{
    l->reply = MHD_create_response_from_buffer(strlen(body), (void *)(uintptr_t)body,
        MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(l->reply, "Content-Type", "application/json");
    MHD_add_response_header(l->reply, "ETag", "\"1\"");
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL, answer, l,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_END);
}

static void *run(void *unused)
{
    static _Thread_local loop l;
    struct MHD_Daemon *daemon = start(&l);
    (void)unused;
    if (daemon == NULL) {
        fprintf(stderr, "cannot listen on port %u\n", port);
        exit(70);
    }
    int library = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int waits_for = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ready = { .events = EPOLLIN };
    epoll_ctl(waits_for, EPOLL_CTL_ADD, library, &ready);
    for (;;) {
        MHD_UNSIGNED_LONG_LONG ms = 0;
        int wait = l.n_aside > 0 ? 0 : MHD_get_timeout(daemon, &ms) == MHD_YES ? (int)ms : -1;
        if (wait != 0)
            epoll_wait(waits_for, &ready, 1, wait);
        while (l.n_aside > 0)
            MHD_resume_connection(l.aside[--l.n_aside]);
        MHD_run(daemon);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc < 3 ? 0 : (int)strtol(argv[2], NULL, 10);
    suspends = argc == 4 && strcmp(argv[3], "suspended") == 0;
    if (threads < 1 || threads > THREADS_MAX || argc > 4 || (argc == 4 && !suspends)) {
        fprintf(stderr, "usage: %s PORT THREADS [suspended]\n", argv[0]);
        return 64;
    }
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    pthread_t thread;
    for (int i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, run, NULL) != 0)
            return 71;
    run(NULL);
}
