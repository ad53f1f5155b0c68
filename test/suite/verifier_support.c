/* What the kernel's test_verifier takes from its neighbours in the suite, without what those would take in their turn: the
 * suite's kernel module counts as loaded (its functions are then not found), and programs are loaded with the flags that
 * every kernel of today knows. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>

int load_bpf_testmod(bool verbose);
int unload_bpf_testmod(bool verbose);
int testing_prog_flags(void);
bool is_jit_enabled(void);
int get_xlated_program(int fd, struct bpf_insn **insns, __u32 *n);

int load_bpf_testmod(bool verbose) {
	return 0;
}
int unload_bpf_testmod(bool verbose) {
	return 0;
}
int testing_prog_flags(void) {
	return BPF_F_TEST_RND_HI32 | BPF_F_TEST_REG_INVARIANTS;
}
bool is_jit_enabled(void) {
	return true;
}
/* The program as it runs. */
int get_xlated_program(int fd, struct bpf_insn **insns, __u32 *n) {
	struct bpf_prog_info info = {0};
	__u32 size = sizeof info, bytes;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) || !info.xlated_prog_len)
		return -1;
	bytes = info.xlated_prog_len;
	*insns = calloc(1, bytes);
	*n = bytes / sizeof **insns;
	info = (struct bpf_prog_info){.xlated_prog_len = bytes, .xlated_prog_insns = (__u64)(unsigned long)*insns};
	size = sizeof info;
	return *insns ? bpf_obj_get_info_by_fd(fd, &info, &size) : -1;
}
