/* Mistake 8: socket filters may not look at the packet through data and data_end. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("socket")
int long_frames(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;

	if (data + 14 > data_end)
		return 0;
	return ((u8 *)data)[0] & 1 ? skb->len : 0;
}

char LICENSE[] SEC("license") = "GPL";
