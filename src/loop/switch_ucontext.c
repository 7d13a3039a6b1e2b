/* The raw switch by ucontext: for processors that switch.S doesn't know, and to compare with. It
 * asks the kernel for the signal mask at each switch, which is what makes it slow. */
#include "loop/context.h"

#include <stdint.h>
#include <stdlib.h>

/* makecontext() hands over only ints: both pointers travel in halves. */
static void *joined(unsigned high, unsigned low)
{
    return (void *)(uintptr_t)((uint64_t)high << 32 | low);
}

static void begin(unsigned entry_high, unsigned entry_low, unsigned arg_high, unsigned arg_low)
{
    void (*entry)(void *) = (void (*)(void *))joined(entry_high, entry_low);
    entry(joined(arg_high, arg_low));
    abort();
}

void tn__raw_init(tn__raw_context *raw, char *low, size_t bytes, void (*entry)(void *), void *arg)
{
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)arg;
    if (getcontext(raw) != 0)
        abort(); /* it has no error on Linux */
    raw->uc_stack.ss_sp = low;
    raw->uc_stack.ss_size = bytes;
    raw->uc_link = NULL;
    makecontext(raw, (void (*)(void))begin, 4, (unsigned)(e >> 32), (unsigned)e,
        (unsigned)(a >> 32), (unsigned)a);
}

void tn__raw_switch(tn__raw_context *from, tn__raw_context *to)
{
    if (swapcontext(from, to) != 0)
        abort(); /* ENOMEM is for contexts without a stack */
}
