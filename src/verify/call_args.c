/* Arguments of helpers: does each register hold what the prototype's row wants?
 *
 *   row of helpers.def     arg[i] = kind | flags            «memory that need not be initialised», «size, may be 0» …
 *   accepts[kind]          the register types that will do
 *   check_kind             what else must hold: bounds, initialised, the right map, a lock …
 *
 * Memory and its size are two arguments: the memory's register is remembered, and the size's checks the pair with the
 * largest value that the size can have. Kinds that are not understood are refused, never waved through. */
#include "abi/printf.h"
#include "verify/env.h"
#include <string.h>

enum { ACCEPTS_MAX = 10, MAX_VAR_SIZE = 1 << 29 };

static const u32 mem_types[ACCEPTS_MAX] = {PTR_TO_STACK, PTR_TO_PACKET, PTR_TO_PACKET_META, PTR_TO_MAP_KEY,
                                           PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_MEM | MEM_RINGBUF, PTR_TO_BUF,
                                           PTR_TO_BTF_ID | PTR_TRUSTED};
static const u32 scalar_types[ACCEPTS_MAX] = {SCALAR_VALUE};
static const u32 map_types[ACCEPTS_MAX] = {CONST_PTR_TO_MAP};
static const u32 ctx_types[ACCEPTS_MAX] = {PTR_TO_CTX};
static const u32 sock_types[ACCEPTS_MAX] = {PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK};
static const u32 btf_sock_types[ACCEPTS_MAX] = {PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK,
                                                PTR_TO_BTF_ID, PTR_TO_BTF_ID | PTR_TRUSTED};
static const u32 fullsock_types[ACCEPTS_MAX] = {PTR_TO_SOCKET};
static const u32 btf_types[ACCEPTS_MAX] = {PTR_TO_BTF_ID, PTR_TO_BTF_ID | PTR_TRUSTED, PTR_TO_BTF_ID | MEM_RCU};
static const u32 lock_types[ACCEPTS_MAX] = {PTR_TO_MAP_VALUE, PTR_TO_BTF_ID | MEM_ALLOC};
static const u32 ringbuf_types[ACCEPTS_MAX] = {PTR_TO_MEM | MEM_RINGBUF};
static const u32 func_types[ACCEPTS_MAX] = {PTR_TO_FUNC};
static const u32 stack_types[ACCEPTS_MAX] = {PTR_TO_STACK};
static const u32 str_types[ACCEPTS_MAX] = {PTR_TO_MAP_VALUE};
static const u32 percpu_types[ACCEPTS_MAX] = {PTR_TO_BTF_ID | MEM_PERCPU, PTR_TO_BTF_ID | MEM_PERCPU | MEM_RCU,
                                              PTR_TO_BTF_ID | MEM_PERCPU | PTR_TRUSTED};
static const u32 timer_types[ACCEPTS_MAX] = {PTR_TO_MAP_VALUE};
static const u32 kptr_types[ACCEPTS_MAX] = {PTR_TO_MAP_VALUE, PTR_TO_BTF_ID | MEM_ALLOC};
static const u32 dynptr_types[ACCEPTS_MAX] = {PTR_TO_STACK, CONST_PTR_TO_DYNPTR};

static const u32 *const accepts[__BPF_ARG_TYPE_MAX] = {
    [ARG_PTR_TO_MAP_KEY] = mem_types,
    [ARG_PTR_TO_MAP_VALUE] = mem_types,
    [ARG_PTR_TO_MEM] = mem_types,
    [ARG_CONST_SIZE] = scalar_types,
    [ARG_CONST_SIZE_OR_ZERO] = scalar_types,
    [ARG_CONST_ALLOC_SIZE_OR_ZERO] = scalar_types,
    [ARG_CONST_MAP_PTR] = map_types,
    [ARG_PTR_TO_CTX] = ctx_types,
    [ARG_PTR_TO_SOCK_COMMON] = sock_types,
    [ARG_PTR_TO_BTF_ID_SOCK_COMMON] = btf_sock_types,
    [ARG_PTR_TO_SOCKET] = fullsock_types,
    [ARG_PTR_TO_BTF_ID] = btf_types,
    [ARG_PTR_TO_SPIN_LOCK] = lock_types,
    [ARG_PTR_TO_RINGBUF_MEM] = ringbuf_types,
    [ARG_PTR_TO_FUNC] = func_types,
    [ARG_PTR_TO_STACK] = stack_types,
    [ARG_PTR_TO_CONST_STR] = str_types,
    [ARG_PTR_TO_DYNPTR] = dynptr_types,
    [ARG_PTR_TO_PERCPU_BTF_ID] = percpu_types,
    [ARG_KPTR_XCHG_DEST] = kptr_types,
    [ARG_PTR_TO_TIMER] = timer_types,
};

