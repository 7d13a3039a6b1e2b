/* The thread-local part of the layer; see local.h for why there is one. */
#include "schema/local.h"
#include "schema/pattern.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { TREES_FIRST_BYTES = 8 * 1024 }; /* enough for the tree of a body of some 500 bytes */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* only there to have free_local() called when a thread ends */
static _Thread_local tn__local *local;

static void free_local(void *p)
{
    tn__local *l = p;
    tn__patterns_close(l->patterns);
    tn__arena_close(l->trees);
    free(l);
    local = NULL;
}

static void make_key(void)
{
    if (pthread_key_create(&key, free_local) != 0)
        abort(); /* the process has used up PTHREAD_KEYS_MAX: a programmer error */
}

static tn__local *make_local(void)
{
    pthread_once(&once, make_key);
    tn__local *l = tn__xmalloc(sizeof *l);
    *l = (tn__local){ .trees = tn__arena_open(TREES_FIRST_BYTES), .patterns = tn__patterns_open() };
    if (pthread_setspecific(key, l) != 0)
        abort(); /* only without memory, which ends the process everywhere */
    return l;
}

tn__local *tn__local_get(void)
{
    if (local == NULL)
        local = make_local();
    assert(local->trees != NULL);
    return local;
}
