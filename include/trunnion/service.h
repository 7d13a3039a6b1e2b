/* A service: its tables, and the main() that runs them. */
#pragma once

#include <trunnion/http.h>

/* One step of the database's schema, embedded at build time from a file of migrations/. Applied in
 * order, each in a transaction of its own, once; one that has been applied must never change. */
typedef struct {
    const char *name; /* "0001_items.sql" */
    const char *sql;
} tn_migration;

/* An array as pointer and length. */
#define TN_LIST(a)                                                                                 \
    {                                                                                              \
        (a), sizeof(a) / sizeof *(a)                                                               \
    }

typedef struct {
    const char *name;    /* [a-z][a-z0-9-]*: the source_service, app_id and service.name. */
    const char *version; /* Semantic version of the API. */
    const char *title, *summary;
    struct {
        const tn_route *at;
        size_t n;
    } routes;
    struct {
        const tn_event *const *at;
        size_t n;
    } events;
    struct {
        const tn_subscription *at;
        size_t n;
    } subscriptions;
    struct {
        const tn_problem *at;
        size_t n;
    } problems;
    struct {
        const tn_migration *at;
        size_t n;
    } migrations;
} tn_service;

/* Runs the service until SIGTERM or SIGINT and returns the exit status: 0 after a clean stop, 78
 * (EX_CONFIG, sysexits.h) when the configuration is wrong, 70 when the service cannot start.
 * Arguments: --help, --version, --openapi and --asyncapi (print the document), --migrate (apply the
 * migrations and exit), --check-config. */
int tn_main(int argc, char **argv, const tn_service *service);
