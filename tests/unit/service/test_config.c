/* The configuration: what is read, what is refused and how that is told, what is hidden. */

#include "service/config.h"

#include <trunnion/log.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DATABASE "DATABASE_URL=postgresql://items:s3cret@db.example:5432/items"
#define BROKER   "AMQP_URL=amqp://guest:gu3st@mq.example:5672/"

static const tn_event *const events[1];
static const tn_service quiet = { .name = "quiet", .version = "1.0.0", .summary = "Says nothing." };
static const tn_service talking = { .name = "talking",
    .version = "2.1.0",
    .events = { events, 1 } };

static tn_arena *arena;
static tn__config config;
static tn__faults faults;

static int set_up(void **state)
{
    (void)state;
    arena = tn__arena_open(4096);
    faults = (tn__faults){ .n = 0 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tn__arena_close(arena);
    return 0;
}

/* For a case that loads more than once. */
static void start_over(void)
{
    tn__arena_close(arena);
    set_up(NULL);
}

#define LOAD(service, ...)                                                                         \
    tn__config_load(arena, (service), (const char *const[]){ __VA_ARGS__, NULL }, TN__TO_RUN,      \
        &config, &faults)

static bool has_fault(const char *name, const char *detail)
{
    for (size_t i = 0; i < faults.n; i++)
        if (tn_str_eq(faults.at[i].pointer, tn_str_of(name)) &&
            tn_str_eq(faults.at[i].detail, tn_str_of(detail)))
            return true;
    return false;
}

static void assert_fault(const char *name, const char *detail)
{
    if (!has_fault(name, detail)) {
        for (size_t i = 0; i < faults.n; i++)
            print_error("%.*s: %.*s\n", TN_FMT(faults.at[i].pointer), TN_FMT(faults.at[i].detail));
        fail_msg("no such fault: %s: %s", name, detail);
    }
}

static const char *file_with(const char *bytes, size_t n)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/trunnion-test-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    return path;
}

/* ---- What is read ------------------------------------------------------- */

static void the_defaults_are_those_of_the_table(void **state)
{
    (void)state;
    assert_true(LOAD(&talking, DATABASE, BROKER));
    assert_int_equal(faults.n, 0);
    assert_string_equal(config.host, "0.0.0.0");
    assert_int_equal(config.port, 8080);
    assert_int_equal(config.connections_max, 4096);
    assert_int_equal(config.body_bytes_max, 1048576);
    assert_int_equal(config.idempotency_ttl_s, 86400);
    assert_int_equal(config.drain_timeout_ms, 15000);
    assert_int_equal(config.readiness_delay_ms, 0);
    assert_in_range(config.workers, 1, 64);
    assert_int_equal(config.log_level, TN_INFO);
    assert_true(config.access_log);
    assert_true(config.migrate);
    assert_string_equal(config.cors_allowed_origins, "");
    assert_string_equal(config.event_consumers, "");
    assert_string_equal(config.otel_service_name, "");
    assert_string_equal(config.otel_endpoint, "");
    assert_int_equal(config.otel_traces_sampler, 3);
    assert_true(config.otel_traces_sampler_arg == 1);
}

static void values_are_read_by_their_kinds(void **state)
{
    (void)state;
    assert_true(LOAD(&talking, DATABASE, BROKER, "PORT=0", "HOST=::1", "ACCESS_LOG=false",
        "MIGRATE=0", "LOG_LEVEL=error", "OTEL_TRACES_SAMPLER_ARG=0.25", "WORKERS=3",
        "CORS_ALLOWED_ORIGINS=https://a.example,http://localhost:3000",
        "EVENT_CONSUMERS=activity=item.*,audit=#", "OTEL_SERVICE_NAME=shop"));
    assert_int_equal(config.port, 0);
    assert_string_equal(config.host, "::1");
    assert_false(config.access_log);
    assert_false(config.migrate);
    assert_int_equal(config.log_level, TN_ERROR);
    assert_true(config.otel_traces_sampler_arg == 0.25);
    assert_int_equal(config.workers, 3);
    assert_string_equal(config.cors_allowed_origins, "https://a.example,http://localhost:3000");
    assert_string_equal(config.event_consumers, "activity=item.*,audit=#");
    assert_string_equal(config.otel_service_name, "shop");
    assert_string_equal(config.database_url, "postgresql://items:s3cret@db.example:5432/items");
}

