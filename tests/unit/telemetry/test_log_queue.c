/* The queue of log lines, with a reader that is slow, gone or picky. */

#include "telemetry/log_queue.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLOSE_MS = 5000 };

static void dropped(tn__buf *line, uint64_t n)
{
    tn__buf_printf(line, "dropped %llu\n", (unsigned long long)n);
}

static tn__log_queue *open_queue(int fd, size_t bytes_max)
{
    return tn__log_queue_open(&(tn__log_queue_options){
        .fd = fd,
        .bytes_max = bytes_max,
        .on_dropped = dropped,
    });
}

/* A line of `bytes` bytes with its newline. */
static void add_line(tn__log_queue *queue, char letter, size_t bytes)
{
    char *line = malloc(bytes);
    memset(line, letter, bytes - 1);
    line[bytes - 1] = '\n';
    tn__log_queue_add(queue, (tn_str){ line, bytes });
    free(line);
}

static void read_exactly(int fd, char *into, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, into, n);
        assert_true(got > 0);
        into += got;
        n -= (size_t)got;
    }
}

static void what_waits_is_written_at_the_close(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    tn__log_queue *queue = open_queue(ends[1], 1000);
    add_line(queue, 'a', 10);
    add_line(queue, 'b', 10);
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    char text[20];
    read_exactly(ends[0], text, sizeof text);
    assert_memory_equal(text, "aaaaaaaaa\nbbbbbbbbb\n", sizeof text);
    close(ends[0]);
    close(ends[1]);
}

static void a_line_is_written_without_a_close(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    tn__log_queue *queue = open_queue(ends[1], 1000);
    char text[10];
    for (int i = 0; i < 3; i++) {
        add_line(queue, 'a', 10);
        read_exactly(ends[0], text, sizeof text);
    }
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    close(ends[0]);
    close(ends[1]);
}

static void a_flush_waits_until_all_is_written(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    tn__log_queue *queue = open_queue(ends[1], 1000);
    assert_true(tn__log_queue_flush(queue, CLOSE_MS));
    for (int i = 0; i < 20; i++) {
        char text[10];
        add_line(queue, 'a', 10);
        assert_true(tn__log_queue_flush(queue, CLOSE_MS));
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        assert_int_equal(read(ends[0], text, sizeof text), 10);
    }
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    close(ends[0]);
    close(ends[1]);
}

static void a_flush_gives_up_on_a_reader_that_is_stuck(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    tn__log_queue *queue = open_queue(ends[1], 100 * 1000);
    for (int i = 0; i < 50; i++)
        add_line(queue, 'a', 1000);
    assert_false(tn__log_queue_flush(queue, 50));
    assert_false(tn__log_queue_close(queue, 50));
    close(ends[0]);
    close(ends[1]);
}

/* The reader takes nothing: adding goes on at once, and what finds no room is counted. Then it reads
 * again: whole lines come, and other lines tell how many are missing, until all are accounted for. */
static void a_slow_reader_costs_lines_that_are_told_of(void **state)
{
    (void)state;
    enum { LINE = 100, ADDED = 2000 };
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    tn__log_queue *queue = open_queue(ends[1], 20 * LINE);
    for (int i = 0; i < ADDED; i++)
        add_line(queue, 'a', LINE);
    assert_in_range(tn__log_queue_dropped(queue), 1, ADDED);
    FILE *reader = fdopen(ends[0], "r");
    char line[LINE + 2];
    unsigned long long whole = 0, told = 0;
    while (whole + told < ADDED) {
        assert_non_null(fgets(line, sizeof line, reader));
        unsigned long long n = 0;
        if (sscanf(line, "dropped %llu", &n) == 1) {
            told += n;
            continue;
        }
        assert_int_equal(strspn(line, "a"), LINE - 1);
        assert_int_equal(line[LINE - 1], '\n');
        whole++;
    }
    assert_int_equal(told, tn__log_queue_dropped(queue));
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    fclose(reader);
    close(ends[1]);
}

static void a_reader_that_is_gone_costs_lines_and_nothing_else(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    tn__log_queue *queue = open_queue(ends[1], 1000);
    add_line(queue, 'a', 10);
    while (tn__log_queue_dropped(queue) == 0)
        usleep(1000);
    assert_int_equal(tn__log_queue_dropped(queue), 1);
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    close(ends[1]);
}

static void a_close_gives_up_on_a_reader_that_is_stuck(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    tn__log_queue *queue = open_queue(ends[1], 100 * 1000);
    for (int i = 0; i < 100; i++)
        add_line(queue, 'a', 1000);
    int64_t before_us = tn__mono_us();
    assert_false(tn__log_queue_close(queue, 50));
    assert_true(tn__mono_us() - before_us < 20 * 1000 * 1000);
    close(ends[0]);
    close(ends[1]);
}

static void a_file_gets_lines_longer_than_a_write(void **state)
{
    (void)state;
    char path[] = "/tmp/trunnion-test-queue-XXXXXX";
    int file = mkstemp(path);
    unlink(path);
    tn__log_queue *queue = open_queue(file, 1000 * 1000);
    add_line(queue, 'a', 300 * 1000);
    for (int i = 0; i < 100; i++)
        add_line(queue, 'b', 1000);
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    struct stat st;
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_size, 400 * 1000);
    close(file);
}

/* Two processes' lines in one pipe stay whole because no write is longer than PIPE_BUF. */
static void no_write_to_a_pipe_cuts_a_line(void **state)
{
    (void)state;
    enum { LINE = 333, LINES = 60 };
    int ends[2];
    assert_int_equal(pipe2(ends, O_DIRECT), 0); /* a read gives one write */
    tn__log_queue *queue = open_queue(ends[1], LINE * LINES);
    for (int i = 0; i < LINES; i++)
        add_line(queue, 'a', LINE);
    assert_true(tn__log_queue_close(queue, CLOSE_MS));
    close(ends[1]);
    char packet[PIPE_BUF + 1];
    size_t lines = 0;
    for (ssize_t n; (n = read(ends[0], packet, sizeof packet)) > 0;) {
        assert_true(n <= PIPE_BUF);
        assert_int_equal(n % LINE, 0);
        lines += (size_t)n / LINE;
    }
    assert_int_equal(lines, LINES);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_written_at_the_close),
        cmocka_unit_test(a_line_is_written_without_a_close),
        cmocka_unit_test(a_flush_waits_until_all_is_written),
        cmocka_unit_test(a_flush_gives_up_on_a_reader_that_is_stuck),
        cmocka_unit_test(a_slow_reader_costs_lines_that_are_told_of),
        cmocka_unit_test(a_reader_that_is_gone_costs_lines_and_nothing_else),
        cmocka_unit_test(a_close_gives_up_on_a_reader_that_is_stuck),
        cmocka_unit_test(a_file_gets_lines_longer_than_a_write),
        cmocka_unit_test(no_write_to_a_pipe_cuts_a_line),
    };
    return cmocka_run_group_tests_name("log_queue", tests, NULL, NULL);
}
