/* What names a request: see ids.h. */
#include "http/ids.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define SHA256_BYTES 32

bool tn__request_id_valid(tn_str id)
{
    if (id.len < 1 || id.len > TN__REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static bool is_visible(char c)
{
    return c > ' ' && c < 0x7f;
}

/* The content of a quoted string, in which only a quote and a backslash may be escaped. */
static bool unquote(tn_arena *arena, tn_str quoted, tn_str *content)
{
    char *out = tn_alloc(arena, quoted.len);
    size_t n = 0;
    for (size_t i = 1; i < quoted.len; i++) {
        char c = quoted.data[i];
        if (c == '"') {
            *content = (tn_str){ out, n };
            return i == quoted.len - 1;
        }
        if (c == '\\') {
            if (++i == quoted.len || (quoted.data[i] != '"' && quoted.data[i] != '\\'))
                return false;
            c = quoted.data[i];
        }
        if (!is_visible(c))
            return false;
        out[n++] = c;
    }
    return false;
}

bool tn__idempotency_key_read(tn_arena *arena, tn_str field, tn_str *key)
{
    /* Longer than any key can be, even with each character escaped. */
    if (field.len > 2 * TN__IDEMPOTENCY_KEY_MAX + 2)
        return false;
    *key = field;
    if (field.len > 0 && field.data[0] == '"')
        return unquote(arena, field, key) && key->len >= 1 && key->len <= TN__IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; i < field.len; i++)
        if (!is_visible(field.data[i]))
            return false;
    return field.len >= 1 && field.len <= TN__IDEMPOTENCY_KEY_MAX;
}

struct tn__digest {
    EVP_MD_CTX *context;
    EVP_MD *sha256;
};

tn__digest *tn__digest_open(void)
{
    tn__digest *digest = tn__xcalloc(1, sizeof *digest);
    digest->context = EVP_MD_CTX_new();
    digest->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    /* Without these libcrypto is broken, or memory gone. */
    assert(digest->context != NULL && digest->sha256 != NULL);
    return digest;
}

void tn__digest_close(tn__digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->sha256);
    free(digest);
}

/* SHA-256 of the parts, each followed by a NUL, which none but the last can hold. */
static void hash(tn__digest *digest, const tn_str *parts, size_t n, uint8_t out[SHA256_BYTES])
{
    int ok = EVP_DigestInit_ex2(digest->context, digest->sha256, NULL);
    for (size_t i = 0; i < n; i++) {
        ok &= EVP_DigestUpdate(digest->context, parts[i].data, parts[i].len);
        if (i + 1 < n)
            ok &= EVP_DigestUpdate(digest->context, "", 1);
    }
    ok &= EVP_DigestFinal_ex(digest->context, out, NULL);
    assert(ok == 1);
    (void)ok;
}

tn_uuid tn__idempotency_id(tn__digest *digest, tn_str principal, tn_str method, tn_str path,
    tn_str key)
{
    uint8_t sum[SHA256_BYTES];
    tn_uuid id;
    hash(digest, (const tn_str[]){ principal, method, path, key }, 4, sum);
    memcpy(id.b, sum, sizeof id.b);
    return id;
}

tn_str tn__idempotency_fingerprint(tn__digest *digest, tn_arena *arena, tn_str method, tn_str path,
    tn_str query, tn_str body)
{
    uint8_t sum[SHA256_BYTES];
    hash(digest, (const tn_str[]){ method, path, query, body }, 4, sum);
    return tn__b64url(arena, sum, sizeof sum);
}