static void a_variable_set_to_nothing_is_not_set(void **state)
{
    (void)state;
    assert_true(LOAD(&quiet, DATABASE, "PORT=", "PORT_FILE=", "LOG_LEVEL="));
    assert_int_equal(config.port, 8080);
    assert_false(LOAD(&quiet, "DATABASE_URL="));
}

static void the_first_of_a_name_counts_and_names_are_whole(void **state)
{
    (void)state;
    assert_true(LOAD(&quiet, DATABASE, "PORT=1", "PORT=x", "XPORT=y", "PORTX=z", "PORT"));
    assert_int_equal(config.port, 1);
}

static void amqp_is_needed_by_a_service_with_messages_only(void **state)
{
    (void)state;
    assert_true(LOAD(&quiet, DATABASE));
    assert_string_equal(config.amqp_url, "");
    assert_false(LOAD(&talking, DATABASE));
    assert_int_equal(faults.n, 1);
    assert_fault("AMQP_URL", "not set; allowed: amqp://user:password@host:port/vhost, or amqps://");
    start_over();
    const char *environment[] = { DATABASE, NULL };
    assert_true(tn__config_load(arena, &talking, environment, TN__TO_MIGRATE, &config, &faults));
}

/* ---- X_FILE ------------------------------------------------------------- */

static void a_value_may_come_from_a_file_without_its_last_newline(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *value;
    } cases[] = {
        { "shop", "shop" },
        { "shop\n", "shop" },
        { "shop\n\n", "shop\n" },
        { " shop \n", " shop " },
        { "shop\r\n", "shop" },
        { "shop\r", "shop\r" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = file_with(cases[i].bytes, strlen(cases[i].bytes));
        char variable[128];
        snprintf(variable, sizeof variable, "OTEL_SERVICE_NAME_FILE=%s", path);
        assert_true(LOAD(&quiet, DATABASE, variable));
        assert_string_equal(config.otel_service_name, cases[i].value);
        unlink(path);
    }
}

static void a_value_and_its_file_together_are_a_fault(void **state)
{
    (void)state;
    assert_false(LOAD(&quiet, DATABASE, "DATABASE_URL_FILE=/dev/null"));
    assert_int_equal(faults.n, 1);
    assert_fault("DATABASE_URL",
        "found both DATABASE_URL and DATABASE_URL_FILE; allowed: one of them");
}

static void a_file_that_cannot_be_read_is_a_fault(void **state)
{
    (void)state;
    assert_false(LOAD(&quiet, "DATABASE_URL_FILE=/nowhere/at all", "PORT_FILE=/tmp",
        "WORKERS_FILE=/dev/zero"));
    assert_int_equal(faults.n, 3);
    assert_fault("DATABASE_URL_FILE",
        "found \"/nowhere/at all\": No such file or directory; allowed: a file that can be read");
    assert_fault("PORT_FILE",
        "found \"/tmp\": it is not a regular file; allowed: a file that can be read");
    assert_true(has_fault("WORKERS_FILE",
        "found \"/dev/zero\": it is not a regular file; allowed: a file that can be read"));
}

static void a_file_that_holds_nothing_or_too_much_is_a_fault(void **state)
{
    (void)state;
    char variable[128];
    const char *path = file_with("\n", 1);
    snprintf(variable, sizeof variable, "DATABASE_URL_FILE=%s", path);
    assert_false(LOAD(&quiet, variable));
    assert_fault("DATABASE_URL_FILE", "the file is empty; allowed: a file that holds the value");
    unlink(path);
    char *big = calloc(1, 70000);
    path = file_with(big, 70000);
    free(big);
    snprintf(variable, sizeof variable, "HOST_FILE=%s", path);
    start_over();
    assert_false(LOAD(&quiet, DATABASE, variable));
    assert_int_equal(faults.n, 1);
    assert_non_null(strstr(faults.at[0].detail.data, "it is longer than 65536 bytes"));
    unlink(path);
}

