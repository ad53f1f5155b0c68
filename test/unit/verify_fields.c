/* Special fields of map values, kernel pointers and timers: what may be done with each, and what is said about the rest.
 * The kernel that they point into is a struct of this file. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

/* The value: int a; untrusted *u (8); kptr *r (16); a count of references (24); long tail (40); a timer (48). */
enum { U = 8, R = 16, COUNT = 24, TAIL = 40, TIMER = 48, VALUE_SIZE = 64 };

static struct btf *kernel, *types;
static u32 function; /* int (…) for all functions of the tests */
static struct map_facts map = {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = VALUE_SIZE, .max_entries = 1, .name = "m"};

static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd == 3 ? &map : NULL;
}

static struct btf *parse(struct btf_builder *b) {
	const void *data;
	struct btf *btf = NULL;
	u32 size;
	EXPECT_EQ(btf_builder_blob(b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &btf), 0);
	btf_builder_free(b);
	return btf;
}

static u32 tagged(struct btf_builder *b, const char *tag, u32 to) {
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, btf_builder_type(b, tag, BTF_KIND_TYPE_TAG, 0, to, 0), 0);
}

static void make_types(void) {
	struct btf_builder b;
	const char *why;
	u32 n, l, task, count, timer, u, r, value;
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	btf_builder_type(&b, "task_struct", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "pid"), n, 0);
	kernel = parse(&b);
	btf_builder_init(&b, NULL);
	n = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	l = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	task = btf_builder_type(&b, "task_struct", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "pid"), n, 0);
	count = btf_builder_type(&b, "bpf_refcount", BTF_KIND_STRUCT, 0, 4, 0);
	timer = btf_builder_type(&b, "bpf_timer", BTF_KIND_STRUCT, 0, 16, 0);
	u = tagged(&b, "kptr_untrusted", task);
	r = tagged(&b, "kptr", task);
	value = btf_builder_type(&b, "value", BTF_KIND_STRUCT, 6, VALUE_SIZE, 18, btf_builder_string(&b, "a"), n, 0,
	                         btf_builder_string(&b, "u"), u, U * 8, btf_builder_string(&b, "r"), r, R * 8,
	                         btf_builder_string(&b, "count"), count, COUNT * 8, btf_builder_string(&b, "tail"), l, TAIL * 8,
	                         btf_builder_string(&b, "timer"), timer, TIMER * 8);
	function = btf_builder_type(&b, "f", BTF_KIND_FUNC, BTF_FUNC_STATIC,
	                            btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, n, 0), 0);
	types = parse(&b);
	map.btf = types;
	map.btf_value_type_id = value;
	EXPECT_EQ(btf_find_fields(types, value, &map.fields, &why), 0);
	EXPECT_EQ(map.fields.n, 4);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MAP_VALUE(d) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_VALUE, 0, 3), INSN(0, 0, 0, 0, 0)
#define MAP_FD(d) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, 3), INSN(0, 0, 0, 0, 0)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(size, d, o, i) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define FUNCTION(d, o) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, 0, (o) - 1), INSN(0, 0, 0, 0, 0)
#define IF_NULL(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define OUT MOV(0, 0), EXIT
/* Sets the callback of the timer in the value, which begins at instruction 9, and returns. */
#define CALLBACK MAP_VALUE(6), COPY(1, 6), ADD(1, TIMER), FUNCTION(2, 5), CALL(BPF_FUNC_timer_set_callback), OUT
/* r0 = bpf_kptr_xchg(value + at, r2) */
#define XCHG(at) COPY(1, 6), ADD(1, at), CALL(BPF_FUNC_kptr_xchg)

