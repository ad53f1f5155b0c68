/* What programs are given (contexts and the objects that they point to), and the records that helpers read and write.
 *
 *     compiler, verifier              fix-up (ctx_*.def)              run time
 *     struct xdp_md, __sk_buff  ───►  offset, width, kind of   ───►   struct skep_xdp_buff, skep_sk_buff (context.h)
 *     struct bpf_sock …               value of every field            or the same bytes, where nothing is rewritten
 *
 * A context here is what source code and the verifier see; only tracing contexts (regs.h) are read in place. Sizes and
 * offsets are the kernel's for ever: old objects have them compiled in. Where the kernel has network byte order (ports of
 * tuples, dst_port, addresses, protocol), so has skep.
 *
 * Rules for changing: follow new kernels by appending at the end of a structure, with the new size asserted; then give the
 * field a row in ctx_*.def. Pointers to contexts' objects are 8 bytes on every machine.
 *
 * Sources: BTF of Linux 6.18, compared member by member in test/unit/abi_types.c. */
#ifndef SKEP_ABI_UAPI_CTX_H
#define SKEP_ABI_UAPI_CTX_H
#ifndef SKEP_BTF_SOURCE
#include "base/base.h"
#endif

struct nf_hook_state;
struct sk_buff;

/* Contexts. A pointer field is 8 bytes on every machine. */
struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
UAPI_SIZE(struct xdp_md, 24);
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family;
	u32 remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
	struct bpf_flow_keys *flow_keys;
	u64 tstamp;
	u32 wire_len, gso_segs;
	struct bpf_sock *sk;
	u32 gso_size;
	u8 tstamp_type;
	u64 hwtstamp;
};
UAPI_SIZE(struct __sk_buff, 192);
struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4];
	struct bpf_sock *sk;
};
UAPI_SIZE(struct bpf_sock_addr, 72);
struct bpf_sock_ops {
	u32 op;
	union {
		u32 args[4], reply, replylong[4];
	};
	u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, is_fullsock;
	u32 snd_cwnd, srtt_us, bpf_sock_ops_cb_flags, state, rtt_min, snd_ssthresh, rcv_nxt, snd_nxt, snd_una;
	u32 mss_cache, ecn_flags, rate_delivered, rate_interval_us, packets_out, retrans_out, total_retrans;
	u32 segs_in, data_segs_in, segs_out, data_segs_out, lost_out, sacked_out, sk_txhash;
	u64 bytes_received, bytes_acked;
	struct bpf_sock *sk;
	void *skb_data;
	void *skb_data_end;
	u32 skb_len, skb_tcp_flags;
	u64 skb_hwtstamp;
};
UAPI_SIZE(struct bpf_sock_ops, 224);
struct sk_msg_md {
	void *data;
	void *data_end;
	u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, size;
	struct bpf_sock *sk;
};
UAPI_SIZE(struct sk_msg_md, 80);
struct sk_reuseport_md {
	void *data;
	void *data_end;
	u32 len, eth_protocol, ip_protocol, bind_inany, hash;
	struct bpf_sock *sk;
	struct bpf_sock *migrating_sk;
};
UAPI_SIZE(struct sk_reuseport_md, 56);
struct bpf_cgroup_dev_ctx {
	u32 access_type, major, minor;
};
UAPI_SIZE(struct bpf_cgroup_dev_ctx, 12);
struct bpf_sysctl {
	u32 write, file_pos;
};
UAPI_SIZE(struct bpf_sysctl, 8);
struct bpf_sockopt {
	struct bpf_sock *sk;
	void *optval;
	void *optval_end;
	s32 level, optname, optlen, retval;
};
UAPI_SIZE(struct bpf_sockopt, 40);
struct bpf_sk_lookup {
	union {
		struct bpf_sock *sk;
		u64 cookie;
	};
	u32 family, protocol, remote_ip4, remote_ip6[4];
	u16 remote_port;
	u32 local_ip4, local_ip6[4], local_port, ingress_ifindex;
};
UAPI_SIZE(struct bpf_sk_lookup, 72);
struct bpf_flow_keys {
	u16 nhoff, thoff, addr_proto;
	u8 is_frag, is_first_frag, is_encap, ip_proto;
	u16 n_proto, sport, dport;
	union {
		struct {
			u32 ipv4_src, ipv4_dst;
		};
		struct {
			u32 ipv6_src[4], ipv6_dst[4];
		};
	};
	u32 flags, flow_label;
};
UAPI_SIZE(struct bpf_flow_keys, 56);
struct bpf_raw_tracepoint_args {
	u64 args[0];
};
UAPI_SIZE(struct bpf_raw_tracepoint_args, 0);
struct bpf_nf_ctx {
	struct nf_hook_state *state;
	struct sk_buff *skb;
};
UAPI_SIZE(struct bpf_nf_ctx, 16);

/* Objects that contexts and helpers hand out. bpf_sock.dst_port and sock_tuple ports are in network order. */
struct bpf_sock {
	u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
	u16 dst_port;
	u32 dst_ip4, dst_ip6[4], state;
	s32 rx_queue_mapping;
};
UAPI_SIZE(struct bpf_sock, 80);
struct bpf_tcp_sock {
	u32 snd_cwnd, srtt_us, rtt_min, snd_ssthresh, rcv_nxt, snd_nxt, snd_una, mss_cache, ecn_flags;
	u32 rate_delivered, rate_interval_us, packets_out, retrans_out, total_retrans, segs_in, data_segs_in;
	u32 segs_out, data_segs_out, lost_out, sacked_out;
	u64 bytes_received, bytes_acked;
	u32 dsack_dups, delivered, delivered_ce, icsk_retransmits;
};
UAPI_SIZE(struct bpf_tcp_sock, 112);
struct bpf_sock_tuple {
	union {
		struct {
			u32 saddr, daddr;
			u16 sport, dport;
		} ipv4;
		struct {
			u32 saddr[4], daddr[4];
			u16 sport, dport;
		} ipv6;
	};
};
UAPI_SIZE(struct bpf_sock_tuple, 36);
struct bpf_xdp_sock {
	u32 queue_id;
};
UAPI_SIZE(struct bpf_xdp_sock, 4);