static void a_nul_in_a_file_is_a_fault(void **state)
{
    (void)state;
    char variable[128];
    const char *path = file_with("a\0b", 3);
    snprintf(variable, sizeof variable, "OTEL_SERVICE_NAME_FILE=%s", path);
    assert_false(LOAD(&quiet, DATABASE, variable));
    assert_fault("OTEL_SERVICE_NAME", "found \"a?b\"; allowed: any text");
    unlink(path);
}

/* ---- Faults ------------------------------------------------------------- */

static void every_fault_is_told_at_once(void **state)
{
    (void)state;
    assert_false(LOAD(&talking, "PORT=99999", "WORKERS=0", "LOG_LEVEL=loud", "ACCESS_LOG=yes",
        "OTEL_TRACES_SAMPLER_ARG=1.5", "DRAIN_TIMEOUT_MS=12s", "HOST=a b",
        "CORS_ALLOWED_ORIGINS=https://a.example/,*", "EVENT_CONSUMERS=activity"));
    assert_int_equal(faults.n, 11);
    assert_fault("HOST", "found \"a b\"; allowed: an address or a host name");
    assert_fault("PORT", "found \"99999\"; allowed: a whole number from 0 to 65535");
    assert_fault("DATABASE_URL", "not set; allowed: postgresql://user:password@host:port/database");
    assert_fault("WORKERS", "found \"0\"; allowed: a whole number from 1 to 64");
    assert_fault("LOG_LEVEL", "found \"loud\"; allowed: debug, info, warn or error");
    assert_fault("ACCESS_LOG", "found \"yes\"; allowed: true or false");
    assert_fault("OTEL_TRACES_SAMPLER_ARG", "found \"1.5\"; allowed: a number from 0 to 1");
    assert_fault("DRAIN_TIMEOUT_MS", "found \"12s\"; allowed: a whole number from 100 to 600000");
    assert_fault("EVENT_CONSUMERS",
        "found \"activity\"; allowed: service=pattern, separated by commas");
}

static void a_fault_never_shows_a_secret(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "DATABASE_URL=mysql://u:hunter2@db/x",
        "DATABASE_URL=postgresql://u:hun ter2@db/hunter2",
        "DATABASE_URL=u:hunter2@db",
        "DATABASE_URL=hunter2",
        "DATABASE_URL=postgresql://u:hunter2@db:x/y",
        "DATABASE_URL=postgresql://u:p@hunter2@db/y",
        "DATABASE_URL=postgresql://db/y?password",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        start_over();
        assert_false(LOAD(&quiet, urls[i]));
        assert_int_equal(faults.n, 1);
        assert_null(strstr(faults.at[0].detail.data, "hunter2"));
        assert_non_null(strstr(faults.at[0].detail.data, "***"));
    }
    start_over();
    assert_false(LOAD(&quiet, urls[0]));
    assert_fault("DATABASE_URL",
        "found \"mysql://***\"; allowed: postgresql://user:password@host:port/database");
    start_over();
    assert_false(LOAD(&quiet, "DATABASE_URL=mysql://host/shop"));
    assert_fault("DATABASE_URL",
        "found \"mysql://host/shop\"; allowed: postgresql://user:password@host:port/database");
}

static void what_is_repeated_is_utf8(void **state)
{
    (void)state;
    char variable[600] = "PORT=";
    for (size_t i = 5; i < 505; i += 2)
        memcpy(variable + i, "\xc3\xa9", 2);
    variable[5] = 'x'; /* The rest of a character: not UTF-8 as a whole. */
    assert_false(LOAD(&quiet, DATABASE, variable, "WORKERS=\xc3\xa9"));
    assert_fault("WORKERS", "found \"\xc3\xa9\"; allowed: a whole number from 1 to 64");
    assert_true(tn__utf8_valid(faults.at[0].detail));
    start_over();
    memset(variable + 5, 'x', 199);
    memcpy(variable + 204, "\xc3\xa9\xc3\xa9", 5);
    assert_false(LOAD(&quiet, DATABASE, variable));
    assert_true(tn__utf8_valid(faults.at[0].detail));
}

static void control_characters_and_long_values_are_not_repeated(void **state)
{
    (void)state;
    char variable[600] = "PORT=";
    memset(variable + 5, 'x', 500);
    assert_false(LOAD(&quiet, DATABASE, variable, "WORKERS=1\n2\x1b[31m"));
    assert_fault("WORKERS", "found \"1?2?[31m\"; allowed: a whole number from 1 to 64");
    assert_in_range(faults.at[0].detail.len, 200, 300);
}

