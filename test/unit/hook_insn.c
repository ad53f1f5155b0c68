/* Moving instructions: every form that depends on its address, executed at its new place where that is possible. */
#include "hook/insn.h"
#include "test.h"
#include <errno.h>
#include <sys/mman.h>

static struct x86_insn decode(const u8 *code, u32 n) {
	struct x86_insn in = {0};
	EXPECT_EQ(x86_decode(code, n, &in), 0);
	return in;
}
#define CODE(...) ((const u8[]){__VA_ARGS__})
#define DECODE(...) decode(CODE(__VA_ARGS__), sizeof CODE(__VA_ARGS__))

static s32 field(const u8 *at) {
	s32 v;
	memcpy(&v, at, 4);
	return v;
}

static void lengths_and_kinds(void) {
	EXPECT_EQ(DECODE(0x0f, 0x05).kind, INSN_SYSCALL);
	EXPECT_EQ(DECODE(0xc3).kind, INSN_RETURN);
	EXPECT_EQ(DECODE(0x90).kind, INSN_PLAIN);
	EXPECT_EQ(DECODE(0xcc).kind, INSN_TRAP);
	EXPECT_EQ(DECODE(0x0f, 0x0b).kind, INSN_TRAP);
	EXPECT_EQ(DECODE(0xcd, 0x80).kind, INSN_TRAP);
	EXPECT_EQ(DECODE(0x0f, 0x34).kind, INSN_TRAP);
	EXPECT_EQ(DECODE(0xff, 0xe0).kind, INSN_INDIRECT);
	EXPECT_EQ(DECODE(0xff, 0xd0).kind, INSN_INDIRECT);
	EXPECT_EQ(DECODE(0xeb, 0x10).kind, INSN_JUMP);
	EXPECT_EQ(DECODE(0xeb, 0x10).target, 0x12);
	EXPECT_EQ(DECODE(0x74, 0xfe).kind, INSN_BRANCH);
	EXPECT_EQ(DECODE(0x74, 0xfe).target, 0);
	EXPECT_EQ(DECODE(0xe2, 0x02).kind, INSN_LOOP);
	EXPECT_EQ(DECODE(0xe3, 0x02).kind, INSN_LOOP);
	EXPECT_EQ(DECODE(0xe8, 1, 0, 0, 0).kind, INSN_CALL);
	EXPECT_EQ(DECODE(0xc7, 0xf8, 0, 0, 0, 0).kind, INSN_TRAP); /* xbegin */
	EXPECT_EQ(DECODE(0xf3, 0x0f, 0x1e, 0xfa).length, 4);       /* endbr64 */
	struct x86_insn in;
	EXPECT_EQ(x86_decode(CODE(0x06), 1, &in), -EINVAL);
	EXPECT_EQ(x86_decode(CODE(0xb8, 1, 2), 3, &in), -EINVAL); /* cut off */
}

static struct x86_insn with_rax(const u8 *code, u32 n) {
	struct x86_insn in = decode(code, n);
	x86_rax(code, n, &in);
	return in;
}
#define RAX(...) with_rax(CODE(__VA_ARGS__), sizeof CODE(__VA_ARGS__))

static void constants_in_rax(void) {
	struct x86_insn in = RAX(0xb8, 39, 0, 0, 0);
	EXPECT(in.sets_rax && in.rax_constant);
	EXPECT_EQ(in.constant, 39);
	in = RAX(0x48, 0xc7, 0xc0, 15, 0, 0, 0);
	EXPECT(in.rax_constant);
	EXPECT_EQ(in.constant, 15);
	in = RAX(0x31, 0xc0);
	EXPECT(in.rax_constant);
	EXPECT_EQ(in.constant, 0);
	EXPECT(!RAX(0x41, 0xb8, 39, 0, 0, 0).sets_rax);            /* mov $39,%r8d */
	EXPECT(!RAX(0xbf, 1, 0, 0, 0).sets_rax);                   /* mov $1,%edi */
	in = RAX(0x89, 0xf8);                                      /* mov %edi,%eax */
	EXPECT(in.sets_rax && !in.rax_constant);
	in = RAX(0xb0, 0x27);                                      /* mov $39,%al: the rest is unknown */
	EXPECT(in.sets_rax && !in.rax_constant);
	EXPECT(RAX(0xf7, 0xe1).sets_rax);                          /* mul %ecx: hidden operand */
	EXPECT(!RAX(0x48, 0x89, 0xe5).sets_rax);                   /* mov %rsp,%rbp */
}

