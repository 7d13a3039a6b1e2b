/* Allocation that never fails: when memory is gone, the process says so and ends.
 *
 * No acknowledged write can be lost by that, since nothing is acknowledged before it is durable. The
 * last line is put together without allocating. */
#include "base/base.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
    static const char head[] = "{\"timestamp\":\"";
    static const char tail[] = "\",\"level\":\"error\",\"message\":\"out of memory\"}\n";
    char line[sizeof head - 1 + 27 + sizeof tail - 1];
    memcpy(line, head, sizeof head - 1);
    tn__time_write(tn_now(), line + sizeof head - 1);
    memcpy(line + sizeof head - 1 + 27, tail, sizeof tail - 1);
    ssize_t written = write(STDOUT_FILENO, line, sizeof line);
    (void)written; /* nothing is left to try */
    _exit(EX_OSERR);
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
    void *p = n == 0 || bytes == 0 ? calloc(1, 1) : calloc(n, bytes);
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
