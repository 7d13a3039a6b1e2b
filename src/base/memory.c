/* Allocation that never fails: when memory is gone, the process says so and ends.
 *
 * No acknowledged write can be lost by that, since nothing is acknowledged before it is durable. The
 * last line is put together without allocating. */
#include "base/base.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static void put(const char *text, size_t n)
{
    ssize_t written = write(STDOUT_FILENO, text, n);
    (void)written; /* nothing is left to try */
}

_Noreturn void tn__die(const char *message)
{
    char line[256] = "{\"timestamp\":\"";
    static const char middle[] = "\",\"level\":\"error\",\"message\":\"";
    size_t n = strlen(line), len = strlen(message);
    tn__time_write(tn_now(), line + n);
    n += 27;
    memcpy(line + n, middle, sizeof middle - 1);
    n += sizeof middle - 1;
    len = len < sizeof line - n - 3 ? len : sizeof line - n - 3;
    memcpy(line + n, message, len);
    memcpy(line + n + len, "\"}\n", 3);
    put(line, n + len + 3);
    _exit(EX_OSERR);
}

static _Noreturn void out_of_memory(void)
{
    tn__die("out of memory");
}

void *tn__xmalloc(size_t bytes)
{
    void *p = bytes > PTRDIFF_MAX ? NULL : malloc(bytes == 0 ? 1 : bytes);
    if (p == NULL)
        out_of_memory();
    return p;
}

void *tn__xcalloc(size_t n, size_t bytes)
{
    size_t all;
    if (__builtin_mul_overflow(n, bytes, &all) || all > PTRDIFF_MAX)
        out_of_memory();
    void *p = calloc(1, all == 0 ? 1 : all);
    if (p == NULL)
        out_of_memory();
    return p;
}

void *tn__xrealloc(void *p, size_t bytes)
{
    void *moved = bytes > PTRDIFF_MAX ? NULL : realloc(p, bytes == 0 ? 1 : bytes);
    if (moved == NULL)
        out_of_memory();
    return moved;
}
