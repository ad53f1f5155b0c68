/* Mistake 11, corrected: data and data_end are loaded after the call, and compared then. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

SEC("tc")
int drop_multicast(struct __sk_buff *skb)
{
	struct ethhdr *eth;
	void *data_end;

	if (bpf_skb_pull_data(skb, 64))
		return TC_ACT_OK;
	eth = (void *)(long)skb->data;
	data_end = (void *)(long)skb->data_end;
	if ((void *)(eth + 1) > data_end)
		return TC_ACT_OK;
	return eth->h_dest[0] & 1 ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
