/* rabbitmq-c's headers: since 0.12 they have a folder of their own. Included by this layer alone. */
#pragma once

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#include "base/base.h"

static inline amqp_bytes_t tn__amqp_bytes(tn_str s)
{
    return (amqp_bytes_t){ .len = s.len, .bytes = (void *)(uintptr_t)s.data };
}

static inline tn_str tn__amqp_str(amqp_bytes_t bytes)
{
    return (tn_str){ bytes.bytes, bytes.len };
}
