/* Scopes: coroutines that end before what they work on does.
 *
 * Invariants: `first` lists those alive, `count` of them. A coroutine that is started after the
 * scope was cancelled is cancelled from the start. */
#include "loop/state.h"

#include <assert.h>
#include <stdlib.h>

struct tn__scope {
    tn__loop *loop;
    tn__co *first;
    size_t count;
    bool cancelled;
    void (*when_done)(void *arg);
    void *arg;
};

tn__scope *tn__scope_open(tn__loop *loop)
{
    tn__scope *scope = tn__xmalloc(sizeof *scope);
    *scope = (tn__scope){ .loop = loop };
    return scope;
}

void tn__scope_close(tn__scope *scope)
{
    if (scope == NULL)
        return;
    assert(scope->count == 0 && scope->first == NULL);
    free(scope);
}

size_t tn__scope_count(const tn__scope *scope)
{
    return scope->count;
}

tn__co *tn__scope_start(tn__scope *scope, tn__co_fn *fn, void *arg)
{
    return tn__co_start_in(scope->loop, scope, fn, arg);
}

void tn__scope_add(tn__scope *scope, tn__co *co)
{
    co->scope = scope;
    co->cancelled = scope->cancelled;
    co->scope_next = scope->first;
    if (scope->first != NULL)
        scope->first->scope_prev = co;
    scope->first = co;
    scope->count++;
}

/* Calls what waits for the end. It may close the scope. */
static void finish(tn__scope *scope)
{
    void (*fn)(void *arg) = scope->when_done;
    scope->when_done = NULL;
    fn(scope->arg);
}

void tn__scope_remove(tn__scope *scope, tn__co *co)
{
    assert(co->scope == scope && scope->count > 0);
    if (co->scope_prev != NULL)
        co->scope_prev->scope_next = co->scope_next;
    else
        scope->first = co->scope_next;
    if (co->scope_next != NULL)
        co->scope_next->scope_prev = co->scope_prev;
    co->scope = NULL;
    scope->count--;
    if (scope->count == 0 && scope->when_done != NULL)
        finish(scope);
}

void tn__scope_cancel(tn__scope *scope)
{
    scope->cancelled = true;
    for (tn__co *co = scope->first; co != NULL; co = co->scope_next)
        tn__co_cancel(co);
}

void tn__scope_when_done(tn__scope *scope, void (*fn)(void *arg), void *arg)
{
    assert(fn != NULL && scope->when_done == NULL);
    scope->when_done = fn;
    scope->arg = arg;
    if (scope->count == 0)
        finish(scope);
}
