/* The least that an HTTP server on libmicrohttpd can do: the same JSON to everybody, from memory.
 *
 * usage: fixed PORT THREADS. What a service reaches of this says what the chassis costs. */

#include <microhttpd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char body[] =
    "{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"sku\":\"BENCH-0-00000001\","
    "\"name\":\"Bolt M8 x 40\",\"price_cents\":125,\"description\":\"Zinc-plated, with nut.\","
    "\"version\":1,\"created_at\":\"2026-01-31T09:15:00.123456Z\","
    "\"updated_at\":\"2026-01-31T09:15:00.123456Z\"}";

static enum MHD_Result answer(void *reply, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_bytes,
    void **request)
{
    (void)url, (void)method, (void)version, (void)upload;
    /* An answer to the first call, before the whole request is there, would end the connection. */
    if (*request == NULL || *upload_bytes > 0) {
        *request = reply;
        *upload_bytes = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, reply);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT THREADS\n", argv[0]);
        return 64;
    }
    uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    unsigned threads = (unsigned)strtoul(argv[2], NULL, 10);

    struct MHD_Response *reply = MHD_create_response_from_buffer(strlen(body),
        (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(reply, "Content-Type", "application/json");
    MHD_add_response_header(reply, "ETag", "\"1\"");

    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* Before the threads begin, so that they inherit it. */

    /* A pool of one is refused: the thread of the daemon itself is the one. */
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, port, NULL, NULL,
        answer, reply, MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "cannot listen on port %u\n", port);
        return 70;
    }
    int signal_number;
    sigwait(&stop, &signal_number);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(reply);
    return 0;
}
