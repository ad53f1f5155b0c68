/* Flags and return values of the eBPF interface, grouped by where they are used: maps, what programs return, flags of
 * helpers, sockets, bpf(2), and last the kernel's macros.
 *
 * Values are the kernel's. Those from enumerations are compared with its BTF in test/unit/abi_types.c; macros do not show
 * there. The kernel's enumerations without a name have one here, so that the BTF made from this file (types.h) can
 * contain them: types_enums.def must list every one.
 *
 * Rules for changing: append; a value is never changed. Sources: BTF of Linux 6.18, uapi of linux-source-6.12. */
#ifndef SKEP_ABI_UAPI_ENUM_H
#define SKEP_ABI_UAPI_ENUM_H

/* == Maps == */
/* Flags of map updates. */
enum bpf_map_update_flag { BPF_ANY = 0x0, BPF_NOEXIST = 0x1, BPF_EXIST = 0x2, BPF_F_LOCK = 0x4 };
/* Flags of BPF_MAP_CREATE; PATH_FD is of BPF_OBJ_PIN and BPF_OBJ_GET, LINK of relative attachment. */
enum bpf_map_create_flag {
	BPF_F_NO_PREALLOC = 0x1, BPF_F_NO_COMMON_LRU = 0x2, BPF_F_NUMA_NODE = 0x4, BPF_F_RDONLY = 0x8,
	BPF_F_WRONLY = 0x10, BPF_F_STACK_BUILD_ID = 0x20, BPF_F_ZERO_SEED = 0x40, BPF_F_RDONLY_PROG = 0x80,
	BPF_F_WRONLY_PROG = 0x100, BPF_F_CLONE = 0x200, BPF_F_MMAPABLE = 0x400, BPF_F_PRESERVE_ELEMS = 0x800,
	BPF_F_INNER_MAP = 0x1000, BPF_F_LINK = 0x2000, BPF_F_PATH_FD = 0x4000, BPF_F_VTYPE_BTF_OBJ_FD = 0x8000,
	BPF_F_TOKEN_FD = 0x10000, BPF_F_SEGV_ON_FAULT = 0x20000, BPF_F_NO_USER_CONV = 0x40000,
};
/* Ring buffers: flags of output and submit, arguments of query, the two bits of a record's length. */
enum bpf_ringbuf_flag { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP };
enum bpf_ringbuf_query { BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RB_CONS_POS, BPF_RB_PROD_POS };
enum bpf_ringbuf_header {
	BPF_RINGBUF_BUSY_BIT = 0x80000000u, BPF_RINGBUF_DISCARD_BIT = 0x40000000, BPF_RINGBUF_HDR_SZ = 8,
};
enum bpf_stack_build_id_status { BPF_STACK_BUILD_ID_EMPTY, BPF_STACK_BUILD_ID_VALID, BPF_STACK_BUILD_ID_IP };
/* Local storage. */
enum bpf_local_storage_flag { BPF_LOCAL_STORAGE_GET_F_CREATE = 1, BPF_SK_STORAGE_GET_F_CREATE = 1 };

/* == Programs: what they return == */
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum sk_action { SK_DROP, SK_PASS };
/* Lightweight tunnels and flow dissectors. */
enum bpf_ret_code { BPF_OK, BPF_DROP = 2, BPF_REDIRECT = 7, BPF_LWT_REROUTE = 128, BPF_FLOW_DISSECTOR_CONTINUE };