static void say_arg(struct verifier *v, u32 regno, const struct helper_call *call) {
	say_reg(v, regno);
	say(v, "arg", "%u", regno);
	if (call && call->helper)
		say(v, "name", "bpf_%s", call->helper->name);
}

/* == Types == */

static int refuse_type(struct verifier *v, u32 regno, u32 kind, const struct helper_call *call) {
	const u32 *types = accepts[kind];
	char have[TYPE_NAME_MAX], want[TYPE_NAME_MAX], list[ACCEPTS_MAX * TYPE_NAME_MAX];
	u32 n = 0, len = 0;
	list[0] = 0;
	while (n < ACCEPTS_MAX && types[n] != NOT_INIT) {
		const char *name = reg_type_name(types[n++], want);
		u32 size = (u32)strlen(name);
		__builtin_memcpy(list + len, ", ", 2);
		len += len ? 2 : 0;
		__builtin_memcpy(list + len, name, size + 1);
		len += size;
	}
	say_arg(v, regno, call);
	say(v, "expected", "%s", list);
	reg_type_name(cur_regs(v)[regno].type, have);
	if (kind == ARG_CONST_MAP_PTR)
		return refuse(v, ARG_NOT_CONST_MAP, -EACCES, regno, have, list);
	return refuse(v, ARG_TYPE, -EACCES, regno, have, list);
}

static int check_btf_type(struct verifier *v, u32 regno, u32 arg, const char *want, const struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	bool itself = arg & OBJ_RELEASE && call->helper->id != BPF_FUNC_sk_release;
	const char *have = btf_name_of(r->btf, r->btf_id);
	if (accepts[base_type(arg)] == mem_types) {
		char name[TYPE_NAME_MAX];
		if (arg & MEM_RDONLY)
			return 0;
		say_arg(v, regno, call);
		return refuse_text(v, ARG_TYPE, -EACCES, "bpf_%s() may write into memory pointed by R%d type=%s",
		                   call->helper->name, regno, reg_type_name(r->type, name));
	}
	if (r->type & MEM_ALLOC && call->kptr && arg & OBJ_RELEASE && type_flag(r->type) & ~(u32)(MEM_ALLOC | MEM_PERCPU))
		return refuse_text(v, INTERNAL, -EFAULT, "verifier bug: invalid PTR_TO_BTF_ID register for type match");
	if (r->type & MEM_ALLOC && call->kptr && arg & OBJ_RELEASE)
		return check_kptr_value(v, call->kptr_btf, call->kptr, regno);
	if (r->type & (MEM_ALLOC | MEM_PERCPU)) /* looked at by kind */
		return 0;
	if (r->type & PTR_MAYBE_NULL && (!(arg & PTR_MAYBE_NULL) || arg & OBJ_RELEASE)) {
		say_arg(v, regno, call);
		return refuse(v, ARG_MAYBE_NULL, -EACCES, regno);
	}
	if (call->kptr)
		return check_kptr_value(v, call->kptr_btf, call->kptr, regno);
	if (!want)
		want = "sock_common";
	if (!btf_object_at(v, r->btf, r->btf_id, r->off, want, itself)) {
		say_arg(v, regno, call);
		say(v, "expected", "%s", want);
		return refuse(v, ARG_BTF_TYPE, -EACCES, regno, have, want);
	}
	return 0;
}

