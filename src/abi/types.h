/* The types of the user engine's own BTF: what CO-RE relocations find and `vmlinux.h` contains where no kernel BTF is used.
 *
 *    uapi*.h, regs.h  (contexts, bpf(2), flags: the same text the library is compiled from)
 *    this file        (names of integers, protocol headers, system call arguments, synthetic kernel objects)
 *          │ clang -target bpf -g      make/abi.mk
 *          ▼
 *    .BTF section ──► skep_btf_data, skep_btf_size (types_btf.c) ──► btf/: parse, relocate, print as C
 *
 * Compiled by clang for the bpf target only; nothing else includes it. Layouts of real kernel types are the kernel's (the
 * test compares all of them with the running kernel's BTF); synthetic objects are subsets: a field that is not here does
 * not relocate, and the loader names it.
 *
 * Rules for changing: a new type needs a member in `types` at the end, else clang drops it. Names must be the kernel's. */
#ifndef SKEP_BTF_SOURCE
#error "only for the bpf target: see make/abi.mk"
#endif

/* == Integers == */
typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
typedef __u16 __le16, __be16, __sum16;
typedef __u32 __le32, __be32, __wsum;
typedef __u64 __le64, __be64;
typedef _Bool bool;
typedef unsigned long __kernel_size_t, __kernel_ulong_t;
typedef long __kernel_ssize_t, __kernel_long_t;
typedef __kernel_size_t size_t;
typedef __kernel_ssize_t ssize_t;
typedef unsigned long uintptr_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef __u64 uint64_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef __s64 int64_t;
typedef int pid_t;
typedef unsigned int uid_t, gid_t;
typedef unsigned short umode_t, sa_family_t, __kernel_sa_family_t;
typedef __u32 dev_t;
typedef unsigned int fmode_t, gfp_t;
typedef long off_t;
typedef long long loff_t, __kernel_time64_t, time64_t, ktime_t;
typedef long clock_t, time_t;
typedef int clockid_t, key_t, mqd_t, timer_t;
typedef unsigned long sigset_word_t;
enum boolean { false, true };
#define STATIC_ASSERT(x, why) _Static_assert(x, why)
#define offsetof(type, member) __builtin_offsetof(type, member)

struct bpf_insn {
	__u8 code;
	__u8 dst_reg : 4;
	__u8 src_reg : 4;
	__s16 off;
	__s32 imm;
};

#include "abi/uapi.h"
#include "abi/regs.h"

typedef struct pt_regs bpf_user_pt_regs_t;

/* The records of system call tracepoints under their other names. */
struct syscall_trace_enter {
	struct trace_entry ent;
	int nr;
	unsigned long args[0];
};
struct syscall_trace_exit {
	struct trace_entry ent;
	int nr;
	long ret;
};

/* The prototypes of the raw tracepoints of system calls: what tp_btf/sys_enter and tp_btf/sys_exit attach to. The first
 * parameter is not an argument. */
typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long);
typedef void (*btf_trace_sys_exit)(void *, struct pt_regs *, long);

/* == Protocol headers == */
struct ethhdr {
	unsigned char h_dest[6], h_source[6];
	__be16 h_proto;
};
struct vlan_hdr {
	__be16 h_vlan_TCI, h_vlan_encapsulated_proto;
};
struct arphdr {
	__be16 ar_hrd, ar_pro;
	unsigned char ar_hln, ar_pln;
	__be16 ar_op;
};
struct iphdr {
	__u8 ihl : 4, version : 4;
	__u8 tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, protocol;
	__sum16 check;
	union {
		struct {
			__be32 saddr, daddr;
		};
		struct {
			__be32 saddr, daddr;
		} addrs;
	};
};
struct in_addr {
	__be32 s_addr;
};
struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be16 u6_addr16[8];
		__be32 u6_addr32[4];
	} in6_u;
};
struct ipv6hdr {
	__u8 priority : 4, version : 4;
	__u8 flow_lbl[3];
	__be16 payload_len;
	__u8 nexthdr, hop_limit;
	union {
		struct {
			struct in6_addr saddr, daddr;
		};
		struct {
			struct in6_addr saddr, daddr;
		} addrs;
	};
};
struct ipv6_opt_hdr {
	__u8 nexthdr, hdrlen;
};
struct frag_hdr {
	__u8 nexthdr, reserved;
	__be16 frag_off;
	__be32 identification;
};
struct tcphdr {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__u16 ae : 1, res1 : 3, doff : 4, fin : 1, syn : 1, rst : 1, psh : 1, ack : 1, urg : 1, ece : 1, cwr : 1;
	__be16 window;
	__sum16 check;
	__be16 urg_ptr;
};
struct udphdr {
	__be16 source, dest, len;
	__sum16 check;
};
struct icmphdr {
	__u8 type, code;
	__sum16 checksum;
	union {
		struct {
			__be16 id, sequence;
		} echo;
		__be32 gateway;
		struct {
			__be16 __unused, mtu;
		} frag;
		__u8 reserved[4];
	} un;
};
struct icmpv6_echo {
	__be16 identifier, sequence;
};
struct icmp6hdr {
	__u8 icmp6_type, icmp6_code;
	__sum16 icmp6_cksum;
	union {
		__be32 un_data32[1];
		__be16 un_data16[2];
		__u8 un_data8[4];
		struct icmpv6_echo u_echo;
	} icmp6_dataun;
};
struct sctphdr {
	__be16 source, dest;
	__be32 vtag;
	__le32 checksum;
};
struct vxlanhdr {
	__be32 vx_flags, vx_vni;
};
/* Protocol numbers of IP. */
enum ip_protocol {
	IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_IGMP = 2, IPPROTO_IPIP = 4, IPPROTO_TCP = 6, IPPROTO_EGP = 8,
	IPPROTO_PUP = 12, IPPROTO_UDP = 17, IPPROTO_IDP = 22, IPPROTO_TP = 29, IPPROTO_DCCP = 33, IPPROTO_IPV6 = 41,
	IPPROTO_RSVP = 46, IPPROTO_GRE = 47, IPPROTO_ESP = 50, IPPROTO_AH = 51, IPPROTO_MTP = 92, IPPROTO_BEETPH = 94,
	IPPROTO_ENCAP = 98, IPPROTO_PIM = 103, IPPROTO_COMP = 108, IPPROTO_L2TP = 115, IPPROTO_SCTP = 132,
	IPPROTO_UDPLITE = 136, IPPROTO_MPLS = 137, IPPROTO_ETHERNET = 143, IPPROTO_RAW = 255, IPPROTO_MPTCP = 262,
};

