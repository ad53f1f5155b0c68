/* The numeric domain at its real width: abstract operands are narrowed around a sample, further members are tried at the
 * ends and at random; operations must hold what isa/sem.h computes, comparisons what it decides. */
#include "test.h"
#include "isa/sem.h"
#include "verify/scalar.h"

static u64 seed = 0x9e3779b97f4a7c15ull;
static u64 rnd(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}
/* Numbers as programs have them: small, near the borders of widths, or anything. */
static u64 number(void) {
	u64 x = rnd();
	switch (rnd() % 6) {
	case 0: return x & 0xff;
	case 1: return (u64)0 - (x & 0xff);
	case 2: return ((u64)1 << (rnd() % 64)) + (x & 3) - 1;
	case 3: return (u32)x;
	case 4: return (u64)(s64)(s32)x;
	default: return x;
	}
}

static struct scalar around(u64 x) {
	struct scalar s = scalar_unknown();
	for (u64 i = rnd() % 4; i; i--) {
		u64 low = x - (number() & 0xffff), high = x + (number() & 0xffff);
		switch (rnd() % 6) {
		case 0:
			if (low <= x && x <= high)
				range64_meet_unsigned(&s.r, low, high);
			break;
		case 1:
			if ((s64)low <= (s64)x && (s64)x <= (s64)high)
				range64_meet_signed(&s.r, (s64)low, (s64)high);
			break;
		case 2:
			if ((u32)low <= (u32)x && (u32)x <= (u32)high)
				range32_meet_unsigned(&s.r32, (u32)low, (u32)high);
			break;
		case 3:
			if ((s32)low <= (s32)x && (s32)x <= (s32)high)
				range32_meet_signed(&s.r32, (s32)low, (s32)high);
			break;
		case 4: {
			u64 mask = rnd() % 2 ? rnd() & rnd() : (u64)1 << (rnd() % 64);
			s.var = tnum_intersect(s.var, TNUM(x & ~mask, mask));
			break;
		}
		default:
			if (!(rnd() % 3))
				return scalar_const(x);
		}
		scalar_sync(&s);
	}
	return s;
}

enum { MEMBERS = 12 };
static u32 members(const struct scalar *s, u64 sample, u64 to[MEMBERS]) {
	u64 tries[] = {s->r.umin, s->r.umax, (u64)s->r.smin, (u64)s->r.smax, sample + 1, sample - 1, s->var.value,
	               s->var.value | s->var.mask, s->r.umin + (s->r.umax - s->r.umin) / 2,
	               (sample & ~(u64)UINT32_MAX) | s->r32.umin, (sample & ~(u64)UINT32_MAX) | s->r32.umax,
	               (s->var.value & ~s->var.mask) | (rnd() & s->var.mask)};
	u32 n = 0;
	to[n++] = sample;
	for (u32 i = 0; i < ARRAY_SIZE(tries) && n < MEMBERS; i++)
		if (scalar_contains(s, tries[i]))
			to[n++] = tries[i];
	return n;
}

static void outside(const char *what, u8 code, u64 x, u64 y, u64 z, const struct scalar *d) {
	static u32 shown;
	test_bad++;
	if (shown++ < 5)
		printf("# %s %#x: %#llx, %#llx → %#llx, not in u [%#llx, %#llx] s [%#llx, %#llx] bits (%#llx; %#llx)\n", what, code,
		       (unsigned long long)x, (unsigned long long)y, (unsigned long long)z, (unsigned long long)d->r.umin,
		       (unsigned long long)d->r.umax, (unsigned long long)d->r.smin, (unsigned long long)d->r.smax,
		       (unsigned long long)d->var.value, (unsigned long long)d->var.mask);
}

