/* Objects that programs allocate, lists and trees: who owns what, which lock protects it, and what is said to the rest. The
 * kernel is a BTF of the functions; messages are those of Linux 6.18 for the same programs in C. */
#include "test.h"
#include "abi/abi.h"
#include "btf/builder.h"
#include "verify/verifier.h"
#include <errno.h>

/* struct node { struct bpf_rb_node tree; struct bpf_list_node list; struct bpf_refcount refs; int key; };
 * struct value { struct bpf_spin_lock lock; struct bpf_rb_root tree; struct bpf_list_head list; struct node __kptr *at; }; */
enum { NODE_TREE = 0, NODE_LIST = 32, NODE_REFS = 56, NODE_KEY = 60, NODE_SIZE = 64 };
enum { LOCK = 0, TREE = 8, LIST = 24, AT = 40, VALUE_SIZE = 48 };
enum { T_INT = 1, T_RB_NODE, T_LIST_NODE, T_REFCOUNT, T_LOCK, T_ROOT, T_HEAD, T_NODE, T_PLAIN }; /* ids in the program's BTF */

enum function { NEW = 1, DROP, PERCPU_NEW, PERCPU_DROP, COUNT, PUSH, POP, FRONT, ADD_TREE, REMOVE, FIRST, RCU_LOCK, RCU_UNLOCK, FUNCTIONS };
enum type { VOID, INT, P_VOID, P_HEAD, P_LIST_NODE, P_ROOT, P_RB_NODE, P_LESS, TYPES };
static const struct {
	const char *name;
	enum type result;
	u32 n;
	struct {
		enum type type;
		const char *name;
	} params[5];
} functions[FUNCTIONS] = {
    [NEW] = {"bpf_obj_new_impl", P_VOID, 2, {{INT, "local_type_id__k"}, {P_VOID, "meta__ign"}}},
    [DROP] = {"bpf_obj_drop_impl", VOID, 2, {{P_VOID, "p__alloc"}, {P_VOID, "meta__ign"}}},
    [PERCPU_NEW] = {"bpf_percpu_obj_new_impl", P_VOID, 2, {{INT, "local_type_id__k"}, {P_VOID, "meta__ign"}}},
    [PERCPU_DROP] = {"bpf_percpu_obj_drop_impl", VOID, 2, {{P_VOID, "p__alloc"}, {P_VOID, "meta__ign"}}},
    [COUNT] = {"bpf_refcount_acquire_impl", P_VOID, 2, {{P_VOID, "p__refcounted_kptr"}, {P_VOID, "meta__ign"}}},
    [PUSH] = {"bpf_list_push_front_impl", INT, 4, {{P_HEAD, "head"}, {P_LIST_NODE, "node"}, {P_VOID, "meta__ign"}, {INT, "off"}}},
    [POP] = {"bpf_list_pop_front", P_LIST_NODE, 1, {{P_HEAD, "head"}}},
    [FRONT] = {"bpf_list_front", P_LIST_NODE, 1, {{P_HEAD, "head"}}},
    [ADD_TREE] = {"bpf_rbtree_add_impl", INT, 5,
                  {{P_ROOT, "root"}, {P_RB_NODE, "node"}, {P_LESS, "less"}, {P_VOID, "meta__ign"}, {INT, "off"}}},
    [REMOVE] = {"bpf_rbtree_remove", P_RB_NODE, 2, {{P_ROOT, "root"}, {P_RB_NODE, "node"}}},
    [FIRST] = {"bpf_rbtree_first", P_RB_NODE, 1, {{P_ROOT, "root"}}},
    [RCU_LOCK] = {"bpf_rcu_read_lock", VOID, 0},
    [RCU_UNLOCK] = {"bpf_rcu_read_unlock", VOID, 0},
};
static struct btf *kernel, *types;
static u32 function_id[FUNCTIONS], plain_function;
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

