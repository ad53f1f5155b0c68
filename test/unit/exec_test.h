/* What the tests of exec/ share: bytecode by hand, a converter to xlated without a verifier, and runs in the
 * interpreter and in machine code that check what a function must preserve.
 *
 * Machine code runs through a memfd that is mapped twice, writable here and executable there, and is entered through
 * call_checked, which fills the callee-saved registers with patterns and looks at them and at the stack pointer
 * afterwards. Helpers are C functions of the test, found by data plane symbol in test_dp. */
#ifndef SKEP_EXEC_TEST_H
#define SKEP_EXEC_TEST_H
#include "test.h"
#include "abi/map_facts.h"
#include "exec/exec.h"
#include "exec/interp.h"
#include "exec/jit/jit.h"
#include "isa/decode.h"
#include "map/map.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define I(op, reg, dst, src, off, imm) insn_encode(OP_##op, reg, dst, src, off, imm)
#define K(op, dst, imm) I(op, false, dst, 0, 0, imm)
#define X(op, dst, src) I(op, true, dst, src, 0, 0)
#define LDX(op, dst, src, off) I(op, false, dst, src, off, 0)
#define STX(op, dst, off, src) I(op, false, dst, src, off, 0)
#define JK(op, dst, imm, off) I(op, false, dst, 0, off, imm)
#define JX(op, dst, src, off) I(op, true, dst, src, off, 0)
#define GOTO(off) I(JA, false, 0, 0, off, 0)
#define CALL(id) I(CALL_HELPER, false, 0, 0, 0, id)
#define EXIT() I(EXIT, false, 0, 0, 0, 0)
#define LDDW2(op, dst, imm, next) I(op, false, dst, 0, 0, imm), insn_encode_next(next)

static u64 test_seed = 0x9e3779b97f4a7c15;
static inline u64 test_random(void) {
	test_seed ^= test_seed << 13, test_seed ^= test_seed >> 7, test_seed ^= test_seed << 17;
	return test_seed * 0x2545f4914f6cdd1d;
}

