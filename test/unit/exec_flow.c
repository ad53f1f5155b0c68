/* Jumps, calls, callbacks, tail calls, metering, abort, far programs. */
#include "exec_test.h"
#include "isa/sem.h"

static const u64 values[] = {0, 1, 2, 127, 128, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
                             0x8000000000000000, ~0ull, 0xffffffff80000000, 0x1000000007};
static const s32 imms[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN, 0x10000};

static void jumps(void) {
	u64 ctx[2];
	for (u32 row = 1; row < OP_COUNT; row++) {
		if (op_rows[row].shape != SHAPE_JCC)
			continue;
		for (u32 k = 0; k < 60; k++) {
			u8 d = test_random() % 10, s = test_random() % 10;
			s32 imm = imms[test_random() % ARRAY_SIZE(imms)];
			ctx[0] = values[test_random() % ARRAY_SIZE(values)];
			ctx[1] = k & 1 ? ctx[0] : values[test_random() % ARRAY_SIZE(values)];
			u64 a = ctx[0], b = s == d ? ctx[0] : ctx[1];
			struct bpf_insn second = s == d ? X(MOV64, d, d) : LDX(LDX64, s, 10, -16);
			EXPECT_RUN(sem_jump(row, a, b), ctx, sizeof ctx, LDX(LDX64, 2, 1, 0), LDX(LDX64, 3, 1, 8),
			           STX(STX64, 10, -8, 2), STX(STX64, 10, -16, 3), LDX(LDX64, d, 10, -8), second,
			           insn_encode(row, true, d, s, 2, 0), K(MOV64, 0, 0), EXIT(), K(MOV64, 0, 1), EXIT());
			EXPECT_RUN(sem_jump(row, a, (u64)(s64)imm), ctx, sizeof ctx, LDX(LDX64, d, 1, 0),
			           insn_encode(row, false, d, 0, 2, imm), K(MOV64, 0, 0), EXIT(), K(MOV64, 0, 1), EXIT());
		}
	}
}

static void loops(void) {
	u64 ctx[1] = {10};
	/* sum of 1 … 10, the exit as clang writes it: a conditional jump over a jump */
	EXPECT_RUN(55, ctx, 8, LDX(LDX64, 2, 1, 0), K(MOV64, 0, 0), X(ADD64, 0, 2), K(ADD64, 2, -1), JK(JEQ64, 2, 0, 1),
	           GOTO(-4), EXIT());
	EXPECT_RUN(55, ctx, 8, LDX(LDX64, 2, 1, 0), K(MOV64, 0, 0), GOTO(2), X(ADD64, 0, 2), K(ADD64, 2, -1),
	           JK(JNE64, 2, 0, -3), EXIT());
	EXPECT_RUN(3, ctx, 8, K(MOV64, 0, 1), I(JA32, false, 0, 0, 0, 1), K(MOV64, 0, 2), K(ADD64, 0, 2), EXIT());
	/* nothing but jumps; a block that jumps to itself is never reached */
	EXPECT_RUN(7, ctx, 8, K(MOV64, 0, 7), GOTO(1), GOTO(1), GOTO(-2), EXIT());
	EXPECT_RUN(7, ctx, 8, K(MOV64, 0, 7), JK(JEQ64, 0, 7, 1), GOTO(-1), EXIT());
	EXPECT_RUN(7, ctx, 8, K(MOV64, 0, 7), JK(JEQ64, 0, 7, 0), EXIT());
	/* may_goto ends after 8 M iterations */
	EXPECT_RUN((8 << 20), ctx, 8, K(MOV64, 0, 0), I(MAY_GOTO, false, 0, 0, 2, 0), K(ADD64, 0, 1), GOTO(-3), EXIT());
}

static u64 sum5(DP_ARGS) {
	ASSERT(run->cpu == 3 && (uintptr_t)__builtin_frame_address(0) % 16 == 0);
	return r1 + 2 * r2 + 3 * r3 + 4 * r4 + 5 * r5;
}
static u64 aborts(DP_ARGS) {
	run->status = RUN_FAULT;
	return 1;
}
/* bpf_loop(count, fn, ctx, flags) */
static u64 loop(DP_ARGS) {
	u64 i = 0;
	for (; i < r1; i++) {
		u64 stop = run_callback(run, r2, i, r3, 0, 0, 0);
		if (stop || run->status)
			return i + 1;
	}
	return i;
}