/* == Flags of helpers == */
/* perf_event_output, perf_event_read and their like: an index, or the current CPU; and bytes of packet to append. */
enum bpf_perf_event_index { BPF_F_INDEX_MASK = 0xffffffff, BPF_F_CURRENT_CPU = 0xffffffff };
#if !defined(SKEP_BTF_SOURCE) || __clang_major__ >= 15 /* older BTF has no 64-bit enumerators */
enum bpf_perf_event_ctxlen { BPF_F_CTXLEN_MASK = 0xfffff00000000ull };
#endif
enum bpf_branch_records_flag { BPF_F_GET_BRANCH_RECORDS_SIZE = 1 };
/* get_stackid, get_stack. */
enum bpf_stack_flag {
	BPF_F_SKIP_FIELD_MASK = 0xff, BPF_F_USER_STACK = 0x100, BPF_F_FAST_STACK_CMP = 0x200,
	BPF_F_REUSE_STACKID = 0x400, BPF_F_USER_BUILD_ID = 0x800,
};
/* snprintf_btf, seq_printf_btf. */
enum bpf_snprintf_btf_flag { BTF_F_COMPACT = 1, BTF_F_NONAME, BTF_F_PTR_RAW = 4, BTF_F_ZERO = 8 };
/* timer_start. */
enum bpf_timer_start_flag { BPF_F_TIMER_ABS = 1, BPF_F_TIMER_CPU_PIN };
/* copy_from_user_str. */
enum bpf_kfunc_flags { BPF_F_PAD_ZEROS = 1 };
/* skb_store_bytes. */
enum bpf_skb_store_flag { BPF_F_RECOMPUTE_CSUM = 1, BPF_F_INVALIDATE_HASH };
/* l3_csum_replace, l4_csum_replace. */
enum bpf_csum_field { BPF_F_HDR_FIELD_MASK = 0xf };
enum bpf_csum_flag {
	BPF_F_PSEUDO_HDR = 0x10, BPF_F_MARK_MANGLED_0 = 0x20, BPF_F_MARK_ENFORCE = 0x40, BPF_F_IPV6 = 0x80,
};
/* clone_redirect, redirect, redirect_map, and the private bits of redirect_neigh and redirect_peer. */
enum bpf_redirect_flag { BPF_F_INGRESS = 0x1, BPF_F_BROADCAST = 0x8, BPF_F_EXCLUDE_INGRESS = 0x10 };
enum bpf_redirect_private_flag { BPF_F_NEIGH = 0x10000, BPF_F_PEER = 0x20000, BPF_F_NEXTHOP = 0x40000 };
/* Tunnel keys. */
enum bpf_tunnel_info_flag { BPF_F_TUNINFO_IPV6 = 0x1 };
enum bpf_tunnel_key_flag {
	BPF_F_ZERO_CSUM_TX = 0x2, BPF_F_DONT_FRAGMENT = 0x4, BPF_F_SEQ_NUMBER = 0x8, BPF_F_NO_TUNNEL_KEY = 0x10,
};
enum bpf_tunnel_get_flag { BPF_F_TUNINFO_FLAGS = 0x10 };
/* Socket lookups. */
enum bpf_netns_id { BPF_F_CURRENT_NETNS = -1 };
/* csum_level. */
enum bpf_csum_level { BPF_CSUM_LEVEL_QUERY, BPF_CSUM_LEVEL_INC, BPF_CSUM_LEVEL_DEC, BPF_CSUM_LEVEL_RESET };
/* skb_adjust_room. */
enum bpf_adj_room_mode { BPF_ADJ_ROOM_NET, BPF_ADJ_ROOM_MAC };
enum bpf_adj_room_flag {
	BPF_F_ADJ_ROOM_FIXED_GSO = 0x1, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 0x2, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 0x4,
	BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 0x8, BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 0x10, BPF_F_ADJ_ROOM_NO_CSUM_RESET = 0x20,
	BPF_F_ADJ_ROOM_ENCAP_L2_ETH = 0x40, BPF_F_ADJ_ROOM_DECAP_L3_IPV4 = 0x80,
	BPF_F_ADJ_ROOM_DECAP_L3_IPV6 = 0x100,
};
enum bpf_adj_room_encap { BPF_ADJ_ROOM_ENCAP_L2_MASK = 0xff, BPF_ADJ_ROOM_ENCAP_L2_SHIFT = 56 };
/* sysctl_get_name. */
enum bpf_sysctl_name_flag { BPF_F_SYSCTL_BASE_NAME = 1 };
/* sk_assign in sk_lookup programs. */
enum bpf_sk_assign_flag { BPF_SK_LOOKUP_F_REPLACE = 1, BPF_SK_LOOKUP_F_NO_REUSEPORT };
/* skb_load_bytes_relative. */
enum bpf_hdr_start_off { BPF_HDR_START_MAC, BPF_HDR_START_NET };
/* lwt_push_encap. */
enum bpf_lwt_encap_mode { BPF_LWT_ENCAP_SEG6, BPF_LWT_ENCAP_SEG6_INLINE, BPF_LWT_ENCAP_IP };
/* bprm_opts_set. */
enum bpf_bprm_flag { BPF_F_BPRM_SECUREEXEC = 1 };
/* skb_set_tstamp; __sk_buff.tstamp_type. */
enum bpf_skb_tstamp_type {
	BPF_SKB_TSTAMP_UNSPEC, BPF_SKB_TSTAMP_DELIVERY_MONO, BPF_SKB_CLOCK_REALTIME = 0, BPF_SKB_CLOCK_MONOTONIC,
	BPF_SKB_CLOCK_TAI,
};
/* fib_lookup. */
enum bpf_fib_lookup_flag {
	BPF_FIB_LOOKUP_DIRECT = 0x1, BPF_FIB_LOOKUP_OUTPUT = 0x2, BPF_FIB_LOOKUP_SKIP_NEIGH = 0x4,
	BPF_FIB_LOOKUP_TBID = 0x8, BPF_FIB_LOOKUP_SRC = 0x10, BPF_FIB_LOOKUP_MARK = 0x20,
};
enum bpf_fib_lookup_ret {
	BPF_FIB_LKUP_RET_SUCCESS, BPF_FIB_LKUP_RET_BLACKHOLE, BPF_FIB_LKUP_RET_UNREACHABLE,
	BPF_FIB_LKUP_RET_PROHIBIT, BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_FWD_DISABLED,
	BPF_FIB_LKUP_RET_UNSUPP_LWT, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_FRAG_NEEDED,
	BPF_FIB_LKUP_RET_NO_SRC_ADDR,
};
/* check_mtu. */
enum bpf_check_mtu_flags { BPF_MTU_CHK_SEGS = 1 };
enum bpf_check_mtu_ret { BPF_MTU_CHK_RET_SUCCESS, BPF_MTU_CHK_RET_FRAG_NEEDED, BPF_MTU_CHK_RET_SEGS_TOOBIG };
/* bpf_flow_keys.flags. */
enum bpf_flow_dissector_flag {
	BPF_FLOW_DISSECTOR_F_PARSE_1ST_FRAG = 1, BPF_FLOW_DISSECTOR_F_STOP_AT_FLOW_LABEL,
	BPF_FLOW_DISSECTOR_F_STOP_AT_ENCAP = 4,
};

