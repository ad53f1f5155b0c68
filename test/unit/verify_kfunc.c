/* Kernel functions and iterators: what may be called, with what, and what must follow. The kernel here is a BTF of a few
 * functions, which are told by their names. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum function {
	ITER_NEW = 1, ITER_NEXT, ITER_DESTROY, TASK_NEW, TASK_NEXT, TASK_DESTROY, FROM_PID, ACQUIRE, RELEASE, RCU_LOCK,
	RCU_UNLOCK, PREEMPT_OFF, PREEMPT_ON, RDONLY_CAST, CREATE, KEY_LOOKUP, STRLEN, OBJ_NEW, UNKNOWN, PLAIN, FROM_SKB, CLONE,
	SIZE, SLICE, SLICE_RDWR, DYNPTR_COPY, IRQ_SAVE, IRQ_RESTORE, FUNCTIONS
};
enum type { VOID, INT, P_VOID, P_INT, P_NUM, P_TASK_ITER, P_TASK, P_MASK, P_KEY, P_SKB, P_DYNPTR, TYPES };

/* What each function takes and gives. */
static const struct {
	const char *name;
	enum type result;
	u32 n;
	struct {
		enum type type;
		const char *name;
	} params[5];
} functions[FUNCTIONS] = {
    [ITER_NEW] = {"bpf_iter_num_new", INT, 3, {{P_NUM, "it"}, {INT, "start"}, {INT, "end"}}},
    [ITER_NEXT] = {"bpf_iter_num_next", P_INT, 1, {{P_NUM, "it"}}},
    [ITER_DESTROY] = {"bpf_iter_num_destroy", VOID, 1, {{P_NUM, "it"}}},
    [TASK_NEW] = {"bpf_iter_task_new", INT, 3, {{P_TASK_ITER, "it"}, {P_TASK, "task__nullable"}, {INT, "flags"}}},
    [TASK_NEXT] = {"bpf_iter_task_next", P_TASK, 1, {{P_TASK_ITER, "it"}}},
    [TASK_DESTROY] = {"bpf_iter_task_destroy", VOID, 1, {{P_TASK_ITER, "it"}}},
    [FROM_PID] = {"bpf_task_from_pid", P_TASK, 1, {{INT, "pid"}}},
    [ACQUIRE] = {"bpf_task_acquire", P_TASK, 1, {{P_TASK, "p"}}},
    [RELEASE] = {"bpf_task_release", VOID, 1, {{P_TASK, "p"}}},
    [RCU_LOCK] = {"bpf_rcu_read_lock", VOID},
    [RCU_UNLOCK] = {"bpf_rcu_read_unlock", VOID},
    [PREEMPT_OFF] = {"bpf_preempt_disable", VOID},
    [PREEMPT_ON] = {"bpf_preempt_enable", VOID},
    [RDONLY_CAST] = {"bpf_rdonly_cast", P_VOID, 2, {{P_VOID, "obj__ign"}, {INT, "btf_id__k"}}},
    [CREATE] = {"bpf_cpumask_create", P_MASK},
    [KEY_LOOKUP] = {"bpf_lookup_user_key", P_KEY, 2, {{INT, "serial"}, {INT, "flags"}}},
    [STRLEN] = {"bpf_strlen", INT, 1, {{P_VOID, "s__ign"}}},
    [OBJ_NEW] = {"bpf_obj_new_impl", P_VOID, 2, {{INT, "local_type_id__k"}, {P_VOID, "meta__ign"}}},
    [UNKNOWN] = {"bpf_of_tomorrow", VOID}, /* marked as a kernel function, but without a row */
    [PLAIN] = {"do_exit", VOID},
    [FROM_SKB] = {"bpf_dynptr_from_skb", INT, 3, {{P_SKB, "s"}, {INT, "flags"}, {P_DYNPTR, "ptr__uninit"}}},
    [CLONE] = {"bpf_dynptr_clone", INT, 2, {{P_DYNPTR, "p"}, {P_DYNPTR, "clone__uninit"}}},
    [SIZE] = {"bpf_dynptr_size", INT, 1, {{P_DYNPTR, "p"}}},
    [SLICE] = {"bpf_dynptr_slice", P_VOID, 4, {{P_DYNPTR, "p"}, {INT, "offset"}, {P_VOID, "b__opt"}, {INT, "b__szk"}}},
    [SLICE_RDWR] = {"bpf_dynptr_slice_rdwr", P_VOID, 4, {{P_DYNPTR, "p"}, {INT, "offset"}, {P_VOID, "b__opt"}, {INT, "b__szk"}}},
    [IRQ_SAVE] = {"bpf_local_irq_save", VOID, 1, {{P_INT, "flags__irq_flag"}}},
    [IRQ_RESTORE] = {"bpf_local_irq_restore", VOID, 1, {{P_INT, "flags__irq_flag"}}},
    [DYNPTR_COPY] = {"bpf_dynptr_copy", INT, 5,
                     {{P_DYNPTR, "dst_ptr"}, {INT, "dst_off"}, {P_DYNPTR, "src_ptr"}, {INT, "src_off"}, {INT, "size"}}},
};
static u32 function_id[FUNCTIONS], types[TYPES], task_id;
static struct btf *kernel;

