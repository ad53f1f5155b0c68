/* A packet filter: drops IPv4 fragments and everything sent to a blocked TCP or UDP port, counts the rest by protocol.
 *
 *   $ skep test examples/filter.bpf.c --pcap in.pcap --out passed.pcap
 *   verdict   packets
 *   XDP_DROP        4
 *   XDP_PASS        9
 *   13 packets, 9 passed
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100

const volatile u16 blocked_port[4] = {23, 445, 1900, 0}; /* telnet, SMB, SSDP; 0 ends the list */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32); /* IP protocol number; 255: not IP */
	__type(value, u64);
	__uint(max_entries, 256);
} packets_by_protocol SEC(".maps");

static __always_inline void count(u32 protocol)
{
	u64 *n = bpf_map_lookup_elem(&packets_by_protocol, &protocol);
	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline int verdict_on_port(void *l4, void *end)
{
	struct udphdr *ports = l4; /* TCP has its ports in the same place */
	if ((void *)(ports + 1) > end)
		return XDP_DROP;
	u16 port = bpf_ntohs(ports->dest);
	for (int i = 0; i < 4; i++)
		if (blocked_port[i] && port == blocked_port[i])
			return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	u16 type = bpf_ntohs(eth->h_proto);
	void *next = eth + 1;
	if (type == ETH_P_8021Q) {
		if (next + 4 > end)
			return XDP_DROP;
		type = bpf_ntohs(*(u16 *)(next + 2));
		next += 4;
	}
	if (type == ETH_P_IP) {
		struct iphdr *ip = next;
		if ((void *)(ip + 1) > end || ip->ihl < 5)
			return XDP_DROP;
		if (ip->frag_off & bpf_htons(0x3fff))
			return XDP_DROP;
		count(ip->protocol);
		if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP)
			return verdict_on_port(next + ip->ihl * 4, end);
		return XDP_PASS;
	}
	if (type == ETH_P_IPV6) {
		struct ipv6hdr *ip = next;
		if ((void *)(ip + 1) > end)
			return XDP_DROP;
		count(ip->nexthdr);
		if (ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_UDP)
			return verdict_on_port(ip + 1, end);
		return XDP_PASS;
	}
	count(255);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
