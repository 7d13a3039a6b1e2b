/* Reading JSON: jansson, with a stricter gate before it and memory that costs next to nothing.
 *
 * The gate looks at each byte once. It refuses what jansson would recurse on too deeply (coroutines
 * have small stacks), raw NULs, which jansson 2.14 skips after a number, and texts of so many values
 * that the tree would be far larger than the text, such as a megabyte of "[{},{},...". That is
 * counted beforehand because jansson's lexer doesn't survive an allocation that fails.
 *
 * jansson takes its memory by functions that are set once for the process. While json_loadb() runs
 * on a thread they cut pieces off the thread's arena and free nothing; at all other times they are
 * malloc() and free(), so other users of jansson in the process notice nothing. No tree that was
 * read here is ever passed to json_decref(): tn__json_done() gives back the memory of all. */
#include "schema/json.h"
#include "base/arena.h"
#include "schema/fault.h"
#include "schema/local.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- Memory ------------------------------------------------------------- */

static void *take(size_t bytes)
{
    tn__local *local = tn__local_get();
    return local->reading ? tn__arena_take(local->trees, bytes) : malloc(bytes);
}

static void give_back(void *p)
{
    if (!tn__local_get()->reading)
        free(p);
}

static void set_up(void)
{
    json_set_alloc_funcs(take, give_back);
    json_object_seed(0); /* from the system's randomness, so that nobody can choose collisions */
}

void tn__json_done(void)
{
    assert(!tn__local_get()->reading);
    tn__arena_reset(tn__local_get()->trees);
}

/* ---- The gate ----------------------------------------------------------- */

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)
static const char TOO_DEEP[] = "nested deeper than " TEXT_OF(TN__JSON_DEPTH_MAX) " levels";
static const char TOO_MANY[] = "more than " TEXT_OF(TN__JSON_VALUES_MAX) " values";

/* Where a fault lies, as people count: lines and characters from 1. */
typedef struct {
    size_t line, column;
} position;

static position position_of(tn_str text, size_t at)
{
    position p = { 1, 1 };
    for (size_t i = 0; i < at; i++)
        if (text.data[i] == '\n')
            p = (position){ p.line + 1, 1 };
        else if (((unsigned char)text.data[i] & 0xC0) != 0x80)
            p.column++;
    return p;
}

/* The quote that ends the string whose first quote is at `at`, or the last byte of the text. */
static size_t skip_string(tn_str text, size_t at)
{
    const char *start = text.data + at + 1, *end = text.data + text.len;
    for (const char *from = start; from < end; from++) {
        from = memchr(from, '"', (size_t)(end - from));
        if (from == NULL)
            break;
        const char *escape = from;
        while (escape > start && escape[-1] == '\\')
            escape--;
        if ((from - escape) % 2 == 0)
            return (size_t)(from - text.data);
    }
    return text.len - 1;
}

/* The first byte that goes beyond a limit, or text.len, with the limit in words. Where the text isn't
 * JSON this may be wrong, but never beyond the place where jansson stops. */
static size_t find_too_much(tn_str text, const char **what)
{
    size_t depth = 0, values = 1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"') {
            i = skip_string(text, i);
        } else if (c == ',') {
            values++;
        } else if (c == '{' || c == '[') {
            values++;
            *what = depth == TN__JSON_DEPTH_MAX ? TOO_DEEP : TOO_MANY;
            if (++depth > TN__JSON_DEPTH_MAX || values > TN__JSON_VALUES_MAX)
                return i;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    *what = TOO_MANY;
    return values > TN__JSON_VALUES_MAX ? text.len - 1 : text.len;
}

static tn_str say(tn_arena *arena, tn_str text, size_t at, const char *what)
{
    position p = position_of(text, at);
    return tn_printf(arena, "line %zu, column %zu: %s", p.line, p.column, what);
}

