/* Mistake 8, corrected: the bytes are fetched with bpf_skb_load_bytes. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("socket")
int long_frames(struct __sk_buff *skb)
{
	u8 first;

	if (bpf_skb_load_bytes(skb, 0, &first, sizeof(first)))
		return 0;
	return first & 1 ? skb->len : 0;
}

char LICENSE[] SEC("license") = "GPL";
