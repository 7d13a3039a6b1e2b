/* What tests with a real broker share. They run under tests/support/with-stack. */
#pragma once

#include "amqp/amqp.h"

#include <setjmp.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline const char *test_env(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL)
        fail_msg("%s is not set: run this by tests/support/with-stack", name);
    return value;
}

/* Runs "$TEST_STACK words": kill, start, rabbitmqctl. */
__attribute__((format(printf, 1, 2))) static inline void test_stack(const char *format, ...)
{
    char words[512], line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    snprintf(line, sizeof line, "%s %s >/dev/null", test_env("TEST_STACK"), words);
    assert_int_equal(system(line), 0);
}

/* The process id of PostgreSQL or RabbitMQ, as "$TEST_STACK status" says it. */
static inline pid_t test_pid_of(const char *server)
{
    char line[2048];
    int pid = 0;
    snprintf(line, sizeof line, "%s status | sed -n 's/.*%s.* pid //p'", test_env("TEST_STACK"),
        server);
    FILE *out = popen(line, "r");
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%d", &pid), 1);
    pclose(out);
    assert_true(pid > 1);
    return pid;
}

static inline tn__amqp_options test_amqp_options(void)
{
    return (tn__amqp_options){ .url = test_env("TEST_AMQP_URL"),
        .connection_name = "test",
        .connect_timeout_ms = 5000,
        .rpc_timeout_ms = 10000,
        .heartbeat_s = 10 };
}

static inline tn__amqp *test_amqp_open_with(const tn__amqp_options *options)
{
    tn_arena *arena = tn__arena_open(1024);
    tn_str why = { 0 };
    tn__amqp *amqp = tn__amqp_open(options, arena, &why);
    if (amqp == NULL)
        fail_msg("%.*s", TN_FMT(why));
    tn__arena_close(arena);
    return amqp;
}

static inline tn__amqp *test_amqp_open(void)
{
    tn__amqp_options options = test_amqp_options();
    return test_amqp_open_with(&options);
}

static inline bool test_contains(tn_str s, const char *part)
{
    return s.data != NULL && memmem(s.data, s.len, part, strlen(part)) != NULL;
}

/* The value of a header that must be there; brokers keep no order. */
static inline tn_str test_header(const tn__amqp_message *message, const char *name)
{
    for (size_t i = 0; i < message->n_headers; i++)
        if (tn_str_eq(message->headers[i].name, tn_str_of(name)))
            return message->headers[i].value;
    fail_msg("no header %s", name);
    return TN_S("");
}

/* An event with a new message id; the arena holds it. */
static inline tn__amqp_message test_message(tn_arena *arena, const char *routing_key)
{
    return (tn__amqp_message){ .exchange = TN_S(TN__EXCHANGE),
        .routing_key = tn_str_of(routing_key),
        .message_id = tn_uuid_str(arena, tn_uuid_v7()),
        .type = tn_str_of(routing_key),
        .app_id = TN_S("test"),
        .content_type = TN_S("application/json"),
        .body = TN_S("{\"id\":\"1\"}") };
}
