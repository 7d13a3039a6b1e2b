/* The table of all variables, and how an environment is read by it. */

#include "service/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 65536
#define FOUND_MAX      200 /* of a value that is shown in a fault */
#define SCHEME_MAX     16
#define WORKERS_MAX    64

static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const samplers[] = { "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio", NULL };
static const char *const protocols[] = { "http/protobuf", NULL };
static const char *const compressions[] = { "none", "gzip", NULL };

#define AT(member) .offset = offsetof(tn__config, member)
/* clang-format off */
const tn__variable tn__variables[] = {
    { "Where it listens, and what it talks to",
      "HOST", TN__VARIABLE_TEXT, AT(host), .fallback = "0.0.0.0",
      .check = tn__check_host, .allowed = "an address or a host name",
      .help = "The address to listen on." },
    { NULL, "PORT", TN__VARIABLE_INT, AT(port), .fallback = "8080", .min = 0, .max = 65535,
      .help = "The TCP port to listen on; 0 takes a free one and logs it." },
    { NULL, "DATABASE_URL", TN__VARIABLE_SECRET_URL, .need = TN__NEEDED, AT(database_url),
      .check = tn__check_database_url,
      .allowed = "postgresql://user:password@host:port/database",
      .help = "The service's own PostgreSQL database." },
    { NULL, "AMQP_URL", TN__VARIABLE_SECRET_URL, .need = TN__NEEDED_FOR_MESSAGES, AT(amqp_url),
      .check = tn__check_amqp_url,
      .allowed = "amqp://user:password@host:port/vhost, or amqps://",
      .help = "RabbitMQ. Needed when the service publishes or listens." },
    { NULL, "EVENT_CONSUMERS", TN__VARIABLE_TEXT, AT(event_consumers), .fallback = "",
      .check = tn__check_consumers, .allowed = "service=pattern, separated by commas",
      .help = "Queues to declare for known consumers, so that no event is lost before their first"
              " start." },
    { NULL, "MIGRATE", TN__VARIABLE_BOOL, AT(migrate), .fallback = "true",
      .help = "Apply the migrations at the start. When false, it waits until --migrate has." },
    { NULL, "DATABASE_POOL_MAX", TN__VARIABLE_INT, AT(database_pool_max), .fallback = "4",
      .min = 1, .max = 64,
      .help = "Connections of a worker for transactions that wait for rows, besides its two shared"
              " ones." },
    { NULL, "DATABASE_BATCH_MAX", TN__VARIABLE_INT, AT(database_batch_max), .fallback = "128",
      .min = 1, .max = 1024, .help = "Transactions that may share a batch." },
    { NULL, "DATABASE_LOCK_TIMEOUT_MS", TN__VARIABLE_INT, AT(database_lock_timeout_ms),
      .fallback = "500", .min = 1, .max = 60000,
      .help = "How long a statement waits for a lock before its request is turned away." },

    { "How much it takes on",
      "WORKERS", TN__VARIABLE_INT, AT(workers), .fallback_shown = "the number of cores",
      .min = 1, .max = WORKERS_MAX, .help = "Event loops, each a thread." },
    { NULL, "CONNECTIONS_MAX", TN__VARIABLE_INT, AT(connections_max), .fallback = "4096",
      .min = 1, .max = 100000, .help = "Connections of the whole process." },
    { NULL, "REQUESTS_MAX", TN__VARIABLE_INT, AT(requests_max), .fallback = "1024",
      .min = 1, .max = 100000, .help = "Requests at work at once; 503 beyond." },
    { NULL, "STREAMS_MAX", TN__VARIABLE_INT, AT(streams_max), .fallback = "256",
      .min = 0, .max = 100000, .help = "Open event streams; 503 beyond." },
    { NULL, "BODY_BYTES_MAX", TN__VARIABLE_INT, AT(body_bytes_max), .fallback = "1048576",
      .min = 0, .max = 64 << 20, .help = "The largest body; 413 beyond." },
    { NULL, "HEADER_BYTES_MAX", TN__VARIABLE_INT, AT(header_bytes_max), .fallback = "8192",
      .min = 1024, .max = 1 << 20, .help = "The largest block of headers; 431 beyond." },
    { NULL, "REQUEST_TIMEOUT_MS", TN__VARIABLE_INT, AT(request_timeout_ms), .fallback = "5000",
      .min = 1, .max = 600000, .help = "How long a request may be worked on; 504 beyond." },
    { NULL, "READ_TIMEOUT_MS", TN__VARIABLE_INT, AT(read_timeout_ms), .fallback = "10000",
      .min = 1, .max = 600000,
      .help = "How long a client may take to send its request; 408 beyond." },
    { NULL, "IDLE_TIMEOUT_MS", TN__VARIABLE_INT, AT(idle_timeout_ms), .fallback = "75000",
      .min = 1, .max = 3600000, .help = "How long a connection is kept without a request." },
    { NULL, "READINESS_DELAY_MS", TN__VARIABLE_INT, AT(readiness_delay_ms), .fallback = "0",
      .min = 0, .max = 600000,
      .help = "How long, when it is told to stop, it goes on serving with readiness off, so that a"
              " load balancer can notice." },
    { NULL, "DRAIN_TIMEOUT_MS", TN__VARIABLE_INT, AT(drain_timeout_ms), .fallback = "15000",
      .min = 100, .max = 600000,
      .help = "What requests and messages in hand get to finish in after that." },

    { "Promises",
      "IDEMPOTENCY_TTL_S", TN__VARIABLE_INT, AT(idempotency_ttl_s), .fallback = "86400",
      .min = 1, .max = 31536000, .help = "How long the answer to an Idempotency-Key is kept." },
    { NULL, "INBOX_TTL_S", TN__VARIABLE_INT, AT(inbox_ttl_s), .fallback = "604800",
      .min = 60, .max = 31536000,
      .help = "How long the id of a message is remembered, so that it takes effect once." },
    { NULL, "OUTBOX_BATCH_MAX", TN__VARIABLE_INT, AT(outbox_batch_max), .fallback = "256",
      .min = 1, .max = 4096, .help = "Events published in one go." },
    { NULL, "OUTBOX_POLL_MS", TN__VARIABLE_INT, AT(outbox_poll_ms), .fallback = "1000",
      .min = 10, .max = 60000, .help = "How often the outbox is looked at without being woken." },
    { NULL, "CONSUMER_PREFETCH", TN__VARIABLE_INT, AT(consumer_prefetch), .fallback = "256",
      .min = 1, .max = 4096, .help = "Messages in hand at once." },
    { NULL, "CONSUMER_RETRIES_MAX", TN__VARIABLE_INT, AT(consumer_retries_max), .fallback = "5",
      .min = 0, .max = 100,
      .help = "Tries after a failure that may pass, before the message waits in the queue again." },

    { "Who may call, and what is told",
      "CORS_ALLOWED_ORIGINS", TN__VARIABLE_TEXT, AT(cors_allowed_origins), .fallback = "",
      .check = tn__check_origins,
      .allowed = "origins such as https://app.example, separated by commas, or *",
      .help = "Web pages that may call." },
    { NULL, "LOG_LEVEL", TN__VARIABLE_CHOICE, AT(log_level), .fallback = "info",
      .choices = levels,
      .help = "The least level that is logged. SIGUSR1 lowers it while running, SIGUSR2 raises"
              " it." },
    { NULL, "ACCESS_LOG", TN__VARIABLE_BOOL, AT(access_log), .fallback = "true",
      .help = "Log each request and each message." },
    { NULL, "ACCESS_LOG_RATIO", TN__VARIABLE_REAL, AT(access_log_ratio), .fallback = "1",
      .min = 0, .max = 1,
      .help = "The part of them that is logged, by trace id; all that fail (5xx) are." },

    { "Telemetry, by the names of OpenTelemetry",
      "OTEL_SERVICE_NAME", TN__VARIABLE_TEXT, AT(otel_service_name),
      .fallback = "", .fallback_shown = "the service's name", .help = "service.name." },
    { NULL, "OTEL_RESOURCE_ATTRIBUTES", TN__VARIABLE_TEXT, AT(otel_resource_attributes),
      .fallback = "", .check = tn__check_attributes,
      .allowed = "key=value, separated by commas, percent-encoded",
      .help = "Attributes of the resource." },
    { NULL, "OTEL_EXPORTER_OTLP_ENDPOINT", TN__VARIABLE_SECRET_URL, AT(otel_endpoint),
      .fallback = "", .check = tn__check_http_url, .allowed = "http://host:port or https://",
      .help = "The collector; spans are posted to /v1/traces below it. Without one, and without the"
              " next, none are exported." },
    { NULL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", TN__VARIABLE_SECRET_URL,
      AT(otel_traces_endpoint), .fallback = "", .check = tn__check_http_url,
      .allowed = "http://host:port/path or https://",
      .help = "Where spans are posted to, as it is." },
    { NULL, "OTEL_EXPORTER_OTLP_PROTOCOL", TN__VARIABLE_CHOICE, AT(otel_protocol),
      .fallback = "http/protobuf", .choices = protocols, .help = "How spans are sent." },
    { NULL, "OTEL_EXPORTER_OTLP_HEADERS", TN__VARIABLE_SECRET, AT(otel_headers), .fallback = "",
      .check = tn__check_attributes, .allowed = "key=value, separated by commas, percent-encoded",
      .help = "Header fields to send with them, such as authorization." },
    { NULL, "OTEL_EXPORTER_OTLP_CERTIFICATE", TN__VARIABLE_TEXT, AT(otel_certificate),
      .fallback = "", .help = "A PEM file of authorities to trust instead of the system's." },
    { NULL, "OTEL_EXPORTER_OTLP_COMPRESSION", TN__VARIABLE_CHOICE, AT(otel_compression),
      .fallback = "none", .choices = compressions,
      .help = "gzip costs CPU; over a network that costs more, it pays." },
    { NULL, "OTEL_EXPORTER_OTLP_TIMEOUT", TN__VARIABLE_INT, AT(otel_timeout_ms),
      .fallback = "10000", .min = 1, .max = 600000,
      .help = "How long the collector may take to answer, in milliseconds." },
    { NULL, "OTEL_TRACES_SAMPLER", TN__VARIABLE_CHOICE, AT(otel_traces_sampler),
      .fallback = "parentbased_always_on", .choices = samplers,
      .help = "Which traces are kept." },
    { NULL, "OTEL_TRACES_SAMPLER_ARG", TN__VARIABLE_REAL, AT(otel_traces_sampler_arg),
      .fallback = "1", .min = 0, .max = 1, .help = "The ratio of the samplers that have one." },
    { NULL, "OTEL_BSP_SCHEDULE_DELAY", TN__VARIABLE_INT, AT(otel_delay_ms), .fallback = "1000",
      .min = 1, .max = 3600000,
      .help = "How long a span waits for others to be sent with, in milliseconds." },
    { NULL, "OTEL_BSP_EXPORT_TIMEOUT", TN__VARIABLE_INT, AT(otel_export_timeout_ms),
      .fallback = "30000", .min = 1, .max = 3600000,
      .help = "How long spans that are not taken are sent again, in milliseconds." },
    { NULL, "OTEL_BSP_MAX_QUEUE_SIZE", TN__VARIABLE_INT, AT(otel_queue_max), .fallback = "8192",
      .min = 1, .max = 1000000,
      .help = "Spans of each thread that may wait; beyond that they are dropped and counted." },
    { NULL, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", TN__VARIABLE_INT, AT(otel_batch_max),
      .fallback = "512", .min = 1, .max = 100000, .help = "Spans sent in one message." },
};
/* clang-format on */
const size_t tn__variables_n = sizeof tn__variables / sizeof *tn__variables;