/* ---- Shapes ------------------------------------------------------------- */

static void check_all(bool (*check)(tn_str), bool expected, const char *const *texts)
{
    for (; *texts != NULL; texts++)
        if (check(tn_str_of(*texts)) != expected)
            fail_msg("%s should be %s", *texts, expected ? "right" : "wrong");
}
#define RIGHT(check, ...) check_all((check), true, (const char *const[]){ __VA_ARGS__, NULL })
#define WRONG(check, ...) check_all((check), false, (const char *const[]){ __VA_ARGS__, NULL })

static void database_urls_have_the_shape_that_libpq_reads(void **state)
{
    (void)state;
    RIGHT(tn__check_database_url, "postgresql://h/d", "postgres://u@h:5432/d",
        "postgresql://u:p%40ss@h/d?sslmode=require&connect_timeout=3", "postgresql:///d?host=/run",
        "postgresql://u:p@[::1]:5432/d", "postgresql://a:1,b:2,[::1]/d", "postgresql://%2Frun/d",
        "postgresql://h");
    WRONG(tn__check_database_url, "", "h/d", "http://h/d", "postgresql:/h/d", "postgresql://h:0/d",
        "postgresql://h:65536/d", "postgresql://h:x/d", "postgresql://u:p@a@h/d",
        "postgresql://h/d/e", "postgresql://h/d?x", "postgresql://h/d?=x", "postgresql://h /d",
        "postgresql://h/d@e", "postgresql://h/%2", "postgresql://h/%zz", "postgresql://h/d#x",
        "postgresql://[::1/d", "postgresql://[]/d", "postgresql://[::1]x/d",
        "postgresql://h/caf\xc3\xa9");
}

static void broker_urls_name_one_host(void **state)
{
    (void)state;
    RIGHT(tn__check_amqp_url, "amqp://h", "amqp://u:p@h:5672/", "amqps://u:p@h/%2Fv?heartbeat=10",
        "amqp://[::1]:5672/v");
    WRONG(tn__check_amqp_url, "", "amqp://", "amqp:///v", "amqp://a,b/", "amqp://h/v/w", "http://h",
        "amqp://h:99999");
}

static void origins_have_no_path(void **state)
{
    (void)state;
    RIGHT(tn__check_origins, "*", "https://a.example", "http://localhost:3000,https://b.example",
        "http://[::1]:8080", "app+x://shell", "https://a.example, https://b.example");
    WRONG(tn__check_origins, "https://a.example/", "a.example", "*,https://a.example",
        "https://a.example,", ",https://a.example", "https://a.example https://b.example",
        "*, https://a.example", "https://", "https://a.example?x", "https://u@h", "null");
}

static void consumers_are_names_with_topic_patterns(void **state)
{
    (void)state;
    RIGHT(tn__check_consumers, "activity=item.*", "a=#", "a-1=x.y_z.*,b=*.created");
    WRONG(tn__check_consumers, "activity", "activity=", "=item.*", "Activity=item.*", "1a=x",
        "a=x..y", "a=.x", "a=x.", "a=it*m", "a=x y", "a=x,", "a_b=x", "a=caf\xc3\xa9");
}

static void attributes_are_keys_with_values(void **state)
{
    (void)state;
    RIGHT(tn__check_attributes, "k=v", "deployment.environment=prod,k=a%20b", "k=");
    WRONG(tn__check_attributes, "k", "=v", "k=v,", "k=a b", "k=%2", "k k=v");
}

/* ---- What people see ---------------------------------------------------- */

