/* --health: asks the running service's /readyz, for containers without a shell or a client.
 *
 * It reads the same configuration as the service, and so knows where that listens. Ready and
 * degraded are healthy: who is degraded still serves. */
#include "service/service.h"

#include <curl/curl.h>

#define PROBE_TIMEOUT_MS 2000L
#define ANSWER_BYTES_MAX (size_t)(16 * 1024)

static size_t keep(char *bytes, size_t size, size_t n, void *arg)
{
    tn__buf *answer = arg;
    if (size * n > ANSWER_BYTES_MAX - answer->len)
        return 0;
    tn__buf_add(answer, bytes, size * n);
    return size * n;
}

/* Who listens on every address is asked on the loopback one. */
static const char *readyz_url(tn_arena *arena, const tn__config *config)
{
    const char *host = config->host;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    bool is_ipv6 = strchr(host, ':') != NULL;
    return tn_printf(arena, "http://%s%s%s:%lld/readyz", is_ipv6 ? "[" : "", host,
        is_ipv6 ? "]" : "", (long long)config->port)
        .data;
}

static bool prepare(CURL *easy, const char *url, tn__buf *answer)
{
    bool ok = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK;
    /* A proxy of the environment is for the way out, not for oneself. */
    ok &= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, PROBE_TIMEOUT_MS) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) == CURLE_OK;
    return ok;
}

bool tn__probe(tn_arena *arena, const tn__config *config, tn__buf *said)
{
    const char *url = readyz_url(arena, config);
    CURL *easy = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    long status = 0;
    if (easy != NULL && prepare(easy, url, said)) {
        CURLcode code = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK)
            tn__buf_printf(said, "%s: %s\n", url, curl_easy_strerror(code));
    }
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    return status == 200;
}
