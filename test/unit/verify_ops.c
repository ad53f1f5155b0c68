/* Programs that are functions of a structure of the kernel's: which member, what arguments, what may be written, what is
 * returned. The kernel is a BTF of two such structures; messages are those of Linux 6.18 for the same programs. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum { TEST_1, TEST_2, TEST_SLEEPABLE };     /* members of struct bpf_dummy_ops */
enum { SSTHRESH, INIT, RELEASE, GET_INFO, NAME }; /* of struct tcp_congestion_ops */
enum { PACING = 8, STATUS = 16, CWND = 24, NEXT = 28, SOCK_SIZE = 24, TCP_SIZE = 32 };
static struct btf *kernel;
static u32 dummy, tcp, other;

static u32 structure(struct btf_builder *b, const char *name, u32 n, u32 size) {
	return btf_builder_type(b, name, BTF_KIND_STRUCT, n, size, 0);
}
static void member(struct btf_builder *b, const char *name, u32 type, u32 off) {
	btf_builder_word(b, btf_builder_string(b, name));
	btf_builder_word(b, type);
	btf_builder_word(b, off * 8);
}
static u32 pointer(struct btf_builder *b, u32 to) {
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, to, 0);
}
static u32 function(struct btf_builder *b, u32 result, u32 n, const u32 *args, const char *first) {
	u32 id = btf_builder_type(b, NULL, BTF_KIND_FUNC_PROTO, n, result, 0);
	for (u32 i = 0; i < n; i++) {
		btf_builder_word(b, first ? btf_builder_string(b, i ? "more" : first) : 0);
		btf_builder_word(b, args[i]);
	}
	return id;
}

static void make_kernel(void) {
	struct btf_builder b;
	const void *data;
	u32 size, n, l, state, common, sock, args[2], takes_state, takes_sock, nothing, p;
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	l = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	state = structure(&b, "bpf_dummy_ops_state", 1, 4);
	member(&b, "val", n, 0);
	common = structure(&b, "sock_common", 1, 8);
	member(&b, "family", l, 0);
	sock = structure(&b, "sock", 3, SOCK_SIZE);
	member(&b, "common", common, 0);
	member(&b, "sk_pacing_rate", l, PACING);
	member(&b, "sk_pacing_status", n, STATUS);
	structure(&b, "tcp_sock", 3, TCP_SIZE);
	member(&b, "sk", sock, 0);
	member(&b, "snd_cwnd", n, CWND);
	member(&b, "rcv_nxt", n, NEXT);
	args[0] = pointer(&b, state);
	args[1] = n;
	takes_state = pointer(&b, function(&b, n, 2, args, NULL));
	p = function(&b, n, 2, args, "cb__nullable");
	btf_builder_type(&b, "bpf_dummy_ops__test_1", BTF_KIND_FUNC, 0, p, 0);
	args[0] = pointer(&b, sock);
	takes_sock = pointer(&b, function(&b, n, 1, args, NULL));
	nothing = pointer(&b, function(&b, 0, 1, args, NULL));
	dummy = structure(&b, "bpf_dummy_ops", 3, 24);
	member(&b, "test_1", takes_state, 0);
	member(&b, "test_2", takes_state, 8);
	member(&b, "test_sleepable", takes_state, 16);
	tcp = structure(&b, "tcp_congestion_ops", 5, 40);
	member(&b, "ssthresh", takes_sock, 0);
	member(&b, "init", nothing, 8);
	member(&b, "release", nothing, 16);
	member(&b, "get_info", takes_sock, 24);
	member(&b, "name", l, 32);
	other = structure(&b, "other_ops", 1, 8);
	member(&b, "call", nothing, 0);
	structure(&b, "bpf_struct_ops_bpf_dummy_ops", 0, 64);
	structure(&b, "bpf_struct_ops_tcp_congestion_ops", 0, 64);
	structure(&b, "bpf_struct_ops_other_ops", 0, 64);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, 1)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define IF_NULL(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define OUT MOV(0, 0), EXIT
#define ARG(d, i) LOAD(BPF_DW, d, 1, (i) * 8)
#define OPTION(f)                                                                                                      \
	ARG(1, 0), MOV(2, 6), MOV(3, 1), INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 10, 0, 0), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -8), \
	    INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0), MOV(5, 4), CALL(f), EXIT

