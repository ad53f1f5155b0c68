/* What the verifier knows of a number: known bits, and its range as a 64-bit and as a 32-bit number, each unsigned and
 * signed. The only interface to the numeric domain: whoever replaces the domain replaces this file and scalar.c.
 *
 * An abstract scalar stands for the set of numbers that satisfy all five views. Each function that computes leaves a
 * scalar that holds every result of its operands' members (soundness), with the views refined by each other.
 *
 * Tests compile scalar.c a second time with SCALAR_BITS 16, where all members of a set can be enumerated; «full» and
 * «half» are the two widths, 64 and 32 in the library. */
#ifndef SKEP_VERIFY_SCALAR_H
#define SKEP_VERIFY_SCALAR_H
#include "isa/insn.h"
#include "verify/range.h"
#include "verify/tnum.h"

#ifndef SCALAR_BITS
#define SCALAR_BITS 64
typedef u64 full_u;
typedef s64 full_s;
typedef u32 half_u;
typedef s32 half_s;
#define FULL(name) range64##name
#define HALF(name) range32##name
#endif
#define HALF_BITS (SCALAR_BITS / 2)

struct scalar {
	struct tnum var;
	struct FULL() r;
	struct HALF() r32;
};

struct scalar scalar_unknown(void);
struct scalar scalar_const(u64 x);
static inline bool scalar_is_const(const struct scalar *s) {
	return tnum_is_const(s->var);
}
/* The low half is one known number. */
static inline bool scalar_is_const32(const struct scalar *s) {
	return !(half_u)s->var.mask;
}
static inline bool scalar_equals(const struct scalar *s, u64 x) {
	return tnum_equals_const(s->var, x);
}
bool scalar_is_unknown(const struct scalar *s);
bool scalar_same(const struct scalar *a, const struct scalar *b);
bool scalar_contains(const struct scalar *s, u64 x);
/* Is every member of b one of a, as far as the views show? */
bool scalar_includes(const struct scalar *a, const struct scalar *b);

/* Only the known bits stay. */
void scalar_forget_ranges(struct scalar *s);
/* Refines the views by each other. */
void scalar_sync(struct scalar *s);
/* NULL, or what is wrong: an empty range, or known bits that contradict a range. Branches that cannot be taken do it. */
const char *scalar_violation(const struct scalar *s);

/* dst = dst op src, for the ops of ALU and ALU64 other than MOV, NEG, END. Unknown where we cannot say more. */
void scalar_alu(struct scalar *dst, const struct scalar *src, u8 op, bool is64);
void scalar_neg(struct scalar *dst, bool is64);
/* The low bits/8 bytes reversed, the rest zero. Only known bits are carried over. */
void scalar_swap(struct scalar *dst, u32 bits);
/* Truncation to the low bytes, zero- or sign-extended to 64 bits, or sign-extended to 32 and then zero-extended. */
void scalar_zext(struct scalar *s, u32 bytes);
void scalar_zext32(struct scalar *s);
void scalar_sext64(struct scalar *s, u32 bytes);
void scalar_sext32(struct scalar *s, u32 bytes);
/* Only the low half becomes known: what a 32-bit equality proves. */
void scalar_set_half(struct scalar *s, u32 x);

/* Comparison a op b: 1 always true, 0 never, -1 sometimes. */
int scalar_branch_taken(const struct scalar *a, const struct scalar *b, u8 op, bool is32);
/* Learns from a op b being true; the negation of JSET is JSET_NOT. Views are not refined by each other yet. */
enum { JSET_NOT = BPF_JSET | BPF_X };
void scalar_learn(struct scalar *a, struct scalar *b, u8 op, bool is32);
u8 branch_flip(u8 op);    /* a op b  as  b op' a */
u8 branch_reverse(u8 op); /* the op that holds when op does not */
#endif
