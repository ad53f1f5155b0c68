/* Programs that are attached by BTF, against the types of a kernel of four functions:
 *
 *   struct task { struct task *parent, *leader (rcu), *friend; union { struct task *other; u64 bits }; char *name; int pid }
 *   lists of safe fields: parent (trusted), friend (rcu)
 *   int work(struct task *, int), u64 done(void), an LSM hook, a tracepoint with a task that may be NULL */
#include "test.h"
#include "btf/builder.h"
#include "isa/insn.h"
#include "verify/verifier.h"
#include <errno.h>

static struct btf *kernel;
static char text[65536];

static u32 member(struct btf_builder *b, u32 name, u32 type, u32 bit) {
	btf_builder_word(b, name);
	btf_builder_word(b, type);
	btf_builder_word(b, bit);
	return name;
}
static u32 named(struct btf_builder *b, const char *name) {
	return btf_builder_string(b, name);
}

static void make_kernel(void) {
	struct btf_builder b;
	const void *data;
	u32 size;
	btf_builder_init(&b, NULL);
	u32 parent = named(&b, "parent"), leader = named(&b, "leader"), friend = named(&b, "friend"), pid = named(&b, "pid"),
	    other = named(&b, "other"), bits = named(&b, "bits"), name = named(&b, "name"), hook = named(&b, "file_open"),
	    denied = named(&b, "getprocattr");
	u32 i32 = btf_builder_int(&b, "int", 4, BTF_INT_SIGNED), u64_ = btf_builder_int(&b, "u64", 8, 0),
	    c = btf_builder_int(&b, "char", 1, 0);
	u32 task = b.next_id + 3, pointer = b.next_id, name_pointer = b.next_id + 2, either = b.next_id + 1;
	btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, task, 0);
	btf_builder_type(&b, NULL, BTF_KIND_UNION, 2, 8, 0);
	member(&b, other, pointer, 0), member(&b, bits, u64_, 0);
	btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, c, 0);
	u32 tag = task + 1, tagged = task + 2;
	btf_builder_type(&b, "task", BTF_KIND_STRUCT, 6, 48, 0);
	member(&b, parent, pointer, 0), member(&b, leader, tagged, 64), member(&b, friend, pointer, 128);
	member(&b, 0, either, 192), member(&b, name, name_pointer, 256), member(&b, pid, i32, 320);
	EXPECT_EQ(btf_builder_type(&b, "rcu", BTF_KIND_TYPE_TAG, 0, task, 0), tag);
	EXPECT_EQ(btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, tag, 0), tagged);
	btf_builder_type(&b, "task__safe_trusted", BTF_KIND_STRUCT, 1, 8, 0);
	member(&b, parent, pointer, 0);
	btf_builder_type(&b, "task__safe_rcu", BTF_KIND_STRUCT, 1, 8, 0);
	member(&b, friend, pointer, 0);
	u32 work = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 2, i32, 4, named(&b, "t"), pointer, pid, i32);
	btf_builder_type(&b, "work", BTF_KIND_FUNC, 0, work, 0);
	btf_builder_type(&b, "security_work", BTF_KIND_FUNC, 0, work, 0);
	btf_builder_type(&b, "do_exit", BTF_KIND_FUNC, 0, work, 0);
	u32 open = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 1, i32, 2, named(&b, "t"), pointer);
	btf_builder_type(&b, "bpf_lsm_file_open", BTF_KIND_FUNC, 0, open, 0);
	btf_builder_type(&b, "bpf_lsm_getprocattr", BTF_KIND_FUNC, 0, open, 0);
	btf_builder_type(&b, "bpf_lsm_verify_prog", BTF_KIND_FUNC, 0, open, 0);
	btf_builder_type(&b, "security_list_options", BTF_KIND_UNION, 2, 8, 0);
	member(&b, hook, u64_, 0), member(&b, denied, u64_, 0);
	u32 event = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 2, 0, 4, 0, u64_, 0, pointer);
	u32 event_pointer = btf_builder_type(&b, NULL, BTF_KIND_PTR, 0, event, 0);
	btf_builder_type(&b, "btf_trace_sched_process_wait", BTF_KIND_TYPEDEF, 0, event_pointer, 0);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, 0, NULL, &kernel), 0);
	btf_builder_free(&b);
}

