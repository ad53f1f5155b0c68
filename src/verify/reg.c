#include "verify/reg.h"
#include <stdio.h>

void reg_set_const(struct reg *r, u64 x) {
	reg_clear(r);
	r->type = SCALAR_VALUE;
	r->s = scalar_const(x);
}
void reg_set_unknown(struct reg *r) {
	reg_clear(r);
	r->type = SCALAR_VALUE;
	r->s = scalar_unknown();
}
void reg_set_pointer(struct reg *r, u32 type) {
	ASSERT(base_type(type) > SCALAR_VALUE);
	reg_clear(r);
	r->type = type;
	r->s = scalar_const(0);
}

bool reg_is_trusted(const struct reg *r) {
	const u32 trusted = PTR_TRUSTED | MEM_ALLOC | NON_OWN_REF;
	if (r->ref)
		return true;
	switch (base_type(r->type)) {
	case PTR_TO_SOCKET:
	case PTR_TO_SOCK_COMMON:
	case PTR_TO_TCP_SOCK:
	case CONST_PTR_TO_MAP:
		return !(type_flag(r->type) & ~trusted);
	}
	return type_flag(r->type) & trusted && !(type_flag(r->type) & ~trusted);
}

bool reg_not_null(const struct reg *r) {
	u32 type = r->type;
	ASSERT(base_type(type) < __BPF_REG_TYPE_MAX);
	if (type & PTR_MAYBE_NULL)
		return false;
	switch (base_type(type)) {
	case PTR_TO_SOCKET:
	case PTR_TO_TCP_SOCK:
	case PTR_TO_XDP_SOCK:
	case PTR_TO_BUF:
	case PTR_TO_MAP_VALUE:
	case PTR_TO_MAP_KEY:
	case PTR_TO_SOCK_COMMON:
	case CONST_PTR_TO_MAP:
		return true;
	case PTR_TO_BTF_ID:
		return reg_is_trusted(r);
	case PTR_TO_MEM:
		return !(type & PTR_UNTRUSTED);
	}
	return false;
}

const char *reg_type_name(u32 type, char to[TYPE_NAME_MAX]) {
	static const char *const base[__BPF_REG_TYPE_MAX] = {
	    [NOT_INIT] = "?",
	    [SCALAR_VALUE] = "scalar",
	    [PTR_TO_CTX] = "ctx",
	    [CONST_PTR_TO_MAP] = "map_ptr",
	    [PTR_TO_MAP_VALUE] = "map_value",
	    [PTR_TO_STACK] = "fp",
	    [PTR_TO_PACKET] = "pkt",
	    [PTR_TO_PACKET_META] = "pkt_meta",
	    [PTR_TO_PACKET_END] = "pkt_end",
	    [PTR_TO_FLOW_KEYS] = "flow_keys",
	    [PTR_TO_SOCKET] = "sock",
	    [PTR_TO_SOCK_COMMON] = "sock_common",
	    [PTR_TO_TCP_SOCK] = "tcp_sock",
	    [PTR_TO_TP_BUFFER] = "tp_buffer",
	    [PTR_TO_XDP_SOCK] = "xdp_sock",
	    [PTR_TO_BTF_ID] = "ptr_",
	    [PTR_TO_MEM] = "mem",
	    [PTR_TO_ARENA] = "arena",
	    [PTR_TO_BUF] = "buf",
	    [PTR_TO_FUNC] = "func",
	    [PTR_TO_MAP_KEY] = "map_key",
	    [CONST_PTR_TO_DYNPTR] = "dynptr_ptr",
	};
	const char *null = !(type & PTR_MAYBE_NULL) ? "" : base_type(type) == PTR_TO_BTF_ID ? "or_null_" : "_or_null";
	ASSERT(base_type(type) < __BPF_REG_TYPE_MAX);
	snprintf(to, TYPE_NAME_MAX, "%s%s%s%s%s%s%s%s%s", type & MEM_RDONLY ? "rdonly_" : "",
	         type & MEM_RINGBUF ? "ringbuf_" : "", type & MEM_USER ? "user_" : "", type & MEM_PERCPU ? "percpu_" : "",
	         type & MEM_RCU ? "rcu_" : "", type & PTR_UNTRUSTED ? "untrusted_" : "",
	         type & PTR_TRUSTED ? "trusted_" : "", base[base_type(type)], null);
	return to;
}