static u32 opaque(struct btf_builder *b, const char *name, u32 size) {
	return btf_builder_type(b, name, BTF_KIND_STRUCT, 0, size, 0);
}
static u32 pointer(struct btf_builder *b, u32 to) {
	return btf_builder_type(b, NULL, BTF_KIND_PTR, 0, to, 0);
}

static void make_kernel(void) {
	struct btf_builder b;
	u32 type[TYPES] = {0};
	btf_builder_init(&b, NULL);
	type[INT] = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED);
	type[P_VOID] = pointer(&b, 0);
	type[P_HEAD] = pointer(&b, opaque(&b, "bpf_list_head", 16));
	type[P_LIST_NODE] = pointer(&b, opaque(&b, "bpf_list_node", 24));
	type[P_ROOT] = pointer(&b, opaque(&b, "bpf_rb_root", 16));
	type[P_RB_NODE] = pointer(&b, opaque(&b, "bpf_rb_node", 32));
	type[P_LESS] = pointer(&b, btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, type[INT], 0));
	for (u32 f = 1; f < FUNCTIONS; f++) {
		u32 proto = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, functions[f].n, type[functions[f].result], 0);
		for (u32 i = 0; i < functions[f].n; i++) {
			btf_builder_word(&b, btf_builder_string(&b, functions[f].params[i].name));
			btf_builder_word(&b, type[functions[f].params[i].type]);
		}
		function_id[f] = btf_builder_type(&b, functions[f].name, BTF_KIND_FUNC, 0, proto, 0);
	}
	kernel = parse(&b);
}

static void make_types(void) {
	struct btf_builder b;
	u32 value, kptr;
	btf_builder_init(&b, NULL);
	EXPECT_EQ(btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), T_INT);
	EXPECT_EQ(opaque(&b, "bpf_rb_node", 32), T_RB_NODE);
	EXPECT_EQ(opaque(&b, "bpf_list_node", 24), T_LIST_NODE);
	EXPECT_EQ(opaque(&b, "bpf_refcount", 4), T_REFCOUNT);
	EXPECT_EQ(opaque(&b, "bpf_spin_lock", 4), T_LOCK);
	EXPECT_EQ(opaque(&b, "bpf_rb_root", 16), T_ROOT);
	EXPECT_EQ(opaque(&b, "bpf_list_head", 16), T_HEAD);
	EXPECT_EQ(btf_builder_type(&b, "node", BTF_KIND_STRUCT, 4, NODE_SIZE, 12, btf_builder_string(&b, "t"), T_RB_NODE, 0,
	                           btf_builder_string(&b, "l"), T_LIST_NODE, NODE_LIST * 8, btf_builder_string(&b, "r"), T_REFCOUNT,
	                           NODE_REFS * 8, btf_builder_string(&b, "key"), T_INT, NODE_KEY * 8),
	          T_NODE);
	EXPECT_EQ(btf_builder_type(&b, "plain", BTF_KIND_STRUCT, 1, 8, 3, btf_builder_string(&b, "a"), T_INT, 0), T_PLAIN);
	kptr = pointer(&b, btf_builder_type(&b, "kptr", BTF_KIND_TYPE_TAG, 0, T_NODE, 0));
	value = btf_builder_type(&b, "value", BTF_KIND_STRUCT, 4, VALUE_SIZE, 12, btf_builder_string(&b, "lock"), T_LOCK, 0,
	                         btf_builder_string(&b, "tree"), T_ROOT, TREE * 8, btf_builder_string(&b, "list"), T_HEAD, LIST * 8,
	                         btf_builder_string(&b, "at"), kptr, AT * 8);
	btf_builder_type(&b, "contains:node:t", BTF_KIND_DECL_TAG, 0, value, 1, 1);
	btf_builder_type(&b, "contains:node:l", BTF_KIND_DECL_TAG, 0, value, 1, 2);
	plain_function = btf_builder_type(&b, "f", BTF_KIND_FUNC, BTF_FUNC_STATIC,
	                                  btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 0, T_INT, 0), 0);
	types = parse(&b);
	map.btf = types;
	map.btf_value_type_id = value;
	EXPECT_EQ(btf_find_fields(types, value, &map.fields, NULL), 0);
	EXPECT_EQ(map.fields.n, 4);
	EXPECT(btf_field_at(&map.fields, BTF_FIELD_LIST_HEAD, LIST)->node_off == NODE_LIST);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define VALUE(d) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_VALUE, 0, 3), INSN(0, 0, 0, 0, 0)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE_IMM(size, d, o, i) INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define IF_NULL(d, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define KF(f) INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, f) /* imm becomes the function's id */
