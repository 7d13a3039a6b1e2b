/* Connections, as the files of the transport share them.
 *
 * Invariants: `aside` is set exactly while the library has the connection suspended. A connection
 * that we have `ended` is answered nothing more: each callback for it says so to the library, which
 * closes it. `taken` counts the bytes of the requests that are over, so what has arrived beyond it
 * is of the one that is being read. */
#pragma once

#include "http/server.h"
#include "http/tcp.h"

struct MHD_Connection;
struct MHD_Daemon;
struct sockaddr_storage;

typedef enum {
    TN__IDLE, /* between requests, or the first has not shown its line yet */
    TN__IN_HEAD,
    TN__IN_BODY,
    TN__IN_CHUNKS,
    TN__AT_WORK,
    TN__ANSWERING,
} tn__phase;

typedef struct tn__client tn__client;
struct tn__client {
    tn__server *server;
    struct MHD_Connection *mhd;
    int fd;
    tn__client *prev, *next;
    tn_req *req;
    tn__phase phase;
    int64_t reading_since_us; /* 0: nothing of a request has been seen */
    uint64_t taken;
    size_t head_bytes;
    bool aside, ended;
    bool unread;  /* it was answered before its body was read */
    bool excused; /* since the last request, a stray line end was */
    bool over;    /* the last sweep found that nothing more can come of it */
    bool held;    /* aside, until it is known whether it is the one that the library refuses */
    bool stream_watched;
    tn__watch hangup;
};

struct tn__server {
    tn__loop *loop;
    tn__http *http;
    tn__http_limits limits;
    struct MHD_Daemon *daemon;
    tn__watch listening, ready;
    bool accepting;
    tn__task run;
    tn__timer wake, sweep, pause, cut;
    tn__farewells *farewells;
    tn__client *clients;
    size_t n_clients;
    bool draining, quiet;
    bool holds;   /* some clients are held */
    size_t looks; /* at sockets, in this second, for who sent junk */
    int64_t looks_since_us;
};

/* ---- server.c ------------------------------------------------------------ */

/* Hands an accepted socket over to the library. */
void tn__server_adopt(tn__server *server, int fd, const struct sockaddr_storage *address,
    unsigned length);
/* Puts it aside until the library has done its turn. */
void tn__client_hold(tn__client *client);

/* ---- accept.c ------------------------------------------------------------ */

void tn__accept_start(tn__server *server, int listen_fd);
/* Takes those that the kernel has accepted for us, and then no more: closes the socket. */
void tn__accept_end(tn__server *server);

/* ---- late.c -------------------------------------------------------------- */

/* Bytes of a request that is not over. */
uint64_t tn__client_begun(const tn__client *client);
/* Answers on the socket, and says farewell. The library finds out when it next reads or writes. */
void tn__client_end(tn__client *client, int status, const char *detail);
/* Answers what the library refuses with that status, in its place. */
void tn__client_refuse(tn__client *client, int status);
void tn__sweep_start(tn__server *server);
/* The library is about to answer `status`, with a page of its own that says `why`. */
void tn__refuse_unreadable(tn__server *server, int status, const char *why);
