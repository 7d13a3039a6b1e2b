/* The transport: what server.c and the rest of this layer know of each other.
 *
 * The server hands a request over in pieces: its line, its fields, its body, its end. It puts the
 * connection aside while there is no answer, until tn__server_resume(). */
#pragma once

#include "http/http.h"
#include <sys/types.h>

typedef struct tn__server tn__server;

/* ---- What the server offers --------------------------------------------- */

tn__server *tn__server_open(tn__loop *loop, int listen_fd, const tn__http_limits *limits,
    tn__http *http);
/* The answer to a request that was waited for is there. */
void tn__server_resume(tn_req *req);
/* There is something new to send on a stream that was waiting. */
void tn__server_stream_resume(tn_req *req);
/* Accepts no more, and lets go of connections on which nothing is under way. Calls tn__http_quiet()
 * when the last connection is gone. */
void tn__server_drain(tn__server *server);
/* Gives what is still open a moment to send its answer, then cuts it off. */
void tn__server_cut(tn__server *server);
void tn__server_close(tn__server *server);

/* ---- What the server calls ---------------------------------------------- */

/* A request line was read. NULL target: there was none. */
tn_req *tn__req_open(tn__http *http, void *connection, tn_str target);
void *tn__req_connection(const tn_req *req);
void tn__req_field(tn_req *req, tn_str name, tn_str value);

typedef enum {
    TN__READ_ON,    /* read the body, then call tn__req_run() */
    TN__ANSWER_NOW, /* the answer is there; the body is not wanted, so the connection ends after it */
} tn__verdict;
/* `version` as it stood in the line: HTTP/1.1. */
tn__verdict tn__req_head(tn_req *req, tn_str method, tn_str version, size_t header_bytes);
/* False when the body is too long: end the connection with tn__raw_problem(). */
bool tn__req_body(tn_req *req, tn_str bytes);
/* All was read. True when the answer is there at once; false: put the connection aside. */
bool tn__req_run(tn_req *req);
bool tn__req_answered(const tn_req *req);
/* The answer is out, or can't go out any more. */
void tn__req_close(tn_req *req, bool sent);
/* Bytes that the request's body has taken. */
size_t tn__req_body_bytes(const tn_req *req);
/* True when the body's end can't be told from the header. */
bool tn__req_is_chunked(const tn_req *req);

/* The answer, for the server to send. */
typedef struct {
    int status;
    tn_str body;
    bool streamed; /* instead of `body`: call tn__stream_read() */
    bool close;    /* end the connection after it */
} tn__outgoing;
tn__outgoing tn__req_outgoing(const tn_req *req);
/* The i-th field of its header; false when there is none. Both end in NUL. */
bool tn__req_outgoing_field(const tn_req *req, size_t i, const char **name, const char **value);

/* Up to `n` bytes of a stream: how many there are, 0 when it has to wait, -1 at its end. */
ssize_t tn__stream_read(tn_req *req, char *out, size_t n);
/* The client of a stream is gone: it ends. */
void tn__stream_hung_up(tn_req *req);

/* The whole text of an answer that the server has to write itself, because the library can't: a
 * problem with `Connection: close`. `req` may be NULL, when there was no request line. Counted and
 * logged here. `status` is 400, 408, 413, 414, 431, 500 or 503. */
void tn__raw_problem(tn__http *http, tn_req *req, int status, const char *detail, tn__buf *out);
/* The whole text of an answer, for a connection that ends with it. */
void tn__raw_answer(const tn_req *req, const char *reason, tn__buf *out);
/* After tn__server_drain() or tn__server_cut(): no connection is left. */
void tn__http_quiet(tn__http *http);
