/* tn_main: what the arguments ask for, and everything that must be right before anything starts.
 *
 * What is wrong is told on standard error, for who starts it, all at once and one a line; log lines
 * begin when the service does. */

#include "service/service.h"
#include "telemetry/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef TN__VERSION
#define TN__VERSION "unknown"
#endif

#define MIGRATE_WAIT_MS (60 * 1000)
#define SPANS_CLOSE_MS  1000

static void print(int fd, tn_str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n <= 0)
            return;
        text = (tn_str){ text.data + n, text.len - (size_t)n };
    }
}

static void print_faults(tn_arena *arena, const tn_service *service, const tn__faults *faults)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; i < faults->n; i++) {
        tn__buf_printf(&out, "%s: %.*s: %.*s\n", service->name, TN_FMT(faults->at[i].pointer),
            TN_FMT(faults->at[i].detail));
    }
    if (faults->more > 0)
        tn__buf_printf(&out, "%s: and %zu more\n", service->name, faults->more);
    print(STDERR_FILENO, tn__buf_str(&out));
}

/* ---- What it does -------------------------------------------------------- */

typedef struct {
    tn_arena *arena;
    const tn_service *service;
    tn__config config; /* read by those that need it */
} invocation;

static int help(invocation *i)
{
    tn__buf out = { .arena = i->arena };
    tn__config_help(&out, i->arena, i->service);
    print(STDOUT_FILENO, tn__buf_str(&out));
    return EX_OK;
}

static int version(invocation *i)
{
    print(STDOUT_FILENO,
        tn_printf(i->arena, "%s %s (trunnion %s)\n", i->service->name, i->service->version,
            TN__VERSION));
    return EX_OK;
}

static int print_document(const invocation *i, tn_str document)
{
    bool has_end = document.len > 0 && document.data[document.len - 1] == '\n';
    print(STDOUT_FILENO, document);
    print(STDOUT_FILENO, has_end ? TN_S("") : TN_S("\n"));
    (void)i;
    return EX_OK;
}

static int openapi(invocation *i)
{
    return print_document(i, tn__openapi(i->arena, i->service));
}

static int asyncapi(invocation *i)
{
    return print_document(i, tn__asyncapi(i->arena, i->service));
}

static int check_config(invocation *i)
{
    tn__buf out = { .arena = i->arena };
    tn__config_show(&out, i->arena, &i->config);
    print(STDOUT_FILENO, tn__buf_str(&out));
    return EX_OK;
}

static void open_log(const invocation *i)
{
    tn__log_open(i->service->name, i->service->version, (tn_level)i->config.log_level);
}

/* For a job that runs before the service: it waits for the database, but not for ever. */
static int migrate_within(invocation *i, int64_t deadline_us)
{
    for (tn__patience patience = { 0 };;) {
        tn_str why = { NULL, 0 };
        tn__migrated done = tn__migrate_once(i->arena, &i->config, i->service, true, &why);
        if (done == TN__MIGRATE_DONE) {
            TN_LOG(TN_INFO, "migrated");
            return EX_OK;
        }
        if (done == TN__MIGRATE_REFUSED || tn__mono_us() > deadline_us) {
            TN_LOG(TN_ERROR,
                done == TN__MIGRATE_REFUSED ? "migrations refused"
                                            : "the database can't be reached, giving up",
                TN_LOG_S("reason", why));
            return EX_SOFTWARE;
        }
        usleep((useconds_t)tn__patience_ms(&patience, why) * 1000);
    }
}

static int migrate(invocation *i)
{
    open_log(i);
    int status = migrate_within(i, tn__mono_us() + (int64_t)MIGRATE_WAIT_MS * 1000);
    tn__log_close();
    return status;
}

static int health(invocation *i)
{
    tn__buf said = { .arena = i->arena };
    bool is_ready = tn__probe(i->arena, &i->config, &said);
    print(is_ready ? STDOUT_FILENO : STDERR_FILENO, tn__buf_str(&said));
    return is_ready ? EX_OK : EXIT_FAILURE;
}

static int run(invocation *i)
{
    tn__signals_block();
    open_log(i);
    TN_LOG(TN_INFO, "starting", TN_LOG_Z("trunnion", TN__VERSION),
        TN_LOG_S("database", tn__url_masked(i->arena, tn_str_of(i->config.database_url))),
        TN_LOG_S("broker", tn__url_masked(i->arena, tn_str_of(i->config.amqp_url))));
    tn__trace_as_configured(i->arena, &i->config, i->service);
    int status = tn__run(i->arena, i->service, &i->config);
    tn__tracing_close(SPANS_CLOSE_MS);
    tn__log_close();
    return status;
}

/* ---- What is asked for --------------------------------------------------- */

typedef struct {
    const char *argument; /* NULL: none */
    int (*act)(invocation *i);
    bool wants_config;
    tn__config_purpose purpose;
} action;

static const action actions[] = {
    { .act = run, .wants_config = true },
    { .argument = "--help", .act = help },
    { .argument = "--version", .act = version },
    { .argument = "--openapi", .act = openapi },
    { .argument = "--asyncapi", .act = asyncapi },
    { .argument = "--check-config", .act = check_config, .wants_config = true },
    { .argument = "--migrate", .act = migrate, .wants_config = true, .purpose = TN__TO_MIGRATE },
    { .argument = "--health", .act = health, .wants_config = true },
};

static const action *find_action(int argc, char **argv)
{
    if (argc <= 1)
        return &actions[0];
    for (size_t i = 1; argc == 2 && i < sizeof actions / sizeof *actions; i++)
        if (strcmp(argv[1], actions[i].argument) == 0)
            return &actions[i];
    return NULL;
}

static int refuse_arguments(tn_arena *arena, const tn_service *service)
{
    print(STDERR_FILENO,
        tn_printf(arena,
            "%s: usage: %s [--help | --version | --openapi | --asyncapi | --check-config |"
            " --migrate | --health]\n",
            service->name, service->name));
    return EX_USAGE;
}

static int act(tn_arena *arena, const tn_service *service, const action *asked)
{
    invocation i = { .arena = arena, .service = tn__assemble(arena, service) };
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    tn__tables_check(arena, i.service, faults);
    if (faults->n > 0) {
        print_faults(arena, service, faults);
        return EX_SOFTWARE;
    }
    const char *const *environment = (const char *const *)environ;
    if (asked->wants_config &&
        !tn__config_load(arena, i.service, environment, asked->purpose, &i.config, faults)) {
        print_faults(arena, service, faults);
        return EX_CONFIG;
    }
    return asked->act(&i);
}

int tn_main(int argc, char **argv, const tn_service *service)
{
    tn_arena *arena = tn__arena_open((size_t)16 * 1024);
    const action *asked = find_action(argc, argv);
    int status = asked != NULL ? act(arena, service, asked) : refuse_arguments(arena, service);
    tn__arena_close(arena);
    return status;
}
