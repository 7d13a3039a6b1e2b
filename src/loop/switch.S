/* The raw switch of contexts on x86-64 (System V) and arm64 (AAPCS64).
 *
 * A switch is a function call, so only the registers that a callee must keep are saved, on the stack
 * that is left; the context itself is the stack pointer. The modes of the floating point unit are
 * the thread's: a coroutine that changes the rounding must restore it before it waits.
 *
 *   void tn__raw_switch(void **from, void **to);
 *   void tn__raw_entry(void);   the first address of a new stack, see switch_asm.c
 */

#if defined(__x86_64__)

    .text
    .globl tn__raw_switch
    .hidden tn__raw_switch
    .type tn__raw_switch, @function
    .p2align 4
tn__raw_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    /* Not ret: the processor would predict the caller of the stack that was left. */
    popq %rcx
    jmpq *%rcx
    .cfi_endproc
    .size tn__raw_switch, . - tn__raw_switch

    .globl tn__raw_entry
    .hidden tn__raw_entry
    .type tn__raw_entry, @function
tn__raw_entry:
    .cfi_startproc
    .cfi_undefined rip
    movq %r13, %rdi
    callq *%r12
    ud2
    .cfi_endproc
    .size tn__raw_entry, . - tn__raw_entry

    .section .note.GNU-stack, "", @progbits

#elif defined(__aarch64__)

    .text
    .globl tn__raw_switch
    .hidden tn__raw_switch
    .type tn__raw_switch, %function
    .p2align 4
tn__raw_switch:
    .cfi_startproc
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    ldr x9, [x1]
    mov sp, x9
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    /* Not ret: the processor would predict the caller of the stack that was left. */
    br x30
    .cfi_endproc
    .size tn__raw_switch, . - tn__raw_switch

    .globl tn__raw_entry
    .hidden tn__raw_entry
    .type tn__raw_entry, %function
tn__raw_entry:
    .cfi_startproc
    .cfi_undefined x30
    mov x0, x20
    blr x19
    brk #1
    .cfi_endproc
    .size tn__raw_entry, . - tn__raw_entry

    .section .note.GNU-stack, "", %progbits

#else
#error "no switch for this processor: configure with -Dcoroutines=ucontext"
#endif
