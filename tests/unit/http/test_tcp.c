/* What a socket tells of its connection. */
#include "unit/base/unit.h"

#include "http/tcp.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int client, server; /* the two ends of a connection over loopback */

static int open_connection(void **state)
{
    (void)state;
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&address, length) != 0 || listen(listening, 1) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &length) != 0 ||
        connect(client, (struct sockaddr *)&address, length) != 0)
        return -1;
    server = accept(listening, NULL, NULL);
    close(listening);
    return server < 0 ? -1 : 0;
}

static int close_connection(void **state)
{
    (void)state;
    close(client);
    close(server);
    return 0;
}

static void await(short events)
{
    struct pollfd ready = { .fd = server, .events = events };
    assert_int_equal(poll(&ready, 1, 5000), 1);
}

static void bytes_have_arrived_whether_they_are_read_or_not(void **state)
{
    (void)state;
    char bytes[8];
    assert_int_equal(tn__tcp_arrived(server).bytes, 0);
    assert_int_equal(write(client, "hello", 5), 5);
    await(POLLIN);
    assert_int_equal(tn__tcp_arrived(server).bytes, 5);
    assert_int_equal(tn__tcp_unread(server), 5);
    assert_int_equal(read(server, bytes, 3), 3);
    assert_int_equal(tn__tcp_arrived(server).bytes, 5);
    assert_int_equal(tn__tcp_unread(server), 2);
}

static void the_end_of_a_connection_is_no_byte(void **state)
{
    (void)state;
    shutdown(client, SHUT_WR);
    await(POLLRDHUP);
    assert_int_equal(tn__tcp_arrived(server).bytes, 0);
    assert_true(tn__tcp_arrived(server).all);
    assert_false(tn__tcp_arrived(client).all);
}

static void the_end_after_some_bytes_is_no_byte_either(void **state)
{
    (void)state;
    assert_int_equal(write(client, "hello", 5), 5);
    shutdown(client, SHUT_WR);
    await(POLLRDHUP);
    assert_int_equal(tn__tcp_arrived(server).bytes, 5);
    shutdown(server, SHUT_WR);
    assert_int_equal(tn__tcp_arrived(server).bytes, 5);
}

#define TCP_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_connection, close_connection)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TCP_TEST(bytes_have_arrived_whether_they_are_read_or_not),
        TCP_TEST(the_end_of_a_connection_is_no_byte),
        TCP_TEST(the_end_after_some_bytes_is_no_byte_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
