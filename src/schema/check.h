/* Checking tables; shared by the files that do it. */
#pragma once

#include "schema/schema.h"

/* Schemas that one service may have, nested ones included. */
#define TN__SCHEMAS_MAX 256

typedef struct {
    tn_arena *arena;
    tn__faults *faults;
    const tn_schema *schemas[TN__SCHEMAS_MAX]; /* those that have been looked at */
    size_t n_schemas;
} tn__checker;

/* Adds a fault at a place such as "POST /orders". */
void tn__check_fail(tn__checker *c, tn_str place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks a schema and those within it, once each. */
void tn__check_schema(tn__checker *c, const tn_schema *schema);
/* Checks a pattern of routing keys; `wild` allows * and #. */
void tn__check_topic(tn__checker *c, tn_str place, const char *topic, bool wild);
void tn__check_routes(tn__checker *c, const tn_service *service);
void tn__check_events(tn__checker *c, const tn_service *service);

/* True when it is a letter or "_", then letters, digits and "_". */
bool tn__is_identifier(tn_str name);
/* True when `text` matches a POSIX extended regular expression of ours; NULL doesn't. */
bool tn__is_like(const char *text, const char *pattern);
/* A kind that has one text: anything but JSON, objects and arrays. */
bool tn__is_scalar(const tn_field *field);
