/* What every instruction computes. This is the only place that says so: the interpreter, the constant folder, the
 * oracle that checks the verifier against concrete runs, and the reference evaluation of the tests expand it; the JIT is
 * compared with it.
 *
 * How a row, a line here and their users fit together
 *
 *   ops.def    ROW_ALU(ADD32, 0x04, …, MODIFY, "$D += $V")          that it exists, how it is encoded and written
 *   sem.h      SEM_ALU_BOTH(ADD, d + s)                             what it computes, for both widths
 *   users      #define ROW_ALU(name, ...)                           one expansion makes all the bodies
 *                      name##_imm: dst = sem_##name(dst, imm); NEXT
 *                      name##_reg: dst = sem_##name(dst, src); NEXT
 *              #include "isa/ops.def"
 *
 * Every row NAME that computes has one function sem_NAME, always inlined, whose signature its shape fixes:
 *
 *   ALU, UNARY    u64  sem_NAME(u64 d, u64 s)              the new value of dst
 *   JCC           bool sem_NAME(u64 d, u64 s)              whether the jump is taken
 *   LOAD          u64  sem_NAME(const void *at)            the new value of dst
 *   STORE         void sem_NAME(void *at, u64 s)           s is src, or the immediate
 *   ATOMIC        u64  sem_NAME(void *at, u64 s, u64 r0)   the old value: for src (USE_FETCH), r0 (USE_FETCH0), nobody
 *   PACKET        u64  sem_NAME(const void *at)            the new value of r0; `at` lies inside the packet
 *
 * d and s are whole registers. An immediate is passed as (u64)(s64)imm: sign-extended for every 64-bit operation, the
 * unsigned ones too (x / -3 divides by 2^64 - 3), and cut to its 32 bits by the 32-bit ones. sem_alu and sem_jump choose
 * by row at run time; they are for those who have no dispatch of their own, such as a constant folder.
 * JUMP, CALL, EXIT and LDDW rows compute nothing: where control goes is the engine's business. MAY_GOTO's budget is the
 * engine's too. The one operation that needs to know the program's arena has its own function, sem_cast.
 *
 * The rules that the lines below keep
 *   - A 32-bit operation sees the lower halves only and clears the upper half of its result, whatever it does: a
 *     division by zero, a shift by 0, a move to itself, le32 on a little-endian machine.
 *   - x / 0 = 0, x % 0 = x (cut to the width). INT_MIN / -1 = INT_MIN, INT_MIN % -1 = 0. Nothing traps.
 *   - A shift count is taken modulo the width.
 *   - le16, le32: cut to the width, no byte moves. be and bswap cut too.
 *   - An old value that a 32-bit atomic returns is zero-extended, also by a compare-and-exchange that fails.
 *   - Loads and stores may be unaligned; the atomics and the ordered ones are aligned, which is the verifier's promise.
 *
 * Rules for changing. A line may only use its arguments, and nothing whose result C leaves undefined (SAN=undefined runs
 * over every line with the operands of test/unit/isa_sem.c). The template gives U and S, the unsigned and signed types of
 * the width, and BITS. Read-modify-write operations use the compiler's atomics: those that return a value are ordered as
 * the kernel's (fully), the others are not. Source: RFC 9669; the corners were probed on Linux 6.18. */
#ifndef SKEP_ISA_SEM_H
#define SKEP_ISA_SEM_H
#include "isa/decode.h"

/* SEM(ADD64, d, s): the function of a row. */
#define SEM(name, ...) sem_##name(__VA_ARGS__)

#define SEM_ALU_AT(name, width, expr)                                                                                  \
	static ALWAYS_INLINE u64 sem_##name(u64 d64, u64 s64_) {                                                       \
		typedef u##width U;                                                                                    \
		typedef s##width S;                                                                                    \
		enum { BITS = width };                                                                                 \
		const U d = (U)d64, s = (U)s64_;                                                                       \
		(void)d, (void)s, (void)sizeof(S), (void)BITS;                                                         \
		return (U)(expr);                                                                                      \
	}
#define SEM_ALU_BOTH(name, expr) SEM_ALU_AT(name##32, 32, expr) SEM_ALU_AT(name##64, 64, expr)

/* clang-format off */
SEM_ALU_BOTH(ADD,  d + s)
SEM_ALU_BOTH(SUB,  d - s)
SEM_ALU_BOTH(MUL,  d * s)
SEM_ALU_BOTH(DIV,  s ? d / s : 0)
SEM_ALU_BOTH(MOD,  s ? d % s : d)
SEM_ALU_BOTH(SDIV, s + 1 <= 1 ? (s ? -d : 0) : (U)((S)d / (S)s)) /* s is 0 or -1: no machine division */
SEM_ALU_BOTH(SMOD, s + 1 <= 1 ? (s ? 0 : d) : (U)((S)d % (S)s))
SEM_ALU_BOTH(OR,   d | s)
SEM_ALU_BOTH(AND,  d & s)
SEM_ALU_BOTH(XOR,  d ^ s)
SEM_ALU_BOTH(LSH,  d << (s & (BITS - 1)))
SEM_ALU_BOTH(RSH,  d >> (s & (BITS - 1)))
SEM_ALU_BOTH(ARSH, (S)d >> (s & (BITS - 1)))
SEM_ALU_BOTH(MOV,  s)
SEM_ALU_BOTH(NEG,  -d)

