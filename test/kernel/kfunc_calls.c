/* Every kernel function of the running kernel, called from programs of many types with arguments that mostly do not fit: the
 * verdict and the first complaint, ours beside the kernel's. It shows who may call what, and which checks come first. */
#include "abi_kernel.h"
#include "btf/builder.h"
#include "verify/verifier.h"

enum pattern { ZEROS, NUMBERS, CONTEXTS, STACKS, STACK_POINTERS, CONTEXT_FIRST, TASKS, LOCKED, PATTERNS };
static const u32 types[] = {
    BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_KPROBE,  BPF_PROG_TYPE_SCHED_CLS,      BPF_PROG_TYPE_TRACEPOINT,
    BPF_PROG_TYPE_XDP,           BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_CGROUP_SKB,     BPF_PROG_TYPE_RAW_TRACEPOINT,
    BPF_PROG_TYPE_SK_SKB,        BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_CGROUP_SOCK_ADDR};
static u32 asked, wrong, unsafe, accepted, not_yet;

/* A map whose value has a lock at 4. */
static struct map_facts lock_map = {
    .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1, .name = "lock"};
static struct btf *lock_types;
static int lock_fd;

static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd == lock_fd ? &lock_map : NULL;
}

static void make_lock(void) {
	struct btf_builder b;
	union bpf_attr load = {0}, create = {0};
	const void *data;
	u32 size, number, lock, value;
	s64 fd;
	btf_builder_init(&b, NULL);
	number = btf_builder_int(&b, "unsigned int", 4, 0);
	lock = btf_builder_type(&b, "bpf_spin_lock", BTF_KIND_STRUCT, 1, 4, 3, btf_builder_string(&b, "val"), number, 0);
	value = btf_builder_type(&b, "v", BTF_KIND_STRUCT, 1, 8, 3, btf_builder_string(&b, "l"), lock, 32);
	EXPECT_EQ(btf_builder_blob(&b, &data, &size), 0);
	EXPECT_EQ(btf_parse(data, size, NULL, BTF_STRICT, NULL, &lock_types), 0);
	load.btf = (uintptr_t)data, load.btf_size = size;
	fd = kernel_bpf(BPF_BTF_LOAD, &load);
	EXPECT(fd >= 0);
	create.map_type = lock_map.type, create.key_size = 4, create.value_size = 8, create.max_entries = 1;
	create.btf_fd = (u32)fd, create.btf_key_type_id = number, create.btf_value_type_id = value;
	lock_fd = (int)kernel_bpf(BPF_MAP_CREATE, &create);
	EXPECT(lock_fd >= 0);
	close((int)fd);
	btf_builder_free(&b);
	lock_map.btf = lock_types;
	EXPECT_EQ(btf_find_fields(lock_types, value, &lock_map.fields, NULL), 0);
}

