/* Where barriers against speculation stand: only for loaders without CAP_PERFMON, and at the instructions that need one. */
#include "test.h"
#include "abi/abi.h"
#include "verify/verifier.h"

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define AND(d, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define ADD(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADD_K(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STORE(d, o, s) INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ZERO4(d, o) INSN(BPF_ST | BPF_MEM | BPF_W, d, 0, o, 0)
#define IF_IS(d, i, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define MAP(d) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, 3), INSN(0, 0, 0, 0, 0)
#define LOOKUP INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define FIND ZERO4(10, -4), COPY(2, 10), ADD_K(2, -4), MAP(1), LOOKUP

static struct map_facts map = {.id = 1, .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 64, .max_entries = 1,
                               .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}};
static struct map_facts *by_fd(void *owner, s32 fd) {
	return &map;
}

static const struct test {
	const char *name;
	struct bpf_insn insns[20];
	u32 n;
	u64 before, behind;  /* instructions as loaded, as bits */
	u64 behind_known;    /* and behind these where the stack keeps numbers: CAP_BPF */
} tests[] = {
    {"numbers alone", {MOV(0, 1), MOV(1, 2), ADD(0, 1), EXIT}, 4, 0, 0},
    {"a pointer saved on the stack and a number over it",
     {STORE(10, -8, 1), MOV(0, 5), STORE(10, -8, 0), LOAD(0, 10, -8), EXIT}, 5, 0, 1 << 0 | 1 << 2},
    {"a number where a number was", {MOV(0, 5), STORE(10, -8, 0), STORE(10, -8, 0), EXIT}, 4, 0, 1 << 1, 1 << 2},
    {"an access that would be outside if a jump were not obeyed", /* 10: *(r0 + 40) */
     {FIND, IF_IS(0, 0, 4), MOV(6, 1), IF_IS(6, 1, 1), ADD_K(0, 32), LOAD(0, 0, 40), MOV(0, 0), EXIT}, 13, 1 << 10,
     1 << 0 | 1 << 5},
    {"an index that is masked", /* 10: r0 += r7 */
     {FIND, IF_IS(0, 0, 4), COPY(7, 0), LOAD(7, 0, 0), AND(7, 31), ADD(0, 7), MOV(0, 0), EXIT}, 13, 1 << 10,
     1 << 0 | 1 << 5},
};

static u64 barriers(const struct xlated *x, bool behind) {
	u64 at = 0;
	for (u32 i = 0; i < x->n; i++)
		if (behind ? x->facts[i].nospec_result : x->facts[i].nospec)
			at |= (u64)1 << x->facts[i].orig;
	return at;
}

static void run(const struct test *t, u64 caps) {
	struct verify_input in = {.abi = abi_linux(), .insns = t->insns, .insns_n = t->n, .license = "GPL",
	                          .gpl_compatible = true, .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .caps = caps,
	                          .map_by_fd = by_fd};
	bool secret = !(caps & VERIFY_PERFMON);
	struct verify_output out;
	struct arena arena;
	arena_init(&arena, 0);
	EXPECT_EQ(verify(&in, &arena, &out), 0);
	if (out.xlated) {
		EXPECT_EQ(barriers(out.xlated, false), secret ? t->before : 0);
		EXPECT_EQ(barriers(out.xlated, true), secret ? t->behind | (caps & VERIFY_BPF ? t->behind_known : 0) : 0);
	}
	arena_free(&arena);
}

static void barriers_stand_where_needed(void) {
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++) {
		run(&tests[i], 0);
		run(&tests[i], VERIFY_BPF);
	}
}

static void none_for_the_trusted(void) {
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(&tests[i], VERIFY_BPF | VERIFY_PERFMON);
}

int main(void) {
	RUN(barriers_stand_where_needed);
	RUN(none_for_the_trusted);
	return test_end();
}
