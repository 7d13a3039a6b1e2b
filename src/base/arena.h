/* What the growing buffer knows of the arena beyond its public functions. */
#pragma once

#include "base/base.h"

/* As tn_alloc(), but the bytes are not zeroed. */
void *tn__arena_take(tn_arena *arena, size_t bytes);

/* Makes the `old_bytes` at `p`, whole as they were taken, `bytes` long, in place when they are the
 * newest of the arena. The old bytes keep their content. `p` may be NULL when `old_bytes` is 0. */
void *tn__arena_grow(tn_arena *arena, void *p, size_t old_bytes, size_t bytes);