SEM_ALU_AT(MOVSX8_32,  32, (S)(s8)s)
SEM_ALU_AT(MOVSX16_32, 32, (S)(s16)s)
SEM_ALU_AT(MOVSX8_64,  64, (S)(s8)s)
SEM_ALU_AT(MOVSX16_64, 64, (S)(s16)s)
SEM_ALU_AT(MOVSX32_64, 64, (S)(s32)s)

SEM_ALU_AT(LE16, 64, (u16)d)
SEM_ALU_AT(LE32, 64, (u32)d)
SEM_ALU_AT(LE64, 64, d)
SEM_ALU_AT(BE16, 64, __builtin_bswap16((u16)d))
SEM_ALU_AT(BE32, 64, __builtin_bswap32((u32)d))
SEM_ALU_AT(BE64, 64, __builtin_bswap64(d))
SEM_ALU_AT(BSWAP16, 64, __builtin_bswap16((u16)d))
SEM_ALU_AT(BSWAP32, 64, __builtin_bswap32((u32)d))
SEM_ALU_AT(BSWAP64, 64, __builtin_bswap64(d))

#define SEM_JCC_AT(name, width, expr)                                                                                  \
	static ALWAYS_INLINE bool sem_##name(u64 d64, u64 s64_) {                                                      \
		typedef s##width S;                                                                                    \
		const u##width d = (u##width)d64, s = (u##width)s64_;                                                  \
		(void)sizeof(S);                                                                                       \
		return expr;                                                                                           \
	}
#define SEM_JCC_BOTH(name, expr) SEM_JCC_AT(name##32, 32, expr) SEM_JCC_AT(name##64, 64, expr)

SEM_JCC_BOTH(JEQ,  d == s)
SEM_JCC_BOTH(JNE,  d != s)
SEM_JCC_BOTH(JGT,  d > s)
SEM_JCC_BOTH(JGE,  d >= s)
SEM_JCC_BOTH(JLT,  d < s)
SEM_JCC_BOTH(JLE,  d <= s)
SEM_JCC_BOTH(JSET, (d & s) != 0)
SEM_JCC_BOTH(JSGT, (S)d > (S)s)
SEM_JCC_BOTH(JSGE, (S)d >= (S)s)
SEM_JCC_BOTH(JSLT, (S)d < (S)s)
SEM_JCC_BOTH(JSLE, (S)d <= (S)s)

/* Memory as one value, at any address and under any other type. */
#define SEM_UNALIGNED(type) type##_unaligned __attribute__((may_alias, aligned(1)))
typedef u8 SEM_UNALIGNED(u8);
typedef u16 SEM_UNALIGNED(u16);
typedef u32 SEM_UNALIGNED(u32);
typedef u64 SEM_UNALIGNED(u64);
typedef s8 SEM_UNALIGNED(s8);
typedef s16 SEM_UNALIGNED(s16);
typedef s32 SEM_UNALIGNED(s32);
typedef u32 __attribute__((may_alias)) u32_alias;
typedef u64 __attribute__((may_alias)) u64_alias;
typedef u16 __attribute__((may_alias)) u16_alias;

/* value: what the load makes of the memory word m. The conversion to u64 extends by the sign of its type. */
#define SEM_LOAD(name, type, value)                                                                                    \
	static ALWAYS_INLINE u64 sem_##name(const void *at) {                                                          \
		const type m = *(const type##_unaligned *)at;                                                          \
		return (u64)(value);                                                                                   \
	}
SEM_LOAD(LDX8,  u8,  m)
SEM_LOAD(LDX16, u16, m)
SEM_LOAD(LDX32, u32, m)
SEM_LOAD(LDX64, u64, m)
SEM_LOAD(LDXS8,  s8,  m)
SEM_LOAD(LDXS16, s16, m)
SEM_LOAD(LDXS32, s32, m)
SEM_LOAD(LD_ABS8,  u8,  m)
SEM_LOAD(LD_ABS16, u16, __builtin_bswap16(m))
SEM_LOAD(LD_ABS32, u32, __builtin_bswap32(m))
SEM_LOAD(LD_IND8,  u8,  m)
SEM_LOAD(LD_IND16, u16, __builtin_bswap16(m))
SEM_LOAD(LD_IND32, u32, __builtin_bswap32(m))

#define SEM_STORE(name, type)                                                                                          \
	static ALWAYS_INLINE void sem_##name(void *at, u64 s) {                                                        \
		*(type##_unaligned *)at = (type)s;                                                                     \
	}
SEM_STORE(STX8,  u8)
SEM_STORE(STX16, u16)
SEM_STORE(STX32, u32)
SEM_STORE(STX64, u64)
SEM_STORE(ST8,  u8)
SEM_STORE(ST16, u16)
SEM_STORE(ST32, u32)
SEM_STORE(ST64, u64)

