/* TLS to the broker: its certificate is checked unless the URL says otherwise. */
#include "amqp/url.h"

#include <openssl/ssl.h>

tn__amqp_result tn__amqp_tls(tn__amqp *amqp, amqp_socket_t *socket, const tn__amqp_url *url)
{
    SSL_CTX *context = amqp_ssl_socket_get_context(socket);
    amqp_ssl_socket_set_verify_peer(socket, !url->verify_none);
    amqp_ssl_socket_set_verify_hostname(socket, !url->verify_none);
    if (url->certfile != NULL &&
        amqp_ssl_socket_set_key(socket, url->certfile, url->keyfile) != AMQP_STATUS_OK)
        return tn__amqp_lose(amqp, "the URL's certfile and keyfile can't be used");
    if (url->cacertfile != NULL &&
        amqp_ssl_socket_set_cacert(socket, url->cacertfile) != AMQP_STATUS_OK)
        return tn__amqp_lose(amqp, "the URL's cacertfile can't be used");
    /* rabbitmq-c before 0.14 has no call for this. */
    if (url->cacertfile == NULL && SSL_CTX_set_default_verify_paths(context) != 1)
        return tn__amqp_lose(amqp, "the system's certificate authorities can't be read");
    return TN__AMQP_OK;
}
