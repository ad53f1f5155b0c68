// Types of a kernel that has one such structure; and an object that sets a member that this kernel does not have.
#include "object.h"
struct bpf_dummy_ops_state {
	int val;
};
struct bpf_dummy_ops {
	int (*test_1)(struct bpf_dummy_ops_state *state);
	int (*test_2)(struct bpf_dummy_ops_state *state, int a, unsigned short b, char c, unsigned long d);
	int (*test_sleepable)(struct bpf_dummy_ops_state *state);
};
struct bpf_struct_ops_bpf_dummy_ops {
	int refs, state;
	struct bpf_dummy_ops data;
} value;
struct bpf_dummy_ops___new {
	int (*test_1)(struct bpf_dummy_ops_state *state);
	int more;
};
SEC("struct_ops/first") int first(unsigned long long *ctx) {
	return 0;
}
SEC(".struct_ops") struct bpf_dummy_ops___new wrong = {.test_1 = (void *)first, .more = 1};
char _license[] SEC("license") = "GPL";