int check_arg_type(struct verifier *v, u32 regno, u32 arg, const char *want, const struct helper_call *call) {
	u32 type = cur_regs(v)[regno].type, kind = base_type(arg);
	const u32 *types = accepts[kind];
	if (!types)
		return refuse_not_yet(v, "an argument of this kind");
	if (arg & MEM_RDONLY)
		type &= ~(u32)MEM_RDONLY;
	if (arg & PTR_MAYBE_NULL)
		type &= ~(u32)PTR_MAYBE_NULL;
	if (kind == ARG_PTR_TO_MEM)
		type &= ~(u32)DYNPTR_TYPE_FLAG_MASK;
	if (call->kptr && arg & OBJ_RELEASE && type & MEM_ALLOC) /* an object of the program's goes into a field */
		type &= ~(u32)(MEM_ALLOC | MEM_PERCPU);
	for (u32 i = 0; i < ACCEPTS_MAX && types[i] != NOT_INIT; i++)
		if (type == types[i])
			return base_type(type) == PTR_TO_BTF_ID ? check_btf_type(v, regno, arg, want, call) : 0;
	return refuse_type(v, regno, kind, call);
}

/* Kernel objects and objects of the program's that are surely alive may be passed from their inside. */
static bool may_be_moved(u32 flags) {
	return !flags || flags == PTR_TRUSTED || flags == MEM_RCU || flags == MEM_ALLOC ||
	       (flags & ~(u32)MEM_RCU) == (MEM_ALLOC | NON_OWN_REF);
}

/* Which pointers may have moved from where they were given. */
int check_arg_offset(struct verifier *v, u32 regno, u32 arg) {
	const struct reg *r = &cur_regs(v)[regno];
	if (arg & OBJ_RELEASE && base_type(arg) == ARG_PTR_TO_DYNPTR && r->type == PTR_TO_STACK)
		return 0; /* what is released is not there, but where the dynptr points */
	if (arg & OBJ_RELEASE) {
		if (!r->off)
			return check_fixed_offset(v, r, regno, false);
		say_reg(v, regno);
		return refuse(v, RELEASE_OFFSET, -EINVAL, regno);
	}
	switch (r->type & ~(u32)(MEM_RDONLY | MEM_RINGBUF)) {
	case PTR_TO_STACK:
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META:
	case PTR_TO_MAP_KEY:
	case PTR_TO_MAP_VALUE:
	case PTR_TO_MEM:
	case PTR_TO_BUF:
	case PTR_TO_ARENA:
	case SCALAR_VALUE:
		return 0;
	}
	return check_fixed_offset(v, r, regno, base_type(r->type) == PTR_TO_BTF_ID && may_be_moved(type_flag(r->type)));
}

/* == Memory == */

int check_helper_mem(struct verifier *v, u32 regno, s32 size, bool write, bool zero_ok, struct helper_call *call) {
	struct reg *r = &cur_regs(v)[regno];
	char name[TYPE_NAME_MAX];
	if (r->type & PTR_MAYBE_NULL && !(zero_ok && !size))
		return refuse_type(v, regno, ARG_PTR_TO_MEM, call);
	switch (base_type(r->type)) {
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META:
		return check_packet(v, regno, r->off, size, zero_ok);
	case PTR_TO_MAP_KEY:
	case PTR_TO_MEM:
		if (write && (base_type(r->type) == PTR_TO_MAP_KEY || r->type & MEM_RDONLY)) {
			say_reg(v, regno);
			return refuse(v, CANNOT_WRITE_INTO, -EACCES, regno, reg_type_name(r->type, name));
		}
		if (base_type(r->type) == PTR_TO_MEM)
			return check_region(v, regno, r->off, size, r->mem_size, zero_ok);
		return check_region(v, regno, r->off, size, r->map->facts->key_size, false);
	case PTR_TO_MAP_VALUE: {
		int err = check_map_rights(v, regno, r->off, size, write);
		return err ? err : check_map_value(v, regno, r->off, size, zero_ok, true);
	}
	case PTR_TO_STACK:
		return check_stack_range(v, regno, r->off, size, zero_ok, write, call);
	case PTR_TO_BTF_ID:
		return check_btf_pointer(v, regno, r->off, (u32)size, write, -1);
	case PTR_TO_BUF:
		return check_buffer(v, regno, r->off, size, write);
	case PTR_TO_CTX:
		if (!v->ctx || v->ctx->kind == CTX_FIELDS)
			break;
		if (size <= 0)
			return zero_ok && !size ? 0 : refuse(v, ZERO_SIZED_READ, -EACCES);
		return check_mem(v, regno, size - 1, 1, write, -1, false, false); /* read in place: the last byte counts */
	}
	if (zero_ok && !size && reg_is_zero(r))
		return 0;
	say_arg(v, regno, call);
	say(v, "expected", "fp");
	return refuse(v, ARG_TYPE, -EACCES, regno, reg_type_name(r->type, name), "fp");
}