/* == Sockets == */
/* sock_ops_cb_flags_set. */
enum bpf_sock_ops_cb_flag {
	BPF_SOCK_OPS_RTO_CB_FLAG = 0x1, BPF_SOCK_OPS_RETRANS_CB_FLAG = 0x2, BPF_SOCK_OPS_STATE_CB_FLAG = 0x4,
	BPF_SOCK_OPS_RTT_CB_FLAG = 0x8, BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG = 0x10,
	BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG = 0x20, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG = 0x40,
	BPF_SOCK_OPS_ALL_CB_FLAGS = 0x7f,
};
/* bpf_sock_ops.op. */
enum bpf_sock_ops_op {
	BPF_SOCK_OPS_VOID, BPF_SOCK_OPS_TIMEOUT_INIT, BPF_SOCK_OPS_RWND_INIT, BPF_SOCK_OPS_TCP_CONNECT_CB,
	BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_NEEDS_ECN,
	BPF_SOCK_OPS_BASE_RTT, BPF_SOCK_OPS_RTO_CB, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_STATE_CB,
	BPF_SOCK_OPS_TCP_LISTEN_CB, BPF_SOCK_OPS_RTT_CB, BPF_SOCK_OPS_PARSE_HDR_OPT_CB,
	BPF_SOCK_OPS_HDR_OPT_LEN_CB, BPF_SOCK_OPS_WRITE_HDR_OPT_CB, BPF_SOCK_OPS_TSTAMP_SCHED_CB,
	BPF_SOCK_OPS_TSTAMP_SND_SW_CB, BPF_SOCK_OPS_TSTAMP_SND_HW_CB, BPF_SOCK_OPS_TSTAMP_ACK_CB,
	BPF_SOCK_OPS_TSTAMP_SENDMSG_CB,
};
/* TCP states. */
enum bpf_tcp_state {
	BPF_TCP_ESTABLISHED = 1, BPF_TCP_SYN_SENT, BPF_TCP_SYN_RECV, BPF_TCP_FIN_WAIT1, BPF_TCP_FIN_WAIT2,
	BPF_TCP_TIME_WAIT, BPF_TCP_CLOSE, BPF_TCP_CLOSE_WAIT, BPF_TCP_LAST_ACK, BPF_TCP_LISTEN, BPF_TCP_CLOSING,
	BPF_TCP_NEW_SYN_RECV, BPF_TCP_BOUND_INACTIVE, BPF_TCP_MAX_STATES,
};
enum sk_bpf_cb_flag { SK_BPF_CB_TX_TIMESTAMPING = 1, SK_BPF_CB_MASK = 1 };
/* Options of setsockopt and getsockopt that only programs have. */
enum bpf_tcp_option {
	TCP_BPF_IW = 1001, TCP_BPF_SNDCWND_CLAMP, TCP_BPF_DELACK_MAX, TCP_BPF_RTO_MIN, TCP_BPF_SYN,
	TCP_BPF_SYN_IP, TCP_BPF_SYN_MAC, TCP_BPF_SOCK_OPS_CB_FLAGS, SK_BPF_CB_FLAGS,
};
enum bpf_load_hdr_opt_flag { BPF_LOAD_HDR_OPT_TCP_SYN = 1 };
enum bpf_write_hdr_arg { BPF_WRITE_HDR_TCP_CURRENT_MSS = 1, BPF_WRITE_HDR_TCP_SYNACK_COOKIE };

