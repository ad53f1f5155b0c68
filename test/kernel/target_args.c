/* The arguments of every raw tracepoint and iterator of the running kernel: the verifier's log about a load of each, ours
 * beside the kernel's, at level 2 to the last letter. */
#include "abi_kernel.h"
#include "verify/verifier.h"

static char our_log[sizeof kernel_log];
static u32 asked, wrong, accepted;

static int kernel_says(const struct bpf_insn *insns, u32 n, u32 attach, u32 id) {
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_TRACING, .insn_cnt = n};
	attr.expected_attach_type = attach, attr.attach_btf_id = id;
	attr.insns = (uintptr_t)insns, attr.license = (uintptr_t) "GPL";
	attr.log_buf = (uintptr_t)kernel_log, attr.log_size = sizeof kernel_log, attr.log_level = 2;
	kernel_log[0] = 0;
	s64 fd = kernel_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? (int)fd : 0;
}

static int we_say(const struct bpf_insn *insns, u32 n, u32 attach, u32 id) {
	struct verify_input in = {.abi = ABI, .insns = insns, .insns_n = n, .prog_type = BPF_PROG_TYPE_TRACING,
	                          .expected_attach_type = attach, .license = "GPL", .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN,
	                          .kernel_btf = kernel_btf, .attach_btf_id = id, .log_level = 2, .log = our_log,
	                          .log_size = sizeof our_log};
	struct verify_output out;
	struct arena arena;
	arena_init(&arena, 0);
	our_log[0] = 0;
	int err = verify(&in, &arena, &out);
	arena_free(&arena);
	return err;
}

/* Up to the statistics: from the first state on, for the passes before the walk say more in one of the logs. */
static bool same_log(void) {
	const char *a = strstr(kernel_log, "0: R1=ctx()"), *b = strstr(our_log, "0: R1=ctx()");
	if (!a || !b)
		return !a && !b;
	return !strcmp(a, b);
}

/* Pointers that kernels after 6.18 no longer take for valid, nor do we. */
static bool corrected_later(const char *name) {
	return !strcmp(name, "btf_trace_signal_generate") || !strcmp(name, "btf_trace_signal_deliver") ||
	       !strcmp(name, "btf_trace_sched_process_wait");
}

static bool compare(u32 attach, u32 id, const char *name, u32 arg) {
	const struct bpf_insn insns[] = {{.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 2, .src_reg = 1, .off = (s16)(8 * arg)},
	                                 {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},
	                                 {.code = BPF_JMP | BPF_EXIT}};
	int theirs = kernel_says(insns, ARRAY_SIZE(insns), attach, id), ours = we_say(insns, ARRAY_SIZE(insns), attach, id);
	if ((theirs == -EPERM && !strstr(kernel_log, "0: R1=ctx()")) || corrected_later(name))
		return !theirs; /* refused without a look, or known better */
	asked++;
	accepted += !theirs;
	if (theirs != ours || !same_log()) {
		wrong++;
		if (wrong < 20)
			printf("# %s, argument %u: kernel %d, skep %d\n#%s#%s", name, arg, theirs, ours,
			       strstr(kernel_log, "0: R1") ?: "\n", strstr(our_log, "0: R1") ?: "\n");
	}
	return !theirs;
}

/* Every type of that kind and prefix, until its first argument that is refused. */
static void each(u32 attach, u32 kind, const char *prefix) {
	for (u32 id = 1; id < btf_types_n(kernel_btf); id++) {
		const struct btf_type *t = btf_type(kernel_btf, id);
		const char *name = btf_name(kernel_btf, t);
		if (btf_kind(t) != kind || strncmp(name, prefix, strlen(prefix)))
			continue;
		for (u32 arg = 0; arg < 12 && compare(attach, id, name, arg); arg++)
			;
	}
}
static void arguments(void) {
	each(BPF_TRACE_RAW_TP, BTF_KIND_TYPEDEF, "btf_trace_");
	each(BPF_TRACE_ITER, BTF_KIND_FUNC, "bpf_iter_");
	printf("# %u loads, %u of them accepted\n", asked, accepted);
	EXPECT_EQ(wrong, 0);
	EXPECT(accepted > 100);
}
int main(void) {
	const char *why = kernel_unfit();
	if (why) {
		SKIP("arguments of targets against the kernel", why);
		return test_end();
	}
	RUN(arguments);
	btf_put(kernel_btf);
	return test_end();
}
