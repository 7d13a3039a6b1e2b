/* A receiver of spans that reads everything and keeps nothing, so that what is measured is the cost
 * of sending them.
 *
 * usage: sink PORT. A process for each connection, of which exporters keep few. */

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[1 << 20]; /* the last byte stays NUL */

/* Reads one request; false at the end of the connection. */
static bool take(int fd)
{
    size_t n = 0, body = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = read(fd, in + n, sizeof in - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        end = memmem(in, n, "\r\n\r\n", 4);
    }
    const char *length = strcasestr(in, "\r\nContent-Length: ");
    if (length != NULL && length < end)
        body = strtoul(length + 18, NULL, 10);
    for (size_t taken = n - (size_t)(end - in) - 4; taken < body;) {
        ssize_t got = read(fd, in, sizeof in - 1);
        if (got <= 0)
            return false;
        taken += (size_t)got;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const char taken[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    at.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 16) != 0) {
        perror("sink");
        return 1;
    }
    signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd))
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (take(fd) && write(fd, taken, sizeof taken - 1) > 0)
                ;
            _exit(0);
        }
    return 0;
}