static void operations(void) {
	static const u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_AND, BPF_OR,  BPF_XOR,
	                         BPF_LSH, BPF_RSH, BPF_ARSH, BPF_DIV, BPF_MOD};
	for (u32 i = 0; i < 150000; i++) {
		u8 op = ops[rnd() % ARRAY_SIZE(ops)];
		bool is64 = rnd() & 1, shift = op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
		u64 x0 = number(), y0 = shift ? rnd() % (is64 ? 64 : 32) : number(), x[MEMBERS], y[MEMBERS];
		struct scalar a = around(x0), b = shift && rnd() % 4 ? scalar_const(y0) : around(y0), d = a;
		struct bpf_insn insn = {.code = (u8)((is64 ? BPF_ALU64 : BPF_ALU) | op | BPF_X)};
		u32 xs = members(&a, x0, x), ys = members(&b, y0, y);
		scalar_alu(&d, &b, op, is64);
		for (u32 j = 0; j < xs; j++)
			for (u32 k = 0; k < ys; k++) {
				u64 z = sem_alu(insn_decode(&insn), x[j], y[k]);
				if (!scalar_contains(&d, z))
					outside("alu", insn.code, x[j], y[k], z, &d);
			}
	}
}

static void extensions(void) {
	for (u32 i = 0; i < 100000; i++) {
		u64 x0 = number(), x[MEMBERS];
		u32 bytes = 1u << (rnd() % 3);
		struct scalar a = around(x0), zext = a, sext = a, sext32 = a, neg = a, swap = a;
		u32 bits = 16u << (rnd() % 3);
		u32 n = members(&a, x0, x);
		scalar_zext(&zext, bytes);
		scalar_sext64(&sext, bytes);
		if (bytes < 4)
			scalar_sext32(&sext32, bytes);
		scalar_neg(&neg, true);
		scalar_swap(&swap, bits);
		for (u32 j = 0; j < n; j++) {
			u32 up = 64 - bytes * 8;
			u64 z = x[j] << up >> up, s = (u64)((s64)(x[j] << up) >> up);
			if (!scalar_contains(&zext, z))
				outside("zext", (u8)bytes, x[j], 0, z, &zext);
			if (!scalar_contains(&sext, s))
				outside("sext", (u8)bytes, x[j], 0, s, &sext);
			if (bytes < 4 && !scalar_contains(&sext32, (u32)s))
				outside("sext32", (u8)bytes, x[j], 0, (u32)s, &sext32);
			if (!scalar_contains(&swap, __builtin_bswap64(x[j]) >> (64 - bits)))
				outside("swap", (u8)bits, x[j], 0, __builtin_bswap64(x[j]) >> (64 - bits), &swap);
			if (!scalar_contains(&neg, -x[j]))
				outside("neg", 0, x[j], 0, -x[j], &neg);
		}
	}
}

static void comparisons(void) {
	static const u8 ops[] = {BPF_JEQ, BPF_JNE,  BPF_JGT,  BPF_JGE,  BPF_JLT, BPF_JLE,
	                         BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET};
	for (u32 i = 0; i < 200000; i++) {
		u8 op = ops[rnd() % ARRAY_SIZE(ops)];
		bool is32 = rnd() & 1;
		u64 x0 = number(), y0 = rnd() % 3 ? number() : x0, x[MEMBERS], y[MEMBERS];
		struct scalar a = around(x0), b = rnd() & 1 ? scalar_const(y0) : around(y0), ta = a, tb = b, fa = a, fb = b;
		struct bpf_insn insn = {.code = (u8)((is32 ? BPF_JMP32 : BPF_JMP) | op | BPF_X)};
		u32 xs = members(&a, x0, x), ys = members(&b, y0, y);
		int taken = scalar_branch_taken(&a, &b, op, is32);
		if (taken < 0) {
			scalar_learn(&ta, &tb, op, is32);
			scalar_learn(&fa, &fb, branch_reverse(op), is32);
			scalar_sync(&ta), scalar_sync(&tb), scalar_sync(&fa), scalar_sync(&fb);
		}
		for (u32 j = 0; j < xs; j++)
			for (u32 k = 0; k < ys; k++) {
				bool h = sem_jump(insn_decode(&insn), x[j], y[k]);
				if (taken >= 0 && h != taken)
					outside("taken", insn.code, x[j], y[k], (u64)taken, &a);
				if (taken < 0 && !scalar_contains(h ? &ta : &fa, x[j]))
					outside("learn left", insn.code, x[j], y[k], h, h ? &ta : &fa);
				if (taken < 0 && !scalar_contains(h ? &tb : &fb, y[k]))
					outside("learn right", insn.code, x[j], y[k], h, h ? &tb : &fb);
			}
	}
}

int main(void) {
	RUN(operations);
	RUN(extensions);
	RUN(comparisons);
	return test_end();
}
