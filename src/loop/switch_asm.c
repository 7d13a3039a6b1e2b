/* A new stack, laid out as if tn__raw_entry had called tn__raw_switch() on it: see switch.S. */
#include "loop/context.h"

#include <stdint.h>
#include <string.h>

void tn__raw_entry(void);

#if defined(__x86_64__)
/* What tn__raw_switch() pops. After it the stack pointer is a multiple of 16, as a caller's is. */
typedef struct {
    uintptr_t r15, r14, r13, r12, rbx, rbp, rip;
    uintptr_t none; /* keeps the size a multiple of 16 with the pointer at its last word */
} frame;

static frame first_frame(void (*entry)(void *), void *arg)
{
    return (
        frame){ .r12 = (uintptr_t)entry, .r13 = (uintptr_t)arg, .rip = (uintptr_t)tn__raw_entry };
}

enum { FRAME_BYTES = 7 * 8 };
#elif defined(__aarch64__)
typedef struct {
    uintptr_t x[11]; /* x19 to x29 */
    uintptr_t x30;
    uintptr_t d[8];
} frame;

static frame first_frame(void (*entry)(void *), void *arg)
{
    return (frame){ .x = { (uintptr_t)entry, (uintptr_t)arg }, .x30 = (uintptr_t)tn__raw_entry };
}

enum { FRAME_BYTES = sizeof(frame) };
_Static_assert(sizeof(frame) == 160, "switch.S moves the stack pointer by 160");
#endif

void tn__raw_init(tn__raw_context *raw, char *low, size_t bytes, void (*entry)(void *), void *arg)
{
    uintptr_t top = ((uintptr_t)low + bytes) & ~(uintptr_t)15;
    frame first = first_frame(entry, arg);
    char *sp = low + (top - (uintptr_t)low) - FRAME_BYTES;
    memcpy(sp, &first, FRAME_BYTES);
    *raw = sp;
}
