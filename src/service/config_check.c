/* What texts of the configuration must look like, and URLs without their passwords.
 *
 * A URL is checked for its shape only, so that a slip is found at the start and told without
 * repeating a secret; whether it leads anywhere is found out by connecting. */

#include "service/config.h"

typedef struct {
    tn_str user_part, hosts, path, query;
    bool has_user_part;
} url_parts;

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Visible ASCII, with every % followed by two digits: RFC 3986 allows no more. */
static bool is_url_text(tn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c <= ' ' || c > '~' || strchr("\"<>\\^`{|}#", c) != NULL)
            return false;
        bool two_more = i + 2 < text.len && is_hex(text.data[i + 1]) && is_hex(text.data[i + 2]);
        if (c == '%' && !two_more)
            return false;
    }
    return true;
}

static bool cut_scheme(tn_str *text, const char *const *schemes)
{
    for (; *schemes != NULL; schemes++) {
        tn_str scheme = tn_str_of(*schemes);
        if (tn__str_has_prefix(*text, scheme)) {
            *text = (tn_str){ text->data + scheme.len, text->len - scheme.len };
            return true;
        }
    }
    return false;
}

/* Splits at the first `at`: what stands before it is returned, `*rest` is what comes after. Without
 * one all is returned and `*rest` is empty. */
static tn_str split(tn_str text, char at, tn_str *rest)
{
    const char *found = text.len > 0 ? memchr(text.data, at, text.len) : NULL;
    size_t n = found != NULL ? (size_t)(found - text.data) : text.len;
    *rest = found != NULL ? (tn_str){ found + 1, text.len - n - 1 } : TN_S("");
    return (tn_str){ text.data, n };
}

static bool has_char(tn_str text, char c)
{
    return text.len > 0 && memchr(text.data, c, text.len) != NULL;
}

/* `schemes` with their "://", ends with NULL. An @ beyond the one behind the user must be written as
 * %40: a password with a / in it would else be taken for a path, and shown. */
static bool cut_url(tn_str text, const char *const *schemes, url_parts *parts)
{
    if (!is_url_text(text) || !cut_scheme(&text, schemes))
        return false;
    tn_str rest, hosts;
    text = split(text, '?', &parts->query);
    text = split(text, '/', &parts->path);
    parts->user_part = split(text, '@', &rest);
    parts->has_user_part = parts->user_part.len < text.len;
    hosts = parts->has_user_part ? rest : text;
    parts->hosts = hosts;
    return !has_char(hosts, '@') && !has_char(parts->path, '@');
}

static bool all_of(tn_str text, const char *extra)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || strchr(extra, c) == NULL))
            return false;
    }
    return true;
}

static bool is_port(tn_str text)
{
    int64_t port;
    return tn__i64_parse(text, &port) && port >= 1 && port <= 65535;
}

/* host, host:port, [address] or [address]:port */
static bool is_host_and_port(tn_str text)
{
    tn_str host, port;
    if (text.len > 0 && text.data[0] == '[') {
        host = split((tn_str){ text.data + 1, text.len - 1 }, ']', &port);
        bool closed = host.len + 1 < text.len;
        bool bare = closed && port.len == 0;
        bool with_port = port.len > 1 && port.data[0] == ':' &&
            is_port((tn_str){ port.data + 1, port.len - 1 });
        return host.len > 0 && all_of(host, ":.%") && (bare || with_port);
    }
    host = split(text, ':', &port);
    bool has_port = host.len < text.len;
    return host.len > 0 && all_of(host, "._-%") && (!has_port || is_port(port));
}

static bool is_query(tn_str query)
{
    tn_str pair, value;
    while (query.len > 0) {
        pair = split(query, '&', &query);
        tn_str key = split(pair, '=', &value);
        if (key.len == 0 || key.len == pair.len)
            return false;
    }
    return true;
}

/* libpq takes several hosts, and none when the query or the default says where the socket is. */
bool tn__check_database_url(tn_str text)
{
    static const char *const schemes[] = { "postgresql://", "postgres://", NULL };
    url_parts parts;
    if (!cut_url(text, schemes, &parts) || !is_query(parts.query))
        return false;
    while (parts.hosts.len > 0)
        if (!is_host_and_port(split(parts.hosts, ',', &parts.hosts)))
            return false;
    return !has_char(parts.path, '/');
}

bool tn__check_amqp_url(tn_str text)
{
    static const char *const schemes[] = { "amqp://", "amqps://", NULL };
    url_parts parts;
    return cut_url(text, schemes, &parts) && is_query(parts.query) &&
        is_host_and_port(parts.hosts) && !has_char(parts.path, '/');
}

