/* The words of the verifier about values: what a register can hold, what a helper wants and gives. Names and numbers are
 * the kernel's, so that tables, log lines and literature agree; uapi does not have them, the kernel's BTF does.
 *
 *      31 ............. 8  7 ........ 0
 *      modifiers (flags)   base type           base_type(x), type_flag(x)
 *
 * Reserved numbers are kept: a host's program types add fields and helpers, never kinds. */
#ifndef SKEP_ABI_KINDS_H
#define SKEP_ABI_KINDS_H
#include "base/base.h"

enum { BPF_BASE_TYPE_BITS = 8, BPF_BASE_TYPE_MASK = 0xff };

/* Modifiers of register, argument and return types. */
enum bpf_type_flag {
	PTR_MAYBE_NULL = 0x100,         /* may be NULL, must be tested */
	MEM_RDONLY = 0x200,             /* read only; as argument: may point to read-only memory */
	MEM_RINGBUF = 0x400,            /* a ring buffer record */
	MEM_USER = 0x800,               /* address of the user's address space */
	MEM_PERCPU = 0x1000,
	OBJ_RELEASE = 0x2000,           /* argument whose reference ends with the call */
	PTR_UNTRUSTED = 0x4000,         /* may dangle: loads only, with fault handling */
	MEM_UNINIT = 0x8000,            /* argument: need not be initialised before */
	DYNPTR_TYPE_LOCAL = 0x10000,
	DYNPTR_TYPE_RINGBUF = 0x20000,
	MEM_FIXED_SIZE = 0x40000,       /* argument: the row says how many bytes, no size argument follows */
	MEM_ALLOC = 0x80000,            /* of bpf_obj_new and its like */
	PTR_TRUSTED = 0x100000,         /* alive for the whole run */
	MEM_RCU = 0x200000,             /* alive until the RCU section ends */
	NON_OWN_REF = 0x400000,         /* borrowed from a graph root whose lock is held */
	DYNPTR_TYPE_SKB = 0x800000,
	DYNPTR_TYPE_XDP = 0x1000000,
	MEM_ALIGNED = 0x2000000,        /* argument: aligned to its size */
	MEM_WRITE = 0x4000000,          /* argument: the call writes all of it */
	DYNPTR_TYPE_SKB_META = 0x8000000,
	DYNPTR_TYPE_FLAG_MASK = DYNPTR_TYPE_LOCAL | DYNPTR_TYPE_RINGBUF | DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP |
	                        DYNPTR_TYPE_SKB_META,
};
enum bpf_dynptr_type {
	BPF_DYNPTR_TYPE_INVALID, BPF_DYNPTR_TYPE_LOCAL, BPF_DYNPTR_TYPE_RINGBUF, BPF_DYNPTR_TYPE_SKB, BPF_DYNPTR_TYPE_XDP,
	BPF_DYNPTR_TYPE_SKB_META,
};

enum bpf_reg_type {
	NOT_INIT, SCALAR_VALUE, PTR_TO_CTX, CONST_PTR_TO_MAP, PTR_TO_MAP_VALUE, PTR_TO_MAP_KEY, PTR_TO_STACK,
	PTR_TO_PACKET_META, PTR_TO_PACKET, PTR_TO_PACKET_END, PTR_TO_FLOW_KEYS, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON,
	PTR_TO_TCP_SOCK, PTR_TO_TP_BUFFER, PTR_TO_XDP_SOCK, PTR_TO_BTF_ID, PTR_TO_MEM, PTR_TO_ARENA, PTR_TO_BUF,
	PTR_TO_FUNC, CONST_PTR_TO_DYNPTR,
	__BPF_REG_TYPE_MAX,
	PTR_TO_MAP_VALUE_OR_NULL = PTR_MAYBE_NULL | PTR_TO_MAP_VALUE,
	PTR_TO_SOCKET_OR_NULL = PTR_MAYBE_NULL | PTR_TO_SOCKET,
	PTR_TO_SOCK_COMMON_OR_NULL = PTR_MAYBE_NULL | PTR_TO_SOCK_COMMON,
	PTR_TO_TCP_SOCK_OR_NULL = PTR_MAYBE_NULL | PTR_TO_TCP_SOCK,
	PTR_TO_BTF_ID_OR_NULL = PTR_MAYBE_NULL | PTR_TO_BTF_ID,
};

