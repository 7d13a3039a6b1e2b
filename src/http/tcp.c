/* Sockets: see tcp.h. */
#include "http/tcp.h"

#include "http/http.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* netinet/tcp.h of older systems ends before tcpi_bytes_received */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    FAREWELL_TICK_US = 20 * 1000,
    FAREWELL_US_MAX = 1000 * 1000,
    DROPPED_BYTES_A_TICK_MAX = 1024 * 1024,
};

/* ---- Listening ---------------------------------------------------------- */

static int listen_on(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
        address->ai_protocol);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

int tn__http_listen(tn_arena *arena, const char *host, int port, tn_str *why)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed != 0) {
        *why = tn_printf(arena, "%s: %s", host, gai_strerror(failed));
        return -1;
    }
    int fd = listen_on(found);
    if (fd < 0)
        *why = tn_printf(arena, "%s port %d: %s", host, port, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

int tn__http_port(int listen_fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(listen_fd, &address.any, &length) != 0)
        return -1;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* ---- Counting and sending ----------------------------------------------- */

/* The states in which the other side has said its end; linux/tcp.h doesn't name them. */
static bool is_ended(uint8_t tcp_state)
{
    enum { TIME_WAIT = 6, CLOSED, CLOSE_WAIT, LAST_ACK, CLOSING = 11 };
    switch (tcp_state) {
    case TIME_WAIT:
    case CLOSED:
    case CLOSE_WAIT:
    case LAST_ACK:
    case CLOSING:
        return true;
    default:
        return false;
    }
}

tn__arrived tn__tcp_arrived(int fd)
{
    struct tcp_info info = { .tcpi_state = 0 };
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
        return (tn__arrived){ 0, false };
    tn__arrived arrived = { info.tcpi_bytes_received, is_ended(info.tcpi_state) };
    /* The kernel counts the end as a byte, for it takes a sequence number. */
    if (arrived.all && arrived.bytes > 0)
        arrived.bytes--;
    return arrived;
}

uint64_t tn__tcp_unread(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

void tn__tcp_send(int fd, tn_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        bytes = (tn_str){ bytes.data + n, bytes.len - (size_t)n };
    }
}

/* ---- Farewells ---------------------------------------------------------- */

typedef struct {
    int fd;
    int64_t until_us;
} farewell;

struct tn__farewells {
    tn__loop *loop;
    tn__timer tick;
    farewell at[TN__FAREWELLS_MAX];
    size_t n;
};

/* True when the client has ended it too. */
static bool drop_what_came(int fd)
{
    char dropped[16 * 1024];
    for (size_t total = 0; total < DROPPED_BYTES_A_TICK_MAX;) {
        ssize_t n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (n < 0)
            return errno != EAGAIN && errno != EINTR;
        if (n == 0)
            return true;
        total += (size_t)n;
    }
    return false;
}

static void on_tick(tn__timer *timer)
{
    tn__farewells *farewells = timer->owner;
    int64_t now_us = tn__loop_now_us(farewells->loop);
    for (size_t i = farewells->n; i-- > 0;) {
        farewell *one = &farewells->at[i];
        if (!drop_what_came(one->fd) && now_us < one->until_us)
            continue;
        close(one->fd);
        *one = farewells->at[--farewells->n];
    }
    if (farewells->n > 0)
        tn__timer_start(farewells->loop, timer, now_us + FAREWELL_TICK_US);
}

tn__farewells *tn__farewells_open(tn__loop *loop)
{
    tn__farewells *farewells = tn__xmalloc(sizeof *farewells);
    *farewells = (tn__farewells){ .loop = loop };
    farewells->tick = (tn__timer){ .on_time = on_tick, .owner = farewells };
    return farewells;
}

void tn__farewell(tn__farewells *farewells, int fd)
{
    shutdown(fd, SHUT_WR);
    int copy = farewells->n < TN__FAREWELLS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (copy < 0)
        return;
    int64_t now_us = tn__loop_now_us(farewells->loop);
    farewells->at[farewells->n++] = (farewell){ copy, now_us + FAREWELL_US_MAX };
    if (farewells->tick.slot == 0)
        tn__timer_start(farewells->loop, &farewells->tick, now_us + FAREWELL_TICK_US);
}

void tn__farewells_close(tn__farewells *farewells)
{
    tn__timer_stop(farewells->loop, &farewells->tick);
    for (size_t i = 0; i < farewells->n; i++)
        close(farewells->at[i].fd);
    free(farewells);
}
