/* Topic patterns, matched word by word. */
#include "messaging/topic.h"

/* The rest after the first `#` is tried at each later word; only the last `#` need be gone back to,
 * since it can take whatever an earlier one could. So the time is bounded by the product of the
 * lengths, whatever a pattern holds. */
bool tn__topic_matches(tn_str pattern, tn_str key)
{
    tn_str after_hash = { 0 }, retry_at = { 0 };
    bool has_hash = false;
    /* The empty key is one empty word, but the cut view of NULL has none: keep it apart. */
    if (key.data == NULL)
        key = TN_S("");
    if (pattern.data == NULL)
        pattern = TN_S("");
    for (;;) {
        tn_str pattern_rest = pattern, key_rest = key, wanted, word;
        bool more_pattern = tn__str_cut(&pattern_rest, '.', &wanted);
        if (more_pattern && tn_str_eq(wanted, TN_S("#"))) {
            has_hash = true;
            after_hash = pattern = pattern_rest;
            retry_at = key;
            continue;
        }
        bool more_key = tn__str_cut(&key_rest, '.', &word);
        if (!more_pattern && !more_key)
            return true;
        if (more_pattern && more_key && (tn_str_eq(wanted, TN_S("*")) || tn_str_eq(wanted, word))) {
            pattern = pattern_rest;
            key = key_rest;
            continue;
        }
        if (!has_hash || !tn__str_cut(&retry_at, '.', &word))
            return false;
        pattern = after_hash;
        key = retry_at;
    }
}
