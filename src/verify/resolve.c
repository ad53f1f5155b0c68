/* The pass over all instructions before the control flow is known: opcodes exist, and 64-bit immediates that name maps
 * find them. The instructions keep what they were loaded with (logs show it); aux[].map says which map. */
#include "isa/decode.h"
#include "isa/valid.h"
#include "verify/env.h"

enum { PAGE = 4096 };

static bool sleepable_may_use(u32 type) {
	switch (type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
	case BPF_MAP_TYPE_HASH_OF_MAPS:
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_CGRP_STORAGE:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_ARENA:
		return true;
	}
	return false;
}

/* May this program use the map at all? */
int check_map_allowed(struct verifier *v, const struct map_facts *map) {
	say(v, "name", "%.16s", map->name);
	say(v, "type", "%u", map->type);
	if (map->fields.kinds & (1u << BTF_FIELD_LIST_HEAD | 1u << BTF_FIELD_RB_ROOT) && !(v->type->flags & PROG_TIMER))
		return refuse_text(v, TRACING_TIMER, -EINVAL, "tracing progs cannot use bpf_{list_head,rb_root} yet");
	if (map_has_lock(map) && v->in->prog_type == BPF_PROG_TYPE_SOCKET_FILTER)
		return refuse(v, SOCKET_SPIN_LOCK, -EINVAL);
	if (map_has_lock(map) && !(v->type->flags & PROG_SPIN_LOCK))
		return refuse(v, TRACING_SPIN_LOCK, -EINVAL);
	if (map->fields.timer >= 0 && !(v->type->flags & PROG_TIMER))
		return refuse(v, TRACING_TIMER, -EINVAL);
	if (map->fields.workqueue >= 0 && !(v->type->flags & PROG_TIMER))
		return refuse_text(v, TRACING_TIMER, -EINVAL, "tracing progs cannot use bpf_wq yet");
	if (map->type == BPF_MAP_TYPE_STRUCT_OPS)
		return refuse(v, STRUCT_OPS_MAP, -EINVAL);
	if (v->sleepable && !sleepable_may_use(map->type))
		return refuse(v, SLEEPABLE_MAP, -EINVAL);
	v->values_n = 0;
	return 0;
}

/* Its address in user space is not a fact of the map (maps.def): that there will be one is not checked here. */
static int note_arena(struct verifier *v, const struct map_facts *map) {
	ASSERT(map->type == BPF_MAP_TYPE_ARENA);
	if (v->arena_map)
		return refuse_text(v, ARENA, -EBUSY, "Only one arena per program");
	v->arena_map = map;
	return 0;
}

static struct map_ref *new_ref(struct verifier *v, const struct map_facts *facts, u32 index) {
	struct map_ref *ref = arena_new(&v->scratch, struct map_ref);
	if (!ref)
		return NULL;
	*ref = (struct map_ref){.facts = facts, .index = index};
	if (facts->inner && !(ref->inner = new_ref(v, facts->inner, NO_MAP)))
		return NULL;
	return ref;
}

static int add_map(struct verifier *v, const struct map_facts *facts, const struct map_ref **out) {
	struct map_ref *ref;
	int err;
	for (u32 i = 0; i < v->maps_n; i++) {
		if (v->maps[i]->facts == facts) {
			*out = v->maps[i];
			return 0;
		}
	}
	if (v->maps_n == MAX_USED_MAPS) {
		say(v, "limit", "%d", MAX_USED_MAPS);
		return refuse(v, TOO_MANY_MAPS, -E2BIG, MAX_USED_MAPS);
	}
	err = check_map_allowed(v, facts);
	if (!err && facts->type == BPF_MAP_TYPE_ARENA)
		err = note_arena(v, facts);
	if (err)
		return err;
	ref = new_ref(v, facts, v->maps_n);
	if (!ref)
		return -ENOMEM;
	v->maps[v->maps_n++] = ref;
	*out = ref;
	return 0;
}

