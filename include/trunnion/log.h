/* Log lines: one JSON object a line on standard output.
 *
 * A line has timestamp, level, message, service, version and, within a request or a message,
 * request_id, trace_id and span_id. The message is a constant; what varies goes into fields. Never
 * log a body, a key or a password. */
#pragma once

#include <trunnion/types.h>

typedef enum { TN_DEBUG, TN_INFO, TN_WARN, TN_ERROR } tn_level;

/* A field: its name and a value. */
typedef struct {
    const char *name;
    enum { TN_LOG_STR, TN_LOG_INT, TN_LOG_REAL, TN_LOG_BOOL } kind;
    union {
        tn_str s;
        int64_t i;
        double d;
        bool b;
    };
} tn_log_field;

#define TN_LOG_S(name_, v) ((tn_log_field){ .name = (name_), .kind = TN_LOG_STR, .s = (v) })
#define TN_LOG_Z(name_, v) TN_LOG_S(name_, tn_str_of(v))
#define TN_LOG_I(name_, v) ((tn_log_field){ .name = (name_), .kind = TN_LOG_INT, .i = (v) })
#define TN_LOG_D(name_, v) ((tn_log_field){ .name = (name_), .kind = TN_LOG_REAL, .d = (v) })
#define TN_LOG_B(name_, v) ((tn_log_field){ .name = (name_), .kind = TN_LOG_BOOL, .b = (v) })

/* Writes a line when `level` is at or above LOG_LEVEL. TN_LOG(TN_INFO, "listening",
 * TN_LOG_I("port", port)). Thread-safe. */
void tn_log(tn_level level, const char *message, const tn_log_field *fields, size_t n_fields);
#define TN_LOG(level, message, ...)                                                                \
    tn_log((level), (message), (const tn_log_field[]){ __VA_ARGS__ },                              \
        sizeof((const tn_log_field[]){ __VA_ARGS__ }) / sizeof(tn_log_field))
