/* Memory accesses, by what the address points to.
 *
 *   stack            stack.c
 *   context          ctx_access.c: a table of fields
 *   map value, key, memory of known size     offset + variable part, both ends inside
 *   packet           fixed offset inside what comparisons with the end have proven for this variable part
 *   kernel object, map, buffer       btf_access.c
 *   anything else    refused
 *
 * The offset that checks see is instruction + fixed part of the pointer; the variable part is the pointer's scalar. An
 * instruction may be reached with different kinds of pointers as long as the machine code can be the same for both:
 * note_access remembers the kind, and refuses contexts (whose accesses are rewritten) mixed with anything else. */
#include "verify/env.h"

/* == Regions of a known size == */

static void say_region(struct verifier *v, u32 regno, s64 off, s32 size, u32 room) {
	const struct reg *r = &cur_regs(v)[regno];
	u32 base = base_type(r->type);
	say(v, "off", "%lld", (long long)off);
	say(v, "end", "%lld", (long long)((u64)off + (u64)size - 1)); /* off may be any */
	say(v, "limit", "%u", room);
	say(v, "size", "%d", size);
	say(v, "most", "%lld", MAX((long long)room - size, 0ll));
	say_reg(v, regno);
	if (base == PTR_TO_MAP_VALUE || base == PTR_TO_MAP_KEY)
		say(v, "name", "%.16s", r->map->facts->name);
}

/* [off, off+size) of `room` bytes, without a variable part. */
static int check_inside(struct verifier *v, u32 regno, s64 off, s32 size, u32 room, bool zero_ok) {
	const struct reg *r = &cur_regs(v)[regno];
	if (likely(off >= 0 && (size > 0 || (!size && zero_ok)) && (u64)off + (u32)size <= room))
		return 0;
	say_region(v, regno, off, size, room);
	switch (r->type) {
	case PTR_TO_MAP_KEY:
		return refuse(v, MAP_KEY_BOUNDS, -EACCES, room, (int)off, size);
	case PTR_TO_MAP_VALUE:
		return refuse(v, MAP_VALUE_BOUNDS, -EACCES, room, (int)off, size);
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META:
	case PTR_TO_PACKET_END:
		return refuse(v, PACKET_BOUNDS, -EACCES, (int)off, size, regno, r->id, (int)off, room);
	default:
		return refuse(v, MEM_BOUNDS, -EACCES, room, (int)off, size);
	}
}

int check_region(struct verifier *v, u32 regno, s32 off, s32 size, u32 room, bool zero_ok) {
	const struct range64 *range = &cur_regs(v)[regno].s.r;
	s64 low = range->smin + off;
	int err;
	if (range->smin < 0 && !HOLE(MAP_VALUE_NO_MIN) &&
	    (range->smin == INT64_MIN || low != (s32)low || low < 0)) {
		say_region(v, regno, low, size, room);
		return refuse(v, MIN_NEGATIVE, -EACCES, regno);
	}
	err = HOLE(MAP_VALUE_NO_MIN) ? 0 : check_inside(v, regno, low, size, room, zero_ok);
	if (err)
		return refuse(v, MIN_OUTSIDE, err, regno);
	if (HOLE(MAP_VALUE_NO_MIN) && range->umax >= MAX_VAR_OFF) /* only the bound that is the minimum's is forgotten */
		return range->smin < 0 ? 0 : refuse(v, UNBOUNDED, -EACCES, regno);
	if (range->umax >= MAX_VAR_OFF) {
		say_region(v, regno, low, size, room);
		return refuse(v, UNBOUNDED, -EACCES, regno);
	}
	err = check_inside(v, regno, (s64)range->umax + off, size, room, zero_ok);
	return err ? refuse(v, MAX_OUTSIDE, err, regno) : 0;
}

