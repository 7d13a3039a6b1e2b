/* W3C Trace Context, Level 1: the traceparent header. Hexadecimal digits are lower case only, ids of
 * nothing but zeros are no ids, and version ff doesn't exist. A later version is read as far as this
 * one goes, as section 3.2 of the recommendation asks. */

#include "telemetry/telemetry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define HEADER_LEN    55
#define TRACE_AT      3
#define SPAN_AT       36
#define FLAGS_AT      53
#define RANDOM_BUFFER 256

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *at, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(at[2 * i]), low = hex_digit(at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void hex_write(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 0x0f];
    }
}

static bool all_zero(const uint8_t *at, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= at[i];
    return any == 0;
}

static bool length_fits(tn_str header, uint8_t version)
{
    if (version == 0)
        return header.len == HEADER_LEN;
    return header.len == HEADER_LEN || header.data[HEADER_LEN] == '-';
}

bool tn__traceparent_parse(tn_str header, tn__trace *trace)
{
    const char *at = header.data;
    uint8_t version;
    tn__trace read;
    if (header.len < HEADER_LEN || !hex_read(at, &version, 1) || version == 0xff ||
        !length_fits(header, version))
        return false;
    if (at[TRACE_AT - 1] != '-' || at[SPAN_AT - 1] != '-' || at[FLAGS_AT - 1] != '-')
        return false;
    if (!hex_read(at + TRACE_AT, read.trace_id, sizeof read.trace_id) ||
        !hex_read(at + SPAN_AT, read.span_id, sizeof read.span_id) ||
        !hex_read(at + FLAGS_AT, &read.flags, 1))
        return false;
    if (all_zero(read.trace_id, sizeof read.trace_id) ||
        all_zero(read.span_id, sizeof read.span_id))
        return false;
    *trace = read;
    return true;
}

void tn__traceparent_write(const tn__trace *trace, char out[55])
{
    /* Only the flags that this version defines are passed on (3.2.2.5.2). */
    uint8_t flags = trace->flags & TN__TRACE_SAMPLED;
    const uint8_t version = 0;
    hex_write(&version, 1, out);
    out[TRACE_AT - 1] = '-';
    hex_write(trace->trace_id, sizeof trace->trace_id, out + TRACE_AT);
    out[SPAN_AT - 1] = '-';
    hex_write(trace->span_id, sizeof trace->span_id, out + SPAN_AT);
    out[FLAGS_AT - 1] = '-';
    hex_write(&flags, 1, out + FLAGS_AT);
}

void tn__trace_ids_write(const tn__trace *trace, char trace_id[32], char span_id[16])
{
    hex_write(trace->trace_id, sizeof trace->trace_id, trace_id);
    hex_write(trace->span_id, sizeof trace->span_id, span_id);
}

/* Thread-local, so that a span id costs a system call once in 32, and no lock. */
static _Thread_local struct {
    uint8_t bytes[RANDOM_BUFFER];
    size_t left;
} pool;

static void random_bytes(uint8_t *out, size_t n)
{
    assert(n <= sizeof pool.bytes);
    do {
        if (pool.left < n) {
            while (getrandom(pool.bytes, sizeof pool.bytes, 0) != (ssize_t)sizeof pool.bytes)
                if (errno != EINTR)
                    abort(); /* Linux gives up to 256 bytes whole, once it is seeded. */
            pool.left = sizeof pool.bytes;
        }
        pool.left -= n;
        memcpy(out, pool.bytes + pool.left, n);
    } while (all_zero(out, n));
}

tn__trace tn__trace_child(const tn__trace *parent)
{
    tn__trace trace = { .flags = TN__TRACE_SAMPLED };
    if (parent != NULL)
        trace = *parent;
    else
        random_bytes(trace.trace_id, sizeof trace.trace_id);
    random_bytes(trace.span_id, sizeof trace.span_id);
    return trace;
}