static void rip_relative(void) {
	u8 to[INSN_MOVED_MAX];
	const u8 lea[] = {0x48, 0x8d, 0x05, 0x10, 0, 0, 0}; /* lea 16(%rip),%rax at 0x1000: 0x1017 */
	struct x86_insn in = decode(lea, sizeof lea);
	EXPECT_EQ(x86_move(to, 0x5000, lea, 0x1000, &in), 7);
	EXPECT_EQ(field(to + 3), 0x1017 - 0x5007);
	/* the displacement is not at the end: cmpl $5,16(%rip) */
	const u8 cmp[] = {0x83, 0x3d, 0x10, 0, 0, 0, 5};
	in = decode(cmp, sizeof cmp);
	EXPECT_EQ(x86_move(to, 0x5000, cmp, 0x1000, &in), 7);
	EXPECT_EQ(field(to + 2), 0x1017 - 0x5007);
	EXPECT_EQ(to[6], 5);
	EXPECT_EQ(x86_move(to, 0x7fff00000000, lea, 0x1000, &in), -ERANGE);
	/* an absolute operand is none: mov 0x10,%eax through a SIB byte */
	const u8 absolute[] = {0x8b, 0x04, 0x25, 0x10, 0, 0, 0};
	in = decode(absolute, sizeof absolute);
	EXPECT_EQ(x86_move(to, 0x5000, absolute, 0x1000, &in), 7);
	EXPECT_EQ(memcmp(to, absolute, 7), 0);
}

static void branches(void) {
	u8 to[INSN_MOVED_MAX];
	const u8 je[] = {0x74, 0x10}, far_je[] = {0x0f, 0x84, 0x10, 0, 0, 0}, jmp[] = {0xeb, 0xfe}, call[] = {0xe8, 0x10, 0, 0, 0};
	struct x86_insn in = decode(je, sizeof je);
	EXPECT_EQ(x86_move(to, 0x9000, je, 0x1000, &in), 6);
	EXPECT_EQ(to[0], 0x0f);
	EXPECT_EQ(to[1], 0x84);
	EXPECT_EQ(0x9006 + field(to + 2), 0x1012);
	in = decode(far_je, sizeof far_je);
	EXPECT_EQ(x86_move(to, 0x9000, far_je, 0x1000, &in), 6);
	EXPECT_EQ(0x9006 + field(to + 2), 0x1016);
	in = decode(jmp, sizeof jmp);
	EXPECT_EQ(x86_move(to, 0x9000, jmp, 0x1000, &in), 5);
	EXPECT_EQ(0x9005 + field(to + 1), 0x1000);
	in = decode(call, sizeof call);
	EXPECT_EQ(x86_move(to, 0x9000, call, 0x1000, &in), 25);
	EXPECT_EQ(field(to + 8), 0x1005);                       /* the return address is the original one */
	EXPECT_EQ(0x9000 + 25 + field(to + 21), 0x1015);
	const u8 jrcxz[] = {0xe3, 0x05};
	in = decode(jrcxz, sizeof jrcxz);
	EXPECT_EQ(x86_move(to, 0x9000, jrcxz, 0x1000, &in), 9);
	EXPECT_EQ(to[0], 0xe3);
	EXPECT_EQ(0x9009 + field(to + 5), 0x1007);
	const u8 indirect_call[] = {0xff, 0xd0}, indirect_call_r9[] = {0x41, 0xff, 0xd1}, indirect_jump[] = {0xff, 0xe0};
	in = decode(indirect_call, sizeof indirect_call);
	EXPECT_EQ(x86_move(to, 0x9000, indirect_call, 0x1000, &in), -EINVAL);
	in = decode(indirect_call_r9, sizeof indirect_call_r9);
	EXPECT_EQ(x86_move(to, 0x9000, indirect_call_r9, 0x1000, &in), -EINVAL);
	in = decode(indirect_jump, sizeof indirect_jump);
	EXPECT_EQ(x86_move(to, 0x9000, indirect_jump, 0x1000, &in), 2);
	const u8 syscall_[] = {0x0f, 0x05};
	in = decode(syscall_, sizeof syscall_);
	EXPECT_EQ(x86_move(to, 0x9000, syscall_, 0x1000, &in), -EINVAL);
}

