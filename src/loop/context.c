/* Contexts as the sanitizers see them.
 *
 * AddressSanitizer must know the bounds of the stack that runs, and keeps a fake stack a context for
 * use-after-return; ThreadSanitizer keeps a history a fiber. Both are told just before the raw
 * switch; AddressSanitizer again just after it, on the other stack. */
#include "loop/context.h"

#include <stdlib.h>

#if TN__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if TN__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* `keep` is where AddressSanitizer puts the fake stack of the context that is left; NULL destroys it.
 * ThreadSanitizer counts calls and returns a fiber: as a call of its own, this one would be made on
 * the one and return on the other. */
static inline __attribute__((always_inline)) void announce(tn__context *to, void **keep)
{
#if TN__ASAN
    __sanitizer_start_switch_fiber(keep, to->stack, to->stack_bytes);
#endif
#if TN__TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)to, (void)keep;
}

void tn__context_switch(tn__context *from, tn__context *to)
{
#if TN__ASAN
    announce(to, &from->fake_stack);
#else
    announce(to, NULL);
#endif
    tn__raw_switch(&from->raw, &to->raw);
#if TN__ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void tn__context_leave(tn__context *from, tn__context *to)
{
    announce(to, NULL);
    tn__raw_switch(&from->raw, &to->raw);
    abort();
}

void tn__context_entered(tn__context *from)
{
#if TN__ASAN
    /* This is how the bounds of a thread's own stack are learnt. */
    __sanitizer_finish_switch_fiber(NULL, &from->stack, &from->stack_bytes);
#endif
    (void)from;
}

void tn__context_init_thread(tn__context *context)
{
    *context = (tn__context){ 0 };
#if TN__TSAN
    context->fiber = __tsan_get_current_fiber();
#endif
}

void tn__context_init(tn__context *context, char *low, size_t bytes, void (*entry)(void *),
    void *arg)
{
    *context = (tn__context){ 0 };
#if TN__ASAN
    context->stack = low;
    context->stack_bytes = bytes;
#endif
#if TN__TSAN
    context->fiber = __tsan_create_fiber(0);
#endif
    tn__raw_init(&context->raw, low, bytes, entry, arg);
}

void tn__context_deinit(tn__context *context)
{
#if TN__TSAN
    __tsan_destroy_fiber(context->fiber);
#endif
    (void)context;
}
