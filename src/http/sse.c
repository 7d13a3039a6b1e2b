/* The text of server-sent events: see sse.h. */
#include "http/sse.h"

enum { LAST_ID_DIGITS_MAX = 19 }; /* as many as INT64_MAX has */

void tn__sse_open(tn__buf *out, int retry_ms)
{
    tn__buf_printf(out, "retry: %d\n\n", retry_ms);
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static void add_without_line_ends(tn__buf *out, tn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_line_end(s.data[i]) && s.data[i] != '\0')
            tn__buf_add_char(out, s.data[i]);
}

static void add_data(tn__buf *out, tn_str data)
{
    size_t from = 0;
    for (size_t i = 0; i <= data.len; i++) {
        if (i < data.len && !is_line_end(data.data[i]))
            continue;
        tn__buf_add_z(out, "data: ");
        tn__buf_add(out, data.data + from, i - from);
        tn__buf_add_char(out, '\n');
        if (i + 1 < data.len && data.data[i] == '\r' && data.data[i + 1] == '\n')
            i++;
        from = i + 1;
    }
}

void tn__sse_event(tn__buf *out, int64_t id, tn_str event, tn_str data)
{
    tn__buf_add_z(out, "id: ");
    tn__buf_add_i64(out, id);
    if (event.len > 0) {
        tn__buf_add_z(out, "\nevent: ");
        add_without_line_ends(out, event);
    }
    tn__buf_add_char(out, '\n');
    add_data(out, data);
    tn__buf_add_char(out, '\n');
}

void tn__sse_keepalive(tn__buf *out)
{
    tn__buf_add_z(out, ": keepalive\n\n");
}

bool tn__sse_last_id(tn_str field, int64_t *id)
{
    uint64_t sum = 0; /* which holds whatever has 19 digits */
    if (field.len < 1 || field.len > LAST_ID_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < field.len; i++) {
        if (field.data[i] < '0' || field.data[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t)(field.data[i] - '0');
    }
    *id = sum < INT64_MAX ? (int64_t)sum : INT64_MAX;
    return true;
}
