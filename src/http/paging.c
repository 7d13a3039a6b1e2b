/* Lists in pages: keyset paging by a field that is unique.
 *
 * One row more than wanted is asked for, so that the last page is known without a count. */
#include "http/cursor.h"
#include "http/request.h"

#include <assert.h>

/* Only its address means something: that `at` is a tn__page_found. */
const tn_schema tn__page_marker = { .name = "page" };

/* False when the cursor is of a list that was ordered by a key of another kind. */
static bool position_of(const tn_req *req, tn_kind kind, tn_arg *position)
{
    *position = (tn_arg){ .kind = kind, .null = true };
    if (req->page.from_start)
        return true;
    *position = req->page.position;
    return position->kind == kind;
}

static tn_str next_cursor(tn_req *req, const tn_field *key, const tn__page_found *page)
{
    if (page->rows.n <= page->n)
        return (tn_str){ NULL, 0 };
    const char *last = (const char *)page->rows.at + (page->n - 1) * page->rows.schema->size;
    return tn__cursor_write(req->arena, req->match.endpoint->pattern, key->kind,
        tn__field_value(key, last));
}

tn_ref tn_page(tn_tx *tx, const tn_schema *schema, const char *key_name, const tn_query *query,
    tn_args args)
{
    tn_req *req = ((tn__tx_origin *)tn__tx_context(tx))->req;
    const tn_field *key = tn__field_find(schema, tn_str_of(key_name));
    assert(key != NULL && !key->optional && args.n + 2 <= TN_ARGS_MAX);
    tn__page_found *page = tn_alloc(req->arena, sizeof *page);
    tn_ref ref = { &tn__page_marker, page };
    tn_arg all[TN_ARGS_MAX];
    if (args.n > 0)
        memcpy(all, args.at, args.n * sizeof all[0]);
    if (!position_of(req, key->kind, &all[args.n])) {
        tn__tx_fail_parameter(tx, "cursor", "This cursor is of an earlier version of the list.");
        return ref;
    }
    all[args.n + 1] = TN_ARG(req->page.limit + 1);
    page->rows = tn_all(tx, schema, query, (tn_args){ all, args.n + 2 });
    page->n = page->rows.n > (size_t)req->page.limit ? (size_t)req->page.limit : page->rows.n;
    page->next_cursor = next_cursor(req, key, page);
    return ref;
}

/* The path as it came, but nothing in it may end the link early. */
static void add_path(tn__buf *out, tn_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"')
            tn__buf_printf(out, "%%%02X", c);
        else
            tn__buf_add_char(out, (char)c);
    }
}

/* The request's own target with the cursor replaced (RFC 8288). */
static const char *link_to_next(tn_req *req, tn_str cursor)
{
    tn__buf out = { .arena = req->arena };
    tn__buf_add_char(&out, '<');
    add_path(&out, req->path);
    tn__buf_add_char(&out, '?');
    for (size_t i = 0; i < req->n_pairs; i++) {
        if (tn_str_eq(req->pairs[i].name, TN_S("cursor")))
            continue;
        tn__percent_encode(&out, req->pairs[i].name);
        tn__buf_add_char(&out, '=');
        tn__percent_encode(&out, req->pairs[i].value);
        tn__buf_add_char(&out, '&');
    }
    tn__buf_add_z(&out, "cursor=");
    tn__buf_add_str(&out, cursor);
    tn__buf_add_z(&out, ">; rel=\"next\"");
    tn__buf_add_char(&out, '\0');
    return out.data;
}

void tn__page_answer(tn_req *req, const tn__page_found *page, tn__buf *out)
{
    const char *row = page->rows.at;
    tn__buf_add_z(out, "{\"items\":[");
    for (size_t i = 0; i < page->n; i++, row += page->rows.schema->size) {
        if (i > 0)
            tn__buf_add_char(out, ',');
        tn__encode_json(out, page->rows.schema, row);
    }
    tn__buf_add_char(out, ']');
    if (page->next_cursor.data != NULL) {
        tn__buf_add_z(out, ",\"next_cursor\":");
        tn__json_str(out, page->next_cursor);
        tn__answer_field(req, "Link", link_to_next(req, page->next_cursor));
    }
    tn__buf_add_char(out, '}');
}
