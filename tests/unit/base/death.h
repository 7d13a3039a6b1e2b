/* What a function does to its process: it runs in a forked child, whose end is reported. */
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* How the child ended (see waitpid); 0 when it came to the end of fn(). What it writes to standard
 * output comes in `said` (of `size` bytes, ended by NUL); its standard error is thrown away. */
static inline int death_of(void (*fn)(void), char *said, size_t size)
{
    int ends[2], status = -1;
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        dup2(ends[1], STDOUT_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while (len + 1 < size && (n = read(ends[0], said + len, size - len - 1)) > 0)
        len += (size_t)n;
    said[len] = '\0';
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}
