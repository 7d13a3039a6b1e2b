/* Idempotency keys: a request that is sent again is answered with what the first one was answered.
 *
 * A key is a row: the request's fingerprint and the finished answer, written in the transaction of
 * the effect. Within a worker, a table of the keys at work turns a second request away while the
 * first is on its way. Across workers and replicas the row's primary key does: the second insert
 * waits for the first transaction and then fails, or is turned away by the lock's timeout. Whatever
 * a handler failed with, the key is looked up once more, for the failure may be the shadow of its own
 * twin: a name that "is taken" was perhaps taken by the first attempt.
 *
 * Invariant: a key that is held is in the table, and given back before its request is closed. */
#include "http/request.h"

#include <assert.h>

/* ---- The row ------------------------------------------------------------ */

static const tn_query find_key = {
    "trunnion_find_key",
    "SELECT fingerprint, status, headers, body, expires_at <= now() AS expired"
    " FROM trunnion_idempotency WHERE id = $1",
};
static const tn_query drop_expired_key = {
    "trunnion_drop_expired_key",
    "DELETE FROM trunnion_idempotency WHERE id = $1 AND expires_at <= now()",
};

static const tn_kind kinds[] = {
    TN_KIND_UUID,
    TN_KIND_STR,
    TN_KIND_INT,
    TN_KIND_STR,
    TN_KIND_STR,
    TN_KIND_TIME,
};
static const tn__bulk insert_keys = {
    .name = "trunnion_insert_keys",
    .sql = "INSERT INTO trunnion_idempotency (id, fingerprint, status, headers, body, expires_at)"
           " SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[],"
           " $6::timestamptz[])",
    .kinds = kinds,
    .n_kinds = sizeof kinds / sizeof kinds[0],
    .first = true,
};
#define ROW_CONSTRAINT "trunnion_idempotency_pkey"

struct row {
    tn_str fingerprint;
    int64_t status;
    tn_str headers, body;
    bool expired;
};
static const tn_schema row_schema = TN_SCHEMA(row, TN_STR(row, fingerprint), TN_INT(row, status),
    TN_STR(row, headers), TN_STR(row, body), TN_BOOL(row, expired));

/* The fields of the answer that belong to it, as they are stored. */
struct stored {
    const tn_str *content_type, *location, *etag;
};
static const tn_schema stored_schema = TN_OPEN_SCHEMA(stored, TN_STR(stored, content_type),
    TN_STR(stored, location), TN_STR(stored, etag));

static const struct {
    const char *name;
    size_t offset;
} stored_fields[] = {
    { "Content-Type", offsetof(struct stored, content_type) },
    { "Location", offsetof(struct stored, location) },
    { "ETag", offsetof(struct stored, etag) },
};
enum { STORED_FIELDS = sizeof stored_fields / sizeof stored_fields[0] };

static const tn_str **stored_at(struct stored *stored, size_t i)
{
    return (const tn_str **)((char *)stored + stored_fields[i].offset);
}

/* ---- The keys at work --------------------------------------------------- */

static tn_req **chain_of(tn__http *http, tn_uuid id)
{
    _Static_assert((TN__KEY_CHAINS & (TN__KEY_CHAINS - 1)) == 0, "a power of two");
    uint64_t h; /* the id is a hash by itself */
    memcpy(&h, id.b, sizeof h);
    return &http->keys_at_work[h & (TN__KEY_CHAINS - 1)];
}

static bool at_work(tn__http *http, tn_uuid id)
{
    for (const tn_req *other = *chain_of(http, id); other != NULL; other = other->key.next)
        if (memcmp(other->key.id.b, id.b, sizeof id.b) == 0)
            return true;
    return false;
}

static void hold(tn_req *req)
{
    tn_req **chain = chain_of(req->http, req->key.id);
    req->key.next = *chain;
    *chain = req;
    req->key.held = true;
}

void tn__key_end(tn_req *req)
{
    if (!req->key.held)
        return;
    tn_req **place = chain_of(req->http, req->key.id);
    while (*place != req)
        place = &(*place)->key.next;
    *place = req->key.next;
    req->key.held = false;
}

/* ---- Reading ------------------------------------------------------------ */

static void name_key(tn_req *req)
{
    tn__key *key = &req->key;
    tn__digest *digest = req->http->digest;
    tn_str principal = tn__req_header(req, TN__H_ACTOR_ID);
    if (principal.len == 0)
        principal = tn__req_header(req, TN__H_ACTOR);
    key->id = tn__idempotency_id(digest, principal, req->method_name, req->path, key->key);
    key->fingerprint = tn__idempotency_fingerprint(digest, req->arena, req->method_name, req->path,
        req->query, tn__buf_str(&req->body));
}

bool tn__key_read(tn_req *req)
{
    tn_str field = tn__req_header(req, TN__H_IDEMPOTENCY_KEY);
    if (!req->route->idempotent)
        return true;
    if (field.data == NULL) {
        if (req->method == TN_POST)
            tn__answer_problem(req, TN__KEY_MISSING,
                "Send an Idempotency-Key of your own, such as a UUID, and the same one on each "
                "retry.");
        return !tn__req_answered(req);
    }
    if (!tn__idempotency_key_read(req->arena, field, &req->key.key)) {
        req->key.key.data = NULL;
        tn__answer_problem(req, TN__KEY_INVALID,
            "An Idempotency-Key has 1 to %d visible ASCII characters.", TN__IDEMPOTENCY_KEY_MAX);
        return false;
    }
    req->key.key = tn_copy(req->arena, req->key.key);
    name_key(req);
    return true;
}

