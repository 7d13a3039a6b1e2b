/* UUIDs (RFC 9562): version 7 made, any version read and written.
 *
 * A thread's ids only rise: within one millisecond, or when the clock went back, the 74 random bits
 * of the one before are raised by a random amount (6.2, method 2). The first bit of them starts as
 * zero, which leaves room for more than 2^40 ids a millisecond; were it ever used up, the
 * millisecond is raised instead.
 *
 * Randomness is the kernel's, fetched for many ids at a time into a buffer of the thread. A forked
 * child forgets its copy of it, or it would make its parent's ids. */
#include "base/base.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum { POOL_BYTES = 256 }; /* getrandom() never gives less than asked up to this */

#define LOW_BITS_MAX  ((UINT64_C(1) << 62) - 1)
#define HIGH_BITS_MAX 0xFFF

/* Of the thread, since neither locks nor the order between threads are worth their price. */
static _Thread_local struct {
    unsigned char pool[POOL_BYTES];
    size_t left;
    uint64_t ms, high, low; /* of the newest id: 48, 12 and 62 bits */
} self;

static pthread_once_t forget_once = PTHREAD_ONCE_INIT;

/* Runs in the only thread that a forked child has. */
static void forget(void)
{
    explicit_bzero(&self, sizeof self);
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget) != 0)
        tn__die("out of memory"); /* its only failure */
}

static void refill(void)
{
    pthread_once(&forget_once, watch_forks);
    ssize_t got;
    do
        got = getrandom(self.pool, sizeof self.pool, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof self.pool)
        abort(); /* a kernel without getrandom(): ids would not be unique */
    self.left = sizeof self.pool;
}

/* What has been handed out is wiped: ids of the past can't be worked out from memory. */
static uint64_t random_bits(size_t bytes)
{
    assert(bytes <= sizeof(uint64_t));
    if (self.left < bytes)
        refill();
    self.left -= bytes;
    uint64_t bits = 0;
    memcpy(&bits, self.pool + self.left, bytes);
    memset(self.pool + self.left, 0, bytes);
    return bits;
}

static void start_ms(uint64_t ms)
{
    self.ms = ms;
    self.high = random_bits(2) & (HIGH_BITS_MAX >> 1);
    self.low = random_bits(8) & LOW_BITS_MAX;
}

static void raise_last(void)
{
    self.low += 1 + random_bits(4);
    if (self.low <= LOW_BITS_MAX)
        return;
    self.low &= LOW_BITS_MAX;
    self.high++;
    if (self.high > HIGH_BITS_MAX)
        start_ms(self.ms + 1);
}

static void put_be(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

tn_uuid tn_uuid_v7(void)
{
    uint64_t ms = (uint64_t)tn_now().us / 1000;
    if (ms > self.ms)
        start_ms(ms);
    else
        raise_last();
    tn_uuid id;
    put_be(id.b, self.ms, 6);
    put_be(id.b + 6, 0x7000 | self.high, 2);
    put_be(id.b + 8, (UINT64_C(2) << 62) | self.low, 8);
    return id;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool has_dash(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool tn__uuid_parse(tn_str s, tn_uuid *id)
{
    if (s.len != 36)
        return false;
    const char *at = s.data;
    tn_uuid read;
    for (size_t i = 0; i < sizeof read.b; i++) {
        if (has_dash(i) && *at++ != '-')
            return false;
        int high = hex_value(*at++), low = hex_value(*at++);
        if (high < 0 || low < 0)
            return false;
        read.b[i] = (uint8_t)(high << 4 | low);
    }
    *id = read;
    return true;
}

void tn__uuid_write(tn_uuid id, char out[36])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof id.b; i++) {
        if (has_dash(i))
            *out++ = '-';
        *out++ = hex[id.b[i] >> 4];
        *out++ = hex[id.b[i] & 15];
    }
}

bool tn__uuid_is_nil(tn_uuid id)
{
    return memcmp(&id, &(tn_uuid){ { 0 } }, sizeof id) == 0;
}

tn_str tn_uuid_str(tn_arena *arena, tn_uuid id)
{
    char text[36];
    tn__uuid_write(id, text);
    return tn_copy(arena, (tn_str){ text, sizeof text });
}