int check_map_rights(struct verifier *v, u32 regno, s32 off, s32 size, bool write) {
	const struct map_facts *map = cur_regs(v)[regno].map->facts;
	if (likely(!(map->map_flags & (write ? BPF_F_RDONLY_PROG : BPF_F_WRONLY_PROG))))
		return 0;
	say(v, "name", "%.16s", map->name);
	if (write && map->map_flags & BPF_F_RDONLY_PROG)
		return refuse(v, MAP_WRITE_FORBIDDEN, -EACCES, map->value_size, off, size);
	return refuse(v, MAP_READ_FORBIDDEN, -EACCES, map->value_size, off, size);
}

int check_map_value(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok, bool helper) {
	const struct reg *r = &cur_regs(v)[regno];
	ASSERT(base_type(r->type) == PTR_TO_MAP_VALUE && r->map);
	const struct map_facts *map = r->map->facts;
	int err = check_region(v, regno, off, size, map->value_size + HOLE(MAP_VALUE_PLUS_ONE), zero_ok);
	return err || !map->fields.n ? err : check_map_fields(v, r, off, size, helper);
}

/* == Packets == */

bool may_access_packet(struct verifier *v, bool write, const struct helper_call *call) {
	u32 flags = v->type->flags;
	if (!(flags & PROG_PKT_READ) || (write && !(flags & PROG_PKT_WRITE)))
		return false;
	if (call)
		return call->pkt_access;
	v->seen_direct_write |= write;
	return true;
}

int check_packet(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok) {
	const struct reg *r = &cur_regs(v)[regno];
	int err;
	ASSERT(reg_is_packet(r));
	if (r->s.r.smin < 0) {
		say_reg(v, regno);
		return refuse(v, MIN_NEGATIVE, -EACCES, regno);
	}
	err = r->range < 0 ? -EINVAL : check_inside(v, regno, off, size, (u32)r->range, zero_ok);
	if (err) {
		say_reg(v, regno);
		return refuse(v, PACKET_OFFSET, err, regno);
	}
	v->max_pkt_off = MAX(v->max_pkt_off, (u32)off + (u32)r->s.r.umax + (u32)size - 1);
	return 0;
}

/* == Pointers that may only be used as they were given == */

int check_fixed_offset(struct verifier *v, const struct reg *r, u32 regno, bool any_fixed) {
	char name[TYPE_NAME_MAX], text[48];
	if (r->off >= 0 && (any_fixed || !r->off) && scalar_equals(&r->s, 0))
		return 0;
	reg_type_name(r->type, name);
	say_reg(v, regno);
	if (r->off < 0)
		return refuse(v, POINTER_NEGATIVE_OFFSET, -EACCES, name, regno, r->off);
	if (!any_fixed && r->off)
		return refuse(v, CTX_POINTER_MODIFIED, -EACCES, name, regno, r->off);
	return refuse(v, CTX_POINTER_VARIABLE, -EACCES, name, tnum_text(r->s.var, text));
}

/* == Alignment == */

/* As the kernel's ints, which wrap: a number's distance to another (reg.off) may be anything. */
static s32 sum_of(s32 a, s32 b) {
	return (s32)((u32)a + (u32)b);
}

