/* What each thread keeps for this layer: memory for parse trees, and compiled patterns.
 *
 * Both are caches without meaning of their own, and both would need a lock on the hot path if
 * threads shared them (regexec() even takes one inside the C library for each match); that is why
 * they are thread-local. They are made on a thread's first use and freed when it ends. */
#pragma once

#include "base/base.h"

typedef struct tn__patterns tn__patterns;

typedef struct {
    tn_arena *trees; /* jansson's trees, given back after each decoding */
    bool reading;    /* json_loadb() is running on this thread */
    tn__patterns *patterns;
} tn__local;

tn__local *tn__local_get(void);
