/* The value types that a struct of a service is made of, besides int64_t, double and bool. */
#pragma once

#include <trunnion/str.h>

/* A UUID (RFC 9562) in network byte order. */
typedef struct {
    uint8_t b[16];
} tn_uuid;

/* An instant: microseconds since 1970-01-01T00:00:00Z, as PostgreSQL's timestamptz can hold it.
 * Written as RFC 3339 in UTC with six digits. */
typedef struct {
    int64_t us;
} tn_time;

/* One JSON value as text, passed through as it is: valid JSON by construction, never NULL. */
typedef struct {
    tn_str text;
} tn_json;

/* A list of T: `n` values at `at`. As the member of a struct: TN_ARRAY_OF(tn_str) tags; */
#define TN_ARRAY_OF(T)                                                                             \
    struct {                                                                                       \
        const T *at;                                                                               \
        size_t n;                                                                                  \
    }

/* A new UUIDv7 (RFC 9562 5.7): ordered by the millisecond, monotonic within a thread. */
tn_uuid tn_uuid_v7(void);

/* The time of the system clock. */
tn_time tn_now(void);

/* The 36 characters of a UUID, in lower case, in the arena. */
tn_str tn_uuid_str(tn_arena *arena, tn_uuid id);

/* RFC 3339 in UTC, such as 2026-01-31T09:15:00.123456Z, in the arena. */
tn_str tn_time_str(tn_arena *arena, tn_time time);
