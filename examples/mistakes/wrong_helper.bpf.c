/* Mistake 7: a helper of another program type. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0

SEC("tc")
int strip_header(struct __sk_buff *skb)
{
	if (bpf_xdp_adjust_head((struct xdp_md *)skb, 14))
		return TC_ACT_OK;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