static u32 structure(struct btf_builder *b, const char *name, u32 words, u32 member) {
	u32 n = words * 8;
	return btf_builder_type(b, name, BTF_KIND_STRUCT, 1, n, 3, btf_builder_string(b, "a"), member, 0);
}
static u32 pointer(struct btf_builder *b, u32 to) {
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, to, 0);
}

static void make_kernel(void) {
	struct btf_builder b;
	const void *data;
	u32 size, index, row;
	btf_builder_init(&b, NULL);
	types[INT] = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	index = btf_builder_int(&b, "long", 8, BTF_INT_SIGNED);
	row = btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, index, types[INT], 3);
	task_id = structure(&b, "task_struct", 1, types[INT]);
	types[P_VOID] = pointer(&b, 0);
	types[P_INT] = pointer(&b, types[INT]);
	types[P_NUM] = pointer(&b, structure(&b, "bpf_iter_num", 1, index));
	types[P_TASK_ITER] = pointer(&b, structure(&b, "bpf_iter_task", 3, row));
	types[P_TASK] = pointer(&b, task_id);
	types[P_MASK] = pointer(&b, structure(&b, "bpf_cpumask", 1, index));
	types[P_KEY] = pointer(&b, structure(&b, "bpf_key", 1, index));
	types[P_SKB] = pointer(&b, structure(&b, "__sk_buff", 1, index));
	types[P_DYNPTR] = pointer(&b, structure(&b, "bpf_dynptr", 2, btf_builder_type(&b, NULL, BTF_KIND_ARRAY, 0, 0, 3, index,
	                                                                               types[INT], 2)));
	for (u32 f = 1; f < FUNCTIONS; f++) {
		u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, functions[f].n, types[functions[f].result], 0);
		for (u32 i = 0; i < functions[f].n; i++) {
			btf_builder_word(&b, btf_builder_string(&b, functions[f].params[i].name));
			btf_builder_word(&b, types[functions[f].params[i].type]);
		}
		function_id[f] = btf_builder_type(&b, functions[f].name, BTF_KIND_FUNC, 0, proto, 0);
		if (f != PLAIN)
			btf_builder_type(&b, "bpf_kfunc", BTF_KIND_DECL_TAG, 0, function_id[f], 1, ~0u);
	}
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &kernel), 0);
	btf_builder_free(&b);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(o, i) INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, o, i)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADDX(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define IF_ZERO(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define IF_OVER(d, i, o) INSN(BPF_JMP | BPF_JGT | BPF_K, d, 0, o, i)
#define GOTO(o) INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define HELPER(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define KF(f) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, f) /* imm becomes the function's id */
#define OUT MOV(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define CALL(o) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, o)
#define STACK(d, o) COPY(d, 10), ADD(d, o)
#define NEW STACK(1, -8), MOV(2, 0), MOV(3, 10), KF(ITER_NEW)
#define NEXT STACK(1, -8), KF(ITER_NEXT)
#define DESTROY STACK(1, -8), KF(ITER_DESTROY)
#define FROM(o) MOV(2, 0), STACK(3, o), KF(FROM_SKB) /* the packet's dynptr */
#define CUT(f, buffer, size) STACK(1, -16), MOV(2, 0), buffer, MOV(4, size), KF(f)
#define SAVE(o) STACK(1, o), KF(IRQ_SAVE)
#define RESTORE(o) STACK(1, o), KF(IRQ_RESTORE)
#define EITHER(a, b) HELPER(BPF_FUNC_get_prandom_u32), IF_OVER(0, 10, 2), MOV(7, a), GOTO(1), MOV(7, b)

static const struct {
	struct bpf_insn insns[32];
	const char *message; /* NULL: accepted */
	u32 type;            /* of the program, 0: sched_cls */
} tests[] = {
    /* who may call what */
    {{MOV(1, 0), KF(STRLEN), OUT}, NULL, BPF_PROG_TYPE_SOCKET_FILTER},
    {{MOV(1, 1), KF(FROM_PID), OUT}, "calling kernel function bpf_task_from_pid is not allowed", BPF_PROG_TYPE_SOCKET_FILTER},
    {{KF(CREATE), OUT}, "calling kernel function bpf_cpumask_create is not allowed"},
    {{KF(PLAIN), OUT}, "calling kernel function do_exit is not allowed"},
    {{KF(UNKNOWN), OUT}, "skep: this kernel function: not supported by this verifier yet"},
    {{MOV(1, 1), MOV(2, 0), KF(OBJ_NEW), OUT}, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF"},
    {{MOV(1, 1), MOV(2, 0), KF(KEY_LOOKUP), OUT}, "program must be sleepable to call sleepable kfunc bpf_lookup_user_key"},
    {{INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, 0), OUT},
     "invalid kernel function call not eliminated in verifier pass"},
    {{MOV(1, 0), IF_ZERO(1, 1), INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, 0), OUT}, NULL},
    {{INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 1, 1), OUT}, "kfunc offset > 0 without fd_array is invalid"},
    /* references */
    {{MOV(1, 1), KF(FROM_PID), IF_ZERO(0, 2), COPY(1, 0), KF(RELEASE), OUT}, NULL},
    {{MOV(1, 1), KF(FROM_PID), OUT}, "Unreleased reference id=2 alloc_insn=1"},
    {{MOV(1, 1), KF(FROM_PID), COPY(1, 0), KF(RELEASE), OUT}, "Possibly NULL pointer passed to trusted arg0"},
    {{MOV(1, 1), KF(FROM_PID), IF_ZERO(0, 5), COPY(6, 0), COPY(1, 6), KF(RELEASE), LOAD(BPF_W, 1, 6, 0), MOV(0, 0), OUT},
     "R6 invalid mem access 'scalar'"},
    {{MOV(1, 1), KF(FROM_PID), IF_ZERO(0, 3), COPY(1, 0), ADD(1, 4), KF(RELEASE), OUT},
     "R1 must have zero offset when passed to release func or trusted arg to kfunc"},
    {{STACK(1, -8), KF(RELEASE), OUT}, "release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID"},
    {{MOV(1, 7), KF(RELEASE), OUT}, "R1 type=scalar expected=fp"},
    {{MOV(1, 0), MOV(2, 1), KF(RDONLY_CAST), OUT}, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void"},
    {{HELPER(BPF_FUNC_get_prandom_u32), COPY(2, 0), KF(RDONLY_CAST), OUT}, "R2 must be a known constant"},
    {{STACK(1, -8), STORE_IMM(-8, 0), COPY(1, 10), KF(FROM_PID), OUT}, "R1 is not a scalar"},
    /* sections */
    {{KF(RCU_LOCK), KF(RCU_UNLOCK), KF(PREEMPT_OFF), KF(PREEMPT_OFF), KF(PREEMPT_ON), KF(PREEMPT_ON), OUT}, NULL},
    {{KF(RCU_LOCK), OUT}, "BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region"},
    {{KF(RCU_LOCK), KF(RCU_LOCK), OUT}, "nested rcu read lock (kernel function bpf_rcu_read_lock)"},
    {{KF(RCU_UNLOCK), OUT}, "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)"},
    {{KF(PREEMPT_OFF), OUT}, "BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region"},
    {{KF(PREEMPT_ON), OUT}, "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)"},
    {{STACK(1, -24), MOV(2, 0), MOV(3, 2), KF(TASK_NEW), OUT},
     "kernel func bpf_iter_task_new requires RCU critical section protection", BPF_PROG_TYPE_SYSCALL},
    {{KF(RCU_LOCK), STACK(1, -24), MOV(2, 0), MOV(3, 2), KF(TASK_NEW), KF(RCU_UNLOCK), STACK(1, -24), KF(TASK_NEXT), OUT},
     "expected an RCU CS when using bpf_iter_task_next", BPF_PROG_TYPE_SYSCALL},
    {{KF(RCU_LOCK), STACK(1, -24), MOV(2, 0), MOV(3, 2), KF(TASK_NEW), STACK(1, -24), KF(TASK_NEXT), COPY(6, 0),
      STACK(1, -24), KF(TASK_DESTROY), KF(RCU_UNLOCK), IF_ZERO(6, 2), COPY(1, 6), KF(ACQUIRE), OUT},
     "R1 must be a rcu pointer", BPF_PROG_TYPE_SYSCALL},
    /* iterators */
    {{NEW, DESTROY, OUT}, NULL},
    {{NEW, NEXT, IF_ZERO(0, 2), LOAD(BPF_W, 6, 0, 0), GOTO(-6), DESTROY, OUT}, NULL},
    {{NEW, MOV(6, 0), NEXT, IF_ZERO(0, 2), ADD(6, 1), GOTO(-6), DESTROY, OUT}, NULL},
    {{NEW, MOV(6, 0), NEXT, IF_ZERO(0, 2), ADD(6, 1), GOTO(-6), DESTROY, STACK(1, -48), ADDX(1, 6), LOAD(BPF_B, 0, 1, 0), OUT},
     "invalid read from stack R1 off=0 size=1"},
    {{NEW, NEXT, IF_ZERO(0, 2), MOV(6, 3), GOTO(-2), DESTROY, OUT}, "infinite loop detected at insn 9"},
    {{NEW, OUT}, "Unreleased reference id=1 alloc_insn=4"},
    {{NEW, NEW, OUT}, "expected uninitialized iter_num as arg #0"},
    {{STORE_IMM(-8, 0), NEXT, OUT}, "expected an initialized iter_num as arg #0"},
    {{NEW, DESTROY, DESTROY, OUT}, "expected an initialized iter_num as arg #0"},
    {{NEW, STORE_IMM(-8, 0), DESTROY, OUT}, "expected an initialized iter_num as arg #0"},
    {{NEW, LOAD(BPF_DW, 0, 10, -8), DESTROY, OUT}, "invalid read from stack off -8+0 size 8"},
    {{NEW, COPY(1, 10), KF(ITER_NEXT), OUT}, "expected an initialized iter_num as arg #0"}, /* not the one below fp */
    {{STACK(1, -12), MOV(2, 0), MOV(3, 1), KF(ITER_NEW), OUT}, "expected uninitialized iter_num as arg #0"},
    {{STACK(1, -16), MOV(2, 0), MOV(3, 1), KF(TASK_NEW), OUT}, "expected uninitialized iter_task as arg #0"},
    {{MOV(1, 1), MOV(2, 0), MOV(3, 1), KF(ITER_NEW), OUT}, "arg#0 expected pointer to an iterator on stack"},
    {{NEW, NEXT, COPY(6, 0), DESTROY, IF_ZERO(6, 1), LOAD(BPF_W, 0, 6, 0), OUT}, "R6 invalid mem access 'scalar'"},
    /* interrupts */
    {{SAVE(-8), SAVE(-16), RESTORE(-16), RESTORE(-8), OUT}, NULL},
    {{SAVE(-8), SAVE(-16), RESTORE(-8), OUT}, "cannot restore irq state out of order, expected id=2 acquired at insn_idx=5"},
    {{SAVE(-8), OUT}, "BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region"},
    {{SAVE(-8), SAVE(-8), OUT}, "expected uninitialized irq flag as arg#0"},
    {{SAVE(-4), OUT}, "expected uninitialized irq flag as arg#0"},
    {{STORE_IMM(-8, 0), RESTORE(-8), OUT}, "expected an initialized irq flag as arg#0"},
    {{SAVE(-8), RESTORE(-8), RESTORE(-8), OUT}, "expected an initialized irq flag as arg#0"},
    {{SAVE(-8), STORE_IMM(-8, 0), RESTORE(-8), OUT}, "expected an initialized irq flag as arg#0"},
    {{SAVE(-8), LOAD(BPF_DW, 0, 10, -8), OUT}, "invalid read from stack off -8+0 size 8"},
    {{MOV(1, 1), KF(IRQ_SAVE), OUT}, "arg#0 doesn't point to an irq flag on stack"},
    {{SAVE(-8), MOV(1, 0), MOV(2, 0), KF(KEY_LOOKUP), OUT},
     "kernel func bpf_lookup_user_key is sleepable within IRQ-disabled region", BPF_PROG_TYPE_SYSCALL},
    /* dynptrs */
    {{FROM(-16), CUT(SLICE, MOV(3, 0), 8), IF_ZERO(0, 1), LOAD(BPF_DW, 1, 0, 0), OUT}, NULL},
    {{FROM(-16), CUT(SLICE, STACK(3, -24), 8), IF_ZERO(0, 1), LOAD(BPF_DW, 1, 0, 0), OUT}, NULL},
    {{FROM(-16), CUT(SLICE, MOV(3, 0), 8), LOAD(BPF_DW, 1, 0, 0), OUT}, "R0 invalid mem access 'rdonly_mem_or_null'"},
    {{FROM(-16), CUT(SLICE, MOV(3, 0), 8), IF_ZERO(0, 1), LOAD(BPF_DW, 1, 0, 1), OUT},
     "invalid access to memory, mem_size=8 off=1 size=8"},
    {{FROM(-16), CUT(SLICE, MOV(3, 0), 8), IF_ZERO(0, 1), INSN(BPF_ST | BPF_MEM | BPF_W, 0, 0, 0, 1), OUT},
     "R0 cannot write into rdonly_mem"},
    {{FROM(-16), CUT(SLICE_RDWR, MOV(3, 0), 8), IF_ZERO(0, 1), INSN(BPF_ST | BPF_MEM | BPF_W, 0, 0, 0, 1), OUT}, NULL},
    {{FROM(-16), CUT(SLICE_RDWR, MOV(3, 0), 8), OUT}, "the prog does not allow writes to packet data",
     BPF_PROG_TYPE_SOCKET_FILTER},
    {{FROM(-16), CUT(SLICE, STACK(3, -24), 16), OUT}, "invalid read from stack R3 off -24+8 size 16"},
    {{FROM(-16), CUT(SLICE, MOV(3, 5), 8), OUT}, "R3 type=scalar expected=fp"},
    {{COPY(6, 1), HELPER(BPF_FUNC_get_prandom_u32), COPY(7, 0), COPY(1, 6), FROM(-16), CUT(SLICE, MOV(3, 0), 0),
      OUT}, NULL},
    {{COPY(6, 1), HELPER(BPF_FUNC_get_prandom_u32), COPY(7, 0), COPY(1, 6), FROM(-16), STACK(1, -16), MOV(2, 0), MOV(3, 0),
      COPY(4, 7), KF(SLICE), OUT}, "R4 must be a known constant"},
    {{COPY(6, 1), FROM(-16), CUT(SLICE, MOV(3, 0), 8), IF_ZERO(0, 5), COPY(7, 0), COPY(1, 6), MOV(2, 0),
      HELPER(BPF_FUNC_skb_pull_data), LOAD(BPF_B, 1, 7, 0), OUT}, "R7 invalid mem access 'scalar'"},
    {{FROM(-16), CUT(SLICE, MOV(3, 0), 8), IF_ZERO(0, 10), COPY(7, 0), STACK(1, -16), MOV(2, 0), STACK(3, -16), MOV(4, 0),
      MOV(5, 1), KF(DYNPTR_COPY), LOAD(BPF_B, 1, 7, 0), OUT}, "R7 invalid mem access 'scalar'"},
    {{FROM(-16), STACK(1, -16), STACK(2, -32), KF(CLONE), STACK(1, -32), KF(SIZE), OUT}, NULL},
    {{STORE_IMM(-16, 0), STORE_IMM(-8, 0), STACK(1, -16), KF(SIZE), OUT}, "Expected an initialized dynptr as arg #0"},
    {{MOV(1, 0), KF(SIZE), OUT}, "Possibly NULL pointer passed to trusted arg0"},
    {{FROM(-16), STACK(1, -8), KF(SIZE), OUT}, "Expected an initialized dynptr as arg #0"},
    {{FROM(-12), OUT}, "Dynptr has to be an uninitialized dynptr"},
    {{STACK(1, -16), FROM(-16), OUT}, "arg#0 expected pointer to ctx, but got fp"},
    /* a slice that may be a buffer on the stack of a function that has returned */
    {{FROM(-16), STACK(1, -16), CALL(4), IF_ZERO(0, 1), LOAD(BPF_DW, 1, 0, 0), OUT, MOV(2, 0), STACK(3, -8), MOV(4, 8),
      KF(SLICE), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)}, "R0 invalid mem access 'scalar'"},
    {{FROM(-16), STACK(1, -16), CALL(4), IF_ZERO(0, 1), LOAD(BPF_DW, 1, 0, 0), OUT, MOV(2, 0), MOV(3, 0), MOV(4, 8),
      KF(SLICE), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)}, NULL},
    /* NULL where it is allowed is relied upon: a state with another number is not safe because one with 0 was */
    {{EITHER(0, 5), GOTO(0), GOTO(0), MOV(6, 1), MOV(6, 2), MOV(6, 3), MOV(6, 4), GOTO(0), STACK(1, -24), COPY(2, 7), MOV(3, 2),
      KF(TASK_NEW), STACK(1, -24), KF(TASK_DESTROY), OUT},
     "R2 type=scalar expected=fp"},
};

