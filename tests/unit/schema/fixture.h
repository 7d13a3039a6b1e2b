/* A service that uses every feature of the tables, for the tests of schemas and documents. */
#pragma once

#include <trunnion/service.h>

typedef enum { STANDARD, EXPRESS, PICKUP } delivery;

struct address {
    tn_str street;
    const tn_str *line2;
    tn_str country;
    const int64_t *floor;
};
extern const tn_schema address_schema;

struct line {
    tn_str sku;
    int64_t quantity;
    const double *discount;
};
extern const tn_schema line_schema;

struct order_new {
    tn_str customer;
    const tn_str *note;
    int64_t priority;
    double weight_kg;
    bool gift;
    delivery how;
    const delivery *preferred;
    tn_uuid account_id;
    const tn_time *deliver_at;
    tn_json extra;
    const tn_json *labels;
    struct address home;
    const struct address *billing;
    TN_ARRAY_OF(struct line) lines;
    TN_ARRAY_OF(tn_str) tags;
    tn_str currency;
};
extern const tn_schema order_new_schema;

struct order {
    tn_uuid id;
    tn_str customer;
    const tn_str *note;
    delivery how;
    struct address home;
    TN_ARRAY_OF(struct line) lines;
    int64_t version;
    tn_time created_at;
};
extern const tn_schema order_schema;

/* What clients may search for. */
struct order_query {
    const tn_str *customer;
    const int64_t *priority;
    const double *weight_kg;
    const bool *gift;
    const delivery *how;
    const tn_uuid *account_id;
    const tn_time *since;
    int64_t page;
};
extern const tn_schema order_query_schema;

struct order_path {
    tn_uuid id;
};
extern const tn_schema order_path_schema;

struct change {
    int64_t seq;
    tn_str type;
    tn_uuid order_id;
};
extern const tn_schema change_schema;

struct stock_moved {
    tn_uuid id;
    tn_time timestamp;
    tn_str source_service;
};
extern const tn_schema stock_moved_schema;

extern const tn_service orders_service;