/* The memory in size_reg - 1 and the size in size_reg. */
int check_mem_size_pair(struct verifier *v, u32 size_reg, bool write, bool zero_ok, struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[size_reg];
	ASSERT(size_reg >= BPF_REG_2 && r->type == SCALAR_VALUE);
	struct helper_call *raw = scalar_is_const(&r->s) ? call : NULL;
	s32 size;
	int err;
	call->max_value = r->s.r.umax;
	if (HOLE(HELPER_SIZE_UNCHECKED))
		return 0;
	if (r->s.r.smin < 0 || (!r->s.r.umin && !zero_ok) || r->s.r.umax >= MAX_VAR_SIZE)
		say_arg(v, size_reg, call);
	if (r->s.r.smin < 0)
		return refuse(v, SIZE_NEGATIVE, -EACCES, size_reg);
	if (!r->s.r.umin && !zero_ok)
		return refuse(v, SIZE_ZERO, -EACCES, size_reg, (long long)r->s.r.umin, (long long)r->s.r.umax);
	if (r->s.r.umax >= MAX_VAR_SIZE)
		return refuse(v, SIZE_UNBOUNDED, -EACCES, size_reg);
	size = (s32)r->s.r.umax;
	err = check_helper_mem(v, size_reg - 1, size, write, zero_ok, raw);
	return err ? err : mark_precise(v, (s32)size_reg);
}

/* == Fields of map values, strings == */

/* A pointer to the field of that name in a map's value. */
int check_map_field(struct verifier *v, u32 regno, const char *field) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct map_facts *map = r->map->facts;
	s32 want = btf_field_off(&map->fields, field);
	s64 at = (s64)r->s.var.value + r->off;
	ASSERT(r->type == PTR_TO_MAP_VALUE);
	say_reg(v, regno);
	say(v, "name", "%.16s", map->name);
	say(v, "type", "%s", field);
	say(v, "off", "%lld", (long long)at);
	say(v, "expected", "%d", want);
	if (!scalar_is_const(&r->s))
		return refuse_text(v, FIELD_PLACE, -EINVAL, "R%d doesn't have constant offset. %s has to be at the constant offset",
		                   regno, field);
	if (!map->btf)
		return refuse(v, FIELD_NO_BTF, -EINVAL, map->name, field);
	if (want < 0)
		return refuse(v, FIELD_NONE, -EINVAL, map->name, field);
	if (at != want)
		return refuse(v, FIELD_PLACE, -EINVAL, (long long)at, field, want);
	v->values_n = 0;
	return 0;
}

static int check_timer(struct verifier *v, u32 regno, struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	call->map = r->map;
	call->map_uid = r->map_uid;
	return check_map_field(v, regno, "bpf_timer");
}

int check_const_str(struct verifier *v, u32 regno, const struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	ASSERT(r->type == PTR_TO_MAP_VALUE);
	const struct map_facts *map = r->map->facts;
	s64 at = (s64)r->s.var.value + r->off;
	char c = 1;
	int err;
	say_arg(v, regno, call);
	if (!(map->map_flags & BPF_F_RDONLY_PROG) || !map->frozen)
		return refuse(v, STRING_NOT_CONST, -EACCES, regno);
	if (!scalar_is_const(&r->s))
		return refuse_text(v, STRING_NOT_CONST, -EACCES, "R%d is not a constant address'", regno);
	if (!map->read_value || map->max_entries != 1)
		return refuse_text(v, STRING_NOT_CONST, -EACCES, "no direct value access support for this map type");
	v->values_n = 0;
	err = check_map_value(v, regno, r->off, (s32)(map->value_size - at), false, true);
	for (; !err && at < map->value_size && c; at++)
		err = map->read_value(map, (u32)at, &c, 1);
	return err ? err : c ? refuse(v, STRING_NOT_TERMINATED, -EINVAL) : 0;
}

