/* One connection to the receiver, kept by libcurl from one message to the next: see otlp_http.h.
 *
 * libcurl's multi interface is used for its waiting, which can be left. Answers are limited, and
 * redirects aren't followed: the address is the operator's word. */

#include "telemetry/otlp_http.h"

#include "telemetry/otlp.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef TN__VERSION
#define TN__VERSION "unknown"
#endif

#define ANSWER_BYTES_MAX   ((size_t)4 << 20) /* as the specification recommends */
#define LOOK_UP_MS         100               /* how often gives_up() is asked */
#define RETRY_AFTER_MS_MAX (300 * 1000)
#define WHY_BYTES_MAX      300

struct tn__otlp_http {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    tn__buf answer;
    char error[CURL_ERROR_SIZE], why[WHY_BYTES_MAX];
};

/* ---- Opening ------------------------------------------------------------ */

static void add_header(tn__otlp_http *http, const char *line)
{
    struct curl_slist *longer = curl_slist_append(http->headers, line);
    if (longer == NULL)
        tn__die("out of memory");
    http->headers = longer;
}

static void add_given(void *arg, tn_arena *arena, tn_str key, tn_str value)
{
    /* A line break would begin a header of its own. */
    bool is_line = memchr(value.data, '\n', value.len) == NULL &&
        memchr(value.data, '\r', value.len) == NULL;
    if (is_line)
        add_header(arg, tn_printf(arena, "%.*s: %.*s", TN_FMT(key), TN_FMT(value)).data);
}

static void make_headers(tn__otlp_http *http, const tn__tracing_options *options)
{
    tn_arena *arena = tn__arena_open(1024);
    add_header(http, "Content-Type: application/x-protobuf");
    add_header(http, "User-Agent: OTel-OTLP-Exporter-Trunnion/" TN__VERSION);
    add_header(http, "Expect:"); /* No waiting for "100 Continue". */
    if (options->gzip)
        add_header(http, "Content-Encoding: gzip");
    tn__otlp_pairs(options->headers, add_given, arena, http);
    tn__arena_close(arena);
}

/* Keeps as much of an answer as is allowed; more of it ends the transfer. */
static size_t keep(char *bytes, size_t size, size_t n, void *arg)
{
    tn__otlp_http *http = arg;
    if (size * n > ANSWER_BYTES_MAX - http->answer.len)
        return 0;
    tn__buf_add(&http->answer, bytes, size * n);
    return size * n;
}

static bool set_up(tn__otlp_http *http, const tn__tracing_options *options)
{
    CURL *easy = http->easy;
    bool ok = curl_easy_setopt(easy, CURLOPT_URL, options->url) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep) == CURLE_OK;
    ok &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http) == CURLE_OK;
    if (options->certificate != NULL && options->certificate[0] != '\0')
        ok &= curl_easy_setopt(easy, CURLOPT_CAINFO, options->certificate) == CURLE_OK;
    return ok;
}

tn__otlp_http *tn__otlp_http_open(const tn__tracing_options *options)
{
    assert(options->timeout_ms > 0);
    tn__otlp_http *http = tn__xcalloc(1, sizeof *http);
    bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    http->multi = ready ? curl_multi_init() : NULL;
    http->easy = ready ? curl_easy_init() : NULL;
    make_headers(http, options);
    if (http->multi == NULL || http->easy == NULL || !set_up(http, options))
        tn__die("libcurl can't be used");
    return http;
}

void tn__otlp_http_close(tn__otlp_http *http)
{
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    curl_global_cleanup();
    tn__buf_deinit(&http->answer);
    free(http);
}

/* ---- Posting ------------------------------------------------------------ */

/* True when the transfer has ended, with its result. */
static bool has_ended(tn__otlp_http *http, CURLcode *result)
{
    int left;
    const CURLMsg *said = curl_multi_info_read(http->multi, &left);
    if (said == NULL || said->msg != CURLMSG_DONE)
        return false;
    *result = said->data.result;
    return true;
}

/* False when it was given up. */
static bool transfer(tn__otlp_http *http, bool (*gives_up)(void *arg), void *arg, CURLcode *result)
{
    bool ended = false;
    curl_multi_add_handle(http->multi, http->easy);
    for (;;) {
        int running;
        curl_multi_perform(http->multi, &running);
        ended = has_ended(http, result);
        if (ended || gives_up(arg))
            break;
        curl_multi_poll(http->multi, NULL, 0, LOOK_UP_MS, NULL);
    }
    curl_multi_remove_handle(http->multi, http->easy);
    return ended;
}

static tn__otlp_fate fate_of(long status)
{
    if (status >= 200 && status < 300)
        return TN__OTLP_TAKEN;
    bool passes = status == 429 || status == 502 || status == 503 || status == 504;
    return passes ? TN__OTLP_AGAIN : TN__OTLP_REFUSED;
}

static int64_t retry_after_ms(const tn__otlp_http *http)
{
    curl_off_t seconds = 0; /* A date is told as the seconds until then. */
    curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds <= 0)
        return 0;
    return seconds < RETRY_AFTER_MS_MAX / 1000 ? seconds * 1000 : RETRY_AFTER_MS_MAX;
}

static void judge_status(tn__otlp_http *http, tn__otlp_answer *answer)
{
    long status = 0;
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    answer->fate = fate_of(status);
    answer->body = tn__buf_str(&http->answer);
    answer->retry_after_ms = retry_after_ms(http);
    if (answer->fate != TN__OTLP_TAKEN) {
        tn_str message = tn__otlp_status_message(answer->body);
        snprintf(http->why, sizeof http->why, "HTTP status %ld%s%.*s", status,
            message.len > 0 ? ": " : "", TN_FMT(message));
    }
}

static void judge_failure(tn__otlp_http *http, CURLcode result, tn__otlp_answer *answer)
{
    bool too_long = result == CURLE_WRITE_ERROR;
    answer->fate = too_long ? TN__OTLP_REFUSED : TN__OTLP_AGAIN;
    const char *said = http->error[0] != '\0' ? http->error : curl_easy_strerror(result);
    snprintf(http->why, sizeof http->why, "%s", too_long ? "the answer is too long" : said);
}

tn__otlp_answer tn__otlp_http_post(tn__otlp_http *http, tn_str message, bool (*gives_up)(void *arg),
    void *arg)
{
    tn__otlp_answer answer = { .fate = TN__OTLP_GIVEN_UP, .body = TN_S(""), .why = http->why };
    CURLcode result = CURLE_OK;
    http->answer.len = 0;
    http->error[0] = '\0';
    snprintf(http->why, sizeof http->why, "there was no time left");
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, message.data);
    curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)message.len);
    if (transfer(http, gives_up, arg, &result)) {
        if (result == CURLE_OK)
            judge_status(http, &answer);
        else
            judge_failure(http, result, &answer);
    }
    return answer;
}