#define SEM_LOAD_ACQ(name, type)                                                                                       \
	static ALWAYS_INLINE u64 sem_##name(const void *at) {                                                          \
		return __atomic_load_n((const type *)at, __ATOMIC_ACQUIRE);                                            \
	}
SEM_LOAD_ACQ(LOAD_ACQ8,  u8)
SEM_LOAD_ACQ(LOAD_ACQ16, u16_alias)
SEM_LOAD_ACQ(LOAD_ACQ32, u32_alias)
SEM_LOAD_ACQ(LOAD_ACQ64, u64_alias)

#define SEM_STORE_REL(name, type)                                                                                      \
	static ALWAYS_INLINE void sem_##name(void *at, u64 s) {                                                        \
		__atomic_store_n((type *)at, (type)s, __ATOMIC_RELEASE);                                               \
	}
SEM_STORE_REL(STORE_REL8,  u8)
SEM_STORE_REL(STORE_REL16, u16_alias)
SEM_STORE_REL(STORE_REL32, u32_alias)
SEM_STORE_REL(STORE_REL64, u64_alias)

/* p points to the word, s and r0 are cut to the width; the value of expr is the old one. */
#define SEM_ATOMIC_AT(name, width, expr)                                                                               \
	static ALWAYS_INLINE u64 sem_##name(void *at, u64 s64_, u64 r0_64) {                                           \
		u##width##_alias *p = at;                                                                              \
		const u##width s = (u##width)s64_;                                                                     \
		u##width r0 = (u##width)r0_64;                                                                         \
		(void)s, (void)r0;                                                                                     \
		return expr;                                                                                           \
	}
#define SEM_ATOMIC_BOTH(name, expr) SEM_ATOMIC_AT(name##32, 32, expr) SEM_ATOMIC_AT(name##64, 64, expr)

SEM_ATOMIC_BOTH(ATOMIC_ADD, __atomic_fetch_add(p, s, __ATOMIC_RELAXED))
SEM_ATOMIC_BOTH(ATOMIC_OR,  __atomic_fetch_or(p, s, __ATOMIC_RELAXED))
SEM_ATOMIC_BOTH(ATOMIC_AND, __atomic_fetch_and(p, s, __ATOMIC_RELAXED))
SEM_ATOMIC_BOTH(ATOMIC_XOR, __atomic_fetch_xor(p, s, __ATOMIC_RELAXED))
SEM_ATOMIC_BOTH(FETCH_ADD,  __atomic_fetch_add(p, s, __ATOMIC_SEQ_CST))
SEM_ATOMIC_BOTH(FETCH_OR,   __atomic_fetch_or(p, s, __ATOMIC_SEQ_CST))
SEM_ATOMIC_BOTH(FETCH_AND,  __atomic_fetch_and(p, s, __ATOMIC_SEQ_CST))
SEM_ATOMIC_BOTH(FETCH_XOR,  __atomic_fetch_xor(p, s, __ATOMIC_SEQ_CST))
SEM_ATOMIC_BOTH(XCHG,       __atomic_exchange_n(p, s, __ATOMIC_SEQ_CST))
SEM_ATOMIC_BOTH(CMPXCHG,
	(__atomic_compare_exchange_n(p, &r0, s, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST), r0)) /* r0: now the old value */
/* clang-format on */

/* ADDR_SPACE_CAST. imm 1, from the user's address space to the program's: the offset in the arena, to which accesses add
 * the arena's base. imm 1 << 16, the other way: the user's address, of which user_start gives the upper half; 0 stays 0.
 * sem_ADDR_SPACE_CAST, for users without an arena, is the first of the two. */
static ALWAYS_INLINE u64 sem_cast(u64 s, s32 imm, u64 user_start) {
	if (imm == 1)
		return (u32)s;
	return (u32)s ? (user_start & 0xffffffff00000000) | (u32)s : 0;
}
static ALWAYS_INLINE u64 sem_ADDR_SPACE_CAST(u64 d, u64 s) {
	(void)d;
	return sem_cast(s, 1, 0);
}

/* ALU and UNARY rows chosen at run time. */
static inline u64 sem_alu(enum bpf_op op, u64 d, u64 s) {
	switch (op) {
#define ROW_ALU(name, ...)                                                                                             \
	case OP_##name:                                                                                                \
		return sem_##name(d, s);
#define ROW_UNARY ROW_ALU
#include "isa/ops.def"
	default:
		ASSERT(!"an ALU or UNARY row");
		return 0;
	}
}
/* JCC rows chosen at run time. */
static inline bool sem_jump(enum bpf_op op, u64 d, u64 s) {
	switch (op) {
#define ROW_JCC(name, ...)                                                                                             \
	case OP_##name:                                                                                                \
		return sem_##name(d, s);
#include "isa/ops.def"
	default:
		ASSERT(!"a JCC row");
		return false;
	}
}
#endif