enum bpf_arg_type {
	ARG_DONTCARE,                  /* unused */
	ARG_CONST_MAP_PTR,
	ARG_PTR_TO_MAP_KEY,            /* memory of the map's key_size, initialised */
	ARG_PTR_TO_MAP_VALUE,          /* memory of the map's value_size; initialised unless MEM_UNINIT */
	ARG_PTR_TO_MEM,                /* initialised, its size is in the next argument or in the row */
	ARG_PTR_TO_ARENA,
	ARG_CONST_SIZE,                /* bytes of the memory before it, more than 0 */
	ARG_CONST_SIZE_OR_ZERO,
	ARG_PTR_TO_CTX,
	ARG_ANYTHING,                  /* any initialised value */
	ARG_PTR_TO_SPIN_LOCK,
	ARG_PTR_TO_SOCK_COMMON,
	ARG_PTR_TO_SOCKET,
	ARG_PTR_TO_BTF_ID,             /* the row says of which structure */
	ARG_PTR_TO_RINGBUF_MEM,
	ARG_CONST_ALLOC_SIZE_OR_ZERO,  /* a known constant: bytes that the call hands out */
	ARG_PTR_TO_BTF_ID_SOCK_COMMON, /* a socket, by BTF or as PTR_TO_SOCK_COMMON */
	ARG_PTR_TO_PERCPU_BTF_ID,
	ARG_PTR_TO_FUNC,               /* a callback */
	ARG_PTR_TO_STACK,
	ARG_PTR_TO_CONST_STR,          /* NUL-terminated text in a read-only map */
	ARG_PTR_TO_TIMER,
	ARG_KPTR_XCHG_DEST,
	ARG_PTR_TO_DYNPTR,
	__BPF_ARG_TYPE_MAX,
	ARG_PTR_TO_MAP_VALUE_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_MAP_VALUE,
	ARG_PTR_TO_MEM_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_MEM,
	ARG_PTR_TO_CTX_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_CTX,
	ARG_PTR_TO_SOCKET_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_SOCKET,
	ARG_PTR_TO_STACK_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_STACK,
	ARG_PTR_TO_BTF_ID_OR_NULL = PTR_MAYBE_NULL | ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_UNINIT_MEM = MEM_UNINIT | MEM_WRITE | ARG_PTR_TO_MEM,
	ARG_PTR_TO_FIXED_SIZE_MEM = MEM_FIXED_SIZE | ARG_PTR_TO_MEM,
};

enum bpf_return_type {
	RET_INTEGER, RET_VOID, RET_PTR_TO_MAP_VALUE, RET_PTR_TO_SOCKET, RET_PTR_TO_TCP_SOCK, RET_PTR_TO_SOCK_COMMON,
	RET_PTR_TO_MEM, RET_PTR_TO_MEM_OR_BTF_ID, RET_PTR_TO_BTF_ID,
	__BPF_RET_TYPE_MAX,
	RET_PTR_TO_MAP_VALUE_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_MAP_VALUE,
	RET_PTR_TO_SOCKET_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_SOCKET,
	RET_PTR_TO_TCP_SOCK_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_TCP_SOCK,
	RET_PTR_TO_SOCK_COMMON_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_SOCK_COMMON,
	RET_PTR_TO_RINGBUF_MEM_OR_NULL = PTR_MAYBE_NULL | MEM_RINGBUF | RET_PTR_TO_MEM,
	RET_PTR_TO_DYNPTR_MEM_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_MEM,
	RET_PTR_TO_BTF_ID_OR_NULL = PTR_MAYBE_NULL | RET_PTR_TO_BTF_ID,
	RET_PTR_TO_BTF_ID_TRUSTED = PTR_TRUSTED | RET_PTR_TO_BTF_ID,
};

static inline u32 base_type(u32 type) {
	return type & BPF_BASE_TYPE_MASK;
}
static inline u32 type_flag(u32 type) {
	return type & ~(u32)BPF_BASE_TYPE_MASK;
}
static inline bool type_may_be_null(u32 type) {
	return type & PTR_MAYBE_NULL;
}

/* Special fields of map values and allocated objects, one bit each. */
enum btf_field_type {
	BPF_SPIN_LOCK = 0x1, BPF_TIMER = 0x2, BPF_KPTR_UNREF = 0x4, BPF_KPTR_REF = 0x8, BPF_KPTR_PERCPU = 0x10,
	BPF_LIST_HEAD = 0x20, BPF_LIST_NODE = 0x40, BPF_RB_ROOT = 0x80, BPF_RB_NODE = 0x100, BPF_REFCOUNT = 0x200,
	BPF_WORKQUEUE = 0x400, BPF_UPTR = 0x800, BPF_RES_SPIN_LOCK = 0x1000, BPF_TASK_WORK = 0x2000,
	BPF_KPTR = BPF_KPTR_UNREF | BPF_KPTR_REF | BPF_KPTR_PERCPU,
	BPF_GRAPH_NODE = BPF_RB_NODE | BPF_LIST_NODE,
	BPF_GRAPH_ROOT = BPF_RB_ROOT | BPF_LIST_HEAD,
};
#endif
