/* Maps and programs that verify and that the user engine does not run, in slots that the loader fills. */
#include "object.h"
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, __u64);
} one SEC(".maps"), two SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &one, [3] = &two}};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16);
} recent SEC(".maps");
int remember(struct xdp_md *c);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = {.values = {[2] = (void *)&remember}};

SEC("xdp")
int remember(struct xdp_md *c) {
	__u32 key = 1;
	__u64 value = 1;
	bpf_map_update_elem(&recent, &key, &value, 0);
	return XDP_PASS;
}

SEC("xdp")
int look(struct xdp_md *c) {
	__u32 key = 1;
	int zero = 0;
	void *in = bpf_map_lookup_elem(&outer, &key);
	__u64 *v = in ? bpf_map_lookup_elem(in, &zero) : 0;
	if (v)
		*v += 1;
	return XDP_PASS;
}

SEC("xdp")
int call(struct xdp_md *c) {
	bpf_tail_call(c, &jumps, 2);
	return XDP_DROP;
}
char LICENSE[] SEC("license") = "GPL";
