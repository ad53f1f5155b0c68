/* Mistake 7, corrected: in tc, a packet is made shorter with bpf_skb_adjust_room. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0

SEC("tc")
int strip_header(struct __sk_buff *skb)
{
	if (bpf_skb_adjust_room(skb, -20, BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_OK;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