static const struct test {
	struct bpf_insn insns[16];
	u32 *ops, member;
	const char *message; /* NULL: accepted */
	bool sleepable, other_license;
} tests[] = {
    /* which */
    {{OUT}, &dummy, TEST_2, NULL},
    {{OUT}, &dummy, TEST_2, "struct ops programs must have a GPL compatible license", false, true},
    {{OUT}, &dummy, 3, "attach to invalid member idx 3 of struct bpf_dummy_ops"},
    {{OUT}, &tcp, NAME, "attach to invalid member name(@idx 4) of struct tcp_congestion_ops"},
    {{OUT}, &tcp, GET_INFO, "attach to unsupported member get_info of struct tcp_congestion_ops"},
    {{OUT}, &dummy, TEST_2, "attach to unsupported member test_2 of struct bpf_dummy_ops", true},
    {{OUT}, &dummy, TEST_SLEEPABLE, NULL, true},
    {{OUT}, &other, 0, "skep: programs of this struct_ops: not supported by this verifier yet"},
    {{OUT}, NULL, 0, "attach_btf_id 1 is not a supported struct"},
    /* arguments and results */
    {{ARG(2, 0), LOAD(BPF_W, 0, 2, 0), EXIT}, &dummy, TEST_2, NULL},
    {{ARG(2, 0), LOAD(BPF_W, 0, 2, 0), EXIT}, &dummy, TEST_1, "R2 invalid mem access 'trusted_ptr_or_null_'"},
    {{ARG(2, 0), IF_NULL(2, 1), LOAD(BPF_W, 0, 2, 0), OUT}, &dummy, TEST_1, NULL},
    {{ARG(0, 1), EXIT}, &dummy, TEST_2, NULL},
    {{ARG(0, 2), EXIT}, &dummy, TEST_2, "invalid bpf_context access off=16 size=8"},
    {{STORE(BPF_DW, 1, 0), OUT}, &dummy, TEST_2, "invalid bpf_context access off=0 size=8"},
    {{EXIT}, &tcp, INIT, NULL}, /* void */
    {{EXIT}, &tcp, SSTHRESH, "R0 !read_ok"},
    /* writes */
    {{ARG(2, 0), STORE(BPF_W, 2, 0), OUT}, &dummy, TEST_2, NULL},
    {{ARG(2, 0), STORE(BPF_DW, 2, 0), OUT}, &dummy, TEST_2, "write access at off 0 with size 8"},
    {{ARG(2, 0), STORE(BPF_DW, 2, PACING), STORE(BPF_W, 2, STATUS), STORE(BPF_W, 2, CWND), OUT}, &tcp, SSTHRESH, NULL},
    {{ARG(2, 0), STORE(BPF_DW, 2, CWND), OUT}, &tcp, SSTHRESH,
     "write access at off 24 with size 8 beyond the member of tcp_sock ended at 28"},
    {{ARG(2, 0), STORE(BPF_W, 2, NEXT), OUT}, &tcp, SSTHRESH, "no write support to tcp_sock at off 28"},
    {{ARG(2, 0), STORE(BPF_B, 2, CWND + 1), OUT}, &tcp, SSTHRESH, "no write support to tcp_sock at off 25"},
    /* helpers */
    {{CALL(BPF_FUNC_get_prandom_u32), OUT}, &dummy, TEST_2, "program of this type cannot use helper bpf_get_prandom_u32#7"},
    {{CALL(BPF_FUNC_get_prandom_u32), OUT}, &tcp, SSTHRESH, NULL},
    {{OPTION(BPF_FUNC_setsockopt)}, &tcp, INIT, NULL},
    {{OPTION(BPF_FUNC_setsockopt)}, &tcp, RELEASE, "program of this type cannot use helper bpf_setsockopt#49"},
    {{OPTION(BPF_FUNC_getsockopt)}, &tcp, RELEASE, "program of this type cannot use helper bpf_getsockopt#57"},
};

static u32 length(const struct bpf_insn *insns) {
	u32 n = 0;
	while (insns[n].code != (BPF_JMP | BPF_EXIT))
		n++;
	return n + 1;
}

static void run(const struct test *t) {
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = t->insns,
	                          .insns_n = length(t->insns),
	                          .prog_type = BPF_PROG_TYPE_STRUCT_OPS,
	                          .expected_attach_type = t->member,
	                          .attach_btf_id = t->ops ? *t->ops : 1,
	                          .prog_flags = t->sleepable ? BPF_F_SLEEPABLE : 0,
	                          .license = t->other_license ? "MIT" : "GPL",
	                          .gpl_compatible = !t->other_license,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !t->message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", t->message ? t->message : "");
	arena_free(&arena);
}

static void struct_ops(void) {
	make_kernel();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(&tests[i]);
	btf_put(kernel);
}

int main(void) {
	RUN(struct_ops);
	return test_end();
}
