/* Arenas: casts of addresses, what may be done with a pointer into one, and how many a program uses. */
#include "test.h"
#include "abi/abi.h"
#include "verify/verifier.h"

enum { ARENA = 3, OTHER, BIG_OFF = 2 * 4096 + 1 };
static struct map_facts maps[] = {
    {.type = BPF_MAP_TYPE_ARENA, .max_entries = 2, .map_flags = BPF_F_MMAPABLE, .name = "arena",
     .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}},
    {.type = BPF_MAP_TYPE_ARENA, .max_entries = 2, .map_flags = BPF_F_MMAPABLE, .name = "other",
     .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}}};

static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd == ARENA || fd == OTHER ? &maps[fd - ARENA] : NULL;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(mode, size, d, s, o) INSN(BPF_LDX | (mode) | (size), d, s, o, 0)
#define STORE(size, d, o, s) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define ATOMIC(size, d, s, op) INSN(BPF_STX | BPF_ATOMIC | (size), d, s, 0, op)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ALU(op, d, i) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define ALUX(op, d, s) INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define MAP(d, fd) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define ADDRESS(d, fd, o) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_VALUE, 0, fd), INSN(0, 0, 0, 0, o)
#define CAST(d, s, to) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 1, to) /* 1: to the program's address, 1 << 16: back */
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define OUT MOV(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define POINTER(d) ADDRESS(d, ARENA, 0), CAST(d, d, 1)

static const struct {
	struct bpf_insn insns[20];
	const char *message; /* NULL: accepted */
} tests[] = {
    {{POINTER(1), LOAD(BPF_MEM, BPF_DW, 2, 1, 0), STORE(BPF_B, 1, 1000, 2), LOAD(BPF_MEMSX, BPF_W, 2, 1, -8), OUT}, NULL},
    {{ADDRESS(1, ARENA, 0), LOAD(BPF_MEM, BPF_DW, 2, 1, 0), OUT}, "R1 invalid mem access 'scalar'"},
    {{ADDRESS(1, ARENA, 2 * 4096), OUT}, NULL},
    {{ADDRESS(1, ARENA, BIG_OFF), OUT}, "invalid access to map value pointer, value_size=0 off=8193"},
    {{POINTER(1), CAST(1, 1, 1 << 16), LOAD(BPF_MEM, BPF_DW, 2, 1, 0), OUT}, "R1 invalid mem access 'scalar'"},
    {{POINTER(1), CAST(1, 1, 2), OUT}, "addr_space_cast insn can only convert between address space 1 and 0"},
    {{MOV(1, 0), CAST(1, 1, 1), OUT}, "addr_space_cast insn can only be used in a program that has an associated arena"},
    {{MAP(1, ARENA), MAP(2, OTHER), OUT}, "Only one arena per program"},
    {{MAP(1, ARENA), MAP(2, ARENA), OUT}, NULL},
    /* any arithmetic leaves a pointer into the arena */
    {{POINTER(1), MOV(2, 7), ALU(BPF_MUL, 1, 3), ALUX(BPF_SUB, 1, 1), ALUX(BPF_XOR, 2, 1), LOAD(BPF_MEM, BPF_B, 3, 1, 0),
      LOAD(BPF_MEM, BPF_B, 3, 2, 0), OUT}, NULL},
    {{POINTER(1), INSN(BPF_ALU64 | BPF_NEG, 1, 0, 0, 0), LOAD(BPF_MEM, BPF_B, 3, 1, 0), OUT}, "R1 invalid mem access 'scalar'"},
    {{POINTER(1), STORE(BPF_DW, 10, -8, 1), LOAD(BPF_MEM, BPF_DW, 2, 10, -8), LOAD(BPF_MEM, BPF_B, 3, 2, 0), OUT}, NULL},
    {{POINTER(1), STORE(BPF_DW, 1, 0, 10), LOAD(BPF_MEM, BPF_DW, 2, 1, 0), LOAD(BPF_MEM, BPF_B, 3, 2, 0), OUT},
     "R2 invalid mem access 'scalar'"},
    {{POINTER(1), MOV(2, 1), ATOMIC(BPF_DW, 1, 2, BPF_ADD | BPF_FETCH), ATOMIC(BPF_W, 1, 2, BPF_AND), OUT}, NULL},
    {{POINTER(1), MOV(2, 1), ATOMIC(BPF_DW, 1, 2, BPF_AND | BPF_FETCH), OUT}, "BPF_ATOMIC stores into R1 arena is not allowed"},
    {{POINTER(1), MOV(2, 1), ATOMIC(BPF_W, 1, 2, BPF_XOR | BPF_FETCH), OUT}, "BPF_ATOMIC stores into R1 arena is not allowed"},
    {{POINTER(1), MOV(2, 8), COPY(3, 1), HELPER(BPF_FUNC_trace_printk), OUT},
     "R1 type=arena expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"},
    /* one instruction, an arena's memory and the stack's */
    {{POINTER(6), HELPER(BPF_FUNC_get_prandom_u32), INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0), COPY(1, 6),
      INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0), COPY(1, 10), ALU(BPF_ADD, 1, -8), LOAD(BPF_MEM, BPF_DW, 2, 1, 0), OUT},
     "same insn cannot be used with different pointers"},
};

static u32 length(const struct bpf_insn *insns) {
	u32 n = 0;
	while (insns[n].code != (BPF_JMP | BPF_EXIT))
		n++;
	return n + 1;
}

static void arenas(void) {
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++) {
		struct verify_input in = {.abi = abi_linux(),
		                          .insns = tests[i].insns,
		                          .insns_n = length(tests[i].insns),
		                          .prog_type = BPF_PROG_TYPE_SCHED_CLS,
		                          .license = "GPL",
		                          .gpl_compatible = true,
		                          .map_by_fd = by_fd,
		                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN};
		struct verify_output out;
		struct arena arena;
		arena_init(&arena, 0);
		EXPECT_EQ(!verify(&in, &arena, &out), !tests[i].message);
		EXPECT_STR(out.diag.message ? out.diag.message : "", tests[i].message ? tests[i].message : "");
		arena_free(&arena);
	}
}

int main(void) {
	RUN(arenas);
	return test_end();
}
