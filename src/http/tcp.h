/* Sockets: listening, accepting, and the farewell to a client that is still sending. */
#pragma once

#include "loop/loop.h"

/* What has arrived on a connection since it began, whether anybody has read it or not. */
typedef struct {
    uint64_t bytes;
    bool all; /* the other side has sent its last */
} tn__arrived;
tn__arrived tn__tcp_arrived(int fd);
/* Bytes that have arrived and that nobody has read yet. */
uint64_t tn__tcp_unread(int fd);

/* Sends without waiting: what doesn't fit into the socket's buffer is lost. */
void tn__tcp_send(int fd, tn_str bytes);

/* Connections that were answered before all of their request was read. Closing a socket that has
 * unread bytes makes the kernel reset the connection, and the client may lose the answer. So such a
 * connection is kept a while longer, and what comes is read and dropped (RFC 9112 9.6). */
#define TN__FAREWELLS_MAX 256
typedef struct tn__farewells tn__farewells;
tn__farewells *tn__farewells_open(tn__loop *loop);
/* Sends a FIN, and keeps a duplicate of the socket: the caller closes its own. With TN__FAREWELLS_MAX
 * of them under way, the caller's close is the end. */
void tn__farewell(tn__farewells *farewells, int fd);
void tn__farewells_close(tn__farewells *farewells);