static bool passes_gate(tn_arena *arena, tn_str text, tn_str *why)
{
    if (text.len == 0) {
        *why = TN_S("line 1, column 1: the text is empty");
        return false;
    }
    const char *nul = memchr(text.data, '\0', text.len);
    if (nul != NULL) {
        *why = say(arena, text, (size_t)(nul - text.data), "a NUL byte is not allowed");
        return false;
    }
    const char *what;
    size_t at = find_too_much(text, &what);
    if (at < text.len)
        *why = say(arena, text, at, what);
    return at >= text.len;
}

/* ---- jansson ------------------------------------------------------------ */

/* What jansson's text adds to ours: the part that says near what. */
static const char *near_part(const char *text)
{
    const char *near = strstr(text, " near ");
    return near == NULL ? "" : near;
}

/* jansson gives the last character read; its columns start from 0 before the first. What it quotes
 * came from outside, and may be half a character. */
static tn_str explain(tn_arena *arena, const json_error_t *error)
{
    const char *what = "", *near = error->text;
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        what = "the text ends too early: ";
        break;
    case json_error_end_of_input_expected:
        what = "nothing may follow the value; found more";
        near = near_part(error->text);
        break;
    case json_error_duplicate_key:
        what = "a member is named twice";
        near = near_part(error->text);
        break;
    case json_error_numeric_overflow:
        what = "a number is out of range (integers have 64 bits, other numbers are doubles)";
        near = near_part(error->text);
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        what = "the character NUL (\\u0000) is not allowed";
        near = "";
        break;
    case json_error_invalid_utf8:
        what = "not valid UTF-8: ";
        break;
    default:
        break;
    }
    tn__buf out = { .arena = arena };
    tn__buf_printf(&out, "line %d, column %d: ", error->line < 1 ? 1 : error->line,
        error->column < 1 ? 1 : error->column);
    tn__buf_add_z(&out, what);
    tn__show(&out, tn_str_of(near), JSON_ERROR_TEXT_LENGTH);
    return tn__buf_str(&out);
}

static const json_t *load(tn__local *local, tn_str text, json_error_t *error)
{
    local->reading = true;
    const json_t *value = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
        error);
    local->reading = false;
    return value;
}

const json_t *tn__json_read(tn_arena *arena, tn_str text, tn_str *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    if (!passes_gate(arena, text, why))
        return NULL;
    tn__local *local = tn__local_get();
    json_error_t error;
    const json_t *value = load(local, text, &error);
    if (value == NULL)
        *why = explain(arena, &error);
    return value;
}

/* ---- Writing ------------------------------------------------------------ */

static void write_object(tn__buf *out, const json_t *object)
{
    const char *name;
    json_t *value;
    char before = '{';
    /* The macro wants a json_t that isn't const, though it changes nothing. */
    json_object_foreach((json_t *)object, name, value)
    {
        tn__buf_add_char(out, before);
        tn__json_str(out, tn_str_of(name));
        tn__buf_add_char(out, ':');
        tn__json_write(out, value);
        before = ',';
    }
    tn__buf_add_z(out, before == '{' ? "{}" : "}");
}

static void write_array(tn__buf *out, const json_t *array)
{
    tn__buf_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            tn__buf_add_char(out, ',');
        tn__json_write(out, json_array_get(array, i));
    }
    tn__buf_add_char(out, ']');
}

void tn__json_write(tn__buf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(out, value);
        break;
    case JSON_ARRAY:
        write_array(out, value);
        break;
    case JSON_STRING:
        tn__json_str(out, tn__json_text(value));
        break;
    case JSON_INTEGER:
        tn__buf_add_i64(out, json_integer_value(value));
        break;
    case JSON_REAL:
        tn__json_real(out, tn__without_sign_of_zero(json_real_value(value)));
        break;
    case JSON_TRUE:
        tn__buf_add_z(out, "true");
        break;
    case JSON_FALSE:
        tn__buf_add_z(out, "false");
        break;
    case JSON_NULL:
        tn__buf_add_z(out, "null");
        break;
    }
}
