/* The contexts as programs really find them: skep's internal structures behind xdp_md and __sk_buff.
 *
 *     program (compiled for)          verifier's rewrite             run time
 *     u32 xdp_md.data at 0      ───►  u64 load at offset 0    ───►   struct skep_xdp_buff.data, a pointer
 *     u32 __sk_buff.mark at 8   ───►  u32 load at in_off      ───►   struct skep_sk_buff.mark
 *
 * ctx_*.def says which field of the visible context lies where in here (in_off, in_size); a 4-byte «data» becomes an
 * 8-byte pointer. Array fields keep their stride. Tracing contexts (pt_regs, tracepoint records, raw tracepoint arguments)
 * have no structure here: they are read in place. Contexts that the user engine does not run keep the visible layout.
 *
 * Invariants, made by runtime/ (test runs) and hook/packet, kept by helper/:
 *     hard_start <= data_meta <= data <= data_end <= frame_end
 *     data_meta == data: no metadata; network order where the kernel's context has it (protocol, vlan_proto, addresses)
 * Programs never write the pointers; helpers that move them (xdp_adjust_*) keep the invariants or fail.
 *
 * Layouts are shared with traced processes and compiled code: fields may be appended, never moved. */
#ifndef SKEP_ABI_CONTEXT_H
#define SKEP_ABI_CONTEXT_H
#include "abi/uapi.h"

struct skep_xdp_buff {
	u8 *data, *data_end, *data_meta;
	u8 *hard_start, *frame_end;
	u32 ingress_ifindex, rx_queue_index, egress_ifindex;
	u32 redirect_ifindex; /* bpf_redirect: where the packet goes if the program returns XDP_REDIRECT */
	u64 redirect_flags;
};

struct skep_sk_buff {
	u8 *data, *data_end, *data_meta;
	u8 *hard_start, *frame_end;
	u32 len; /* of the packet; equals data_end - data: skep's buffers are linear */
	u32 pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex,
	    tc_index;
	u32 cb[5];
	u32 pad;
	u32 hash, tc_classid, napi_id, family, remote_ip4, local_ip4;
	u32 remote_ip6[4], local_ip6[4];
	u32 remote_port, local_port;
	u32 wire_len, gso_segs, gso_size, tstamp_type;
	u64 tstamp, hwtstamp;
	struct bpf_sock *sk;             /* NULL: packets of files have no socket */
	struct bpf_flow_keys *flow_keys;
	u32 mac_len;                     /* of the link-level header: what BPF_HDR_START_NET skips */
	u32 l2_pushed;                   /* data starts at the network header (socket filters on IP sockets): 0 */
	u32 redirect_ifindex;            /* bpf_redirect: where the packet goes if the program returns TC_ACT_REDIRECT */
	u32 redirect_flags;
};
STATIC_ASSERT(offsetof(struct skep_sk_buff, cb) % 8 == 0, "programs access cb with eight bytes");
#endif