static void helpers(void) {
	u64 ctx[1] = {5};
	test_dp[DP_helper_map_update_elem] = sum5;
	EXPECT_RUN(1 + 4 + 9 + 16 + 25 + 6 + 7 + 8 + 9, ctx, 8, K(MOV64, 6, 6), K(MOV64, 7, 7), K(MOV64, 8, 8), K(MOV64, 9, 9),
	           K(MOV64, 1, 1), K(MOV64, 2, 2), K(MOV64, 3, 3), K(MOV64, 4, 4), K(MOV64, 5, 5), CALL(2), X(ADD64, 0, 6),
	           X(ADD64, 0, 7), X(ADD64, 0, 8), X(ADD64, 0, 9), EXIT());
	EXPECT_RUN(3, ctx, 8, CALL(8), EXIT()); /* the CPU of the run */
}

static struct bpf_insn call_local(s32 off) {
	return I(CALL_LOCAL, false, 0, 0, 0, off);
}

static void local_calls(void) {
	u64 ctx[1] = {5};
	test_dp[DP_helper_map_update_elem] = sum5;
	/* r6 … r9 and the stack survive a callee that destroys its own */
	EXPECT_RUN(6 + 7 + 8 + 9 + 11 + 3, ctx, 8, K(MOV64, 6, 6), K(MOV64, 7, 7), K(MOV64, 8, 8), K(MOV64, 9, 9),
	           I(ST64, false, 10, 0, -512, 11), K(MOV64, 1, 3), call_local(7), X(ADD64, 0, 6), X(ADD64, 0, 7),
	           X(ADD64, 0, 8), X(ADD64, 0, 9), LDX(LDX64, 1, 10, -512), X(ADD64, 0, 1), EXIT(), K(MOV64, 6, 60),
	           K(MOV64, 7, 70), K(MOV64, 8, 80), K(MOV64, 9, 90), I(ST64, false, 10, 0, -512, 12), X(MOV64, 0, 1), EXIT());
	/* the callee writes into the caller's frame */
	EXPECT_RUN(77, ctx, 8, X(MOV64, 1, 10), K(ADD64, 1, -8), call_local(2), LDX(LDX64, 0, 10, -8), EXIT(),
	           I(ST64, false, 1, 0, 0, 77), K(MOV64, 0, 0), EXIT());
	/* eight frames, helper calls in the deepest */
	struct bpf_insn deep[64];
	u32 n = 0;
	for (u32 f = 0; f < 7; f++) {
		deep[n++] = K(MOV64, 6, (s32)f);
		deep[n++] = call_local(2);
		deep[n++] = X(ADD64, 0, 6);
		deep[n++] = EXIT();
	}
	deep[n++] = K(MOV64, 1, 1), deep[n++] = K(MOV64, 2, 0), deep[n++] = K(MOV64, 3, 0);
	deep[n++] = K(MOV64, 4, 0), deep[n++] = K(MOV64, 5, 0), deep[n++] = CALL(2), deep[n++] = EXIT();
	test_expect(deep, n, ctx, 8, 1 + 21, "eight frames");
}