#define LESS(d, o) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, 0, (o) - 1), INSN(0, 0, 0, 0, 0)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define OUT MOV(0, 0), EXIT
/* r7 = a new node, or out; r6 is the map's value */
#define MAKE VALUE(6), MOV(1, T_NODE), KF(NEW), COPY(7, 0), INSN(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 2, 0), OUT
#define LOCKED COPY(1, 6), CALL(BPF_FUNC_spin_lock)
#define UNLOCKED COPY(1, 6), CALL(BPF_FUNC_spin_unlock)
#define ROOT(o) COPY(1, 6), ADD(1, o)
#define NODE(o) COPY(2, 7), ADD(2, o), MOV(3, 0), MOV(4, 0)
#define DROPPED(r) COPY(1, r), KF(DROP)
#define PUSHED ROOT(LIST), NODE(NODE_LIST), KF(PUSH)
/* The function begins behind the last of the five instructions and n more. */
#define ADDED(n) ROOT(TREE), COPY(2, 7), LESS(3, 5 + (n)), MOV(4, 0), MOV(5, 0), KF(ADD_TREE)
#define IS_LESS LOAD(BPF_W, 0, 1, NODE_KEY), LOAD(BPF_W, 1, 2, NODE_KEY), OUT

static const struct {
	struct bpf_insn insns[48];
	const char *message; /* NULL: accepted */
	u32 callback;        /* where less() begins, 0: there is none */
	u32 type;            /* of the program, 0: sched_cls */
} tests[] = {
    /* objects */
    {{MAKE, STORE_IMM(BPF_W, 7, NODE_KEY, 3), LOAD(BPF_W, 1, 7, NODE_KEY), DROPPED(7), OUT}, NULL},
    {{MOV(1, T_NODE), KF(NEW), OUT}, "Unreleased reference id=2 alloc_insn=1"},
    {{MOV(1, T_NODE), KF(NEW), STORE_IMM(BPF_W, 0, NODE_KEY, 3), OUT}, "R0 invalid mem access 'ptr_or_null_'"},
    {{MOV(1, T_INT), KF(NEW), OUT}, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct"},
    {{MAKE, DROPPED(7), LOAD(BPF_W, 1, 7, NODE_KEY), OUT}, "R7 invalid mem access 'scalar'"},
    {{MAKE, COPY(1, 7), ADD(1, 8), KF(DROP), OUT},
     "R1 must have zero offset when passed to release func or trusted arg to kfunc"},
    {{MAKE, STORE_IMM(BPF_DW, 7, NODE_TREE + 8, 0), DROPPED(7), OUT}, "direct access to bpf_rb_node is disallowed"},
    {{MAKE, LOAD(BPF_DW, 1, 7, NODE_REFS), DROPPED(7), OUT}, "direct access to bpf_refcount is disallowed"},
    {{MAKE, LOAD(BPF_W, 1, 7, NODE_SIZE), DROPPED(7), OUT}, "access beyond struct node at off 64 size 4"},
    {{MAKE, COPY(1, 7), KF(PERCPU_DROP), OUT}, "arg#0 expected for bpf_obj_drop_impl()"},
    {{MOV(1, T_NODE), KF(PERCPU_NEW), OUT}, "bpf_percpu_obj_new type ID argument must not contain special fields"},
    {{MOV(1, T_PLAIN), KF(PERCPU_NEW), IF_NULL(0, 2), COPY(1, 0), KF(PERCPU_DROP), OUT}, NULL},
    {{MOV(1, T_PLAIN), KF(PERCPU_NEW), IF_NULL(0, 1), LOAD(BPF_W, 1, 0, 0), OUT},
     "R0 is ptr_plain access percpu memory: off=0"},
    /* counted */
    {{MAKE, COPY(1, 7), KF(COUNT), DROPPED(0), DROPPED(7), OUT}, NULL},
    {{MAKE, COPY(1, 7), KF(COUNT), DROPPED(7), OUT}, "Unreleased reference id=3 alloc_insn=9"},
    {{MOV(1, T_PLAIN), KF(NEW), IF_NULL(0, 4), COPY(7, 0), COPY(1, 7), KF(COUNT), DROPPED(7), OUT},
     "arg#0 doesn't point to a type with bpf_refcount field"},
    /* pointers in map values */
    {{MAKE, COPY(2, 7), ROOT(AT), CALL(BPF_FUNC_kptr_xchg), IF_NULL(0, 2), DROPPED(0), OUT}, NULL},
    {{MAKE, COPY(2, 7), ROOT(AT), CALL(BPF_FUNC_kptr_xchg), OUT}, "Unreleased reference id=4 alloc_insn=11"},
    {{VALUE(6), MOV(1, T_NODE), KF(NEW), COPY(2, 0), ROOT(AT), CALL(BPF_FUNC_kptr_xchg), OUT},
     "verifier bug: invalid PTR_TO_BTF_ID register for type match"},
    {{MOV(1, T_PLAIN), KF(NEW), IF_NULL(0, 5), VALUE(6), COPY(2, 0), ROOT(AT), CALL(BPF_FUNC_kptr_xchg), OUT},
     "invalid kptr access, R2 type=ptr_plain expected=ptr_node"},
    {{VALUE(6), LOAD(BPF_DW, 7, 6, AT), IF_NULL(7, 1), LOAD(BPF_W, 1, 7, NODE_KEY), OUT}, NULL},
    {{VALUE(6), LOAD(BPF_DW, 7, 6, AT), IF_NULL(7, 2), DROPPED(7), OUT}, "R1 must be referenced or trusted"},
    {{VALUE(6), LOAD(BPF_DW, 7, 6, AT), IF_NULL(7, 1), LOAD(BPF_W, 1, 7, NODE_KEY), OUT}, NULL, 0, BPF_PROG_TYPE_SYSCALL},
    {{VALUE(6), LOAD(BPF_DW, 7, 6, AT), IF_NULL(7, 1), STORE_IMM(BPF_W, 7, NODE_KEY, 1), OUT}, "only read is supported", 0,
     BPF_PROG_TYPE_SYSCALL},
    {{VALUE(6), KF(RCU_LOCK), LOAD(BPF_DW, 7, 6, AT), IF_NULL(7, 1), STORE_IMM(BPF_W, 7, NODE_KEY, 1), KF(RCU_UNLOCK), OUT},
     NULL, 0, BPF_PROG_TYPE_SYSCALL},
    {{VALUE(6), KF(RCU_LOCK), LOAD(BPF_DW, 7, 6, AT), KF(RCU_UNLOCK), IF_NULL(7, 1), LOAD(BPF_W, 1, 7, NODE_KEY), OUT},
     NULL, 0, BPF_PROG_TYPE_SYSCALL},
    {{VALUE(6), KF(RCU_LOCK), LOAD(BPF_DW, 7, 6, AT), KF(RCU_UNLOCK), IF_NULL(7, 1), STORE_IMM(BPF_W, 7, NODE_KEY, 1), OUT},
     "only read is supported", 0, BPF_PROG_TYPE_SYSCALL},
    /* who may use such maps */
    {{VALUE(6), OUT}, "tracing progs cannot use bpf_{list_head,rb_root} yet", 0, BPF_PROG_TYPE_KPROBE},
    {{VALUE(6), OUT}, "socket filter progs cannot use bpf_spin_lock yet", 0, BPF_PROG_TYPE_SOCKET_FILTER},
    /* lists */
    {{MAKE, LOCKED, PUSHED, LOAD(BPF_W, 1, 7, NODE_KEY), UNLOCKED, OUT}, NULL},
    {{MAKE, LOCKED, PUSHED, UNLOCKED, LOAD(BPF_W, 1, 7, NODE_KEY), OUT}, "R7 invalid mem access 'scalar'"},
    {{MAKE, PUSHED, OUT}, "bpf_spin_lock at off=0 must be held for bpf_list_head"},
    {{MAKE, LOCKED, PUSHED, PUSHED, UNLOCKED, OUT}, "arg#1 expected pointer to allocated object"},
    {{MAKE, LOCKED, ROOT(TREE), NODE(NODE_LIST), KF(PUSH), UNLOCKED, OUT}, "bpf_list_head not found at offset=8"},
    {{MAKE, LOCKED, ROOT(LIST), NODE(NODE_TREE), KF(PUSH), UNLOCKED, OUT}, "bpf_list_node not found at offset=0"},
    {{VALUE(6), LOCKED, ROOT(LIST), KF(POP), COPY(7, 0), UNLOCKED, IF_NULL(7, 3), COPY(1, 7), ADD(1, -NODE_LIST), KF(DROP), OUT},
     NULL},
    {{VALUE(6), LOCKED, ROOT(LIST), KF(POP), COPY(7, 0), UNLOCKED, OUT}, "Unreleased reference id=2 alloc_insn=6"},
    {{VALUE(6), LOCKED, ROOT(LIST), KF(FRONT), COPY(7, 0), UNLOCKED, OUT}, NULL},
    {{VALUE(6), LOCKED, ROOT(LIST), KF(FRONT), COPY(7, 0), UNLOCKED, IF_NULL(7, 1), LOAD(BPF_W, 1, 7, 0), OUT},
     "R7 invalid mem access 'scalar'"},
    {{VALUE(6), LOAD(BPF_DW, 1, 6, LIST), OUT}, "bpf_list_head cannot be accessed directly by load/store"},
    /* trees */
    {{MAKE, LOCKED, ADDED(4), UNLOCKED, OUT, IS_LESS}, NULL, 22},
    {{MAKE, ADDED(2), OUT, IS_LESS}, "bpf_spin_lock at off=0 must be held for bpf_rb_root", 18},
    {{MAKE, LOCKED, ADDED(4), UNLOCKED, OUT, KF(FIRST), OUT}, "arg#0 expected pointer to map value or allocated object", 22},
    {{MAKE, LOCKED, ADDED(4), UNLOCKED, OUT, VALUE(1), CALL(BPF_FUNC_spin_unlock), OUT},
     "can't spin_{lock,unlock} in rbtree cb", 22},
    {{MAKE, LOCKED, ADDED(4), UNLOCKED, OUT, MOV(0, 2), EXIT},
     "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]", 22},
    {{VALUE(6), LOCKED, ROOT(TREE), KF(FIRST), IF_NULL(0, 12), COPY(2, 0), ROOT(TREE), KF(REMOVE), COPY(7, 0), UNLOCKED,
      IF_NULL(7, 2), DROPPED(7), OUT, UNLOCKED, OUT},
     NULL},
    {{MAKE, LOCKED, ROOT(TREE), COPY(2, 6), KF(REMOVE), UNLOCKED, OUT},
     "bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer"},
};

static u32 length(const struct bpf_insn *insns, u32 callback) {
	u32 n = callback ? callback : 48;
	if (callback)
		while (insns[n++].code != (BPF_JMP | BPF_EXIT))
			;
	while (!callback && !insns[n - 1].code)
		n--;
	return n;
}

static void run(u32 i) {
	struct bpf_insn copy[48];
	struct bpf_func_info infos[] = {{0, plain_function}, {tests[i].callback, plain_function}};
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = copy,
	                          .insns_n = length(tests[i].insns, tests[i].callback),
	                          .prog_type = tests[i].type ? tests[i].type : BPF_PROG_TYPE_SCHED_CLS,
	                          .prog_flags = tests[i].type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .map_by_fd = by_fd,
	                          .kernel_btf = kernel,
	                          .btf = types,
	                          .func_info = infos,
	                          .func_info_n = tests[i].callback ? 2 : 1,
	                          .func_info_size = sizeof infos[0]};
	struct verify_output out;
	struct arena arena;
	for (u32 k = 0; k < in.insns_n; k++) {
		copy[k] = tests[i].insns[k];
		if (copy[k].code == (BPF_JMP | BPF_CALL) && copy[k].src_reg == BPF_PSEUDO_KFUNC_CALL)
			copy[k].imm = (s32)function_id[copy[k].imm];
	}
	arena_init(&arena, 0);
	EXPECT_EQ(!verify(&in, &arena, &out), !tests[i].message);
	EXPECT_STR(out.diag.message ? out.diag.message : "", tests[i].message ? tests[i].message : "");
	arena_free(&arena);
}

