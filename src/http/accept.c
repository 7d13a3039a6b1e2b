/* Accepting connections. */
#include "http/client.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTED_A_TURN_MAX = 64,
    PAUSE_US = 100 * 1000, /* when the process has no descriptor left */
};

static void refuse_connection(tn__server *server, int fd)
{
    tn__buf text = { .arena = NULL };
    tn__raw_problem(server->http, NULL, 503, "As many connections are open as may be.", &text);
    tn__tcp_send(fd, tn__buf_str(&text));
    tn__buf_deinit(&text);
    tn__farewell(server->farewells, fd);
    close(fd);
}

static void stop_accepting(tn__server *server)
{
    if (server->accepting)
        tn__watch_stop(server->loop, &server->listening);
    server->accepting = false;
}

static void start_accepting(tn__server *server)
{
    tn__watch_start(server->loop, &server->listening);
    server->accepting = true;
}

static void on_pause_over(tn__timer *timer)
{
    start_accepting(timer->owner);
}

/* Out of descriptors or memory: the socket stays ready, and would be asked again and again. */
static void pause_accepting(tn__server *server, const char *why)
{
    TN_LOG(TN_ERROR, "no connection can be accepted", TN_LOG_Z("why", why));
    stop_accepting(server);
    tn__timer_start(server->loop, &server->pause, tn__loop_now_us(server->loop) + PAUSE_US);
}

/* False when there is none to accept now. */
static bool accept_one(tn__server *server)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd = accept4(server->listening.fd, (struct sockaddr *)&address, &length,
        SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        pause_accepting(server, strerror(errno));
        return false;
    }
    if (fd < 0)
        return errno == ECONNABORTED || errno == EINTR;
    if (server->n_clients >= (size_t)server->limits.connections_max)
        refuse_connection(server, fd);
    else
        tn__server_adopt(server, fd, &address, length);
    return true;
}

static void on_listening(tn__watch *watch, uint32_t events)
{
    tn__server *server = watch->owner;
    (void)events;
    for (int n = 0; n < ACCEPTED_A_TURN_MAX && accept_one(server); n++)
        ;
    tn__loop_later(server->loop, &server->run);
}

void tn__accept_start(tn__server *server, int listen_fd)
{
    server->pause = (tn__timer){ .on_time = on_pause_over, .owner = server };
    server->listening = (tn__watch){
        .fd = listen_fd,
        .events = EPOLLIN,
        .on_ready = on_listening,
        .owner = server,
    };
    start_accepting(server);
}

void tn__accept_end(tn__server *server)
{
    /* Those that the kernel has accepted for us would be reset. */
    while (server->accepting && accept_one(server))
        ;
    stop_accepting(server);
    tn__timer_stop(server->loop, &server->pause);
    close(server->listening.fd);
}
