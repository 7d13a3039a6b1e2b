/* The arena: memory that is taken piece by piece and given back all at once.
 *
 * Pieces are cut off the front of the current block. When one doesn't fit, a block twice as long as
 * the one before (up to GROWTH_BYTES_MAX) becomes the current one. A piece too long for a good part
 * of such a block gets a block of its own, and the current one stays, so that one large body doesn't
 * waste the rest of it.
 *
 * Invariants: `used` of a block is a multiple of ALIGNMENT and at most `size`. `first` lives as long
 * as the arena; all other blocks are in `others`. Under AddressSanitizer each byte that isn't part
 * of a piece is poisoned, and a gap follows each piece, so that overruns are found here too. */
#include "base/arena.h"

#include "base/sanitizer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ALIGNMENT = _Alignof(max_align_t),
    GAP_BYTES = TN__ASAN ? 16 : 0,
    FIRST_BYTES_MIN = 64,
    GROWTH_BYTES_MAX = 256 * 1024,
};

typedef struct block block;
struct block {
    block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) char bytes[];
};

struct tn_arena {
    block *first, *current;
    block *others;
    size_t next_bytes;
    size_t handed_out;
};

static size_t round_up(size_t n)
{
    return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* What a piece takes of its block. Callers have refused lengths that would overflow. */
static size_t room_for(size_t bytes)
{
    return round_up(bytes + GAP_BYTES);
}

static block *block_open(size_t size)
{
    block *b = tn__xmalloc(sizeof(block) + size);
    *b = (block){ .size = size };
    tn__poison(b->bytes, size);
    return b;
}

static void block_close(block *b)
{
    tn__unpoison(b->bytes, b->size);
    free(b);
}

static block *add_block(tn_arena *arena, size_t size)
{
    block *b = block_open(size);
    b->next = arena->others;
    arena->others = b;
    return b;
}

static char *cut(block *b, size_t bytes)
{
    assert(room_for(bytes) <= b->size - b->used);
    char *piece = b->bytes + b->used;
    b->used += room_for(bytes);
    tn__unpoison(piece, bytes);
    return piece;
}

tn_arena *tn__arena_open(size_t first_bytes)
{
    tn_arena *arena = tn__xmalloc(sizeof *arena);
    size_t size = round_up(first_bytes < FIRST_BYTES_MIN ? FIRST_BYTES_MIN : first_bytes);
    block *first = block_open(size);
    *arena = (tn_arena){ .first = first, .current = first, .next_bytes = size };
    return arena;
}

static void close_others(tn_arena *arena)
{
    while (arena->others != NULL) {
        block *b = arena->others;
        arena->others = b->next;
        block_close(b);
    }
}

void tn__arena_reset(tn_arena *arena)
{
    close_others(arena);
    arena->current = arena->first;
    arena->first->used = 0;
    tn__poison(arena->first->bytes, arena->first->size);
    arena->next_bytes = arena->first->size;
    arena->handed_out = 0;
}

void tn__arena_close(tn_arena *arena)
{
    if (arena == NULL)
        return;
    close_others(arena);
    block_close(arena->first);
    free(arena);
}

size_t tn__arena_used(const tn_arena *arena)
{
    return arena->handed_out;
}

/* A block with room for `bytes` more: the next current one, or one of its own for a long piece. */
static block *make_room(tn_arena *arena, size_t bytes)
{
    size_t doubled = arena->next_bytes * 2;
    size_t size = doubled > GROWTH_BYTES_MAX ? GROWTH_BYTES_MAX : doubled;
    if (room_for(bytes) > size / 4)
        return add_block(arena, room_for(bytes));
    arena->next_bytes = size;
    arena->current = add_block(arena, size);
    return arena->current;
}

void *tn__arena_take(tn_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        tn__die("out of memory");
    block *b = arena->current;
    if (room_for(bytes) > b->size - b->used)
        b = make_room(arena, bytes);
    arena->handed_out += bytes;
    return cut(b, bytes);
}

void *tn__arena_grow(tn_arena *arena, void *p, size_t old_bytes, size_t bytes)
{
    assert(bytes >= old_bytes && bytes <= SIZE_MAX / 2);
    assert(p != NULL || old_bytes == 0);
    block *b = arena->current;
    char *end = b->bytes + b->used;
    size_t more = room_for(bytes) - room_for(old_bytes);
    if (p != NULL && (char *)p + room_for(old_bytes) == end && more <= b->size - b->used) {
        b->used += more;
        tn__unpoison(p, bytes);
        arena->handed_out += bytes - old_bytes;
        return p;
    }
    char *piece = tn__arena_take(arena, bytes);
    if (old_bytes > 0)
        memcpy(piece, p, old_bytes);
    return piece;
}

void *tn_alloc(tn_arena *arena, size_t bytes)
{
    return memset(tn__arena_take(arena, bytes), 0, bytes);
}

tn_str tn_copy(tn_arena *arena, tn_str s)
{
    char *copy = tn__arena_take(arena, s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return (tn_str){ copy, s.len };
}

tn_str tn_vprintf(tn_arena *arena, const char *format, va_list args)
{
    char brief[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(brief, sizeof brief, format, args);
    assert(n >= 0);
    size_t len = (size_t)n;
    tn_str s = { brief, len };
    if (len < sizeof brief) {
        s = tn_copy(arena, s);
    } else {
        char *text = tn__arena_take(arena, len + 1);
        vsnprintf(text, len + 1, format, again);
        s.data = text;
    }
    va_end(again);
    return s;
}

tn_str tn_printf(tn_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tn_str s = tn_vprintf(arena, format, args);
    va_end(args);
    return s;
}
