/* Short words for the tables of this room; not for others, since they are single letters. */
#ifndef SKEP_ABI_SETS_H
#define SKEP_ABI_SETS_H
#include "abi/abi.h"

#define P(NAME) (1ull << BPF_PROG_TYPE_##NAME) /* set of one program type */
#define A(NAME) (1ull << BPF_##NAME)           /* ... of one attach type */
#define M(NAME) (1ull << BPF_MAP_TYPE_##NAME)  /* ... of one map type */

/* Those whose helper set builds on the kernel's base set: all but LIRC_MODE2, and EXT, which asks as its target. */
#define T_ALL                                                                                                          \
	(P(SOCKET_FILTER) | P(KPROBE) | P(SCHED_CLS) | P(SCHED_ACT) | P(TRACEPOINT) | P(XDP) | P(PERF_EVENT) |         \
	 P(CGROUP_SKB) | P(CGROUP_SOCK) | P(LWT_IN) | P(LWT_OUT) | P(LWT_XMIT) | P(SOCK_OPS) | P(SK_SKB) |             \
	 P(CGROUP_DEVICE) | P(SK_MSG) | P(RAW_TRACEPOINT) | P(CGROUP_SOCK_ADDR) | P(LWT_SEG6LOCAL) | P(SK_REUSEPORT) | \
	 P(FLOW_DISSECTOR) | P(CGROUP_SYSCTL) | P(RAW_TRACEPOINT_WRITABLE) | P(CGROUP_SOCKOPT) | P(TRACING) |          \
	 P(STRUCT_OPS) | P(LSM) | P(SK_LOOKUP) | P(SYSCALL) | P(NETFILTER))
#define T_TRACING                                                                                                      \
	(P(KPROBE) | P(TRACEPOINT) | P(PERF_EVENT) | P(RAW_TRACEPOINT) | P(RAW_TRACEPOINT_WRITABLE) | P(TRACING) |     \
	 P(LSM) | P(SYSCALL))
#define T_TC (P(SCHED_CLS) | P(SCHED_ACT))
#define T_LWT (P(LWT_IN) | P(LWT_OUT) | P(LWT_XMIT) | P(LWT_SEG6LOCAL))
/* Socket casts: networking, and tracing where sockets appear. */
#define T_SK_CAST                                                                                                      \
	(T_TC | T_LWT | P(SOCKET_FILTER) | P(XDP) | P(CGROUP_SKB) | P(SOCK_OPS) | P(SK_SKB) | P(SK_MSG) |              \
	 P(CGROUP_SOCK_ADDR) | P(FLOW_DISSECTOR) | P(TRACING) | P(LSM) | P(SK_LOOKUP))
/* Control group programs that see and change the return value, and the attach types at which there is none. */
#define T_RETVAL (P(CGROUP_SOCK) | P(CGROUP_DEVICE) | P(CGROUP_SYSCTL) | P(CGROUP_SOCKOPT) | P(CGROUP_SOCK_ADDR))
#define A_NO_RETVAL                                                                                                    \
	(A(CGROUP_INET_INGRESS) | A(CGROUP_INET_EGRESS) | A(CGROUP_SOCK_OPS) | A(CGROUP_UDP4_RECVMSG) |                \
	 A(CGROUP_UDP6_RECVMSG) | A(CGROUP_UNIX_RECVMSG) | A(CGROUP_INET4_GETPEERNAME) | A(CGROUP_INET6_GETPEERNAME) | \
	 A(CGROUP_UNIX_GETPEERNAME) | A(CGROUP_INET4_GETSOCKNAME) | A(CGROUP_INET6_GETSOCKNAME) |                      \
	 A(CGROUP_UNIX_GETSOCKNAME))
#endif
