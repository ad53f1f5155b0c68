// The oldest form of maps, with key and value types on the side.
#include "object.h"

struct old_map_def {
	unsigned type, key_size, value_size, max_entries, map_flags, inner_map_idx, numa_node;
};
struct old_map_def SEC("maps") counts = {BPF_MAP_TYPE_HASH, 4, 8, 100, 0, 0, 0};
struct old_map_def SEC("maps") packets = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 16, 2, 0, 0, 0};
struct ____btf_map_counts {
	__u32 key;
	__u64 value;
};
struct ____btf_map_counts __attribute__((used)) ____btf_map_counts = {0};

SEC("socket1")
int count(struct __sk_buff *skb) {
	__u32 key = skb->protocol;
	__u64 one = 1, *v = bpf_map_lookup_elem(&counts, &key);
	if (v)
		__sync_fetch_and_add(v, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	key = 1;
	v = bpf_map_lookup_elem(&packets, &key);
	if (v)
		*v += 1;
	return 0;
}
char _license[] SEC("license") = "GPL";
