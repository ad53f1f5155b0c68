/* Mistake 5: two functions with large local variables, one called by the other. (Linux 6.13 and later give tracing programs
 * a stack of their own for each function; other programs share 512 bytes.) */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

static __noinline int is_text(struct __sk_buff *skb)
{
	char payload[300] = {};

	if (bpf_skb_load_bytes(skb, 54, payload, sizeof(payload)))
		return 0;
	return payload[0] >= ' ' && payload[299] >= ' ';
}

SEC("tc")
int drop_text(struct __sk_buff *skb)
{
	char head[256] = {};

	if (bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return TC_ACT_OK;
	return is_text(skb) && head[12] == 8 ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
