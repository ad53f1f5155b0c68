/* Mistake 5, corrected: large buffers live in a per-CPU map. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

struct buffers {
	char payload[300], head[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct buffers);
	__uint(max_entries, 1);
} scratch SEC(".maps");

static __noinline int is_text(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct buffers *b = bpf_map_lookup_elem(&scratch, &zero);

	if (!b || bpf_skb_load_bytes(skb, 54, b->payload, sizeof(b->payload)))
		return 0;
	return b->payload[0] >= ' ' && b->payload[299] >= ' ';
}

SEC("tc")
int drop_text(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct buffers *b = bpf_map_lookup_elem(&scratch, &zero);

	if (!b || bpf_skb_load_bytes(skb, 0, b->head, sizeof(b->head)))
		return TC_ACT_OK;
	return is_text(skb) && b->head[12] == 8 ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
