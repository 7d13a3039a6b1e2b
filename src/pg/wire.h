/* Numbers as PostgreSQL's binary formats have them: big-endian, and times counted from 2000. */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* 2000-01-01T00:00:00Z in microseconds of Unix time. */
#define TN__PG_EPOCH_US INT64_C(946684800000000)

static inline void tn__put16(char *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof v);
}
static inline void tn__put32(char *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof v);
}
static inline void tn__put64(char *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof v);
}
static inline int16_t tn__get16(const char *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return (int16_t)be16toh(v);
}
static inline int32_t tn__get32(const char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return (int32_t)be32toh(v);
}
static inline int64_t tn__get64(const char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return (int64_t)be64toh(v);
}
static inline double tn__get_double(const char *at)
{
    int64_t bits = tn__get64(at);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The ends of int64_t stand for PostgreSQL's infinity and -infinity in both directions; what is too
 * early for the server's count becomes -infinity too, which no time that we make comes near. */
static inline int64_t tn__time_to_pg(int64_t us)
{
    if (us == INT64_MAX || us == INT64_MIN)
        return us;
    return us < INT64_MIN + TN__PG_EPOCH_US ? INT64_MIN : us - TN__PG_EPOCH_US;
}
static inline int64_t tn__time_from_pg(int64_t pg_us)
{
    if (pg_us == INT64_MAX || pg_us == INT64_MIN)
        return pg_us;
    return pg_us > INT64_MAX - TN__PG_EPOCH_US ? INT64_MAX : pg_us + TN__PG_EPOCH_US;
}