static const struct {
	struct bpf_insn insns[20];
	const char *message; /* NULL: accepted */
	u32 callback;        /* instruction at which it begins, 0 = none */
} tests[] = {
    {{MAP_VALUE(6), LOAD(BPF_W, 1, 6, 0), STORE(BPF_DW, 6, 1, TAIL), OUT}, NULL},
    {{MAP_VALUE(6), LOAD(BPF_DW, 1, 6, U), IF_NULL(1, 1), LOAD(BPF_W, 2, 1, 0), OUT}, NULL},
    {{MAP_VALUE(6), LOAD(BPF_DW, 1, 6, U), LOAD(BPF_W, 2, 1, 0), OUT},
     "R1 invalid mem access 'untrusted_ptr_or_null_'"},
    {{MAP_VALUE(6), LOAD(BPF_DW, 1, 6, R), LOAD(BPF_W, 2, 1, 0), OUT}, "R1 invalid mem access 'rcu_ptr_or_null_'"},
    {{MAP_VALUE(6), LOAD(BPF_DW, 1, 6, R), STORE(BPF_DW, 6, 1, U), OUT}, NULL},
    {{MAP_VALUE(6), STORE_IMM(BPF_DW, 6, U, 0), OUT}, NULL},
    {{MAP_VALUE(6), STORE_IMM(BPF_DW, 6, U, 1), OUT}, "BPF_ST imm must be 0 when storing to kptr at off=8"},
    {{MAP_VALUE(6), STORE_IMM(BPF_DW, 6, R, 0), OUT}, "store to referenced kptr disallowed"},
    {{MAP_VALUE(6), STORE(BPF_DW, 6, 6, U), OUT},
     "invalid kptr access, R6 type=map_value expected=ptr_task_struct or untrusted_ptr_task_struct"},
    {{MAP_VALUE(6), LOAD(BPF_W, 1, 6, U), OUT}, "kptr access size must be BPF_DW"},
    {{MAP_VALUE(6), LOAD(BPF_W, 1, 6, U + 4), OUT}, "kptr access misaligned expected=8 off=12"},
    {{MAP_VALUE(6), LOAD(BPF_W, 1, 6, COUNT), OUT}, "bpf_refcount cannot be accessed directly by load/store"},
    {{MAP_VALUE(6), MOV(1, 1), INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 6, 1, U, BPF_ADD), OUT},
     "kptr in map can only be accessed using BPF_MEM instruction mode"},
    {{MAP_VALUE(6), COPY(1, 6), MOV(2, 12), MOV(3, 0), CALL(BPF_FUNC_probe_read_kernel), OUT},
     "kptr cannot be accessed indirectly by helper"},
    {{MAP_VALUE(6), MOV(2, 0), XCHG(R), IF_NULL(0, 4), COPY(2, 0), XCHG(R), OUT}, "Unreleased reference id=4 alloc_insn=10"},
    {{MAP_VALUE(6), MOV(2, 0), XCHG(R), COPY(2, 0), XCHG(R), OUT}, "Possibly NULL pointer passed to helper arg2"},
    {{MAP_VALUE(6), MOV(2, 0), XCHG(U), OUT}, "off=8 kptr isn't referenced kptr"},
    {{MAP_VALUE(6), MOV(2, 0), XCHG(TAIL), OUT}, "off=40 doesn't point to kptr"},
    {{MAP_VALUE(6), LOAD(BPF_DW, 2, 6, R), IF_NULL(2, 3), XCHG(R), OUT}, "R2 must be referenced when passed to release function"},
    {{MAP_VALUE(1), ADD(1, TAIL), MAP_FD(2), MOV(3, 1), CALL(BPF_FUNC_timer_init), OUT},
     "off 40 doesn't point to 'struct bpf_timer' that is at 48"},
    {{MAP_VALUE(1), ADD(1, TIMER), MAP_FD(2), MOV(3, 1), CALL(BPF_FUNC_timer_init), OUT}, NULL},
    {{MAP_VALUE(6), LOAD(BPF_DW, 1, 6, TIMER), OUT}, "bpf_timer cannot be accessed directly by load/store"},
    {{CALLBACK, LOAD(BPF_W, 1, 2, 0), STORE(BPF_W, 3, 1, 0), OUT}, NULL, 9},
    {{CALLBACK, STORE_IMM(BPF_W, 2, 0, 1), OUT}, "write to change key R2 not allowed", 9},
    {{CALLBACK, MOV(0, 1), EXIT}, "At async callback return the register R0 has smin=1 smax=1 should have been in [0, 0]", 9},
};

static u32 length(const struct bpf_insn *insns, u32 callback) {
	u32 n = callback;
	while (insns[n].code != (BPF_JMP | BPF_EXIT))
		n++;
	return n + 1;
}

static void fields(void) {
	make_types();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++) {
		struct bpf_func_info functions[] = {{0, function}, {tests[i].callback, function}};
		struct verify_input in = {.abi = abi_linux(),
		                          .insns = tests[i].insns,
		                          .insns_n = length(tests[i].insns, tests[i].callback),
		                          .prog_type = BPF_PROG_TYPE_SCHED_CLS,
		                          .license = "GPL",
		                          .gpl_compatible = true,
		                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
		                          .map_by_fd = by_fd,
		                          .btf = types,
		                          .func_info = functions,
		                          .func_info_n = tests[i].callback ? 2 : 1,
		                          .func_info_size = sizeof functions[0],
		                          .kernel_btf = kernel};
		struct verify_output out;
		struct arena arena;
		arena_init(&arena, 0);
		EXPECT_EQ(!verify(&in, &arena, &out), !tests[i].message);
		EXPECT_STR(out.diag.message ? out.diag.message : "", tests[i].message ? tests[i].message : "");
		arena_free(&arena);
	}
	btf_put(kernel);
	btf_put(types);
}

int main(void) {
	RUN(fields);
	return test_end();
}
