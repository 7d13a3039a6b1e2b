/* Rows of many transactions, sent as one statement. */
#pragma once

#include "pg/conn.h"
#include "pg/pg.h"

#define TN__BULKS_MAX 16

/* A row that a transaction added, in its arena. */
typedef struct tn__bulk_row tn__bulk_row;
struct tn__bulk_row {
    tn__bulk_row *next;
    tn__statement *statement;
    bool first;
    tn_arg args[];
};

/* Room to put rows together in, used again for every batch. */
typedef struct {
    struct tn__bulk_group {
        tn__statement *statement;
        const tn__bulk_row **rows;
        size_t n, cap;
    } groups[TN__BULKS_MAX];
    size_t n;
    tn__buf columns[TN__PARAMS_MAX];
} tn__bulks;

/* Sends the rows of these transactions that are (or are not) marked `first`, a statement for each
 * kind of bulk. NULL among the transactions is passed over. */
void tn__bulks_send(tn__bulks *bulks, tn__conn *conn, tn_tx *const *txs, size_t n, bool first,
    int tag);
void tn__bulks_deinit(tn__bulks *bulks);
