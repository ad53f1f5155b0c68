/* Locks that may fail (bpf_res_spin_lock), alone and with interrupts disabled. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum function { LOCK = 1, UNLOCK, LOCK_IRQ, UNLOCK_IRQ, IRQ_RESTORE, FUNCTIONS };
enum { LOCKS = 3 };
static u32 function_id[FUNCTIONS];
static struct btf *kernel, *types;
static struct map_facts map = {
    .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 16, .max_entries = 9, .name = "locks"};

static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd == LOCKS ? &map : NULL;
}

static void make_kernel(void) {
	static const struct {
		const char *name;
		bool lock, flags, error;
	} functions[] = {[LOCK] = {"bpf_res_spin_lock", true, false, true},
	                 [UNLOCK] = {"bpf_res_spin_unlock", true, false, false},
	                 [LOCK_IRQ] = {"bpf_res_spin_lock_irqsave", true, true, true},
	                 [UNLOCK_IRQ] = {"bpf_res_spin_unlock_irqrestore", true, true, false},
	                 [IRQ_RESTORE] = {"bpf_local_irq_restore", false, true, false}};
	struct btf_builder b;
	const void *data;
	u32 size, number, word, lock;
	btf_builder_init(&b, NULL);
	number = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	word = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, btf_builder_int(&b, "unsigned long", 8, 0), 0);
	lock = btf_builder_type(&b, "bpf_res_spin_lock", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "val"), number, 0);
	lock = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, lock, 0);
	for (u32 f = 1; f < FUNCTIONS; f++) {
		u32 n = functions[f].lock + functions[f].flags, result = functions[f].error ? number : 0;
		u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, n, result, 0);
		if (functions[f].lock) {
			btf_builder_word(&b, btf_builder_string(&b, "lock"));
			btf_builder_word(&b, lock);
		}
		if (functions[f].flags) {
			btf_builder_word(&b, btf_builder_string(&b, "flags__irq_flag"));
			btf_builder_word(&b, word);
		}
		function_id[f] = btf_builder_type(&b, functions[f].name, BTF_KIND_FUNC, 0, proto, 0);
	}
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

/* A value with a lock at 8. */
static void make_map(void) {
	struct btf_builder b;
	const void *data;
	u32 size, number, lock, value;
	btf_builder_init(&b, NULL);
	number = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	lock = btf_builder_type(&b, "bpf_res_spin_lock", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "val"), number, 0);
	value = btf_builder_type(&b, "v", BTF_KIND_STRUCT, 1, 16, 3, btf_builder_string(&b, "l"), lock, 64);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &types), 0);
	btf_builder_free(&b);
	map.btf = types;
	EXPECT_EQ(btf_find_fields(types, value, &map.fields, NULL), 0);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define MAP(d, fd) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define IF(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define KF(f) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, f) /* imm becomes the function's id */
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define OUT MOV(0, 0), EXIT
#define LAST INSN(0, 0, 0, 0, 0), INSN(0, 0, 0, 0, 0)
/* The register: a value of the map. */
#define VALUE(r) INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0), COPY(2, 10), ADD(2, -8), MAP(1, LOCKS), \
	HELPER(BPF_FUNC_map_lookup_elem), COPY(r, 0), IF(BPF_JNE, r, 0, 2), OUT
#define ON(r, f) COPY(1, r), ADD(1, 8), KF(f)
#define FLAGS(r, f, o) COPY(2, 10), ADD(2, o), ON(r, f)
#define OR_OUT IF(BPF_JEQ, 0, 0, 2), OUT