bool tn__check_http_url(tn_str text)
{
    static const char *const schemes[] = { "http://", "https://", NULL };
    url_parts parts;
    return cut_url(text, schemes, &parts) && is_host_and_port(parts.hosts);
}

bool tn__check_host(tn_str text)
{
    return text.len <= 253 && all_of(text, ".:-_%");
}

static bool is_origin(tn_str text)
{
    tn_str rest;
    tn_str scheme = split(text, ':', &rest);
    if (scheme.len == 0 || !all_of(scheme, "+.-") || !tn__str_has_prefix(rest, TN_S("//")))
        return false;
    return is_host_and_port((tn_str){ rest.data + 2, rest.len - 2 });
}

/* Calls `check` for each element, without the spaces around it; one that is empty is wrong. */
static bool is_list(tn_str text, bool (*check)(tn_str element))
{
    if (text.len > 0 && text.data[text.len - 1] == ',')
        return false;
    while (text.len > 0)
        if (!check(tn__str_trim(split(text, ',', &text))))
            return false;
    return true;
}

bool tn__check_origins(tn_str text)
{
    return tn_str_eq(text, TN_S("*")) || is_list(text, is_origin);
}

static bool is_service_name(tn_str name)
{
    if (name.len == 0 || name.len > 64 || name.data[0] < 'a' || name.data[0] > 'z')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] >= 'A' && name.data[i] <= 'Z')
            return false;
    return all_of(name, "-");
}

/* An AMQP topic pattern: words between dots, each a name, * or #. */
static bool is_pattern(tn_str pattern)
{
    if (pattern.len == 0 || pattern.len > 255 || pattern.data[pattern.len - 1] == '.')
        return false;
    while (pattern.len > 0) {
        tn_str word = split(pattern, '.', &pattern);
        bool wild = tn_str_eq(word, TN_S("*")) || tn_str_eq(word, TN_S("#"));
        if (word.len == 0 || (!wild && !all_of(word, "_-")))
            return false;
    }
    return true;
}

static bool is_consumer(tn_str text)
{
    tn_str pattern;
    tn_str name = split(text, '=', &pattern);
    return is_service_name(name) && is_pattern(pattern);
}

bool tn__check_consumers(tn_str text)
{
    return is_list(text, is_consumer);
}

static bool is_attribute(tn_str text)
{
    tn_str value;
    tn_str key = split(text, '=', &value);
    return key.len > 0 && key.len < text.len && all_of(key, "._-/") && is_url_text(value);
}

bool tn__check_attributes(tn_str text)
{
    return is_list(text, is_attribute);
}

/* ---- Secrets ------------------------------------------------------------ */

static void add_masked_query(tn__buf *out, tn_str query)
{
    for (const char *sep = "?"; query.len > 0; sep = "&") {
        tn_str value;
        tn_str pair = split(query, '&', &query);
        tn_str key = split(pair, '=', &value);
        bool secret = memmem(key.data, key.len, "password", 8) != NULL;
        tn__buf_add_z(out, sep);
        tn__buf_add_str(out, secret ? key : pair);
        tn__buf_add_z(out, secret ? "=***" : "");
    }
}

/* What stands before the last @: scheme, user, password. */
static tn_str before_hosts(tn_str text)
{
    const char *at = text.len > 0 ? memrchr(text.data, '@', text.len) : NULL;
    return at != NULL ? (tn_str){ text.data, (size_t)(at - text.data) } : TN_S("");
}

/* The length of a scheme with its "://". */
static size_t scheme_len(tn_str text)
{
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (text.data[i] == ':' && text.data[i + 1] == '/' && text.data[i + 2] == '/')
            return i + 3;
    return 0;
}

tn_str tn__url_masked(tn_arena *arena, tn_str url)
{
    tn__buf out = { .arena = arena };
    tn_str query, password;
    tn_str text = split(url, '?', &query);
    tn_str before = before_hosts(text);
    size_t scheme = scheme_len(before);
    tn_str user_part = { before.data + scheme, before.len - scheme };
    tn_str user = split(user_part, ':', &password);
    bool has_password = user.len < user_part.len;
    tn__buf_add_str(&out, (tn_str){ before.data, scheme + user.len });
    tn__buf_add_z(&out, has_password ? ":***" : "");
    tn__buf_add_str(&out, (tn_str){ text.data + before.len, text.len - before.len });
    add_masked_query(&out, query);
    return tn__buf_str(&out);
}
