/* Allocation that never fails: when memory is gone, the process says so and ends.
 *
 * No acknowledged write can be lost by that, since nothing is acknowledged before it is durable. The
 * last line is put together without allocating. */
#include "base/base.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

typedef struct {
    char text[256];
    size_t len;
} line;

/* As much as there is room for, before the three characters at the end. */
static void add(line *l, const char *text, size_t n)
{
    size_t room = sizeof l->text - 3 - l->len;
    size_t fits = n < room ? n : room;
    memcpy(l->text + l->len, text, fits);
    l->len += fits;
}

_Noreturn void tn__die(const char *message)
{
    tn_str head = TN_S("{\"timestamp\":\"");
    tn_str middle = TN_S("\",\"level\":\"error\",\"message\":\"");
    char now[27];
    line l = { .len = 0 };
    tn__time_write(tn_now(), now);
    add(&l, head.data, head.len);
    add(&l, now, sizeof now);
    add(&l, middle.data, middle.len);
    add(&l, message, strlen(message));
    memcpy(l.text + l.len, "\"}\n", 3);
    ssize_t written = write(STDOUT_FILENO, l.text, l.len + 3);
    (void)written; /* nothing is left to try */
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
