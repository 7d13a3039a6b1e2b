/* Which sanitizer this is compiled for, and marking memory for AddressSanitizer.
 *
 * Without AddressSanitizer the marks compile to nothing. */
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TN__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TN__ASAN 1
#endif
#endif
#ifndef TN__ASAN
#define TN__ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define TN__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TN__TSAN 1
#endif
#endif
#ifndef TN__TSAN
#define TN__TSAN 0
#endif

#if TN__ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Any read or write of these bytes is a fault from now on. */
static inline void tn__poison(const void *at, size_t n)
{
#if TN__ASAN
    __asan_poison_memory_region(at, n);
#else
    (void)at, (void)n;
#endif
}

/* These bytes may be used from now on. */
static inline void tn__unpoison(const void *at, size_t n)
{
#if TN__ASAN
    __asan_unpoison_memory_region(at, n);
#else
    (void)at, (void)n;
#endif
}
