/* A receiver for tests: see receiver.h. One connection at a time. */

#include "receiver.h"

#include "telemetry/protobuf.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct receiver {
    int fd;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    int status, hang_ms;
    size_t spans, messages;
    bool closing;
};

static bool is_closing(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    bool closing = r->closing;
    pthread_mutex_unlock(&r->lock);
    return closing;
}

/* Reads more; false at the end of the connection or of the test. */
static bool read_more(receiver *r, int fd, tn__buf *in)
{
    struct pollfd pollfd = { .fd = fd, .events = POLLIN };
    while (poll(&pollfd, 1, 20) == 0)
        if (is_closing(r))
            return false;
    tn__buf_reserve(in, 65536);
    ssize_t n = read(fd, in->data + in->len, 65536);
    in->len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool read_request(receiver *r, int fd, tn__buf *in, tn_str *body)
{
    static const char length[] = "Content-Length: ";
    const char *end = NULL, *said;
    in->len = 0;
    while (end == NULL) {
        if (!read_more(r, fd, in))
            return false;
        end = memmem(in->data, in->len, "\r\n\r\n", 4);
    }
    said = memmem(in->data, in->len, length, sizeof length - 1);
    assert(said != NULL);
    size_t head = (size_t)(end - in->data) + 4;
    size_t n = strtoul(said + sizeof length - 1, NULL, 10);
    while (in->len < head + n)
        if (!read_more(r, fd, in))
            return false;
    *body = (tn_str){ in->data + head, n };
    return true;
}

/* ExportTraceServiceRequest 1: ResourceSpans 2: ScopeSpans 2: spans */
static size_t count_spans(tn_str message, const unsigned *path)
{
    size_t n = 0;
    tn__pb_field field;
    while (tn__pb_read(&message, &field))
        if (field.field == path[0] && path[1] == 0)
            n++;
        else if (field.field == path[0])
            n += count_spans(field.bytes, path + 1);
    return n;
}

static bool hangs(receiver *r, int64_t since_us)
{
    pthread_mutex_lock(&r->lock);
    int64_t until_us = since_us + (int64_t)r->hang_ms * 1000;
    bool hangs = !r->closing && tn__mono_us() < until_us;
    pthread_mutex_unlock(&r->lock);
    return hangs;
}

static void answer(receiver *r, int fd, tn_str body)
{
    static const unsigned path[] = { 1, 2, 2, 0 };
    char text[128];
    pthread_mutex_lock(&r->lock);
    int status = r->status;
    r->messages++;
    pthread_mutex_unlock(&r->lock);
    int64_t since_us = tn__mono_us();
    while (hangs(r, since_us))
        usleep(5000);
    pthread_mutex_lock(&r->lock);
    r->spans += status == 200 ? count_spans(body, path) : 0;
    pthread_mutex_unlock(&r->lock);
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", status);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        return; /* It has given up. */
}

static void *serve(void *arg)
{
    receiver *r = arg;
    tn__buf in = { 0 };
    tn_str body;
    int fd;
    while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
        while (read_request(r, fd, &in, &body))
            answer(r, fd, body);
        close(fd);
    }
    tn__buf_deinit(&in);
    return NULL;
}

receiver *receiver_open(void)
{
    receiver *r = tn__xcalloc(1, sizeof *r);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    r->status = 200;
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = bind(r->fd, (struct sockaddr *)&at, size) == 0 && listen(r->fd, 16) == 0 &&
        getsockname(r->fd, (struct sockaddr *)&at, &size) == 0;
    assert(ok);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/v1/traces", ntohs(at.sin_port));
    pthread_mutex_init(&r->lock, NULL);
    ok = pthread_create(&r->thread, NULL, serve, r) == 0;
    assert(ok);
    (void)ok;
    return r;
}

void receiver_close(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_mutex_unlock(&r->lock);
    shutdown(r->fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->fd);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

const char *receiver_url(const receiver *r)
{
    return r->url;
}

void receiver_answer(receiver *r, int status, int hang_ms)
{
    pthread_mutex_lock(&r->lock);
    r->status = status;
    r->hang_ms = hang_ms;
    pthread_mutex_unlock(&r->lock);
}

size_t receiver_spans(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->spans;
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t receiver_messages(receiver *r)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->messages;
    pthread_mutex_unlock(&r->lock);
    return n;
}

bool receiver_await(receiver *r, size_t n)
{
    for (int i = 0; i < 1000 && receiver_spans(r) < n; i++)
        usleep(10000);
    return receiver_spans(r) >= n;
}
