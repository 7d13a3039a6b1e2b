/* What names a request: X-Request-Id and Idempotency-Key. */
#pragma once

#include "base/base.h"

#define TN__REQUEST_ID_MAX      128
#define TN__IDEMPOTENCY_KEY_MAX 255

/* 1 to 128 of [A-Za-z0-9._-]. */
bool tn__request_id_valid(tn_str id);

/* 1 to 255 visible ASCII characters, bare, or as a string in quotes (RFC 8941 3.3.3), which are
 * taken off: both forms of a key are one key. False when it is neither. */
bool tn__idempotency_key_read(tn_arena *arena, tn_str field, tn_str *key);

/* The id of a key's row, the first half of SHA-256 over principal, method, path and key with NULs
 * between; and the fingerprint of a request, SHA-256 over method, path, query and body in base 64
 * URL, by which a key that comes again for something else is known. Tables of digests are costly to
 * open, so they are opened once. */
typedef struct tn__digest tn__digest;
tn__digest *tn__digest_open(void);
void tn__digest_close(tn__digest *digest);
tn_uuid tn__idempotency_id(tn__digest *digest, tn_str principal, tn_str method, tn_str path,
    tn_str key);
tn_str tn__idempotency_fingerprint(tn__digest *digest, tn_arena *arena, tn_str method, tn_str path,
    tn_str query, tn_str body);
