/* Signals, each in a process of its own. What it saw comes back as its exit status or over a pipe. */

#include "service/service.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 5000 };

static int pipe_ends[2];

static void tell(void *arg, int number)
{
    (void)arg;
    char c = (char)number;
    if (write(pipe_ends[1], &c, 1) != 1)
        _exit(99);
}

/* A process that waits for signals; it tells 'r' when it does. */
static pid_t start(void (*prepare)(void))
{
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        signal(SIGINT, SIG_DFL); /* Whoever started the test may ignore them. */
        signal(SIGHUP, SIG_DFL);
        if (prepare != NULL)
            prepare();
        tn__signals_block();
        tn__signals_open(TN_INFO, tell, NULL);
        tell(NULL, 'r');
        for (;;)
            pause();
    }
    return pid;
}

/* The next byte that it told, or 0 when none comes. */
static char heard(int within_ms)
{
    struct pollfd pollfd = { .fd = pipe_ends[0], .events = POLLIN };
    char c = 0;
    if (poll(&pollfd, 1, within_ms) == 1 && read(pipe_ends[0], &c, 1) == 1)
        return c;
    return 0;
}

static int end(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return status;
}

static void the_first_asks_and_the_second_ends_it_at_once(void **state)
{
    (void)state;
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        pid_t pid = start(NULL);
        assert_int_equal(heard(WAIT_MS), 'r');
        kill(pid, signals[i]);
        assert_int_equal(heard(WAIT_MS), signals[i]);
        usleep(150 * 1000);
        kill(pid, signals[i]);
        int status = end(pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 128 + signals[i]);
    }
}

static void a_signal_that_comes_twice_in_a_moment_is_one(void **state)
{
    (void)state;
    pid_t pid = start(NULL);
    assert_int_equal(heard(WAIT_MS), 'r');
    /* It stands still, so that both are there when it looks, however slow we are. */
    int status = 0;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    kill(pid, SIGTERM);
    kill(pid, SIGINT);
    kill(pid, SIGCONT);
    assert_int_equal(heard(WAIT_MS), SIGINT); /* The lower number comes first. */
    assert_int_equal(heard(50), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    kill(pid, SIGKILL);
    end(pid);
}

static void ignore_hangups(void)
{
    signal(SIGHUP, SIG_IGN);
}

static void what_was_ignored_at_the_start_stays_ignored(void **state)
{
    (void)state;
    pid_t pid = start(ignore_hangups);
    assert_int_equal(heard(WAIT_MS), 'r');
    kill(pid, SIGHUP);
    assert_int_equal(heard(100), 0);
    kill(pid, SIGTERM);
    assert_int_equal(heard(WAIT_MS), SIGTERM);
    kill(pid, SIGKILL);
    end(pid);
}

static void a_peer_that_is_gone_is_no_signal(void **state)
{
    (void)state;
    pid_t pid = start(NULL);
    assert_int_equal(heard(WAIT_MS), 'r');
    kill(pid, SIGPIPE);
    kill(pid, SIGUSR2);
    kill(pid, SIGTERM);
    assert_int_equal(heard(WAIT_MS), SIGTERM);
    kill(pid, SIGKILL);
    end(pid);
}

static void closing_ends_the_thread(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        tn__signals_block();
        tn__signals *signals = tn__signals_open(TN_INFO, tell, NULL);
        tn__signals_close(signals);
        exit(7);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_asks_and_the_second_ends_it_at_once),
        cmocka_unit_test(a_signal_that_comes_twice_in_a_moment_is_one),
        cmocka_unit_test(what_was_ignored_at_the_start_stays_ignored),
        cmocka_unit_test(a_peer_that_is_gone_is_no_signal),
        cmocka_unit_test(closing_ends_the_thread),
    };
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