static const struct {
	struct bpf_insn insns[48];
	const char *message; /* NULL: accepted */
	u32 type;            /* of the program, 0: sched_cls */
} tests[] = {
    {{VALUE(6), ON(6, LOCK), OR_OUT, ON(6, UNLOCK), OUT, LAST}, NULL},
    {{VALUE(6), ON(6, LOCK), OR_OUT, OUT, LAST},
     "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region"},
    {{VALUE(6), ON(6, LOCK), ON(6, UNLOCK), OUT, LAST}, "bpf_res_spin_unlock without taking a lock"}, /* it may have failed */
    /* the error is between -4095 and -1 */
    {{VALUE(6), ON(6, LOCK), IF(BPF_JSGT, 0, 0, 5), IF(BPF_JEQ, 0, 0, 1), EXIT, ON(6, UNLOCK), OUT, LAST}, NULL},
    {{VALUE(6), ON(6, LOCK), OR_OUT, ON(6, LOCK), OR_OUT, ON(6, UNLOCK), ON(6, UNLOCK), OUT, LAST},
     "Acquiring the same lock again, AA deadlock detected"},
    {{VALUE(6), VALUE(7), ON(6, LOCK), OR_OUT, ON(7, UNLOCK), OUT, LAST}, "bpf_res_spin_unlock of different lock"},
    {{VALUE(6), VALUE(7), ON(6, LOCK), OR_OUT, ON(7, LOCK), IF(BPF_JNE, 0, 0, 3), ON(7, UNLOCK), ON(6, UNLOCK), OUT, LAST}, NULL},
    {{VALUE(6), VALUE(7), ON(6, LOCK), OR_OUT, ON(7, LOCK), IF(BPF_JNE, 0, 0, 3), ON(6, UNLOCK), ON(6, UNLOCK), OUT, LAST},
     "bpf_res_spin_unlock cannot be out of order"},
    {{VALUE(6), ON(6, LOCK), OR_OUT, HELPER(BPF_FUNC_ktime_get_ns), ON(6, UNLOCK), OUT, LAST},
     "function calls are not allowed while holding a lock"},
    {{VALUE(6), COPY(1, 6), KF(LOCK), OUT, LAST}, "off 0 doesn't point to 'struct bpf_res_spin_lock' that is at 8"},
    {{COPY(1, 10), ADD(1, -8), KF(LOCK), OUT, LAST}, "arg#0 doesn't point to map value or allocated object"},
    {{VALUE(6), LOAD(BPF_W, 1, 6, 8), OUT, LAST}, "bpf_res_spin_lock cannot be accessed directly by load/store"},
    {{VALUE(6), OUT, LAST}, "socket filter progs cannot use bpf_spin_lock yet", BPF_PROG_TYPE_SOCKET_FILTER},
    {{VALUE(6), OUT, LAST}, "tracing progs cannot use bpf_spin_lock yet", BPF_PROG_TYPE_KPROBE},
    /* interrupts come back with the lock, by functions of the same kind */
    {{VALUE(6), FLAGS(6, LOCK_IRQ, -16), OR_OUT, FLAGS(6, UNLOCK_IRQ, -16), OUT, LAST}, NULL},
    {{VALUE(6), FLAGS(6, LOCK_IRQ, -16), OR_OUT, ON(6, UNLOCK), OUT, LAST}, "bpf_res_spin_unlock of different lock"},
    {{VALUE(6), ON(6, LOCK), OR_OUT, FLAGS(6, UNLOCK_IRQ, -16), OUT, LAST}, "bpf_res_spin_unlock of different lock"},
    {{VALUE(6), FLAGS(6, LOCK_IRQ, -16), IF(BPF_JNE, 0, 0, 5), FLAGS(6, UNLOCK_IRQ, -16), COPY(1, 10), ADD(1, -16),
      KF(IRQ_RESTORE), OUT, LAST}, "expected an initialized irq flag as arg#0"},
};

static u32 length(const struct bpf_insn *insns) {
	u32 n = 0;
	while (insns[n].code || insns[n + 1].code)
		n++;
	return n;
}

static void run(u32 test) {
	struct bpf_insn copy[48];
	u32 type = tests[test].type;
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = length(tests[test].insns),
	                          .prog_type = type ? type : BPF_PROG_TYPE_SCHED_CLS,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .map_by_fd = by_fd,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	for (u32 i = 0; i < in.insns_n; i++) {
		copy[i] = tests[test].insns[i];
		if (copy[i].code == (BPF_JMP | BPF_CALL) && copy[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			copy[i].imm = (s32)function_id[copy[i].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !tests[test].message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", tests[test].message ? tests[test].message : "");
	arena_free(&arena);
}

static void locks(void) {
	make_kernel();
	make_map();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(i);
	btf_put(kernel);
	btf_put(types);
}

int main(void) {
	RUN(locks);
	return test_end();
}