/* == What system calls point to == */
struct sockaddr {
	sa_family_t sa_family;
	char sa_data_min[14];
};
struct sockaddr_in {
	__kernel_sa_family_t sin_family;
	__be16 sin_port;
	struct in_addr sin_addr;
	unsigned char __pad[8];
};
struct sockaddr_in6 {
	unsigned short sin6_family;
	__be16 sin6_port;
	__be32 sin6_flowinfo;
	struct in6_addr sin6_addr;
	__u32 sin6_scope_id;
};
struct sockaddr_un {
	__kernel_sa_family_t sun_family;
	char sun_path[108];
};
struct __kernel_timespec {
	__kernel_time64_t tv_sec;
	long long tv_nsec;
};
struct timespec64 {
	time64_t tv_sec;
	long tv_nsec;
};
struct iovec {
	void *iov_base;
	__kernel_size_t iov_len;
};
struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	struct iovec *msg_iov;
	__kernel_size_t msg_iovlen;
	void *msg_control;
	__kernel_size_t msg_controllen;
	unsigned int msg_flags;
};
struct pollfd {
	int fd;
	short events, revents;
};
struct open_how {
	__u64 flags, mode, resolve;
};
struct clone_args {
	__u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* == Synthetic kernel objects: subsets with a layout of their own == */
typedef struct {
	uid_t val;
} kuid_t;
typedef struct {
	gid_t val;
} kgid_t;
struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
};
struct ns_common {
	unsigned int inum;
};
struct new_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
struct uts_namespace {
	struct new_utsname name;
	struct ns_common ns;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct pid_namespace {
	unsigned int level;
	struct ns_common ns;
};
struct net {
	struct ns_common ns;
};
struct ipc_namespace {
	struct ns_common ns;
};
struct cgroup_namespace {
	struct ns_common ns;
};
struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct cgroup_namespace *cgroup_ns;
};
struct task_struct {
	unsigned int flags;
	int exit_code;
	pid_t pid, tgid;
	struct task_struct *real_parent, *parent, *group_leader;
	u64 start_time, start_boottime;
	const struct cred *real_cred, *cred;
	char comm[16];
	struct nsproxy *nsproxy;
};