/* Fields of map values and stack objects that programs may not touch but through helpers and kfuncs. */
struct bpf_spin_lock {
	u32 val;
};
UAPI_SIZE(struct bpf_spin_lock, 4);
struct bpf_res_spin_lock {
	u32 val;
};
UAPI_SIZE(struct bpf_res_spin_lock, 4);
struct bpf_timer {
	u64 __opaque[2];
};
UAPI_SIZE(struct bpf_timer, 16);
struct bpf_wq {
	u64 __opaque[2];
};
UAPI_SIZE(struct bpf_wq, 16);
struct bpf_task_work {
	u64 __opaque;
};
UAPI_SIZE(struct bpf_task_work, 8);
struct bpf_dynptr {
	u64 __opaque[2];
};
UAPI_SIZE(struct bpf_dynptr, 16);
struct bpf_list_head {
	u64 __opaque[2];
};
UAPI_SIZE(struct bpf_list_head, 16);
struct bpf_list_node {
	u64 __opaque[3];
};
UAPI_SIZE(struct bpf_list_node, 24);
struct bpf_rb_root {
	u64 __opaque[2];
};
UAPI_SIZE(struct bpf_rb_root, 16);
struct bpf_rb_node {
	u64 __opaque[4];
};
UAPI_SIZE(struct bpf_rb_node, 32);
struct bpf_refcount {
	u32 __opaque[1];
};
UAPI_SIZE(struct bpf_refcount, 4);
struct bpf_iter_num {
	u64 __opaque[1];
};
UAPI_SIZE(struct bpf_iter_num, 8);

/* Records of helpers and of map keys and values. */
struct bpf_pidns_info {
	u32 pid, tgid;
};
UAPI_SIZE(struct bpf_pidns_info, 8);
struct bpf_perf_event_value {
	u64 counter, enabled, running;
};
UAPI_SIZE(struct bpf_perf_event_value, 24);
struct bpf_redir_neigh {
	u32 nh_family;
	union {
		u32 ipv4_nh, ipv6_nh[4];
	};
};
UAPI_SIZE(struct bpf_redir_neigh, 20);
struct bpf_fib_lookup {
	u8 family, l4_protocol;
	u16 sport, dport;
	union {
		u16 tot_len, mtu_result;
	};
	u32 ifindex;
	union {
		u8 tos;
		u32 flowinfo, rt_metric;
	};
	union {
		u32 ipv4_src, ipv6_src[4];
	};
	union {
		u32 ipv4_dst, ipv6_dst[4];
	};
	union {
		struct {
			u16 h_vlan_proto, h_vlan_TCI;
		};
		u32 tbid;
	};
	union {
		struct {
			u32 mark;
		};
		struct {
			u8 smac[6], dmac[6];
		};
	};
};
UAPI_SIZE(struct bpf_fib_lookup, 64);
struct bpf_tunnel_key {
	u32 tunnel_id;
	union {
		u32 remote_ipv4, remote_ipv6[4];
	};
	u8 tunnel_tos, tunnel_ttl;
	union {
		u16 tunnel_ext, tunnel_flags;
	};
	u32 tunnel_label;
	union {
		u32 local_ipv4, local_ipv6[4];
	};
};
UAPI_SIZE(struct bpf_tunnel_key, 44);
struct bpf_xfrm_state {
	u32 reqid, spi;
	u16 family, ext;
	union {
		u32 remote_ipv4, remote_ipv6[4];
	};
};
UAPI_SIZE(struct bpf_xfrm_state, 28);
struct btf_ptr {
	void *ptr;
	u32 type_id, flags;
};
UAPI_SIZE(struct btf_ptr, 16);
struct bpf_devmap_val {
	u32 ifindex;
	union {
		int fd;
		u32 id;
	} bpf_prog;
};
UAPI_SIZE(struct bpf_devmap_val, 8);
struct bpf_cpumap_val {
	u32 qsize;
	union {
		int fd;
		u32 id;
	} bpf_prog;
};
UAPI_SIZE(struct bpf_cpumap_val, 8);
struct bpf_cgroup_storage_key {
	u64 cgroup_inode_id;
	u32 attach_type;
};
UAPI_SIZE(struct bpf_cgroup_storage_key, 16);
struct bpf_lpm_trie_key_hdr {
	u32 prefixlen;
};
UAPI_SIZE(struct bpf_lpm_trie_key_hdr, 4);
struct bpf_lpm_trie_key_u8 {
	union {
		struct bpf_lpm_trie_key_hdr hdr;
		u32 prefixlen;
	};
	u8 data[0];
};
UAPI_SIZE(struct bpf_lpm_trie_key_u8, 4);
struct bpf_stack_build_id {
	s32 status;
	u8 build_id[20];
	union {
		u64 offset, ip;
	};
};
UAPI_SIZE(struct bpf_stack_build_id, 32);
struct bpf_lpm_trie_key {
	u32 prefixlen; /* significant bits of data, most significant first */
	u8 data[0];
};
#endif
