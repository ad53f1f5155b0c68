/* What the comparisons of the tables with the running kernel share: loading small programs of every type that this kernel
 * lets us load, with each expected attach type. */
#ifndef SKEP_TEST_ABI_KERNEL_H
#define SKEP_TEST_ABI_KERNEL_H
#include "test.h"
#include "abi/abi.h"
#include "btf/btf.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ABI abi_linux()
static char kernel_log[65536];
static struct btf *kernel_btf;
static bool quiet; /* about what cannot be loaded */

static inline s64 kernel_bpf(u32 cmd, union bpf_attr *attr) {
	s64 r = syscall(SYS_bpf, cmd, attr, sizeof *attr);
	return r < 0 ? -errno : r;
}
/* The BTF id of something that a program with this type and attach type can name, or 0. */
static inline u32 attach_target(u32 prog_type, u32 attach_type) {
	if (prog_type == BPF_PROG_TYPE_STRUCT_OPS)
		return btf_find(kernel_btf, "tcp_congestion_ops", BTF_KIND_STRUCT);
	if (prog_type == BPF_PROG_TYPE_LSM)
		return btf_find(kernel_btf, "bpf_lsm_file_open", BTF_KIND_FUNC);
	if (prog_type != BPF_PROG_TYPE_TRACING)
		return 0;
	if (attach_type == BPF_TRACE_RAW_TP)
		return btf_find(kernel_btf, "btf_trace_sys_enter", BTF_KIND_TYPEDEF);
	if (attach_type == BPF_TRACE_ITER)
		return btf_find(kernel_btf, "bpf_iter_task", BTF_KIND_FUNC);
	return btf_find(kernel_btf, "do_sys_openat2", BTF_KIND_FUNC);
}
/* Loads, closes, and returns 0 or the negative errno; the log stays in kernel_log. */
static inline s64 kernel_load(u32 prog_type, u32 attach_type, const struct bpf_insn *insns, u32 n, u32 log_level) {
	const struct abi_prog_type *t = abi_prog_type(ABI, prog_type);
	union bpf_attr attr = {0};
	attr.prog_type = prog_type;
	attr.expected_attach_type = attach_type;
	attr.prog_flags = t->flags & PROG_SLEEPABLE_ALWAYS ? BPF_F_SLEEPABLE : 0;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = n;
	attr.license = (uintptr_t) "GPL";
	attr.log_buf = (uintptr_t)kernel_log;
	attr.log_size = sizeof kernel_log;
	attr.log_level = log_level;
	attr.attach_btf_id = attach_target(prog_type, attach_type);
	kernel_log[0] = 0;
	if (prog_type == BPF_PROG_TYPE_STRUCT_OPS) {
		const struct btf_type *ops = btf_type(kernel_btf, attr.attach_btf_id);
		attr.expected_attach_type = btf_member_index(kernel_btf, ops, "init");
	}
	s64 fd = kernel_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}
/* A value that programs of this kind may return. */
static inline s32 good_return(u32 prog_type, u32 attach_type) {
	const struct abi_return *r = abi_return(ABI, prog_type, attach_type);
	return r ? r->min : 0;
}
static inline bool kernel_has(u32 prog_type, u32 attach_type) {
	const struct bpf_insn prog[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = good_return(prog_type, attach_type)},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	return !kernel_load(prog_type, attach_type, prog, 2, 1);
}
/* Calls test for every program type and attach type that can be loaded here; says what cannot. */
static inline void each_kind(void (*test)(u32 prog_type, u32 attach_type)) {
	for (u32 type = 1; type < __MAX_BPF_PROG_TYPE; type++) {
		const struct abi_prog_type *t = abi_prog_type(ABI, type);
		bool zero = !(t->flags & (PROG_ATTACH_CHECKED | PROG_NEEDS_BTF)) || t->attach_default;
		for (u32 attach = 0; attach < __MAX_BPF_ATTACH_TYPE; attach++) {
			if (attach ? !(t->attach >> attach & 1) : !(zero || t->attach & 1))
				continue;
			if (kernel_has(type, attach))
				test(type, t->attach_default && !attach ? t->attach_default : attach);
			else if (!quiet)
				printf("# %s with attach type %u cannot be loaded here\n", t->name, attach);
		}
	}
	quiet = true; /* said once */
}
/* 0 when comparisons make sense: bpf() works and the kernel is the one that the tables describe. */
static inline const char *kernel_unfit(void) {
	u64 value = 0;
	if (btf_read_file(NULL, NULL, 0, NULL, &kernel_btf))
		return "the kernel's BTF cannot be read";
	const struct btf_type *t = btf_type(kernel_btf, btf_find(kernel_btf, "bpf_features", BTF_KIND_ENUM));
	if (!btf_enum_value(kernel_btf, t, "__MAX_BPF_FEAT", &value) || value != 2)
		return "the running kernel is not the 6.18 that the tables describe";
	if (!kernel_has(BPF_PROG_TYPE_XDP, 0))
		return "programs cannot be loaded into this kernel (bpf() is not permitted)";
	return NULL;
}
#endif