/* Everything above that clang is to keep. */
#define KEEP(type) type KEEP_NAME(__COUNTER__);
#define KEEP_NAME(n) KEEP_NAME_(n)
#define KEEP_NAME_(n) t##n
struct {
	/* integers */
	KEEP(__s8) KEEP(s8) KEEP(u8) KEEP(s16) KEEP(u16) KEEP(s32) KEEP(u32) KEEP(s64) KEEP(u64)
	KEEP(__le16) KEEP(__be16) KEEP(__sum16) KEEP(__le32) KEEP(__be32) KEEP(__wsum) KEEP(__le64) KEEP(__be64)
	KEEP(bool) KEEP(size_t) KEEP(ssize_t) KEEP(uintptr_t) KEEP(__kernel_ulong_t) KEEP(__kernel_long_t)
	KEEP(uint8_t) KEEP(uint16_t) KEEP(uint32_t) KEEP(uint64_t) KEEP(int8_t) KEEP(int16_t) KEEP(int32_t) KEEP(int64_t)
	KEEP(pid_t) KEEP(uid_t) KEEP(gid_t) KEEP(umode_t) KEEP(sa_family_t) KEEP(dev_t) KEEP(fmode_t) KEEP(gfp_t)
	KEEP(off_t) KEEP(loff_t) KEEP(time64_t) KEEP(ktime_t) KEEP(clock_t) KEEP(time_t) KEEP(clockid_t) KEEP(key_t)
	KEEP(mqd_t) KEEP(timer_t) KEEP(enum boolean)
	/* bpf(2) */
	KEEP(union bpf_attr) KEEP(union bpf_iter_link_info) KEEP(struct bpf_insn) KEEP(struct bpf_prog_info)
	KEEP(struct bpf_map_info)
	KEEP(struct bpf_btf_info) KEEP(struct bpf_link_info) KEEP(struct bpf_token_info)
	KEEP(enum bpf_prog_type) KEEP(enum bpf_map_type) KEEP(enum bpf_attach_type) KEEP(enum bpf_link_type)
	KEEP(enum bpf_cmd) KEEP(enum bpf_func_id)
	/* contexts and what helpers exchange */
	KEEP(struct xdp_md) KEEP(struct __sk_buff) KEEP(struct bpf_sock) KEEP(struct bpf_tcp_sock)
	KEEP(struct bpf_sock_tuple) KEEP(struct bpf_sock_addr) KEEP(struct bpf_sock_ops) KEEP(struct sk_msg_md)
	KEEP(struct sk_reuseport_md) KEEP(struct bpf_cgroup_dev_ctx) KEEP(struct bpf_sysctl) KEEP(struct bpf_sockopt)
	KEEP(struct bpf_sk_lookup) KEEP(struct bpf_flow_keys) KEEP(struct bpf_raw_tracepoint_args)
	KEEP(struct bpf_nf_ctx) KEEP(struct bpf_xdp_sock) KEEP(struct bpf_pidns_info) KEEP(struct bpf_perf_event_value)
	KEEP(struct bpf_redir_neigh) KEEP(struct bpf_fib_lookup) KEEP(struct bpf_tunnel_key)
	KEEP(struct bpf_xfrm_state) KEEP(struct btf_ptr) KEEP(struct bpf_devmap_val) KEEP(struct bpf_cpumap_val)
	KEEP(struct bpf_cgroup_storage_key) KEEP(struct bpf_lpm_trie_key) KEEP(struct bpf_lpm_trie_key_hdr)
	KEEP(struct bpf_lpm_trie_key_u8) KEEP(struct bpf_stack_build_id) KEEP(struct bpf_spin_lock)
	KEEP(struct bpf_res_spin_lock) KEEP(struct bpf_timer) KEEP(struct bpf_wq) KEEP(struct bpf_task_work)
	KEEP(struct bpf_dynptr) KEEP(struct bpf_list_head) KEEP(struct bpf_list_node) KEEP(struct bpf_rb_root)
	KEEP(struct bpf_rb_node) KEEP(struct bpf_refcount) KEEP(struct bpf_iter_num)
	/* registers and tracepoints */
	KEEP(struct pt_regs) KEEP(bpf_user_pt_regs_t) KEEP(struct bpf_perf_event_data) KEEP(struct trace_entry)
	KEEP(struct trace_event_raw_sys_enter) KEEP(struct trace_event_raw_sys_exit) KEEP(struct syscall_trace_enter)
	KEEP(struct syscall_trace_exit) KEEP(struct syscall_tp_enter) KEEP(struct syscall_tp_exit)
	KEEP(btf_trace_sys_enter) KEEP(btf_trace_sys_exit)
	/* packets, arguments, synthetic objects */
	KEEP(struct ethhdr) KEEP(struct vlan_hdr) KEEP(struct arphdr) KEEP(struct iphdr) KEEP(struct ipv6hdr)
	KEEP(struct ipv6_opt_hdr) KEEP(struct frag_hdr) KEEP(struct tcphdr) KEEP(struct udphdr) KEEP(struct icmphdr)
	KEEP(struct icmp6hdr) KEEP(struct sctphdr) KEEP(struct vxlanhdr) KEEP(enum ip_protocol)
	KEEP(struct sockaddr) KEEP(struct sockaddr_in) KEEP(struct sockaddr_in6) KEEP(struct sockaddr_un)
	KEEP(struct __kernel_timespec) KEEP(struct timespec64) KEEP(struct iovec) KEEP(struct user_msghdr)
	KEEP(struct pollfd) KEEP(struct open_how) KEEP(struct clone_args)
	KEEP(struct task_struct) KEEP(struct cred) KEEP(struct nsproxy) KEEP(struct uts_namespace)
	KEEP(struct mnt_namespace) KEEP(struct pid_namespace) KEEP(struct net) KEEP(struct ipc_namespace)
	KEEP(struct cgroup_namespace)
	/* flags and values */
#define ENUMERATION(name) KEEP(enum name)
#include "abi/types_enums.def"
} types;
