/* A service with a database: parts, kept in a table, under keys and with a stream. */
#pragma once

#include "fixture.h"

/* As set_up(), with the tables made anew and the routes of the store:
 *   POST   /parts         idempotent; one straight line
 *   POST   /slow-parts    idempotent; waits for a row before it answers
 *   POST   /no-parts      idempotent; answers without a transaction
 *   GET    /parts         a page, newest first; ?name=
 *   GET    /parts/{id}
 *   PATCH  /parts/{id}    merge patch, If-Match, key if given
 *   DELETE /parts/{id}    the same
 *   GET    /parts/stream  server-sent events
 *   GET    /sleep         asks the database to sleep for 10 s
 *   GET    /broken        asks it for what isn't there */
int set_up_store(void **state);
#define STORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up_store, tear_down)

/* Beside the server. */
void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));
int64_t number(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A transaction of somebody else, which stays open until it is ended one way or the other. */
void begin_other(const char *statement);
void commit_other(void);
void roll_back_other(void);
/* Waits until somebody waits for its locks. */
void await_waiting(void);
/* "$TEST_STACK verb postgres" */
void postgres(const char *verb);

/* POST with a key; `key` NULL: none. */
answer *post(const char *path, const char *key, const char *body);
/* The id in an answer. */
const char *id_of(const answer *a);
/* Starts the server and waits until its database is there. */
void start_store(void);