static void a_url_is_shown_without_its_password(void **state)
{
    (void)state;
    static const struct {
        const char *url, *masked;
    } cases[] = {
        { "postgresql://u:p@h:5432/d", "postgresql://u:***@h:5432/d" },
        { "postgresql://u@h/d", "postgresql://u@h/d" },
        { "postgresql://h/d", "postgresql://h/d" },
        { "postgresql://u:a/b@c@h/d", "postgresql://u:***@h/d" },
        { "postgresql://h/d?user=u&password=p&sslpassword=q&x=y",
            "postgresql://h/d?user=u&password=***&sslpassword=***&x=y" },
        { "amqp://:p@h", "amqp://:***@h" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tn_str masked = tn__url_masked(arena, tn_str_of(cases[i].url));
        assert_int_equal(masked.len, strlen(cases[i].masked));
        assert_memory_equal(masked.data, cases[i].masked, masked.len);
    }
}

static void what_is_shown_can_be_read_again_but_for_secrets(void **state)
{
    (void)state;
    assert_true(LOAD(&talking, DATABASE, BROKER, "PORT=81", "LOG_LEVEL=warn"));
    tn__buf out = { .arena = arena };
    tn__config_show(&out, arena, &config);
    tn__buf_add_char(&out, '\0');
    assert_non_null(strstr(out.data, "\nPORT=81\n"));
    assert_non_null(strstr(out.data, "\nLOG_LEVEL=warn\n"));
    assert_non_null(
        strstr(out.data, "\nDATABASE_URL=postgresql://items:***@db.example:5432/items\n"));
    assert_non_null(strstr(out.data, "\nAMQP_URL=amqp://guest:***@mq.example:5672/\n"));
    assert_null(strstr(out.data, "s3cret"));
    assert_null(strstr(out.data, "gu3st"));
    assert_non_null(strstr(out.data, "\nOTEL_TRACES_SAMPLER=parentbased_always_on\n"));
}

static void help_names_every_variable_with_its_default(void **state)
{
    (void)state;
    tn__buf out = { .arena = arena };
    tn__config_help(&out, arena, &talking);
    tn__buf_add_char(&out, '\0');
    for (size_t i = 0; i < tn__variables_n; i++) {
        tn_str line = tn_printf(arena, "\n  %s (", tn__variables[i].name);
        const char *at = strstr(out.data, line.data);
        assert_non_null(at);
        tn_str rest = tn_printf(arena, ")\n      %s\n      Allowed: ", tn__variables[i].help);
        const char *found = strstr(at, rest.data);
        assert_ptr_equal(found + 1, strchr(at + 1, '\n'));
    }
    assert_non_null(strstr(out.data, "\n  PORT (8080)\n"));
    assert_non_null(strstr(out.data, "\n  WORKERS (the number of cores)\n"));
    assert_non_null(strstr(out.data, "\n  DATABASE_URL (must be set)\n"));
}

static void a_variable_has_a_default_or_is_needed_and_its_default_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < tn__variables_n; i++) {
        const tn__variable *variable = &tn__variables[i];
        assert_true(variable->fallback != NULL || variable->fallback_shown != NULL ||
            variable->need != TN__OPTIONAL);
        assert_true(variable->check == NULL || variable->allowed != NULL);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(variable->name, tn__variables[j].name);
            assert_int_not_equal(variable->offset, tn__variables[j].offset);
        }
    }
    assert_true(LOAD(&quiet, DATABASE));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_defaults_are_those_of_the_table),
        CASE(values_are_read_by_their_kinds),
        CASE(a_variable_set_to_nothing_is_not_set),
        CASE(the_first_of_a_name_counts_and_names_are_whole),
        CASE(amqp_is_needed_by_a_service_with_messages_only),
        CASE(a_value_may_come_from_a_file_without_its_last_newline),
        CASE(a_value_and_its_file_together_are_a_fault),
        CASE(a_file_that_cannot_be_read_is_a_fault),
        CASE(a_file_that_holds_nothing_or_too_much_is_a_fault),
        CASE(a_nul_in_a_file_is_a_fault),
        CASE(every_fault_is_told_at_once),
        CASE(a_fault_never_shows_a_secret),
        CASE(what_is_repeated_is_utf8),
        CASE(control_characters_and_long_values_are_not_repeated),
        CASE(database_urls_have_the_shape_that_libpq_reads),
        CASE(broker_urls_name_one_host),
        CASE(origins_have_no_path),
        CASE(consumers_are_names_with_topic_patterns),
        CASE(attributes_are_keys_with_values),
        CASE(a_url_is_shown_without_its_password),
        CASE(what_is_shown_can_be_read_again_but_for_secrets),
        CASE(help_names_every_variable_with_its_default),
        CASE(a_variable_has_a_default_or_is_needed_and_its_default_is_allowed),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