struct program {
	struct bpf_insn insns[40];
	u32 n;
};
static void emit(struct program *p, u8 code, u8 dst, u8 src, s16 off, s32 imm) {
	p->insns[p->n++] = (struct bpf_insn){.code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm};
}
static void move(struct program *p, u8 dst, s32 imm) {
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}
static void copy(struct program *p, u8 dst, u8 src) {
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
static void stack(struct program *p, u8 dst, s32 off) {
	copy(p, dst, 10);
	emit(p, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, off);
}

static void on_lock(struct program *p, s32 helper) {
	copy(p, 1, 7);
	emit(p, BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, 4);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* r7: the value, whose lock is held. */
static void take_lock(struct program *p) {
	emit(p, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 0);
	stack(p, 2, -8);
	emit(p, BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, lock_fd);
	emit(p, 0, 0, 0, 0, 0);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
	emit(p, BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0);
	move(p, 0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	copy(p, 7, 0);
	on_lock(p, BPF_FUNC_spin_lock);
}

static void argument(struct program *p, enum pattern pattern, u8 r, bool pointer) {
	if (pattern == ZEROS || pattern == LOCKED || pattern == NUMBERS || (pattern > STACKS && !pointer))
		move(p, r, pattern == ZEROS || pattern == LOCKED ? 0 : 8);
	else if (pattern == CONTEXTS || (pattern == CONTEXT_FIRST && r == 1))
		copy(p, r, 6);
	else if (pattern == TASKS)
		copy(p, r, 7);
	else
		stack(p, r, pattern == CONTEXT_FIRST ? -16 * r : -64);
}

static void build(struct program *p, u32 id, enum pattern pattern) {
	const struct btf_type *proto = btf_type(kernel_btf, btf_type(kernel_btf, id)->type);
	p->n = 0;
	copy(p, 6, 1);
	if (pattern == TASKS) {
		emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task_btf);
		copy(p, 7, 0);
	}
	if (pattern == LOCKED)
		take_lock(p);
	if (pattern == STACKS || pattern == STACK_POINTERS)
		for (s16 off = -64; off < 0; off += 8)
			emit(p, BPF_ST | BPF_MEM | BPF_DW, 10, 0, off, 0);
	for (u8 r = 1; r <= 5; r++) {
		bool pointer = r <= btf_vlen(proto) &&
		               btf_kind(btf_skip_type(kernel_btf, btf_params(proto)[r - 1].type)) == BTF_KIND_PTR;
		argument(p, pattern, r, pointer);
	}
	emit(p, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, (s32)id);
	if (pattern == LOCKED)
		on_lock(p, BPF_FUNC_spin_unlock);
	move(p, 0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Is it a line of the kernel's log? */
static bool said(const char *message) {
	size_t n = strlen(message);
	for (const char *at = kernel_log; *message && (at = strstr(at, message)); at++)
		if ((at == kernel_log || at[-1] == '\n') && (at[n] == '\n' || !at[n]))
			return true;
	return !*message;
}

static void compare(const struct program *p, u32 type, const char *name, enum pattern pattern) {
	const struct abi_prog_type *t = abi_prog_type(ABI, type);
	u32 attach = type == BPF_PROG_TYPE_TRACING ? BPF_TRACE_RAW_TP : type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR ? BPF_CGROUP_INET4_CONNECT : 0;
	struct verify_input in = {.abi = ABI, .insns = p->insns, .insns_n = p->n, .prog_type = type, .license = "GPL",
	                          .expected_attach_type = attach, .gpl_compatible = true, .kernel_btf = kernel_btf, .map_by_fd = by_fd,
	                          .prog_flags = t->flags & PROG_SLEEPABLE_ALWAYS ? BPF_F_SLEEPABLE : 0,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN,
	                          .attach_btf_id = attach_target(type, attach)};
	struct verify_output out;
	struct arena arena;
	s64 theirs = kernel_load(type, attach, p->insns, p->n, 1);
	int ours;
	arena_init(&arena, 0);
	ours = verify(&in, &arena, &out);
	asked++;
	accepted += !theirs;
	not_yet += ours == -EOPNOTSUPP;
	unsafe += theirs && !ours;
	if (ours != -EOPNOTSUPP && (!theirs != !ours || (ours && !said(out.diag.message ? out.diag.message : "")))) {
		wrong++;
		if (wrong < 60)
			printf("# %s, %s, arguments %u: kernel %d, skep %d %s\n#%s", t->name, name, pattern, (int)theirs, ours,
			       out.diag.message ? out.diag.message : "", theirs ? kernel_log : "\n");
	}
	arena_free(&arena);
}

static bool is_kernel_function(u32 id) {
	const char *tag;
	for (u32 at = 0; (at = btf_decl_tag_next(kernel_btf, id, -1, "bpf_kfunc", at, &tag));)
		if (!*tag)
			return true;
	return false;
}

static void calls(void) {
	struct program p;
	u32 functions = 0;
	make_lock();
	for (u32 id = 1; id < btf_types_n(kernel_btf); id++) {
		const struct btf_type *t = btf_type(kernel_btf, id);
		if (btf_kind(t) != BTF_KIND_FUNC || !is_kernel_function(id))
			continue;
		functions++;
		for (u32 pattern = 0; pattern < PATTERNS; pattern++) {
			build(&p, id, pattern);
			for (u32 i = 0; i < ARRAY_SIZE(types); i++)
				compare(&p, types[i], btf_name(kernel_btf, t), pattern);
		}
	}
	printf("# %u functions, %u loads, %u of them accepted; %u not understood, %u differ\n", functions, asked, accepted, not_yet,
	       wrong);
	EXPECT_EQ(unsafe, 0);
	EXPECT_EQ(wrong, 0);
	EXPECT(accepted > 100);
	close(lock_fd);
	btf_put(lock_types);
}

int main(void) {
	const char *why = kernel_unfit();
	if (why) {
		SKIP("kernel functions against the kernel", why);
		return test_end();
	}
	RUN(calls);
	btf_put(kernel_btf);
	return test_end();
}