static int find_map(struct verifier *v, const struct bpf_insn *insn, const struct map_ref **out) {
	bool by_index = insn->src_reg == BPF_PSEUDO_MAP_IDX || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE;
	const struct map_facts *facts = NULL;
	int error = -EBADF;
	if (by_index) {
		if (!v->in->map_by_index)
			return refuse(v, FD_ARRAY, -EPROTO);
		facts = v->in->map_by_index(v->in->owner, (u32)insn->imm, &error);
	} else if (v->in->map_by_fd) {
		facts = v->in->map_by_fd(v->in->owner, insn->imm);
		if (!facts && v->in->fd_error)
			error = *v->in->fd_error;
	}
	if (!facts) {
		say(v, "fd", "%d", insn->imm);
		return refuse(v, BAD_MAP_FD, error, insn->imm);
	}
	return add_map(v, facts, out);
}

/* The address of a value is that of the only one of an array, or lies in an arena. */
static int check_direct_value(struct verifier *v, const struct map_facts *map, u32 off) {
	ASSERT(map);
	if (map->type == BPF_MAP_TYPE_ARRAY && map->max_entries == 1 && off < MIN(map->value_size, (u32)MAX_VAR_OFF))
		return 0;
	say(v, "off", "%u", off);
	say(v, "name", "%.16s", map->name);
	say(v, "limit", "%u", map->value_size);
	if (off >= MAX_VAR_OFF)
		return refuse(v, MAP_VALUE_DIRECT, -EINVAL, off);
	if (map->type == BPF_MAP_TYPE_ARENA && off > (u64)map->max_entries * PAGE)
		return refuse(v, MAP_VALUE_POINTER, -ERANGE, map->value_size, off);
	if (map->type == BPF_MAP_TYPE_ARENA) {
		v->values_n = 0;
		return 0;
	}
	if (map->type != BPF_MAP_TYPE_ARRAY)
		return refuse_text(v, MAP_VALUE_DIRECT, -EINVAL, "no direct value access support for this map type");
	return refuse(v, MAP_VALUE_POINTER, map->max_entries != 1 ? -ENOTSUPP : -EINVAL, map->value_size, off);
}

static int resolve(struct verifier *v, u32 at) {
	const struct bpf_insn *insn = &v->insns[at];
	struct insn_aux *aux = &v->aux[at];
	int err;
	ASSERT(insn_is_ldimm64(insn) && at + 1 < v->n);
	switch (insn->src_reg) {
	case 0:
	case BPF_PSEUDO_FUNC:
		return 0;
	case BPF_PSEUDO_BTF_ID:
		return resolve_kernel_symbol(v, at);
	case BPF_PSEUDO_MAP_VALUE:
	case BPF_PSEUDO_MAP_IDX_VALUE:
		err = find_map(v, insn, &aux->map);
		return err ? err : check_direct_value(v, aux->map->facts, (u32)insn[1].imm);
	case BPF_PSEUDO_MAP_FD:
	case BPF_PSEUDO_MAP_IDX:
		if (!insn[1].imm)
			return find_map(v, insn, &aux->map);
	}
	say(v, "insn", "%u", at);
	return refuse(v, LD_IMM_UNRECOGNISED, -EINVAL);
}

int resolve_immediates(struct verifier *v) {
	for (u32 i = 0; i < v->n; i++) {
		char message[VALID_MESSAGE];
		int err;
		v->at = i;
		if (likely(insn_is_plain(&v->insns[i]) && !insn_is_ldimm64(&v->insns[i])))
			continue;
		if (insn_valid(VALID_OPCODES, v->insns, i, v->n, message))
			return refuse_insn(v, message);
		if (!insn_is_ldimm64(&v->insns[i]))
			continue;
		err = resolve(v, i);
		if (err)
			return err;
		i++;
	}
	return 0;
}
