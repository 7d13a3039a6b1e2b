/* A thread between two sockets: see gate.h. */
#include "gate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 16 };

static struct {
    int listener, server_port;
    pthread_t thread;
    atomic_bool ending, deafen, cut, shut, mute;
    struct pair {
        int worker, server;
        bool deaf;
    } pairs[PAIRS_MAX];
    size_t n;
} gate;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
}

static void admit(void)
{
    int worker = accept(gate.listener, NULL, NULL);
    if (worker < 0)
        return;
    struct sockaddr_in address = loopback(gate.server_port);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (gate.shut || gate.n == PAIRS_MAX ||
        connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
        close(worker);
        close(server);
        return;
    }
    gate.pairs[gate.n++] = (struct pair){ worker, server, gate.mute };
}

static bool pass(int from, int to, bool deaf)
{
    char bytes[16384];
    ssize_t n = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t sent = 0, once; !deaf && sent < n; sent += once) {
        once = send(to, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (once < 0)
            return false;
    }
    return n > 0;
}

static void drop(size_t i)
{
    close(gate.pairs[i].worker);
    close(gate.pairs[i].server);
    gate.pairs[i] = gate.pairs[--gate.n];
}

static void obey(void)
{
    bool deafen = atomic_exchange(&gate.deafen, false), cut = atomic_exchange(&gate.cut, false);
    for (size_t i = gate.n; i-- > 0;) {
        gate.pairs[i].deaf |= deafen;
        if (cut)
            drop(i);
    }
}

static void turn(void)
{
    struct pollfd fds[1 + 2 * PAIRS_MAX] = { { .fd = gate.listener, .events = POLLIN } };
    size_t n = gate.n;
    for (size_t i = 0; i < n; i++) {
        fds[1 + 2 * i] = (struct pollfd){ .fd = gate.pairs[i].worker, .events = POLLIN };
        fds[2 + 2 * i] = (struct pollfd){ .fd = gate.pairs[i].server, .events = POLLIN };
    }
    poll(fds, 1 + 2 * n, 2);
    obey();
    if (gate.n != n)
        return;
    for (size_t i = n; i-- > 0;) {
        struct pair *at = &gate.pairs[i];
        if ((fds[1 + 2 * i].revents != 0 && !pass(at->worker, at->server, false)) ||
            (fds[2 + 2 * i].revents != 0 && !pass(at->server, at->worker, at->deaf)))
            drop(i);
    }
    if (fds[0].revents != 0)
        admit();
}

static void *run(void *arg)
{
    (void)arg;
    while (!gate.ending)
        turn();
    while (gate.n > 0)
        drop(gate.n - 1);
    return NULL;
}

int gate_open(int server_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    gate.server_port = server_port;
    gate.ending = gate.shut = gate.mute = false;
    gate.listener = socket(AF_INET, SOCK_STREAM, 0);
    int failed = bind(gate.listener, (struct sockaddr *)&address, size) != 0 ||
        listen(gate.listener, 16) != 0 ||
        getsockname(gate.listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&gate.thread, NULL, run, NULL) != 0;
    assert(!failed);
    (void)failed;
    return ntohs(address.sin_port);
}

void gate_close(void)
{
    gate.ending = true;
    pthread_join(gate.thread, NULL);
    close(gate.listener);
}

/* Waits until the thread has obeyed. */
static void order(atomic_bool *flag)
{
    *flag = true;
    while (*flag)
        usleep(500);
}

void gate_deafen(void)
{
    order(&gate.deafen);
}

void gate_cut(void)
{
    order(&gate.cut);
}

void gate_shut(bool shut)
{
    gate.shut = shut;
}

void gate_mute(bool mute)
{
    gate.mute = mute;
}