/* Programs: instructions, subprograms found from their calls, facts that promise nothing. */
struct test_prog {
	struct bpf_insn *insns;
	struct insn_facts *facts;
	struct xlated_subprog subs[32];
	const struct map_facts *maps[8];
	struct xlated x;
};
static inline void test_sub(struct test_prog *p, s64 start, bool callback) {
	u32 i = 0;
	for (; i < p->x.subprogs_n && p->subs[i].start != start; i++)
		;
	if (i == p->x.subprogs_n)
		p->subs[p->x.subprogs_n++] = (struct xlated_subprog){.start = (u32)start, .stack = 512};
	p->subs[i].is_callback |= callback;
}
static inline void test_prog(struct test_prog *p, const struct bpf_insn *insns, u32 n) {
	memset(p, 0, sizeof *p);
	p->insns = malloc(n * sizeof *insns);
	p->facts = calloc(n, sizeof *p->facts);
	memcpy(p->insns, insns, n * sizeof *insns);
	p->x = (struct xlated){.insns = p->insns, .facts = p->facts, .n = n, .subprogs = p->subs, .maps = p->maps};
	test_sub(p, 0, false);
	for (u32 i = 0; i < n; i++) {
		const struct bpf_insn *in = &insns[i];
		p->facts[i] = (struct insn_facts){.zext = 1, .map = NO_MAP, .orig = i};
		if (insn_is_pseudo_call(in))
			test_sub(p, (s64)i + 1 + in->imm, false);
		if (insn_is_pseudo_func(in))
			test_sub(p, (s64)i + 1 + in->imm, true);
		u8 class = BPF_CLASS(in->code), op = BPF_OP(in->code);
		if ((class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT)
			p->facts[i].back_edge = (in->code == 0x06 ? in->imm : in->off) < 0;
		i += insn_is_ldimm64(in);
	}
	for (u32 i = 0; i < p->x.subprogs_n; i++) { /* sorted by hand-written order of discovery: ends by next start */
		p->subs[i].end = n;
		for (u32 k = 0; k < p->x.subprogs_n; k++)
			if (p->subs[k].start > p->subs[i].start)
				p->subs[i].end = MIN(p->subs[i].end, p->subs[k].start);
	}
}
static inline void test_prog_free(struct test_prog *p) {
	free(p->insns);
	free(p->facts);
}

/* Functions and maps by relocation. */
static u64 (*test_dp[DP_SYMBOLS])(DP_ARGS);
static struct map *test_maps[8];
static u64 test_resolve(void *owner, u16 kind, u16 index, u64 addend) {
	switch (kind) {
	case RELOC_DP:
		return (u64)test_dp[index];
	case RELOC_MAP:
		return (u64)test_maps[index];
	case RELOC_MAP_VALUE:
		return (u64)test_maps[index]->area + addend;
	}
	return 0;
}
static const struct interp_env test_env_static = {.resolve = test_resolve};

/* Machine code memory. */
enum { TEST_CODE_BYTES = 64 << 20 };
static u8 *test_code_rw, *test_code_rx;
static inline void test_code_init(void) {
	int fd = memfd_create("code", 0);
	if (test_code_rw || fd < 0 || ftruncate(fd, TEST_CODE_BYTES))
		return;
	test_code_rw = mmap(NULL, TEST_CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	test_code_rx = mmap(NULL, TEST_CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
}
/* Places the image's code at an offset; returns its entry. */
static inline void *test_place(const struct image *image, u32 at) {
	test_code_init();
	image_relocate(image, test_code_rw + at, (u64)test_code_rx + at, test_resolve, NULL);
	return test_code_rx + at + image->entry;
}

/* u64 call_checked(void *entry, void *ctx, struct skep_run *run, u64 *bad): *bad gets a bit for each register lost. */
u64 call_checked(void *entry, void *ctx, struct skep_run *run, u64 *bad);
__asm__(".text\n.globl call_checked\ncall_checked:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npush %rcx\n"
	"mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\n"
	"mov $0x1111111111111111,%rbx\nmov $0x2222222222222222,%rbp\nmov $0x3333333333333333,%r12\n"
	"mov $0x4444444444444444,%r13\nmov $0x5555555555555555,%r14\nmov $0x6666666666666666,%r15\n"
	"mov $-1,%rdx\nmov $-1,%rcx\nmov $-1,%r8\nmov $-1,%r9\nmov $-1,%r10\nmov $-1,%r11\n"
	"mov %rsp,test_sp(%rip)\n"
	"call *%rax\n"
	"cmp %rsp,test_sp(%rip)\nmov test_sp(%rip),%rsp\nmov (%rsp),%rcx\nmovq $0,(%rcx)\n"
	"je 1f\norq $64,(%rcx)\n1:\n"
#define CHECK_REG(reg, pattern, bit)                                                                                   \
	"mov $" pattern ",%rdx\ncmp %rdx," reg "\nje 1f\norq $" bit ",(%rcx)\n1:\n"
	CHECK_REG("%rbx", "0x1111111111111111", "1") CHECK_REG("%rbp", "0x2222222222222222", "2")
	CHECK_REG("%r12", "0x3333333333333333", "4") CHECK_REG("%r13", "0x4444444444444444", "8")
	CHECK_REG("%r14", "0x5555555555555555", "16") CHECK_REG("%r15", "0x6666666666666666", "32")
	"pop %rcx\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
	".local test_sp\n.comm test_sp,8,8\n");

static inline struct skep_run test_run(void) {
	static const struct run_env env = {.nr_cpus = 4};
	return (struct skep_run){.cpu = 3, .budget = 1 << 30, .env = &env};
}
/* Both engines on one program; each has its own copy of the context, which is compared too. Prints what differs. */
static inline u64 test_interp(const struct image *image, void *ctx, struct skep_run *run) {
	return interp_run(image, &test_env_static, ctx, run);
}
static inline u64 test_jit(const struct image *image, void *ctx, struct skep_run *run) {
	u64 bad = 0, r0 = call_checked(test_place(image, 0), ctx, run, &bad);
	EXPECT_EQ(bad, 0);
	return r0;
}
static inline int test_build(const struct test_prog *p, u32 flags, struct image **out) {
	int r = image_build(&p->x, flags, true, out);
	EXPECT_EQ(r, 0);
	return r;
}
/* Compiles again for a machine with these features. */
static inline int test_recompile(struct image *image, u32 features) {
	free(image->code), free(image->relocs), free(image->lines);
	image->code = NULL, image->relocs = NULL, image->lines = NULL;
	return jit_compile(image, &jit_x64, features);
}
/* Runs insns in the interpreter and as machine code, with and without optional features; r0 must be `want`. */
static inline void test_expect(const struct bpf_insn *insns, u32 n, void *ctx, u32 size, u64 want, const char *name) {
	struct test_prog p;
	struct image *image;
	u8 before[4096], after[4096];
	ASSERT(size <= sizeof before);
	memcpy(before, ctx, size);
	test_prog(&p, insns, n);
	if (!test_build(&p, 0, &image)) {
		struct skep_run run = test_run();
		u64 got = test_interp(image, ctx, &run);
		memcpy(after, ctx, size);
		if (got != want)
			test_bad++, printf("# %s: interpreter gives 0x%llx, expected 0x%llx\n", name, (long long)got, (long long)want);
		for (u32 features = jit_x64.features();; features = 0) {
			memcpy(ctx, before, size);
			run = test_run();
			test_recompile(image, features);
			got = test_jit(image, ctx, &run);
			if (got != want || memcmp(ctx, after, size))
				test_bad++, printf("# %s: machine code gives 0x%llx, expected 0x%llx (features %u)\n", name,
				                   (long long)got, (long long)want, features);
			if (!features)
				break;
		}
		image_free(image);
	}
	memcpy(ctx, before, size);
	test_prog_free(&p);
}
#define EXPECT_RUN(want, ctx, size, ...)                                                                               \
	do {                                                                                                           \
		const struct bpf_insn insns_[] = {__VA_ARGS__};                                                        \
		test_expect(insns_, ARRAY_SIZE(insns_), ctx, size, want, #want);                                       \
	} while (0)
#endif
