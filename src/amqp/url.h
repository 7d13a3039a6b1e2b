/* Where the broker is and how to get in, from an AMQP URI (RabbitMQ's URI specification). */
#pragma once

#include "amqp/internal.h"

typedef struct {
    const char *user, *password, *host, *vhost;
    int port;
    bool tls, verify_none;
    const char *cacertfile, *certfile, *keyfile; /* NULL when not given */
} tn__amqp_url;

/* False with a `why` that repeats nothing of the URL, which holds a password. */
bool tn__amqp_url_parse(tn_arena *arena, const char *text, tn__amqp_url *url, tn_str *why);

/* Prepares a TLS socket: whom to trust, and who we are. */
tn__amqp_result tn__amqp_tls(tn__amqp *amqp, amqp_socket_t *socket, const tn__amqp_url *url);