/* bpf_snprintf: does the text in r3, which is known to be constant and to end, fit as many arguments as r5 says? */
int check_format(struct verifier *v) {
	const struct reg *fmt = &cur_regs(v)[BPF_REG_3], *size = &cur_regs(v)[BPF_REG_5];
	const struct map_facts *map = fmt->map->facts;
	u32 at = (u32)((s64)fmt->s.var.value + fmt->off), n = 0, room = map->value_size - at;
	char *text;
	bool valid;
	int err;
	ASSERT(fmt->type == PTR_TO_MAP_VALUE && at < map->value_size);
	say(v, "name", "bpf_snprintf");
	if (size->s.var.value % 8)
		return refuse_text(v, FORMAT_STRING, -EINVAL, "%s", "");
	text = pool_alloc(&v->pool, (u64)room + 1);
	if (!text)
		return -ENOMEM;
	err = map->read_value(map, at, text, room);
	text[room] = 0;
	while (!err && text[n])
		n++;
	valid = !err && printf_valid(text, n, (u32)(size->s.var.value / 8));
	pool_free(&v->pool, text, (u64)room + 1);
	if (err)
		return err;
	if (!valid)
		return refuse(v, FORMAT_STRING, -EINVAL);
	v->values_n = 0;
	return 0;
}

/* == One argument == */

/* A constant key of an array is looked up without fail when it is in range. */
static int check_map_key(struct verifier *v, u32 regno, struct helper_call *call) {
	const struct map_facts *map = call->map->facts;
	int err = check_helper_mem(v, regno, (s32)map->key_size, false, false, NULL);
	if (err || (map->type != BPF_MAP_TYPE_ARRAY && map->type != BPF_MAP_TYPE_PERCPU_ARRAY))
		return err;
	return stack_constant(v, &cur_regs(v)[regno], map->key_size, &call->key_known, &call->key);
}

/* What the kind wants beyond the type. */
static int check_kind(struct verifier *v, u32 i, u32 arg, struct helper_call *call) {
	const struct abi_helper *h = call->helper;
	u32 regno = i + 1;
	struct reg *r = &cur_regs(v)[regno];
	int err;
	switch (base_type(arg)) {
	case ARG_CONST_MAP_PTR:
		if (call->map && (call->map != r->map || call->map_uid != r->map_uid))
			return refuse(v, TIMER_MAP, -EINVAL, call->map_uid, r->map_uid);
		call->map = r->map;
		call->map_uid = r->map_uid;
		return 0;
	case ARG_PTR_TO_MAP_KEY:
		if (!call->map)
			return refuse_text(v, INTERNAL, -EACCES, "invalid map_ptr to access map->key");
		return check_map_key(v, regno, call);
	case ARG_PTR_TO_MAP_VALUE:
		if (arg & PTR_MAYBE_NULL && reg_is_zero(r))
			return 0;
		if (!call->map)
			return refuse_text(v, INTERNAL, -EACCES, "invalid map_ptr to access map->value");
		call->raw = arg & MEM_UNINIT;
		return check_helper_mem(v, regno, (s32)call->map->facts->value_size, arg & MEM_WRITE, false, call);
	case ARG_PTR_TO_MEM:
		call->raw = arg & MEM_UNINIT;
		if (!(arg & MEM_FIXED_SIZE))
			return 0;
		err = check_helper_mem(v, regno, (s32)h->size[i], arg & MEM_WRITE, false, call);
		return err || !(arg & MEM_ALIGNED) ? err : check_alignment(v, r, 0, h->size[i], true);
	case ARG_CONST_SIZE:
	case ARG_CONST_SIZE_OR_ZERO:
		ASSERT(i > 0);
		return check_mem_size_pair(v, regno, h->arg[i - 1] & MEM_WRITE, base_type(arg) == ARG_CONST_SIZE_OR_ZERO, call);
	case ARG_CONST_ALLOC_SIZE_OR_ZERO:
		if (!scalar_is_const(&r->s)) {
			say_arg(v, regno, call);
			return refuse(v, NOT_A_CONSTANT, -EACCES, regno);
		}
		call->mem_size = r->s.var.value;
		return mark_precise(v, (s32)regno);
	case ARG_PTR_TO_SPIN_LOCK:
		if (h->id != BPF_FUNC_spin_lock && h->id != BPF_FUNC_spin_unlock)
			return refuse_not_yet(v, "a lock as argument");
		if (in_tree_callback(v))
			return refuse_text(v, LOCK_CALL, -EACCES, "can't spin_{lock,unlock} in rbtree cb");
		return check_lock(v, regno, REF_LOCK, h->id == BPF_FUNC_spin_lock);
	case ARG_PTR_TO_FUNC:
		call->callback = (s32)r->subprog;
		return 0;
	case ARG_PTR_TO_CONST_STR:
		return check_const_str(v, regno, call);
	case ARG_PTR_TO_DYNPTR:
		return check_dynptr_arg(v, regno, arg, 0);
	case ARG_PTR_TO_PERCPU_BTF_ID:
		ASSERT(r->btf && r->btf_id);
		call->ret_btf = r->btf;
		call->ret_btf_id = r->btf_id;
		call->percpu_object = r->type & MEM_RCU && btf_is_composite(btf_type(r->btf, r->btf_id));
		return 0;
	case ARG_PTR_TO_TIMER:
		return check_timer(v, regno, call);
	case ARG_KPTR_XCHG_DEST:
		return check_kptr_field(v, regno, call);
	case ARG_PTR_TO_CTX:
	case ARG_PTR_TO_SOCK_COMMON:
	case ARG_PTR_TO_SOCKET:
	case ARG_PTR_TO_BTF_ID:
	case ARG_PTR_TO_BTF_ID_SOCK_COMMON:
	case ARG_PTR_TO_RINGBUF_MEM:
	case ARG_PTR_TO_STACK:
		return 0;
	}
	return refuse_not_yet(v, "an argument of this kind");
}