static void callbacks(void) {
	u64 ctx[2] = {5, 0};
	test_dp[DP_helper_loop] = loop;
	/* bpf_loop(10, add, &sum): sum += i * r6 is not visible there; the callback has its own r6 */
	EXPECT_RUN(45 + 10 + 4, ctx, 16, K(MOV64, 6, 4), I(ST64, false, 10, 0, -8, 0), K(MOV64, 1, 10),
	           LDDW2(LDDW_FUNC, 2, 9, 0), X(MOV64, 3, 10), K(ADD64, 3, -8), K(MOV64, 4, 0), CALL(181),
	           LDX(LDX64, 1, 10, -8), X(ADD64, 0, 1), X(ADD64, 0, 6), EXIT(), K(MOV64, 6, 99), LDX(LDX64, 3, 2, 0),
	           X(ADD64, 3, 1), STX(STX64, 2, 0, 3), K(MOV64, 0, 0), EXIT());
	/* nested */
	EXPECT_RUN(12, ctx, 16, K(MOV64, 1, 3), LDDW2(LDDW_FUNC, 2, 8, 0), K(MOV64, 3, 0), K(MOV64, 4, 0), X(MOV64, 3, 10),
	           CALL(181), X(ADD64, 0, 0), X(ADD64, 0, 0), EXIT(), K(MOV64, 1, 2), LDDW2(LDDW_FUNC, 2, 6, 0),
	           K(MOV64, 3, 0), K(MOV64, 4, 0), CALL(181), K(MOV64, 0, 0), EXIT(), K(MOV64, 0, 0), EXIT());
}

/* Runs with flags and facts of the caller; returns r0, status in *status. */
static u64 run_both(struct test_prog *p, u32 flags, s64 budget, u32 *status, s64 *left) {
	struct image *image;
	u64 ctx[2] = {5, 0}, r0[2] = {0};
	u32 st[2];
	if (test_build(p, flags, &image))
		return 0;
	for (u32 e = 0; e < 2; e++) {
		struct skep_run run = test_run();
		run.budget = budget;
		r0[e] = e ? test_jit(image, ctx, &run) : test_interp(image, ctx, &run);
		st[e] = run.status, left[e] = run.budget;
	}
	EXPECT_EQ(r0[0], r0[1]);
	EXPECT_EQ(st[0], st[1]);
	EXPECT_EQ(left[0], left[1]);
	*status = st[0];
	image_free(image);
	return r0[0];
}

static void abort_and_budget(void) {
	struct test_prog p;
	u32 status;
	s64 left[2];
	test_dp[DP_helper_map_delete_elem] = aborts;
	test_dp[DP_helper_loop] = loop;
	const struct bpf_insn abort_in_callee[] = {K(MOV64, 6, 1), call_local(2), K(MOV64, 0, 77), EXIT(), K(MOV64, 6, 3),
	                                           CALL(3), K(MOV64, 0, 5), EXIT()};
	test_prog(&p, abort_in_callee, ARRAY_SIZE(abort_in_callee));
	p.facts[5].may_abort = 1;
	EXPECT_EQ(run_both(&p, 0, 0, &status, left), 0);
	EXPECT_EQ(status, RUN_FAULT);
	p.facts[5].may_abort = 0;
	EXPECT_EQ(run_both(&p, 0, 0, &status, left), 77);
	test_prog_free(&p);
	/* a callback that aborts stops the loop and the program */
	const struct bpf_insn abort_in_callback[] = {K(MOV64, 1, 10), LDDW2(LDDW_FUNC, 2, 5, 0), K(MOV64, 3, 0),
	                                             K(MOV64, 4, 0), CALL(181), EXIT(), CALL(3), K(MOV64, 0, 0), EXIT()};
	test_prog(&p, abort_in_callback, ARRAY_SIZE(abort_in_callback));
	p.facts[7].may_abort = 1, p.facts[5].callback = 2;
	EXPECT_EQ(run_both(&p, 0, 0, &status, left), 0);
	EXPECT_EQ(status, RUN_FAULT);
	test_prog_free(&p);
	/* loops: conditional, unconditional; enough budget and too little */
	const struct bpf_insn loop10[] = {K(MOV64, 0, 0), K(MOV64, 2, 10), K(ADD64, 0, 3), K(ADD64, 2, -1),
	                                  JK(JNE64, 2, 0, -3), EXIT()};
	const struct bpf_insn forever[] = {K(MOV64, 0, 1), K(ADD64, 0, 1), GOTO(-2), EXIT()};
	const struct bpf_insn calls[] = {K(MOV64, 6, 10), call_local(4), K(ADD64, 6, -1), JK(JEQ64, 6, 0, 1), GOTO(-4),
	                                 EXIT(), K(MOV64, 0, 4), EXIT()};
	test_prog(&p, loop10, ARRAY_SIZE(loop10));
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 1000, &status, left), 30);
	EXPECT_EQ(status, RUN_OK);
	EXPECT_EQ(left[0], 1000 - 9 * 3);
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 27, &status, left), 30);
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 26, &status, left), 0);
	EXPECT_EQ(status, RUN_BUDGET);
	test_prog_free(&p);
	test_prog(&p, forever, ARRAY_SIZE(forever));
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 100000, &status, left), 0);
	EXPECT_EQ(status, RUN_BUDGET);
	test_prog_free(&p);
	test_prog(&p, calls, ARRAY_SIZE(calls));
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 1000, &status, left), 4);
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 30, &status, left), 0);
	EXPECT_EQ(status, RUN_BUDGET);
	test_prog_free(&p);
	/* callback iterations */
	const struct bpf_insn cb[] = {K(MOV64, 1, 1000), LDDW2(LDDW_FUNC, 2, 5, 0), K(MOV64, 3, 0), K(MOV64, 4, 0),
	                              CALL(181), EXIT(), K(MOV64, 0, 0), EXIT()};
	test_prog(&p, cb, ARRAY_SIZE(cb));
	p.facts[5].callback = 2, p.facts[5].may_abort = 1;
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 100, &status, left), 0);
	EXPECT_EQ(status, RUN_BUDGET);
	EXPECT_EQ(run_both(&p, IMAGE_METERED, 100000, &status, left), 1000);
	test_prog_free(&p);
}