_Static_assert(sizeof tn__variables / sizeof *tn__variables <= TN__FAULTS_MAX,
    "every variable may be at fault at once");

/* ---- Faults ------------------------------------------------------------- */

typedef struct {
    tn_arena *arena;
    const char *const *environment;
    tn__config *config;
    tn__faults *faults;
} reading;

static void fault(const reading *r, const char *name, const char *suffix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void fault(const reading *r, const char *name, const char *suffix, const char *format, ...)
{
    if (r->faults->n == TN__FAULTS_MAX) {
        r->faults->more++;
        return;
    }
    va_list args;
    va_start(args, format);
    r->faults->at[r->faults->n++] = (tn__fault){
        .pointer = tn_printf(r->arena, "%s%s", name, suffix),
        .detail = tn_vprintf(r->arena, format, args),
    };
    va_end(args);
}

/* A text as a fault shows it: one printable line of UTF-8, not too long. */
static tn_str shown(tn_arena *arena, tn_str text)
{
    bool is_utf8 = tn__utf8_valid(text);
    size_t len = text.len < FOUND_MAX ? text.len : FOUND_MAX;
    while (len < text.len && len > 0 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--; /* Not in the middle of a character. */
    char *out = tn_alloc(arena, len + 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool printable = c >= 0x20 && c != 0x7f && (c < 0x80 || is_utf8);
        out[i] = printable ? text.data[i] : '?';
    }
    return tn_printf(arena, "\"%.*s%s\"", (int)len, out, len < text.len ? "..." : "");
}

/* Of a URL's scheme with its "://"; 0 when there is none. */
static size_t scheme_len(tn_str text)
{
    size_t n = 0;
    while (n < text.len && n < SCHEME_MAX && text.data[n] >= 'a' && text.data[n] <= 'z')
        n++;
    bool has_scheme = n > 0 && text.len >= n + 3 && memcmp(text.data + n, "://", 3) == 0;
    return has_scheme ? n + 3 : 0;
}

/* Of a URL that isn't one, nobody can say where the password stands. Shown is what can't hold one: a
 * URL without user, port or query; of any other the scheme; of anything else nothing. */
static tn_str shown_secret(tn_arena *arena, tn_str text)
{
    size_t n = scheme_len(text);
    bool is_plain = n > 0;
    for (size_t i = n; i < text.len; i++)
        is_plain = is_plain && strchr("@:? ", text.data[i]) == NULL;
    return is_plain ? shown(arena, text) : tn_printf(arena, "\"%.*s***\"", (int)n, text.data);
}

static void fault_value(const reading *r, const tn__variable *variable, tn_str text)
{
    tn_str found = TN_S("\"***\"");
    if (variable->kind == TN__VARIABLE_SECRET_URL)
        found = shown_secret(r->arena, text);
    else if (variable->kind != TN__VARIABLE_SECRET)
        found = shown(r->arena, text);
    tn_str allowed = tn__variable_allowed(r->arena, variable);
    fault(r, variable->name, "", "found %.*s; allowed: %.*s", TN_FMT(found), TN_FMT(allowed));
}

/* ---- Values ------------------------------------------------------------- */

static bool set_bool(bool *out, tn_str text)
{
    if (tn_str_eq(text, TN_S("true")) || tn_str_eq(text, TN_S("1"))) {
        *out = true;
        return true;
    }
    *out = false;
    return tn_str_eq(text, TN_S("false")) || tn_str_eq(text, TN_S("0"));
}

static bool set_choice(int64_t *out, const char *const *choices, tn_str text)
{
    for (int64_t i = 0; choices[i] != NULL; i++) {
        if (tn_str_eq(text, tn_str_of(choices[i]))) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool set_text(const reading *r, const tn__variable *variable, const char **out, tn_str text)
{
    if (memchr(text.data, '\0', text.len) != NULL || !tn__utf8_valid(text))
        return false;
    if (variable->check != NULL && !variable->check(text))
        return false;
    *out = tn_copy(r->arena, text).data;
    return true;
}

static bool set_value(const reading *r, const tn__variable *variable, tn_str text)
{
    void *out = (char *)r->config + variable->offset;
    switch (variable->kind) {
    case TN__VARIABLE_TEXT:
    case TN__VARIABLE_SECRET:
    case TN__VARIABLE_SECRET_URL:
        return set_text(r, variable, out, text);
    case TN__VARIABLE_INT:
        return tn__i64_parse(text, out) && *(int64_t *)out >= variable->min &&
            *(int64_t *)out <= variable->max;
    case TN__VARIABLE_REAL:
        return tn__real_parse(text, out) && *(double *)out >= (double)variable->min &&
            *(double *)out <= (double)variable->max;
    case TN__VARIABLE_BOOL:
        return set_bool(out, text);
    case TN__VARIABLE_CHOICE:
        return set_choice(out, variable->choices, text);
    }
    return false;
}

static void set_fallback(const reading *r, const tn__variable *variable)
{
    if (variable->fallback != NULL && variable->fallback[0] != '\0') {
        bool fits = set_value(r, variable, tn_str_of(variable->fallback));
        if (!fits)
            fault_value(r, variable, tn_str_of(variable->fallback)); /* The table is wrong. */
    } else if (variable->kind <= TN__VARIABLE_SECRET_URL) {
        *(const char **)(void *)((char *)r->config + variable->offset) = "";
    }
}

/* ---- Where a value comes from ------------------------------------------- */

/* The value of the variable name + suffix, NULL when it is not set or set to nothing. */
static const char *look_up(const reading *r, const char *name, const char *suffix)
{
    size_t name_len = strlen(name), suffix_len = strlen(suffix);
    for (const char *const *at = r->environment; *at != NULL; at++) {
        if (strncmp(*at, name, name_len) == 0 && strncmp(*at + name_len, suffix, suffix_len) == 0 &&
            (*at)[name_len + suffix_len] == '=') {
            const char *value = *at + name_len + suffix_len + 1;
            return value[0] != '\0' ? value : NULL;
        }
    }
    return NULL;
}

static const char *read_all(int fd, tn_arena *arena, tn_str *text)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "it is not a regular file";
    char data[FILE_BYTES_MAX + 1];
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len <= FILE_BYTES_MAX; len += (size_t)n) {
        n = read(fd, data + len, FILE_BYTES_MAX + 1 - len);
        if (n < 0)
            return strerror(errno);
    }
    *text = tn_copy(arena, (tn_str){ data, len });
    return len <= FILE_BYTES_MAX ? NULL : "it is longer than 65536 bytes";
}

static tn_str without_newline(tn_str text)
{
    size_t n = text.len;
    n -= n > 0 && text.data[n - 1] == '\n';
    n -= n < text.len && n > 0 && text.data[n - 1] == '\r';
    return (tn_str){ text.data, n };
}

/* The whole file but for one newline at its end, which editors and echo leave there. False when
 * there is a fault. */
static bool read_file(const reading *r, const char *name, const char *path, tn_str *text)
{
    /* Without waiting: a FIFO that nobody writes to would hold up the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = fd < 0 ? strerror(errno) : read_all(fd, r->arena, text);
    if (fd >= 0)
        close(fd);
    if (why != NULL) {
        tn_str found = shown(r->arena, tn_str_of(path));
        fault(r, name, "_FILE", "found %.*s: %s; allowed: a file that can be read", TN_FMT(found),
            why);
        return false;
    }
    *text = without_newline(*text);
    if (text->len == 0) {
        fault(r, name, "_FILE", "the file is empty; allowed: a file that holds the value");
        return false;
    }
    return true;
}

typedef enum { UNSET, SET, AT_FAULT } origin;

static origin find_value(const reading *r, const tn__variable *variable, tn_str *text)
{
    const char *value = look_up(r, variable->name, "");
    const char *path = look_up(r, variable->name, "_FILE");
    if (value != NULL && path != NULL) {
        fault(r, variable->name, "", "found both %s and %s_FILE; allowed: one of them",
            variable->name, variable->name);
        return AT_FAULT;
    }
    if (path != NULL)
        return read_file(r, variable->name, path, text) ? SET : AT_FAULT;
    *text = tn_str_of(value);
    return value != NULL ? SET : UNSET;
}

static bool is_needed(const tn__variable *variable, const tn_service *service,
    tn__config_purpose purpose)
{
    if (variable->need == TN__NEEDED_FOR_MESSAGES)
        return purpose == TN__TO_RUN && service->events.n + service->subscriptions.n > 0;
    return variable->need == TN__NEEDED;
}

static int64_t count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < WORKERS_MAX ? n : WORKERS_MAX;
}

bool tn__config_load(tn_arena *arena, const tn_service *service, const char *const *environment,
    tn__config_purpose purpose, tn__config *config, tn__faults *faults)
{
    reading r = { arena, environment, config, faults };
    size_t faults_before = faults->n;
    *config = (tn__config){ 0 };
    config->workers = count_cores();
    for (size_t i = 0; i < tn__variables_n; i++) {
        const tn__variable *variable = &tn__variables[i];
        tn_str text = { NULL, 0 };
        set_fallback(&r, variable);
        origin found = find_value(&r, variable, &text);
        if (found == SET && !set_value(&r, variable, text))
            fault_value(&r, variable, text);
        if (found == UNSET && is_needed(variable, service, purpose)) {
            tn_str allowed = tn__variable_allowed(arena, variable);
            fault(&r, variable->name, "", "not set; allowed: %.*s", TN_FMT(allowed));
        }
    }
    return faults->n == faults_before;
}