static int check_reference_arg(struct verifier *v, u32 regno, u32 arg, struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	if (arg & OBJ_RELEASE && base_type(arg) == ARG_PTR_TO_DYNPTR) {
		int err = check_dynptr_release(v, regno);
		if (err)
			return err;
		call->release_reg = regno;
	} else if (arg & OBJ_RELEASE) {
		if (!r->ref && !reg_is_zero(r)) {
			say_arg(v, regno, call);
			return refuse(v, RELEASE_UNOWNED, -EINVAL, regno);
		}
		call->release_reg = regno;
	}
	if (r->ref && base_type(arg) != ARG_KPTR_XCHG_DEST) {
		if (call->ref_obj)
			return refuse(v, INTERNAL, -EFAULT, "more than one arg with ref_obj_id");
		call->ref_obj = r->ref;
	}
	return 0;
}

/* Values of socket maps are sockets, of bloom filters the key is the value. */
static int resolve_value_kind(struct verifier *v, const struct helper_call *call, u32 *arg) {
	u32 type = call->map ? call->map->facts->type : 0;
	if (type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH) {
		if (*arg != ARG_PTR_TO_MAP_VALUE)
			return refuse_text(v, ARG_TYPE, -EINVAL, "invalid arg_type for sockmap/sockhash");
		*arg = ARG_PTR_TO_BTF_ID_SOCK_COMMON;
	}
	return 0;
}

static int check_arg(struct verifier *v, u32 i, struct helper_call *call) {
	u32 regno = i + 1, arg = call->helper->arg[i];
	struct reg *r = &cur_regs(v)[regno];
	int err;
	if (arg == ARG_DONTCARE)
		return 0;
	err = check_reg_read(v, regno);
	if (!err && arg == ARG_ANYTHING && is_secret(v, r)) {
		say_arg(v, regno, call);
		return refuse(v, LEAK_HELPER, -EACCES, regno);
	}
	if (err || arg == ARG_ANYTHING)
		return err;
	if (reg_is_packet(r) && !may_access_packet(v, false, call)) {
		say_arg(v, regno, call);
		return refuse(v, PACKET_ARG, -EACCES);
	}
	if (base_type(arg) == ARG_PTR_TO_MAP_VALUE) {
		err = resolve_value_kind(v, call, &arg);
		if (err)
			return err;
	}
	if (reg_is_zero(r) && arg & PTR_MAYBE_NULL) { /* no other number will do */
		err = mark_precise(v, (s32)regno);
	} else {
		err = check_arg_type(v, regno, arg, call->helper->btf[i], call);
		if (!err)
			err = check_arg_offset(v, regno, arg);
	}
	if (!err)
		err = check_reference_arg(v, regno, arg, call);
	if (err)
		return err;
	if (reg_is_zero(r) && arg & PTR_MAYBE_NULL && base_type(arg) != ARG_PTR_TO_MEM)
		return 0;
	return check_kind(v, i, arg, call);
}

int check_helper_args(struct verifier *v, struct helper_call *call) {
	for (u32 i = 0; i < 5; i++) {
		int err = check_arg(v, i, call);
		if (err)
			return err;
	}
	return 0;
}