static struct image *tail_target;
static bool tail_interpreted;
static u64 tail_call(DP_ARGS) {
	static struct interp_program program;
	if (r3 != 7 || !tail_target)
		return 0;
	program = (struct interp_program){tail_target, &test_env_static};
	return tail_interpreted ? (u64)&program : (u64)test_place(tail_target, 1 << 20);
}

static void tail_calls(void) {
	test_dp[DP_helper_tail_call] = tail_call;
	const struct bpf_insn target[] = {LDX(LDX64, 6, 1, 0), K(MOV64, 7, 100), X(ADD64, 6, 7), X(MOV64, 0, 6), EXIT()};
	const struct bpf_insn again[] = {LDX(LDX64, 6, 1, 0), K(ADD64, 6, 1), STX(STX64, 1, 0, 6), K(MOV64, 2, 0),
	                                 K(MOV64, 3, 7), CALL(12), X(MOV64, 0, 6), EXIT()};
	const struct bpf_insn from[] = {K(MOV64, 6, 1), I(ST64, false, 10, 0, -8, 3), K(MOV64, 2, 0), K(MOV64, 3, 7),
	                                CALL(12), K(MOV64, 0, 55), EXIT()};
	const struct bpf_insn from_sub[] = {K(MOV64, 6, 1000), call_local(2), X(ADD64, 0, 6), EXIT(), K(MOV64, 6, 1),
	                                    K(MOV64, 2, 0), K(MOV64, 3, 7), CALL(12), K(MOV64, 0, 55), EXIT()};
	struct test_prog p, t;
	struct image *image;
	for (u32 k = 0; k < 4; k++) {
		const struct bpf_insn *insns = k == 2 ? from_sub : from;
		test_prog(&p, insns, k == 2 ? ARRAY_SIZE(from_sub) : ARRAY_SIZE(from));
		test_prog(&t, k == 3 ? again : target, k == 3 ? ARRAY_SIZE(again) : ARRAY_SIZE(target));
		if (test_build(&p, 0, &image) || test_build(&t, 0, &tail_target))
			return;
		for (u32 e = 0; e < 2; e++) {
			struct skep_run run = test_run();
			u64 ctx[1] = {5};
			struct image *keep = tail_target;
			tail_target = k == 1 ? NULL : tail_target;
			tail_interpreted = e == 0;
			u64 got = e ? test_jit(image, ctx, &run) : test_interp(image, ctx, &run);
			tail_target = keep;
			EXPECT_EQ(got, k == 1 ? 55 : k == 2 ? 1105 : k == 3 ? 5 + 33 : 105);
			EXPECT_EQ(run.tail_calls, k == 1 ? 0 : k == 3 ? 33 : 1);
		}
		image_free(image);
		image_free(tail_target);
		test_prog_free(&p);
		test_prog_free(&t);
	}
}