int check_alignment(struct verifier *v, const struct reg *r, s32 off, u32 size, bool strict) {
	const char *what = "";
	struct tnum at;
	char text[48];
	if (r->type == PTR_TO_STACK) /* spills are tracked in aligned slots */
		strict = true;
	strict |= v->strict_alignment;
	if (!strict || size == 1 || r->type == PTR_TO_ARENA)
		return 0;
	if (r->type == PTR_TO_PACKET || r->type == PTR_TO_PACKET_META) {
		at = tnum_add(r->s.var, tnum_const((u64)((s64)2 + r->off + off))); /* the Ethernet header is 14 bytes */
		if (tnum_is_aligned(at, size))
			return 0;
		say(v, "size", "%u", size);
		return refuse(v, MISALIGNED_PACKET, -EACCES, 2, tnum_text(r->s.var, text), r->off, off, size);
	}
	at = tnum_add(r->s.var, tnum_const((u64)((s64)r->off + off)));
	if (tnum_is_aligned(at, size))
		return 0;
	switch (r->type) {
	case PTR_TO_FLOW_KEYS: what = "flow keys "; break;
	case PTR_TO_MAP_KEY: what = "key "; break;
	case PTR_TO_MAP_VALUE: what = "value "; break;
	case PTR_TO_CTX: what = "context "; break;
	case PTR_TO_STACK: what = "stack "; break;
	case PTR_TO_SOCKET: what = "sock "; break;
	case PTR_TO_SOCK_COMMON: what = "sock_common "; break;
	case PTR_TO_TCP_SOCK: what = "tcp_sock "; break;
	case PTR_TO_XDP_SOCK: what = "xdp_sock "; break;
	}
	say(v, "size", "%u", size);
	say(v, "off", "%d", sum_of(r->off, off));
	return refuse(v, MISALIGNED, -EACCES, what, tnum_text(r->s.var, text), r->off, off, size);
}

/* == What is loaded == */

/* Frozen read-only maps are constants. */
static int load_map_value(struct verifier *v, const struct reg *r, s32 off, u32 size, bool sext, struct reg *to) {
	const struct map_facts *map = r->map->facts;
	u64 x = 0;
	if (scalar_is_const(&r->s) && map->map_flags & BPF_F_RDONLY_PROG && map->frozen && map->read_value &&
	    map->max_entries == 1) {
		int err = map->read_value(map, (u32)(off + (s32)r->s.var.value), &x, size);
		if (err)
			return err;
		if (sext && size < 8)
			x = (u64)((s64)(x << (64 - size * 8)) >> (64 - size * 8));
		reg_set_const(to, x);
		return 0;
	}
	reg_set_unknown(to);
	return 0;
}

static int refuse_address(struct verifier *v, u32 regno) {
	const struct reg *r = &cur_regs(v)[regno];
	char name[TYPE_NAME_MAX];
	reg_type_name(r->type, name);
	say_reg(v, regno);
	if (r->type & PTR_MAYBE_NULL) {
		u32 insn;
		if (origin_of(v, r->id, &insn))
			say_insn(v, insn);
		return refuse(v, MAYBE_NULL, -EACCES, regno, name);
	}
	if (r->was_packet && v->packet_cleared) {
		say_insn(v, v->packet_cleared - 1);
		return refuse(v, STALE_PACKET_POINTER, -EACCES, regno, name);
	}
	return refuse(v, INVALID_MEM_ACCESS, -EACCES, regno, name);
}

static int refuse_write(struct verifier *v, u32 regno) {
	char name[TYPE_NAME_MAX];
	say_reg(v, regno);
	return refuse(v, CANNOT_WRITE_INTO, -EACCES, regno, reg_type_name(cur_regs(v)[regno].type, name));
}

/* Stored where others read it. */
static bool leaks(const struct verifier *v, bool write, s32 value) {
	return write && value >= 0 && is_secret(v, &cur_regs(v)[value]);
}

static int access_map_value(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value, bool sext) {
	struct reg *r = &cur_regs(v)[regno];
	const struct btf_field *kptr = NULL;
	int err;
	if (leaks(v, write, value)) {
		say(v, "name", "%.16s", r->map->facts->name);
		return refuse(v, LEAK_MAP, -EACCES, value);
	}
	err = check_map_rights(v, regno, off, (s32)size, write);
	if (!err)
		err = check_map_value(v, regno, off, (s32)size, false, false);
	if (!err && r->map->facts->fields.n && scalar_is_const(&r->s))
		kptr = kptr_at(&r->map->facts->fields, off + (s64)r->s.var.value);
	if (kptr)
		return access_kptr(v, r->map->facts->btf, kptr, value);
	if (!err && !write && value >= 0) {
		struct reg loaded;
		err = load_map_value(v, r, off, size, sext, &loaded);
		cur_regs(v)[value] = loaded;
	}
	return err;
}

