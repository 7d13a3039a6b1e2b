/* Memory and bytes: the arena, the growing buffer, and small functions on strings. No I/O. */
#pragma once

#include <trunnion/types.h>

/* Opens an arena. Blocks come from malloc, the first of `first_bytes`. */
tn_arena *tn__arena_open(size_t first_bytes);
/* Gives everything back but the first block, for the next request. */
void tn__arena_reset(tn_arena *arena);
void tn__arena_close(tn_arena *arena);
/* Bytes handed out since it was opened or reset. */
size_t tn__arena_used(const tn_arena *arena);

/* malloc, realloc and calloc that end the process with a log line when memory is gone. */
void *tn__xmalloc(size_t bytes);
void *tn__xcalloc(size_t n, size_t bytes);
void *tn__xrealloc(void *p, size_t bytes);
/* Ends the process with a log line (status EX_OSERR): something is gone that nothing works without.
 * `message` is a constant without characters that JSON escapes. */
_Noreturn void tn__die(const char *message);

/* Bytes that grow, in an arena (`arena` set) or on the heap (NULL; free with tn__buf_deinit). */
typedef struct {
    char *data;
    size_t len, cap;
    tn_arena *arena;
} tn__buf;

static inline tn_str tn__buf_str(const tn__buf *buf)
{
    return (tn_str){ buf->data, buf->len };
}
void tn__buf_deinit(tn__buf *buf);
/* No buffer grows beyond this; one that would ends the process, as when memory is gone. */
#define TN__BUF_BYTES_MAX ((size_t)1 << 30)
/* Makes room for `more` bytes behind `len`. */
void tn__buf_reserve(tn__buf *buf, size_t more);
void tn__buf_add(tn__buf *buf, const void *bytes, size_t n);
void tn__buf_add_str(tn__buf *buf, tn_str s);
void tn__buf_add_z(tn__buf *buf, const char *z);
void tn__buf_add_char(tn__buf *buf, char c);
void tn__buf_add_i64(tn__buf *buf, int64_t v);
void tn__buf_printf(tn__buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON text, piece by piece. A string is escaped as RFC 8259 asks; invalid UTF-8 becomes U+FFFD. */
void tn__json_str(tn__buf *buf, tn_str s);
/* The shortest text that reads back as the same double; NaN and infinities become null. */
void tn__json_real(tn__buf *buf, double v);
void tn__json_uuid(tn__buf *buf, tn_uuid id); /* quoted */
void tn__json_time(tn__buf *buf, tn_time t);  /* quoted */

/* 36 characters or nothing else; upper case is read too. False when it isn't a UUID. */
bool tn__uuid_parse(tn_str s, tn_uuid *id);
void tn__uuid_write(tn_uuid id, char out[36]);
bool tn__uuid_is_nil(tn_uuid id);
/* RFC 3339 with any offset and up to nine digits of a second, of which six are kept. A second 60 is
 * read only at 23:59 UTC, as the instant after it. */
bool tn__time_parse(tn_str s, tn_time *t);
/* 27 characters: 2026-01-31T09:15:00.123456Z. Outside the years 0000 to 9999, the nearest in them. */
void tn__time_write(tn_time t, char out[27]);

/* Base 64 URL (RFC 4648 5) without padding. Decoding refuses anything else. */
tn_str tn__b64url(tn_arena *arena, const void *bytes, size_t n);
bool tn__b64url_parse(tn_arena *arena, tn_str s, tn_str *bytes);
/* %XX and, when `plus` is set, + as space. False on a broken escape or a NUL. */
bool tn__percent_decode(tn_arena *arena, tn_str s, bool plus, tn_str *out);
void tn__percent_encode(tn__buf *buf, tn_str s);

/* Numbers in JSON's grammar with nothing around them: no plus sign, no leading zero. False when it
 * isn't one, or out of range, or a real of more than 400 characters. */
bool tn__i64_parse(tn_str s, int64_t *v);
bool tn__real_parse(tn_str s, double *v);
bool tn__utf8_valid(tn_str s);
size_t tn__utf8_length(tn_str s); /* code points of valid UTF-8 */
bool tn__str_eq_nocase(tn_str a, tn_str b);
bool tn__str_has_prefix(tn_str s, tn_str prefix);
tn_str tn__str_trim(tn_str s);
/* Cuts the part before the first `at` off `*rest`: true while there is one. "a,,b," has the parts
 * "a", "", "b" and "", the empty string has one, and the view of NULL has none. */
bool tn__str_cut(tn_str *rest, char at, tn_str *part);
uint64_t tn__hash(tn_str s); /* FNV-1a or better; not for secrets */

/* Clocks: monotonic for deadlines. */
int64_t tn__mono_us(void);
