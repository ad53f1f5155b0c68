/* The words that every room uses: integer types, assertions, alignment, once-accesses. Data plane: no libc here. */
#ifndef SKEP_BASE_H
#define SKEP_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
/* Numbers at any address: keys and arguments that programs pass need not be aligned. */
typedef u32 u32_anywhere __attribute__((may_alias, aligned(1)));
typedef u64 u64_anywhere __attribute__((may_alias, aligned(1)));

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NORETURN __attribute__((noreturn))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))

/* Rounds x up to a multiple of a, a power of two. */
static inline u64 round_up(u64 x, u64 a) {
	return (x + a - 1) & ~(a - 1);
}
static inline bool is_power_of_two(u64 x) {
	return x && !(x & (x - 1));
}

/* Single accesses to memory that others change. Acquire and release name their order. */
#define READ_ONCE(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define WRITE_ONCE(p, v) __atomic_store_n(&(p), v, __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* Three strengths. ASSERT stays in every build of the library; ASSERT_DEBUG in builds with SKEP_DEBUG; ASSERT_SLOW in
 * fuzzing and oracle builds. In a traced process a failed assertion must not end somebody else's program, so the data
 * plane image (SKEP_DATAPLANE_IMAGE) has none: the same source is asserted in the library. */
#ifdef SKEP_DATAPLANE_IMAGE
#define ASSERT(x) ((void)sizeof(!(x)))
#else
NORETURN void assert_failed(const char *what, const char *file, int line);
#define ASSERT(x) (likely(x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#endif
#ifdef SKEP_DEBUG
#define ASSERT_DEBUG(x) ASSERT(x)
#else
#define ASSERT_DEBUG(x) ((void)sizeof(!(x)))
#endif
#ifdef SKEP_SLOW_CHECKS
#define ASSERT_SLOW(x) ASSERT(x)
#else
#define ASSERT_SLOW(x) ((void)sizeof(!(x)))
#endif
#define STATIC_ASSERT(x, why) _Static_assert(x, why)

#endif
