/* The configuration of a service: environment variables, listed in one table.
 *
 * Everything about a variable stands in its row of tn__variables: from it come reading, checking,
 * --help and the listing with secrets masked. All faults of an environment are reported at once. */
#pragma once

#include "schema/schema.h"

typedef struct {
    /* where it listens, and what it talks to */
    const char *host;
    int64_t port;
    const char *database_url, *amqp_url; /* amqp_url is "" when the service has no messages */
    const char *event_consumers;
    bool migrate;
    int64_t database_pool_max, database_batch_max, database_lock_timeout_ms;
    /* how much it takes on */
    int64_t workers;
    int64_t connections_max, requests_max, streams_max;
    int64_t body_bytes_max, header_bytes_max;
    int64_t request_timeout_ms, read_timeout_ms, idle_timeout_ms;
    int64_t readiness_delay_ms, drain_timeout_ms;
    /* promises */
    int64_t idempotency_ttl_s, inbox_ttl_s;
    int64_t outbox_batch_max, outbox_poll_ms;
    int64_t consumer_prefetch, consumer_retries_max;
    /* who may call, and what is told */
    const char *cors_allowed_origins;
    int64_t log_level; /* tn_level */
    bool access_log;
    double access_log_ratio;
    /* telemetry */
    const char *otel_service_name, *otel_resource_attributes;
    const char *otel_endpoint, *otel_traces_endpoint, *otel_headers, *otel_certificate;
    int64_t otel_protocol, otel_compression; /* indexes into their choices */
    int64_t otel_timeout_ms;
    int64_t otel_traces_sampler; /* index into its choices: tn__sampler_kind */
    double otel_traces_sampler_arg;
    int64_t otel_delay_ms, otel_export_timeout_ms, otel_queue_max, otel_batch_max;
} tn__config;

typedef enum {
    TN__VARIABLE_TEXT,
    TN__VARIABLE_SECRET,     /* not shown */
    TN__VARIABLE_SECRET_URL, /* shown without its password */
    TN__VARIABLE_INT,
    TN__VARIABLE_REAL,
    TN__VARIABLE_BOOL,
    TN__VARIABLE_CHOICE,
} tn__variable_kind;

typedef enum { TN__OPTIONAL, TN__NEEDED, TN__NEEDED_FOR_MESSAGES } tn__variable_need;

typedef struct {
    const char *group; /* A heading in --help, on the first of its variables. */
    const char *name;
    tn__variable_kind kind;
    tn__variable_need need;
    size_t offset;
    const char *fallback;       /* As it would be written; NULL: none. */
    const char *fallback_shown; /* What --help says of it when it isn't a constant. */
    int64_t min, max;           /* INT and REAL, both included */
    const char *const *choices; /* CHOICE; ends with NULL, the value is the index */
    bool (*check)(tn_str text); /* TEXT and the secrets; NULL: anything */
    const char *allowed;        /* what `check` allows */
    const char *help;
} tn__variable;

/* The values of OTEL_EXPORTER_OTLP_COMPRESSION, in the order of its choices. */
enum { TN__COMPRESSION_NONE, TN__COMPRESSION_GZIP };

extern const tn__variable tn__variables[];
extern const size_t tn__variables_n;

/* What the configuration is for: --migrate needs the database alone. */
typedef enum { TN__TO_RUN, TN__TO_MIGRATE } tn__config_purpose;

/* Reads `environment` ("NAME=value", ends with NULL; later ones of a name are ignored, as getenv
 * does). False with all faults: the pointer is the variable's name, the detail says what was found
 * and what is allowed. A variable that is set to nothing counts as not set. */
bool tn__config_load(tn_arena *arena, const tn_service *service, const char *const *environment,
    tn__config_purpose purpose, tn__config *config, tn__faults *faults);

/* What a variable may hold, for --help and for faults. */
tn_str tn__variable_allowed(tn_arena *arena, const tn__variable *variable);
/* --help: the arguments and the table. */
void tn__config_help(tn__buf *out, tn_arena *arena, const tn_service *service);
/* --check-config: NAME=value lines of what is in force, secrets masked. */
void tn__config_show(tn__buf *out, tn_arena *arena, const tn__config *config);

/* A URL without its password: that of the user part, and of query parameters named so. */
tn_str tn__url_masked(tn_arena *arena, tn_str url);

/* Checks of texts, as the table uses them. */
bool tn__check_database_url(tn_str text);
bool tn__check_amqp_url(tn_str text);
bool tn__check_http_url(tn_str text);
bool tn__check_host(tn_str text);
bool tn__check_origins(tn_str text);
bool tn__check_consumers(tn_str text);
bool tn__check_attributes(tn_str text);