static void objects(void) {
	make_kernel();
	make_types();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		run(i);
	btf_put(types);
	btf_put(kernel);
}

/* What BTF_LOAD refuses, and which structures count. */
static int load(u32 links, bool ring, bool lock) {
	struct btf_builder b;
	struct btf *btf = NULL;
	const void *data;
	u32 size, root, node, spin, at[12];
	char name[8], tag[24];
	int err;
	btf_builder_init(&b, NULL);
	spin = opaque(&b, "bpf_spin_lock", 4);
	root = opaque(&b, "bpf_list_head", 16);
	node = opaque(&b, "bpf_list_node", 24);
	for (u32 i = 0; i < links; i++) { /* each holds the next */
		snprintf(name, sizeof name, "s%u", i);
		at[i] = btf_builder_type(&b, name, BTF_KIND_STRUCT, lock ? 3 : 2, 48, 6, btf_builder_string(&b, "n"), node, 0,
		                         btf_builder_string(&b, "r"), root, 24 * 8);
		if (lock) {
			btf_builder_word(&b, btf_builder_string(&b, "l"));
			btf_builder_word(&b, spin);
			btf_builder_word(&b, 40 * 8);
		}
	}
	btf_builder_type(&b, "end", BTF_KIND_STRUCT, 1, 24, 3, btf_builder_string(&b, "n"), node, 0);
	for (u32 i = 0; i < links; i++) {
		snprintf(tag, sizeof tag, i + 1 < links ? "contains:s%u:n" : ring ? "contains:s0:n" : "contains:end:n", i + 1);
		btf_builder_type(&b, tag, BTF_KIND_DECL_TAG, 0, at[i], 1, 1);
	}
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	err = btf_parse(data, size, NULL, BTF_STRICT, NULL, &btf);
	btf_builder_free(&b);
	btf_put(btf);
	return err;
}

static void owners(void) {
	EXPECT_EQ(load(1, false, true), 0);
	EXPECT_EQ(load(1, false, false), -EINVAL);
	EXPECT_EQ(load(2, false, true), -ELOOP); /* what is held holds objects itself */
	EXPECT_EQ(load(1, true, true), -ELOOP);
	EXPECT_EQ(load(3, true, true), -ELOOP);
}

int main(void) {
	RUN(objects);
	RUN(owners);
	return test_end();
}