/* A function is cut behind its first instructions and these run elsewhere: all results must be those of the original. */
static int run_moved(const u8 *head, u32 n, const u8 *tail, u32 tail_n, u64 argument) {
	static u8 *page;
	if (!page)
		page = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *original = page, *moved = page + 4096;
	u32 at = 0;
	memset(page, 0xcc, 8192);
	memcpy(original, head, n);
	memcpy(original + n, tail, tail_n);
	for (u32 i = 0; i < n;) {
		struct x86_insn in;
		if (x86_decode(original + i, n - i, &in))
			return -1;
		int size = x86_move(moved + at, (u64)moved + at, original + i, (u64)original + i, &in);
		if (size < 0)
			return size;
		at += (u32)size, i += in.length;
	}
	moved[at] = 0xe9;
	s32 back = (s32)((original + n) - (moved + at + 5));
	memcpy(moved + at + 1, &back, 4);
	return ((int (*)(u64))(void *)moved)(argument);
}

static void moved_code_runs(void) {
	/* xor %eax,%eax; test %rdi,%rdi; je +6 │ mov $7,%eax; ret │ mov $9,%eax; ret */
	const u8 head[] = {0x31, 0xc0, 0x48, 0x85, 0xff, 0x74, 6}, tail[] = {0xb8, 7, 0, 0, 0, 0xc3, 0xb8, 9, 0, 0, 0, 0xc3};
	EXPECT_EQ(run_moved(head, sizeof head, tail, sizeof tail, 0), 9);
	EXPECT_EQ(run_moved(head, sizeof head, tail, sizeof tail, 1), 7);
	/* mov %edi,%ecx; jrcxz +6 */
	const u8 head2[] = {0x89, 0xf9, 0xe3, 6};
	EXPECT_EQ(run_moved(head2, sizeof head2, tail, sizeof tail, 0), 9);
	EXPECT_EQ(run_moved(head2, sizeof head2, tail, sizeof tail, 5), 7);
	/* call +6 (the ret of the first part returns behind the call): call f; ret; pad │ f: mov $9,%eax; ret */
	const u8 head3[] = {0xe8, 2, 0, 0, 0}, tail3[] = {0xc3, 0x90, 0xb8, 11, 0, 0, 0, 0xc3};
	EXPECT_EQ(run_moved(head3, sizeof head3, tail3, sizeof tail3, 0), 11);
	/* mov 1(%rip),%eax; ret; then the datum */
	const u8 head4[] = {0x8b, 0x05, 1, 0, 0, 0}, tail4[] = {0xc3, 42, 0, 0, 0};
	EXPECT_EQ(run_moved(head4, sizeof head4, tail4, sizeof tail4, 0), 42);
}

int main(void) {
	RUN(lengths_and_kinds);
	RUN(constants_in_rax);
	RUN(rip_relative);
	RUN(branches);
	RUN(moved_code_runs);
	return test_end();
}
