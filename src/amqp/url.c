/* AMQP URIs: rabbitmq-c reads all but the query, which it refuses. */
#include "amqp/url.h"

static bool set_parameter(tn_arena *arena, tn__amqp_url *url, tn_str name, tn_str raw)
{
    tn_str value;
    if (!tn__percent_decode(arena, raw, false, &value))
        return false;
    const char *z = tn_copy(arena, value).data;
    if (tn_str_eq(name, TN_S("cacertfile")))
        url->cacertfile = z;
    else if (tn_str_eq(name, TN_S("certfile")))
        url->certfile = z;
    else if (tn_str_eq(name, TN_S("keyfile")))
        url->keyfile = z;
    else if (tn_str_eq(name, TN_S("verify")) && tn_str_eq(value, TN_S("verify_none")))
        url->verify_none = true;
    else
        return tn_str_eq(name, TN_S("verify")) && tn_str_eq(value, TN_S("verify_peer"));
    return true;
}

static bool parse_query(tn_arena *arena, tn__amqp_url *url, tn_str query, tn_str *why)
{
    tn_str parameter, name;
    while (tn__str_cut(&query, '&', &parameter)) {
        tn_str value = parameter;
        tn__str_cut(&value, '=', &name);
        if (set_parameter(arena, url, name, value))
            continue;
        *why = TN_S("the query parameters of an AMQP URL are cacertfile, certfile, keyfile and "
                    "verify (verify_peer or verify_none)");
        return false;
    }
    if ((url->certfile == NULL) == (url->keyfile == NULL))
        return true;
    *why = TN_S("certfile and keyfile of an AMQP URL come together");
    return false;
}

bool tn__amqp_url_parse(tn_arena *arena, const char *text, tn__amqp_url *url, tn_str *why)
{
    struct amqp_connection_info info;
    tn_str query = tn_str_of(text), base;
    *url = (tn__amqp_url){ 0 };
    if (!tn__str_cut(&query, '?', &base) ||
        amqp_parse_url((char *)(uintptr_t)tn_copy(arena, base).data, &info) != AMQP_STATUS_OK) {
        *why = TN_S("not an AMQP URL: amqp://user:password@host:port/vhost");
        return false;
    }
    url->user = info.user;
    url->password = info.password;
    url->host = info.host;
    url->port = info.port;
    url->tls = info.ssl != 0;
    /* "/" at the end names no vhost; the others' clients take it for the default one. */
    url->vhost = info.vhost[0] != '\0' ? info.vhost : "/";
    return parse_query(arena, url, query, why);
}
