/* Memory and time that verifying may take: a loop of a hundred thousand turns, with a checkpoint every now and then, needs
 * both. */
#include "test.h"
#include "abi/abi.h"
#include "abi/diag.h"
#include "verify/verifier.h"
#include <errno.h>

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
static const struct bpf_insn loop[] = {
    INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),       INSN(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 1),
    INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 0, -8, 0),      INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 10, -8, 0),
    INSN(BPF_JMP | BPF_JLT | BPF_K, 0, 0, -4, 100000),   INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

static int judge(u64 memory, u64 time, struct verify_output *out) {
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = loop,
	                          .insns_n = ARRAY_SIZE(loop),
	                          .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .memory_limit = memory,
	                          .time_limit_ns = time,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN};
	struct arena arena;
	arena_init(&arena, 0);
	int err = verify(&in, &arena, out);
	arena_free(&arena);
	return err;
}

static void limits(void) {
	struct verify_output out;
	EXPECT_EQ(judge(0, 0, &out), 0);
	EXPECT_EQ(out.stats.insns_processed, 400003);
	EXPECT(out.stats.memory > 1 << 20);
	EXPECT_EQ(judge(1 << 20, 0, &out), -ENOMEM);
	EXPECT_EQ(out.diag.code, diag_row(DIAG_MEMORY_LIMIT)->code);
	EXPECT(out.stats.memory <= 1 << 20);
	EXPECT_EQ(judge(0, 1, &out), -ETIMEDOUT);
	EXPECT_EQ(out.diag.code, diag_row(DIAG_TIME_LIMIT)->code);
	EXPECT_EQ(out.stats.insns_processed, 1025);
	EXPECT_EQ(judge(out.stats.memory << 10, (u64)600 * 1000000000, &out), 0);
}

int main(void) {
	RUN(limits);
	return test_end();
}