/* ---- Looking up --------------------------------------------------------- */

typedef enum { NO_ROW, EXPIRED_ROW, GOOD_ROW, NO_ANSWER } found;

static found look_up(tn_req *req, struct row *row)
{
    tn_tx *tx = tn__begin(req, TN__READ, req->deadline_us);
    bool there = tn_maybe(tx, TN_REF(row, row), &find_key, TN_ARGS(req->key.id));
    if (!tn__commit(req))
        return NO_ANSWER;
    if (!there)
        return NO_ROW;
    return row->expired ? EXPIRED_ROW : GOOD_ROW;
}

static bool drop_expired(tn_req *req)
{
    tn_tx *tx = tn__begin(req, TN__WRITE, req->deadline_us);
    tn_run(tx, &drop_expired_key, TN_ARGS(req->key.id));
    if (tn__commit(req))
        return true;
    tn__answer_failure(req, req->key.failure);
    return false;
}

/* As C text; NULL when there is none. */
static const char *text_of(tn_req *req, const tn_str *s)
{
    return s == NULL ? NULL : tn_copy(req->arena, *s).data;
}

static void replay(tn_req *req, const struct row *row)
{
    struct stored stored;
    tn__faults faults;
    if (tn__decode_json(req->arena, &stored_schema, row->headers, &stored, &faults) !=
        TN__DECODED) {
        tn__answer_problem(req, TN__INTERNAL_ERROR, "The stored answer can't be read.");
        return;
    }
    tn__answer_field(req, "Idempotent-Replayed", "true");
    for (size_t i = 1; i < STORED_FIELDS; i++)
        if (*stored_at(&stored, i) != NULL)
            tn__answer_field(req, stored_fields[i].name, text_of(req, *stored_at(&stored, i)));
    tn__answer_with(req, (int)row->status, text_of(req, stored.content_type), row->body);
    tn__count_key(req->http, TN__KEY_REPLAYED);
}

static void answer_row(tn_req *req, const struct row *row)
{
    if (tn_str_eq(row->fingerprint, req->key.fingerprint)) {
        replay(req, row);
        return;
    }
    tn__answer_problem(req, TN__KEY_REUSED,
        "This Idempotency-Key was used for a request with another body or query.");
    tn__count_key(req->http, TN__KEY_MISMATCHED);
}

bool tn__key_begin(tn_req *req)
{
    struct row row = { .status = 0 };
    if (at_work(req->http, req->key.id)) {
        tn__answer_busy(req, TN__KEY_IN_USE, 1,
            "A request with this Idempotency-Key is being worked on.");
        tn__count_key(req->http, TN__KEY_CLASHED);
        return false;
    }
    hold(req);
    switch (look_up(req, &row)) {
    case NO_ROW:
        return true;
    case EXPIRED_ROW:
        return drop_expired(req);
    case GOOD_ROW:
        answer_row(req, &row);
        return false;
    case NO_ANSWER:
        tn__answer_failure(req, req->key.failure);
        return false;
    }
    return false;
}

/* Failures after which there is nothing to find, or no time to look. */
static bool is_hopeless(const tn__failure *failure)
{
    return failure != NULL &&
        (failure->kind == TN__FAIL_TIMEOUT || failure->kind == TN__FAIL_CANCELLED ||
            failure->kind == TN__FAIL_UNAVAILABLE);
}

void tn__key_look_again(tn_req *req)
{
    struct row row = { .status = 0 };
    if (is_hopeless(req->key.failure) || look_up(req, &row) != GOOD_ROW)
        return;
    tn__answer_reset(req);
    answer_row(req, &row);
}

bool tn__key_at_fault(const tn__failure *failure)
{
    return failure->kind == TN__FAIL_BUSY && tn_str_eq(failure->query, tn_str_of(insert_keys.name));
}

/* ---- Writing ------------------------------------------------------------ */

static tn_str stored_text(tn_req *req)
{
    struct stored stored = { NULL, NULL, NULL };
    tn_str *values = tn_alloc(req->arena, STORED_FIELDS * sizeof values[0]);
    for (size_t i = 0; i < req->answer.n_fields; i++)
        for (size_t k = 0; k < STORED_FIELDS; k++)
            if (strcmp(req->answer.fields[i].name, stored_fields[k].name) == 0) {
                values[k] = tn_str_of(req->answer.fields[i].value);
                *stored_at(&stored, k) = &values[k];
            }
    tn__buf text = { .arena = req->arena };
    tn__encode_json(&text, &stored_schema, &stored);
    return tn__buf_str(&text);
}

static void count_stored(void *arg)
{
    tn__count_key(arg, TN__KEY_STORED);
}

void tn__key_store(tn_req *req, tn_tx *tx)
{
    if (req->answer.status < 200 || req->answer.status > 299)
        return;
    tn_time expires = { tn_now().us + (int64_t)req->http->options.idempotency_ttl_s * 1000000 };
    tn_str body = req->answer.body.data != NULL ? req->answer.body : TN_S("");
    tn__tx_bulk(tx, &insert_keys,
        TN_ARGS(req->key.id, req->key.fingerprint, (int64_t)req->answer.status, stored_text(req),
            body, expires));
    tn__tx_on_commit(tx, count_stored, req->http);
}