#define LOAD(d, s, at) {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = (d), .src_reg = (s), .off = (at)}
#define WORD(d, s, at) {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (d), .src_reg = (s), .off = (at)}
#define STORE(d, s, at) {.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = (d), .src_reg = (s), .off = (at)}
#define SET(d, x) {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (d), .imm = (x)}
#define EXIT {.code = BPF_JMP | BPF_EXIT}

struct attach {
	u32 type, attach, kind, flags;
	const char *to;
};
static const struct attach entry = {BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BTF_KIND_FUNC, 0, "work"},
                           exit_ = {BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, BTF_KIND_FUNC, 0, "work"},
                           hook = {BPF_PROG_TYPE_LSM, BPF_LSM_MAC, BTF_KIND_FUNC, 0, "bpf_lsm_file_open"},
                           event = {BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, BTF_KIND_TYPEDEF, 0,
                                    "btf_trace_sched_process_wait"};

static int load(const struct attach *a, const struct bpf_insn *insns, u32 n) {
	struct verify_input in = {.abi = abi_linux(), .insns = insns, .insns_n = n, .prog_type = a->type, .license = "GPL",
	                          .expected_attach_type = a->attach, .prog_flags = a->flags, .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON, .kernel_btf = kernel, .log = text,
	                          .attach_btf_id = btf_find(kernel, a->to, a->kind), .log_level = 2, .log_size = sizeof text};
	struct verify_output out;
	struct arena arena;
	text[0] = 0;
	arena_init(&arena, 0);
	int err = verify(&in, &arena, &out);
	arena_free(&arena);
	return err;
}
/* The program's verdict, and what its log must say. */
#define JUDGE(a, error, says, ...)                                                                                     \
	do {                                                                                                           \
		const struct bpf_insn insns[] = {__VA_ARGS__};                                                         \
		EXPECT_EQ(load(a, insns, ARRAY_SIZE(insns)), error);                                                   \
		if (!strstr(text, says))                                                                               \
			test_bad++, printf("# line %d: not in the log: %s\n# %s\n", __LINE__, says, text);             \
	} while (0)

static void targets(void) {
	struct attach a = hook;
	JUDGE(&hook, 0, "", SET(0, 0), EXIT);
	a.to = "bpf_lsm_getprocattr";
	JUDGE(&a, -EINVAL, "points to disabled hook bpf_lsm_getprocattr", SET(0, 0), EXIT);
	a.to = "bpf_lsm_verify_prog";
	JUDGE(&a, -EINVAL, "points to wrong type name bpf_lsm_verify_prog", SET(0, 0), EXIT);
	a = hook, a.flags = BPF_F_SLEEPABLE;
	JUDGE(&a, 0, "", SET(0, 0), EXIT);
	a = entry, a.flags = BPF_F_SLEEPABLE;
	JUDGE(&a, -EINVAL, "work is not sleepable", SET(0, 0), EXIT);
	a = exit_, a.to = "do_exit";
	JUDGE(&a, -EINVAL, "to __noreturn function 'do_exit' is rejected", SET(0, 0), EXIT);
	a = exit_, a.attach = BPF_MODIFY_RETURN;
	JUDGE(&a, -EINVAL, "work() is not modifiable", SET(0, 0), EXIT);
	a.to = "security_work";
	JUDGE(&a, 0, "", LOAD(0, 1, 16), EXIT);
	a = event, a.kind = BTF_KIND_FUNC, a.to = "work";
	JUDGE(&a, -EINVAL, "is not a typedef", SET(0, 0), EXIT);
}