/* 100,000 instructions in one function, jumps over all of them, and 1,000,000 by gotol. */
static void far(void) {
	for (u32 size = 100000; size <= 1000000; size *= 10) {
		struct bpf_insn *insns = malloc(((u64)size + 16) * sizeof *insns);
		u64 ctx[1] = {0};
		u32 n = 0;
		u64 want = 1;
		insns[n++] = K(MOV64, 0, 1);
		insns[n++] = I(JA32, false, 0, 0, 0, (s32)size);
		for (u32 i = 0; i < size - 1; i++)
			switch (i % 5) {
			case 0:
				insns[n++] = K(ADD64, 0, (s32)i), want += i;
				break;
			case 1:
				insns[n++] = K(MUL64, 0, 3), want *= 3;
				break;
			case 2:
				insns[n++] = JK(JEQ64, 0, 0x7fffffff, i % 100 == 2 && size - i > 30000 ? 30000 : 1);
				break;
			case 3:
				insns[n++] = X(MOV64, 2, 0);
				break;
			default:
				insns[n++] = X(XOR64, 0, 2), want = 0;
			}
		want = 1;
		for (u32 i = 0; i < size - 1; i++)
			want = i % 5 == 0 ? want + i : i % 5 == 1 ? want * 3 : i % 5 == 4 ? 0 : want;
		insns[n++] = EXIT();
		insns[n++] = I(JA32, false, 0, 0, 0, -(s32)size - 1);
		struct test_prog p;
		struct image *image;
		test_prog(&p, insns, n);
		if (!test_build(&p, 0, &image)) {
			struct skep_run run = test_run();
			EXPECT_EQ(test_interp(image, ctx, &run), want);
			EXPECT_EQ(test_jit(image, ctx, &run), want);
			EXPECT(!image->lines && !image_lines(image) && image->lines_n > size / 2);
			for (u32 i = 1; i < image->lines_n; i++)
				if (image->lines[i].code_off < image->lines[i - 1].code_off)
					EXPECT(!"lines are sorted");
			image_free(image);
		}
		test_prog_free(&p);
		free(insns);
	}
}

static void refusals(void) {
	struct test_prog p;
	struct image *image;
	const struct bpf_insn helper[] = {CALL(49), EXIT()};
	const struct bpf_insn out[] = {GOTO(7), EXIT()};
	const struct bpf_insn off_end[] = {K(MOV64, 0, 0)};
	const struct bpf_insn kfunc[] = {I(CALL_KFUNC, false, 0, 0, 0, 1), EXIT()};
	const struct bpf_insn cast[] = {I(ADDR_SPACE_CAST, false, 0, 1, 0, 1), EXIT()};
	test_prog(&p, helper, 2);
	EXPECT_EQ(image_build(&p.x, 0, true, &image), -95);
	test_prog_free(&p);
	test_prog(&p, out, 2);
	EXPECT_EQ(image_build(&p.x, 0, true, &image), -22);
	test_prog_free(&p);
	test_prog(&p, off_end, 1);
	EXPECT_EQ(image_build(&p.x, 0, true, &image), -22);
	test_prog_free(&p);
	test_prog(&p, kfunc, 2);
	EXPECT_EQ(image_build(&p.x, 0, true, &image), -95);
	test_prog_free(&p);
	test_prog(&p, cast, 2);
	EXPECT_EQ(image_build(&p.x, 0, true, &image), -95);
	test_prog_free(&p);
}
int main(void) {
	RUN(jumps);
	RUN(loops);
	RUN(helpers);
	RUN(local_calls);
	RUN(callbacks);
	RUN(abort_and_budget);
	RUN(tail_calls);
	RUN(far);
	RUN(refusals);
	return test_end();
}