/* == bpf(2) == */
/* bpf_iter_link_info.cgroup. */
enum bpf_cgroup_iter_order {
	BPF_CGROUP_ITER_ORDER_UNSPEC, BPF_CGROUP_ITER_SELF_ONLY, BPF_CGROUP_ITER_DESCENDANTS_PRE,
	BPF_CGROUP_ITER_DESCENDANTS_POST, BPF_CGROUP_ITER_ANCESTORS_UP,
};
/* BPF_ENABLE_STATS. */
enum bpf_stats_type { BPF_STATS_RUN_TIME };
/* BPF_TASK_FD_QUERY. */
enum bpf_task_fd_type {
	BPF_FD_TYPE_RAW_TRACEPOINT, BPF_FD_TYPE_TRACEPOINT, BPF_FD_TYPE_KPROBE, BPF_FD_TYPE_KRETPROBE,
	BPF_FD_TYPE_UPROBE, BPF_FD_TYPE_URETPROBE,
};
/* bpf_link_info.perf_event.type. */
enum bpf_perf_event_type {
	BPF_PERF_EVENT_UNSPEC, BPF_PERF_EVENT_UPROBE, BPF_PERF_EVENT_URETPROBE, BPF_PERF_EVENT_KPROBE,
	BPF_PERF_EVENT_KRETPROBE, BPF_PERF_EVENT_TRACEPOINT, BPF_PERF_EVENT_EVENT,
};
/* Streams of a program. */
enum bpf_stream_id { BPF_STDOUT = 1, BPF_STDERR };
/* Link flags. */
enum bpf_kprobe_multi_flag { BPF_F_KPROBE_MULTI_RETURN = 1 };
enum bpf_uprobe_multi_flag { BPF_F_UPROBE_MULTI_RETURN = 1 };

/* The kernel's macros. BPF_PROG_ATTACH and cgroup, tcx and netkit links: */
enum bpf_attach_flag {
	BPF_F_ALLOW_OVERRIDE = 0x1, BPF_F_ALLOW_MULTI = 0x2, BPF_F_REPLACE = 0x4, BPF_F_BEFORE = 0x8, BPF_F_AFTER = 0x10,
	BPF_F_ID = 0x20, BPF_F_PREORDER = 0x40,
};
/* BPF_PROG_LOAD: */
enum bpf_prog_load_flag {
	BPF_F_STRICT_ALIGNMENT = 0x1, BPF_F_ANY_ALIGNMENT = 0x2, BPF_F_TEST_RND_HI32 = 0x4, BPF_F_TEST_STATE_FREQ = 0x8,
	BPF_F_SLEEPABLE = 0x10, BPF_F_XDP_HAS_FRAGS = 0x20, BPF_F_XDP_DEV_BOUND_ONLY = 0x40,
	BPF_F_TEST_REG_INVARIANTS = 0x80,
};
/* BPF_PROG_TEST_RUN, BPF_PROG_QUERY, netfilter links: */
enum bpf_test_run_flag {
	BPF_F_TEST_RUN_ON_CPU = 0x1, BPF_F_TEST_XDP_LIVE_FRAMES = 0x2, BPF_F_TEST_SKB_CHECKSUM_COMPLETE = 0x4,
};
enum bpf_query_flag { BPF_F_QUERY_EFFECTIVE = 0x1, BPF_F_NETFILTER_IP_DEFRAG = 0x1 };
/* bpf_cgroup_dev_ctx.access_type: kind in the low half, what is wanted in the high half. */
enum bpf_devcg_access { BPF_DEVCG_ACC_MKNOD = 1, BPF_DEVCG_ACC_READ = 2, BPF_DEVCG_ACC_WRITE = 4 };
enum bpf_devcg_device { BPF_DEVCG_DEV_BLOCK = 1, BPF_DEVCG_DEV_CHAR = 2 };
enum bpf_sizes { BPF_BUILD_ID_SIZE = 20 };

/* Verdicts of traffic control (the kernel's pkt_cls.h; -1 falls through to the next). */
enum tc_action {
	TC_ACT_UNSPEC = -1, TC_ACT_OK, TC_ACT_RECLASSIFY, TC_ACT_SHOT, TC_ACT_PIPE, TC_ACT_STOLEN, TC_ACT_QUEUED,
	TC_ACT_REPEAT, TC_ACT_REDIRECT, TC_ACT_TRAP,
};
enum tcx_action_base { TCX_NEXT = -1, TCX_PASS = 0, TCX_DROP = 2, TCX_REDIRECT = 7 };
/* Netfilter verdicts; only the first two are allowed to programs. */
enum nf_verdict { NF_DROP = 0, NF_ACCEPT = 1 };
#endif
