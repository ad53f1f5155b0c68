// Functions of every kind: static, global, hidden, weak, callbacks by address, called from several programs and from each
// other, in .text and in a section of their own.
#include "object.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 8);
} numbers SEC(".maps");

static __u64 total;
int seen;

static __attribute__((noinline)) int leaf(int x) {
	total += (__u64)x;
	return x * 3;
}
static __attribute__((noinline)) int middle(int x) {
	return leaf(x) + leaf(x + 1);
}
__attribute__((noinline)) int global_one(int x) {
	return middle(x) + seen;
}
__attribute__((noinline)) __attribute__((visibility("hidden"))) int hidden_one(int x) {
	return leaf(x) - seen;
}
__attribute__((weak)) __attribute__((noinline)) int weak_one(int x) {
	return x + 1;
}
__attribute__((noinline)) int nobody_calls_this(int x) {
	return x;
}

struct bpf_map;
static long each(struct bpf_map *map, __u32 *key, __u64 *value, int *sum) {
	*sum += (int)*value + leaf((int)*key);
	return 0;
}
static int step(__u32 index, int *sum) {
	*sum += (int)index;
	return 0;
}

SEC("tc")
int first(struct __sk_buff *skb) {
	int sum = 0;
	bpf_for_each_map_elem(&numbers, each, &sum, 0);
	bpf_loop(10, step, &sum, 0);
	return global_one(sum) & 1;
}
SEC("tc")
int second(struct __sk_buff *skb) {
	return (hidden_one((int)skb->len) + weak_one(2) + global_one(1)) & 3;
}
SEC("?tc")
int optional(struct __sk_buff *skb) {
	return middle(1) & 1;
}
char _license[] SEC("license") = "GPL";