static int access_ctx(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value, bool sext) {
	struct reg loaded;
	int err;
	if (leaks(v, write, value))
		return refuse(v, LEAK_CTX, -EACCES, value);
	err = check_fixed_offset(v, &cur_regs(v)[regno], regno, false);
	if (err)
		return err;
	err = check_ctx_access(v, off, size, write, sext, &loaded);
	if (err) {
		log_line(v, v->at, "; ");
		return err;
	}
	if (!write && value >= 0)
		cur_regs(v)[value] = loaded;
	return 0;
}

static u32 object_of(u32 type) {
	switch (base_type(type)) {
	case PTR_TO_SOCKET: return CTX_SOCKET;
	case PTR_TO_SOCK_COMMON: return CTX_SOCK_COMMON;
	case PTR_TO_TCP_SOCK: return CTX_TCP_SOCK;
	default: return CTX_XDP_SOCK;
	}
}

static int check_flow_keys(struct verifier *v, s32 off, u32 size) {
	if (off >= 0 && (u32)off + size <= sizeof(struct bpf_flow_keys))
		return 0;
	say(v, "off", "%d", off);
	say(v, "size", "%u", size);
	return refuse(v, FLOW_KEYS_ACCESS, -EACCES, off, size);
}

static int access_by_type(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value, bool sext,
                          bool *loads) {
	struct reg *r = &cur_regs(v)[regno];
	int err;
	*loads = false; /* an unknown number, set by the caller */
	switch (base_type(r->type)) {
	case PTR_TO_MAP_KEY:
		if (write) {
			say_reg(v, regno);
			return refuse(v, KEY_WRITE, -EACCES, regno);
		}
		*loads = true;
		return check_region(v, regno, off, (s32)size, r->map->facts->key_size, false);
	case PTR_TO_MAP_VALUE:
		if (r->type != PTR_TO_MAP_VALUE)
			break;
		return access_map_value(v, regno, off, size, write, value, sext);
	case PTR_TO_MEM:
		if (r->type & PTR_MAYBE_NULL || (r->type & (PTR_UNTRUSTED | MEM_RDONLY)) == PTR_UNTRUSTED)
			break;
		if (write && r->type & MEM_RDONLY)
			return refuse_write(v, regno);
		if (leaks(v, write, value))
			return refuse(v, LEAK_MEM, -EACCES, value);
		*loads = true;
		if (r->type & PTR_UNTRUSTED) { /* any address */
			v->aux[v->at].flags |= AUX_PROBE;
			return 0;
		}
		return check_region(v, regno, off, (s32)size, r->mem_size, false);
	case PTR_TO_CTX:
		return access_ctx(v, regno, off, size, write, value, sext);
	case PTR_TO_STACK:
		err = check_stack_bounds(v, regno, off, (s32)size, write);
		if (err)
			return err;
		return write ? stack_write(v, regno, off, size, value) : stack_read(v, regno, off, size, value);
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META:
		if (write && !may_access_packet(v, true, NULL))
			return refuse(v, PACKET_WRITE, -EACCES);
		if (leaks(v, write, value))
			return refuse(v, LEAK_PACKET, -EACCES, value);
		*loads = true;
		return check_packet(v, regno, off, (s32)size, false);
	case PTR_TO_BTF_ID:
		if (r->type & PTR_MAYBE_NULL)
			break;
		return check_btf_pointer(v, regno, off, size, write, value);
	case CONST_PTR_TO_MAP:
		return check_map_pointer(v, regno, off, size, write, value);
	case PTR_TO_SOCKET:
	case PTR_TO_SOCK_COMMON:
	case PTR_TO_TCP_SOCK:
	case PTR_TO_XDP_SOCK:
		if (r->type & PTR_MAYBE_NULL)
			break;
		if (write)
			return refuse_write(v, regno);
		*loads = true;
		return check_object_access(v, regno, object_of(r->type), off, size, false);
	case PTR_TO_FLOW_KEYS:
		if (leaks(v, write, value))
			return refuse_text(v, LEAK_CTX, -EACCES, "R%d leaks addr into flow keys", value);
		*loads = true;
		return check_flow_keys(v, off, size);
	case PTR_TO_TP_BUFFER:
	case PTR_TO_BUF:
		if (r->type & PTR_MAYBE_NULL)
			break;
		*loads = true;
		return check_buffer(v, regno, off, (s32)size, write);
	case PTR_TO_ARENA:
		if (r->type & PTR_MAYBE_NULL)
			break;
		*loads = true; /* faults read as 0 */
		return 0;
	}
	return refuse_address(v, regno);
}

