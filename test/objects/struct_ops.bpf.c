// A structure of the kernel's, declared in an order of our own, and programs that are its functions.
#include "object.h"
struct bpf_dummy_ops_state {
	int val;
};
struct bpf_dummy_ops___ours {
	int (*test_sleepable)(struct bpf_dummy_ops_state *state);
	int gone;
	int (*test_1)(struct bpf_dummy_ops_state *state);
};
SEC("struct_ops/first") int first(unsigned long long *ctx) {
	struct bpf_dummy_ops_state *state = (void *)(long)ctx[0];
	return state ? state->val : 1;
}
SEC("struct_ops.s/sleeps") int sleeps(unsigned long long *ctx) {
	struct bpf_dummy_ops_state *state = (void *)(long)ctx[0];
	state->val = 1;
	return 0;
}
SEC("struct_ops/on_demand") int on_demand(unsigned long long *ctx) {
	return 0;
}
SEC("?struct_ops/unused") int unused(unsigned long long *ctx) {
	return 0;
}
SEC(".struct_ops") struct bpf_dummy_ops___ours plain = {.test_1 = (void *)first};
SEC(".struct_ops.link") struct bpf_dummy_ops___ours linked = {.test_1 = (void *)first, .test_sleepable = (void *)sleeps};
SEC("?.struct_ops") struct bpf_dummy_ops___ours later = {.test_1 = (void *)on_demand};
char _license[] SEC("license") = "GPL";
