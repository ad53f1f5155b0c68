// Maps of many forms: sizes, flags, pinning none, inner maps with initial slots, a program array with programs in it.
#include "object.h"

struct key {
	__u32 pid;
	char comm[12];
} __attribute__((packed));
struct value {
	struct bpf_spin_lock lock;
	__u32 count;
	__u64 times[3];
	enum { IDLE = -1, BUSY = 1 } state;
	union {
		__u64 wide;
		__u32 half[2];
	};
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, struct value);
	__uint(max_entries, 128);
} locked SEC(".maps");
struct bits {
	unsigned flag : 1, kind : 3;
	int : 12;
	int small : 5;
	char text[9];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct bits);
	__uint(max_entries, 1);
} bit_fields SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 64);
	__uint(max_entries, 7);
	__uint(map_flags, BPF_F_RDONLY);
} sized SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 100000);
} odd_ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 3);
} inner_one SEC(".maps"), inner_two SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct inner);
} outer_with_a_rather_long_name SEC(".maps") = {.values = {&inner_one, 0, &inner_two}};
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 2);
	__array(values, struct inner);
} outer_hash SEC(".maps") = {.values = {[1] = &inner_two}};

int second(struct xdp_md *ctx);
int third(struct xdp_md *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__uint(max_entries, 5);
	__array(values, int(void *));
} jumps SEC(".maps") = {.values = {[0] = (void *)&second, [3] = (void *)&third}};
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(key_size, 8);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} routes SEC(".maps");

SEC("xdp")
int first(struct xdp_md *ctx) {
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&outer_with_a_rather_long_name, &zero);
	if (map) {
		__u64 *v = bpf_map_lookup_elem(map, &zero);
		if (v)
			__sync_fetch_and_add(v, 1);
	}
	bpf_tail_call(ctx, &jumps, 3);
	return XDP_PASS;
}
SEC("xdp")
int second(struct xdp_md *ctx) {
	struct key k = {1, "x"};
	struct value *v = bpf_map_lookup_elem(&locked, &k);
	if (v) {
		bpf_spin_lock(&v->lock);
		v->count++;
		bpf_spin_unlock(&v->lock);
	}
	return XDP_DROP;
}
SEC("xdp")
int third(struct xdp_md *ctx) {
	return ctx->data_end - ctx->data > 100 ? XDP_TX : XDP_PASS;
}
char _license[] SEC("license") = "GPL";