static u32 length(const struct bpf_insn insns[32]) {
	u32 n = 32;
	while (!insns[n - 1].code)
		n--;
	return n;
}

static void run(const struct bpf_insn *insns, u32 type, bool gpl, const char *message) {
	struct bpf_insn copy[40];
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = length(insns),
	                          .prog_type = type ? type : BPF_PROG_TYPE_SCHED_CLS,
	                          .prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0,
	                          .license = gpl ? "GPL" : "MIT",
	                          .gpl_compatible = gpl,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .kernel_btf = kernel};
	struct verify_output out;
	struct arena arena;
	for (u32 i = 0; i < in.insns_n; i++) {
		copy[i] = insns[i];
		if (copy[i].code == (BPF_JMP | BPF_CALL) && copy[i].src_reg == BPF_PSEUDO_KFUNC_CALL && !copy[i].off)
			copy[i].imm = (s32)function_id[copy[i].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", message ? message : "");
	arena_free(&arena);
}

static void calls(void) {
	static const struct bpf_insn any[32] = {MOV(1, 0), KF(STRLEN), OUT};
	make_kernel();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(tests[i].insns, tests[i].type, true, tests[i].message);
	run(any, 0, false, "cannot call kernel function from non-GPL compatible program");
	btf_put(kernel);
}

int main(void) {
	RUN(calls);
	return test_end();
}