/* The access of `size` bytes at register + off. value: the register that is stored, or into which is loaded; -1 for
 * neither. */
int check_mem(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value, bool strict, bool sext) {
	struct reg *r = &cur_regs(v)[regno];
	bool loads, narrow = !(HOLE(FILL_NARROW_KEEPS) && r->type == PTR_TO_STACK);
	int err = check_alignment(v, r, off, size, strict);
	if (err)
		return err;
	err = access_by_type(v, regno, sum_of(off, r->off), size, write, value, sext, &loads);
	if (err)
		return err;
	if (write || value < 0)
		return 0;
	r = &cur_regs(v)[value];
	if (loads)
		reg_set_unknown(r);
	if (size < 8 && r->type == SCALAR_VALUE && narrow) {
		if (sext && !HOLE(SEXT_AS_ZEXT)) {
			if (r->s.r.umax >> (size * 8 - 1)) { /* the sign may be set: no longer the number that was spilled */
				r->id = 0;
				r->off = 0;
			}
			scalar_sext64(&r->s, size);
		} else {
			scalar_zext(&r->s, size);
		}
	}
	return 0;
}

/* == One instruction, several kinds of pointers == */

static bool kind_must_agree(u32 type) {
	switch (base_type(type)) {
	case PTR_TO_CTX:
	case PTR_TO_SOCKET:
	case PTR_TO_SOCK_COMMON:
	case PTR_TO_TCP_SOCK:
	case PTR_TO_XDP_SOCK:
	case PTR_TO_BTF_ID:
	case PTR_TO_ARENA:
		return true;
	}
	return false;
}

static u8 kind_of(u32 type) {
	switch (base_type(type)) {
	case PTR_TO_CTX: return PTR_CTX;
	case PTR_TO_STACK: return PTR_STACK;
	case PTR_TO_MAP_VALUE: return PTR_MAP_VALUE;
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META: return PTR_PACKET;
	case PTR_TO_BTF_ID: return PTR_BTF;
	case PTR_TO_ARENA: return PTR_ARENA;
	case PTR_TO_MAP_KEY:
	case PTR_TO_MEM: return PTR_MEM;
	}
	return PTR_NONE;
}

/* Loads through these are probes on all paths when they are on one. */
static bool may_fault(u32 type) {
	return base_type(type) == PTR_TO_BTF_ID || base_type(type) == PTR_TO_MEM;
}

int note_access(struct verifier *v, u32 type, bool trust_may_differ) {
	struct insn_aux *aux = &v->aux[v->at];
	u8 kind = kind_of(type);
	ASSERT(base_type(type) > SCALAR_VALUE); /* an access through it was just allowed */
	if (aux->ptr_type == NOT_INIT) {
		aux->ptr_type = type;
		aux->kind = kind;
		return 0;
	}
	if (aux->kind != kind) {
		aux->flags |= AUX_KIND_VARIES;
		aux->kind = PTR_NONE;
	}
	if (type == aux->ptr_type || (!kind_must_agree(type) && !kind_must_agree(aux->ptr_type)))
		return 0;
	if (trust_may_differ && may_fault(type) && may_fault(aux->ptr_type)) {
		aux->ptr_type = PTR_TO_BTF_ID | PTR_UNTRUSTED;
		return 0;
	}
	return refuse(v, SAME_INSN_POINTERS, -EINVAL);
}
