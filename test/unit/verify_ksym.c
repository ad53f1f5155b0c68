/* Addresses of the kernel's variables and functions: what programs may do with them. The kernel here has a function, a
 * number, a connection, and a number and a structure for each CPU. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum symbol { FUNCTION = 1, NUMBER, CONNECTION, CPU_NUMBER, CPU_STRUCT, TYPE, BEYOND, SYMBOLS };
static u32 symbol_id[SYMBOLS];
static struct btf *kernel;

static void make_kernel(void) {
	struct btf_builder b;
	const void *data;
	u32 size;
	btf_builder_init(&b, NULL);
	u32 number = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), global = 1;
	u32 mark = btf_builder_string(&b, "mark"), status = btf_builder_string(&b, "status");
	u32 wide = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	u32 first = btf_builder_type(&b, NULL, BTF_KIND_STRUCT, 2, 8, 6, status, number, 0, mark, number, 32);
	u32 either = btf_builder_type(&b, NULL, BTF_KIND_UNION, 2, 8, 6, 0, first, 0, mark, wide, 0);
	u32 conn = btf_builder_type(&b, "nf_conn", BTF_KIND_STRUCT, 3, 16, 9, status, number, 0, mark, number, 32, 0, either, 64);
	u32 queue = btf_builder_type(&b, "rq", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "cpu"), number, 0);
	u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, number, 0);
	symbol_id[TYPE] = number;
	symbol_id[FUNCTION] = btf_builder_type(&b, "do_work", BTF_KIND_FUNC, 0, proto, 0);
	symbol_id[NUMBER] = btf_builder_type(&b, "jiffies", BTF_KIND_VAR, 0, number, 1, global);
	symbol_id[CONNECTION] = btf_builder_type(&b, "conn", BTF_KIND_VAR, 0, conn, 1, global);
	symbol_id[CPU_NUMBER] = btf_builder_type(&b, "busy", BTF_KIND_VAR, 0, number, 1, global);
	symbol_id[CPU_STRUCT] = btf_builder_type(&b, "runqueues", BTF_KIND_VAR, 0, queue, 1, global);
	symbol_id[BEYOND] = btf_builder_type(&b, ".data..percpu", BTF_KIND_DATASEC, 2, 8, 6, symbol_id[CPU_NUMBER], 0, 4,
	                                     symbol_id[CPU_STRUCT], 4, 4) + 1;
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define ADDRESS(d, symbol) INSN(BPF_LD_IMM64, d, BPF_PSEUDO_BTF_ID, 0, symbol), INSN(0, 0, 0, 0, 0)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, 7)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define IF_ZERO(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define OUT MOV(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static const struct {
	struct bpf_insn insns[16];
	const char *message; /* NULL: accepted */
} tests[] = {
    {{ADDRESS(1, FUNCTION), IF_ZERO(1, 0), OUT}, NULL},
    {{ADDRESS(1, FUNCTION), LOAD(BPF_B, 0, 1, 0), OUT}, "invalid access to memory, mem_size=0 off=0 size=1"},
    {{ADDRESS(1, FUNCTION), IF_ZERO(1, 1), MOV(2, 0), LOAD(BPF_B, 0, 2, 0), OUT}, "R2 invalid mem access 'scalar'"},
    {{ADDRESS(1, FUNCTION), HELPER(BPF_FUNC_this_cpu_ptr), OUT},
     "R1 type=rdonly_mem expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"},
    {{ADDRESS(1, NUMBER), LOAD(BPF_W, 0, 1, 0), OUT}, NULL},
    {{ADDRESS(1, NUMBER), LOAD(BPF_DW, 0, 1, 0), OUT}, "invalid access to memory, mem_size=4 off=0 size=8"},
    {{ADDRESS(1, NUMBER), STORE(BPF_W, 1, 0), OUT}, "R1 cannot write into rdonly_mem"},
    {{ADDRESS(1, CPU_NUMBER), LOAD(BPF_W, 0, 1, 0), OUT}, "R1 is ptr_int access percpu memory: off=0"},
    {{ADDRESS(1, CPU_NUMBER), HELPER(BPF_FUNC_this_cpu_ptr), LOAD(BPF_W, 1, 0, 0), OUT}, NULL},
    {{ADDRESS(1, CPU_NUMBER), HELPER(BPF_FUNC_this_cpu_ptr), STORE(BPF_W, 0, 0), OUT}, "R0 cannot write into rdonly_mem"},
    {{ADDRESS(1, CPU_STRUCT), HELPER(BPF_FUNC_this_cpu_ptr), LOAD(BPF_W, 1, 0, 0), OUT}, NULL},
    {{ADDRESS(1, CPU_STRUCT), MOV(2, 1), HELPER(BPF_FUNC_per_cpu_ptr), LOAD(BPF_W, 1, 0, 0), OUT},
     "R0 invalid mem access 'ptr_or_null_'"},
    {{ADDRESS(1, CPU_STRUCT), HELPER(BPF_FUNC_this_cpu_ptr), STORE(BPF_W, 0, 0), OUT}, "only read is supported"},
    {{ADDRESS(1, TYPE), OUT}, "pseudo btf_id 1 in ldimm64 isn't KIND_VAR or KIND_FUNC"},
    {{ADDRESS(1, BEYOND), OUT}, "ldimm64 insn specifies invalid btf_id 14."},
    {{INSN(BPF_LD_IMM64, 1, BPF_PSEUDO_BTF_ID, 0, FUNCTION), INSN(0, 0, 0, 0, 5), OUT},
     "invalid module BTF object FD specified."},
    /* of a union any member may be meant, not only the first */
    {{ADDRESS(1, CONNECTION), LOAD(BPF_DW, 0, 1, 8), OUT}, NULL},
    {{ADDRESS(1, CONNECTION), LOAD(BPF_DW, 0, 1, 0), OUT},
     "access beyond the end of member status (mend:4) in struct nf_conn with off 0 size 8"},
    /* the one member that traffic programs may write */
    {{ADDRESS(1, CONNECTION), STORE(BPF_W, 1, 4), OUT}, NULL},
    {{ADDRESS(1, CONNECTION), STORE(BPF_B, 1, 4), OUT}, NULL},
    {{ADDRESS(1, CONNECTION), STORE(BPF_B, 1, 5), OUT}, "no write support to nf_conn at off 5"},
    {{ADDRESS(1, CONNECTION), STORE(BPF_W, 1, 0), OUT}, "no write support to nf_conn at off 0"},
    {{ADDRESS(1, CONNECTION), STORE(BPF_DW, 1, 4), OUT},
     "write access at off 4 with size 8 beyond the member of nf_conn ended at 8"},
};

static u32 length(const struct bpf_insn *insns) {
	u32 n = 0;
	while (insns[n].code != (BPF_JMP | BPF_EXIT))
		n++;
	return n + 1;
}

static void run(const struct bpf_insn *insns, u32 type, const char *message) {
	struct bpf_insn copy[16];
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = length(insns),
	                          .prog_type = type,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	for (u32 i = 0; i < in.insns_n; i++) {
		copy[i] = insns[i];
		if (copy[i].code == BPF_LD_IMM64)
			copy[i].imm = (s32)symbol_id[copy[i].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", message ? message : "");
	arena_free(&arena);
}

static void addresses(void) {
	static const struct bpf_insn mark[] = {ADDRESS(1, CONNECTION), STORE(BPF_W, 1, 4), OUT};
	make_kernel();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(tests[i].insns, BPF_PROG_TYPE_SCHED_CLS, tests[i].message);
	run(mark, BPF_PROG_TYPE_XDP, NULL);
	run(mark, BPF_PROG_TYPE_SOCKET_FILTER, "only read is supported");
	btf_put(kernel);
}

int main(void) {
	RUN(addresses);
	return test_end();
}
