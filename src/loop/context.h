/* An execution context: where a stack stands while another one runs.
 *
 * tn__context_switch() tells the sanitizers and then does the raw switch, which is assembly on
 * x86-64 and arm64 (switch.S) and ucontext elsewhere or when configured (switch_ucontext.c). */
#pragma once

#include "base/sanitizer.h"

#include <stddef.h>

#if TN__UCONTEXT
#include <ucontext.h>
typedef ucontext_t tn__raw_context;
#else
typedef void *tn__raw_context; /* the stack pointer; all else lies on the stack */
#endif

typedef struct {
    tn__raw_context raw;
#if TN__ASAN
    const void *stack;
    size_t stack_bytes;
    void *fake_stack;
#endif
#if TN__TSAN
    void *fiber;
#endif
} tn__context;

/* The context of the thread itself, which is running now. */
void tn__context_init_thread(tn__context *context);

/* A context that will call entry(arg) on the stack of `bytes` at `low` when it is switched to.
 * `entry` must begin with tn__context_entered() and never return. */
void tn__context_init(tn__context *context, char *low, size_t bytes, void (*entry)(void *),
    void *arg);
/* The first thing on a new stack; `from` is the context that switched to it. */
void tn__context_entered(tn__context *from);

/* Saves the running context in `from` and goes on with `to`. */
void tn__context_switch(tn__context *from, tn__context *to);

/* As above, but `from` never runs again. */
_Noreturn void tn__context_leave(tn__context *from, tn__context *to);

/* Gives back what a context holds besides its stack. It isn't running. */
void tn__context_deinit(tn__context *context);

/* The raw halves: no sanitizer is told. */
void tn__raw_init(tn__raw_context *raw, char *low, size_t bytes, void (*entry)(void *), void *arg);
void tn__raw_switch(tn__raw_context *from, tn__raw_context *to);
