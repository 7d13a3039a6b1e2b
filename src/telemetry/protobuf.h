/* Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), as far as OTLP needs it.
 *
 * Writing goes to a place that has room: who writes has reserved it. Each writer returns where the
 * next one goes on. Reading takes field by field and believes nothing. */
#pragma once

#include "base/base.h"

#include <endian.h>

typedef enum {
    TN__PB_VARINT = 0,
    TN__PB_FIXED64 = 1,
    TN__PB_LEN = 2,
    TN__PB_FIXED32 = 5
} tn__pb_wire;

/* What a tag or a length takes at most. Field numbers are below 2048. */
#define TN__PB_TAG_BYTES_MAX    2
#define TN__PB_VARINT_BYTES_MAX 10

static inline size_t tn__pb_varint_size(uint64_t v)
{
    return v == 0 ? 1 : (size_t)(63 - __builtin_clzll(v)) / 7 + 1;
}

static inline char *tn__pb_varint(char *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    return at;
}

static inline char *tn__pb_tag(char *at, unsigned field, tn__pb_wire wire)
{
    return tn__pb_varint(at, field << 3 | (unsigned)wire);
}

static inline char *tn__pb_uint(char *at, unsigned field, uint64_t v)
{
    return tn__pb_varint(tn__pb_tag(at, field, TN__PB_VARINT), v);
}

static inline char *tn__pb_fixed64(char *at, unsigned field, uint64_t v)
{
    uint64_t little = htole64(v);
    at = tn__pb_tag(at, field, TN__PB_FIXED64);
    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

static inline char *tn__pb_fixed32(char *at, unsigned field, uint32_t v)
{
    uint32_t little = htole32(v);
    at = tn__pb_tag(at, field, TN__PB_FIXED32);
    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

/* The head of a string or of a message: `n` bytes of it follow. */
static inline char *tn__pb_head(char *at, unsigned field, size_t n)
{
    return tn__pb_varint(tn__pb_tag(at, field, TN__PB_LEN), n);
}

static inline char *tn__pb_bytes(char *at, unsigned field, const void *bytes, size_t n)
{
    at = tn__pb_head(at, field, n);
    if (n > 0)
        memcpy(at, bytes, n);
    return at + n;
}

/* Appends a string or a message to a buffer. */
void tn__pb_add(tn__buf *out, unsigned field, tn_str bytes);
/* The same for a message whose first `n` bytes are all that is still missing. */
void tn__pb_add_head(tn__buf *out, unsigned field, size_t n);

/* A field as it was read: `number` for VARINT and the fixed ones, `bytes` for LEN. */
typedef struct {
    unsigned field;
    tn__pb_wire wire;
    uint64_t number;
    tn_str bytes;
} tn__pb_field;

/* Cuts the next field off `*rest`. False at the end, and at what is no field. */
bool tn__pb_read(tn_str *rest, tn__pb_field *field);
