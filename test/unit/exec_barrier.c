/* Barriers against speculation: both engines carry them out, results stay, and machine code has one for each. */
#include "exec_test.h"

enum { N = 9 };

static u32 count(const struct image *image) {
	static const u8 lfence[] = {0x0f, 0xae, 0xe8};
	u32 n = 0;
	for (u32 i = 0; i + sizeof lfence <= image->code_size; i++)
		n += !memcmp(image->code + i, lfence, sizeof lfence);
	return n;
}

/* Sums through the stack, in a loop, with much that the JIT folds together when nothing stands between. */
static void run(u64 before, u64 behind, u32 want) {
	const struct bpf_insn insns[N] = {K(MOV64, 0, 0),   K(MOV64, 2, 3),    STX(STX64, 10, -8, 2), LDX(LDX64, 3, 10, -8),
	                                  X(MOV64, 4, 3),   K(ADD64, 4, 4),    X(ADD64, 0, 4),        JK(JLT64, 0, 70, -7),
	                                  EXIT()};
	struct test_prog p;
	struct image *image;
	u64 ctx = 0;
	test_prog(&p, insns, N);
	for (u32 i = 0; i < N; i++) {
		p.facts[i].nospec = before >> i & 1;
		p.facts[i].nospec_result = behind >> i & 1;
	}
	if (test_build(&p, 0, &image))
		return;
	struct skep_run state = test_run();
	EXPECT_EQ(test_interp(image, &ctx, &state), 70);
	state = test_run();
	EXPECT_EQ(test_jit(image, &ctx, &state), 70);
	EXPECT_EQ(count(image), want);
	image_free(image);
	test_prog_free(&p);
}

static void barriers_are_emitted(void) {
	run(0, 0, 0);
	for (u32 i = 0; i + 1 < N; i++) {
		run(1 << i, 0, 1);
		if (i != 7) /* a jump has none behind it */
			run(0, 1 << i, 1);
	}
	run(0xff, 0x7f, 15);
}

int main(void) {
	RUN(barriers_are_emitted);
	return test_end();
}