static void arguments(void) {
	JUDGE(&entry, 0, "func 'work' arg0 has btf_id", LOAD(2, 1, 0), WORD(3, 1, 8), SET(0, 0), EXIT);
	JUDGE(&entry, 0, "R2=ptr_task()", LOAD(2, 1, 0), SET(0, 0), EXIT);
	JUDGE(&entry, -EACCES, "func 'work' doesn't have 3-th argument", LOAD(2, 1, 16), SET(0, 0), EXIT);
	JUDGE(&exit_, 0, "R2=scalar()", LOAD(2, 1, 16), SET(0, 0), EXIT);
	JUDGE(&entry, -EACCES, "func 'work' size 4 must be 8", WORD(2, 1, 0), SET(0, 0), EXIT);
	JUDGE(&entry, -EACCES, "func 'work' offset 4 is not multiple of 8", WORD(2, 1, 4), SET(0, 0), EXIT);
	JUDGE(&hook, -EACCES, "invalid bpf_context access off=0 size=8", SET(0, 0), STORE(1, 0, 0), EXIT);
	JUDGE(&hook, 0, "smin=smin32=-4095,smax=smax32=0", LOAD(2, 1, 8), SET(0, 0), EXIT);
	JUDGE(&event, 0, "R2=trusted_ptr_or_null_task(id=1)", LOAD(2, 1, 0), SET(0, 0), EXIT);
	JUDGE(&event, -EACCES, "R2 invalid mem access 'trusted_ptr_or_null_'", LOAD(2, 1, 0), LOAD(0, 2, 0), EXIT);
}

static void walks(void) {
	JUDGE(&hook, 0, "R3=trusted_ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 0), SET(0, 0), EXIT);
	JUDGE(&hook, 0, "R3=rcu_ptr_or_null_task(id=1)", LOAD(2, 1, 0), LOAD(3, 2, 8), SET(0, 0), EXIT);
	JUDGE(&hook, 0, "R3=rcu_ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 16), SET(0, 0), EXIT);
	JUDGE(&hook, 0, "R3=untrusted_ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 24), SET(0, 0), EXIT);
	JUDGE(&hook, 0, "R3=rdonly_untrusted_mem(sz=0)", LOAD(2, 1, 0), LOAD(3, 2, 32), LOAD(4, 3, 999), SET(0, 0), EXIT);
	JUDGE(&entry, 0, "R3=ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 8), SET(0, 0), EXIT);
	struct attach sleepable = hook;
	sleepable.flags = BPF_F_SLEEPABLE;
	JUDGE(&sleepable, 0, "R3=untrusted_ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 16), SET(0, 0), EXIT);
	JUDGE(&sleepable, 0, "R3=trusted_ptr_task()", LOAD(2, 1, 0), LOAD(3, 2, 0), SET(0, 0), EXIT);
	JUDGE(&hook, -EACCES, "only read is supported", LOAD(2, 1, 0), SET(0, 0), STORE(2, 0, 40), EXIT);
	JUDGE(&hook, -EACCES, "cannot write into rdonly_untrusted_mem", LOAD(2, 1, 0), LOAD(3, 2, 32), SET(0, 0),
	      STORE(3, 0, 0), EXIT);
	JUDGE(&hook, -EACCES, "cannot access ptr member leader with moff 8 in struct task with off 8 size 4", LOAD(2, 1, 0),
	      WORD(3, 2, 8), SET(0, 0), EXIT);
	JUDGE(&hook, -EACCES, "access beyond the end of member pid (mend:44) in struct task with off 40 size 8", LOAD(2, 1, 0),
	      LOAD(3, 2, 40), SET(0, 0), EXIT);
	JUDGE(&hook, -EACCES, "access beyond struct task at off 48 size 8", LOAD(2, 1, 0), LOAD(3, 2, 48), SET(0, 0), EXIT);
}

static void returns(void) {
	JUDGE(&hook, 0, "", SET(0, -4095), EXIT);
	JUDGE(&hook, -EINVAL, "R0 has smin=1 smax=1 should have been in [-4095, 0]", SET(0, 1), EXIT);
	JUDGE(&entry, -EINVAL, "R0 has smin=1 smax=1 should have been in [0, 0]", SET(0, 1), EXIT);
	JUDGE(&event, 0, "", SET(0, 7), EXIT);
	JUDGE(&entry, -EACCES, "R0 !read_ok", EXIT);
}

int main(void) {
	make_kernel();
	RUN(targets);
	RUN(arguments);
	RUN(walks);
	RUN(returns);
	btf_put(kernel);
	return test_end();
}
