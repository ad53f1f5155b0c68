/* Calls of helpers: which function a call becomes, and which need none.
 *
 *   map known, array, constant key           an address; the test for NULL that follows is decided
 *   map known, array or per-CPU array        index check and address arithmetic, the geometry being constant
 *   map known, other types                   the type's own function, without the dispatch of the generic one
 *   bpf_get_smp_processor_id                 a field of the run
 *   bpf_tail_call                            its own operation
 *   others                                   the data plane's helper_NAME
 *
 * The geometry used here is that of map/arraymap.c: value_stride = value_size rounded up to 8, per-CPU planes of
 * max_entries values rounded up to 64 bytes. Both take it from the map's facts, which cannot change. */
#include "exec/jit/build.h"
#include "abi/map_facts.h"
#include <errno.h>

static const struct map_facts *map_of_call(const struct xlated *x, u32 i) {
	u16 map = x->facts[i].map;
	ASSERT(map == NO_MAP || map < x->maps_n);
	return map == NO_MAP ? NULL : x->maps[map];
}

static s32 hash_lookup(const struct map_facts *map) {
	switch (map->key_size) {
	case 4:
		return DP_htab_map_lookup_elem_4;
	case 8:
		return DP_htab_map_lookup_elem_8;
	case 16:
		return DP_htab_map_lookup_elem_16;
	}
	return DP_htab_map_lookup_elem;
}

/* The function of the map's type, or -1. */
static s32 dp_of_map_call(const struct map_facts *map, u32 helper) {
	static const struct {
		u16 type, helper;
		s16 symbol;
	} rows[] = {
		{BPF_MAP_TYPE_ARRAY, BPF_FUNC_map_lookup_elem, DP_array_map_lookup_elem},
		{BPF_MAP_TYPE_ARRAY, BPF_FUNC_map_update_elem, DP_array_map_update_elem},
		{BPF_MAP_TYPE_PERCPU_ARRAY, BPF_FUNC_map_lookup_elem, DP_percpu_array_map_lookup_elem},
		{BPF_MAP_TYPE_PERCPU_ARRAY, BPF_FUNC_map_update_elem, DP_percpu_array_map_update_elem},
		{BPF_MAP_TYPE_HASH, BPF_FUNC_map_update_elem, DP_htab_map_update_elem},
		{BPF_MAP_TYPE_HASH, BPF_FUNC_map_delete_elem, DP_htab_map_delete_elem},
		{BPF_MAP_TYPE_PERCPU_HASH, BPF_FUNC_map_lookup_elem, DP_htab_percpu_map_lookup_elem},
		{BPF_MAP_TYPE_PERCPU_HASH, BPF_FUNC_map_update_elem, DP_htab_percpu_map_update_elem},
		{BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_FUNC_map_lookup_elem, DP_array_of_maps_lookup_elem},
	};
	if (map->type == BPF_MAP_TYPE_HASH && helper == BPF_FUNC_map_lookup_elem)
		return hash_lookup(map);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].type == map->type && rows[i].helper == helper)
			return rows[i].symbol;
	return -1;
}

s32 dp_of_call(const struct xlated *x, u32 i) {
	u32 helper = (u32)x->insns[i].imm;
	const struct map_facts *map = map_of_call(x, i);
	s32 symbol = map ? dp_of_map_call(map, helper) : -1;
	if (symbol >= 0)
		return symbol;
	return helper == BPF_FUNC_get_smp_processor_id ? 0 /* needs none */ : dp_of_helper(helper);
}

static bool is_inline_lookup(const struct xlated *x, u32 i, const struct map_facts *map) {
	bool percpu = map && map->type == BPF_MAP_TYPE_PERCPU_ARRAY;
	if (x->insns[i].imm != BPF_FUNC_map_lookup_elem || !map || (map->type != BPF_MAP_TYPE_ARRAY && !percpu))
		return false;
	u64 stride = round_up(map->value_size, 8);
	return stride <= INT32_MAX && (!percpu || map->max_entries * stride < INT32_MAX - 64);
}

enum call_needs call_needs(const struct xlated *x, u32 i) {
	const struct map_facts *map = map_of_call(x, i);
	if (x->insns[i].imm == BPF_FUNC_get_smp_processor_id)
		return CALL_NEEDS_RUN;
	if (!is_inline_lookup(x, i, map))
		return CALL_NEEDS_CALL;
	return map->type == BPF_MAP_TYPE_ARRAY ? CALL_NEEDS_NOTHING : CALL_NEEDS_RUN;
}

/* A lookup in an array of known geometry. */
static void build_array_lookup(struct jit *j, const struct map_facts *map, u32 i) {
	const struct insn_facts *facts = &j->x->facts[i];
	struct jop *op = jop_new(j, J_ARRAY, i);
	bool percpu = map->type == BPF_MAP_TYPE_PERCPU_ARRAY;
	u64 stride = round_up(map->value_size, 8), plane = percpu ? round_up(map->max_entries * stride, 64) : 0;
	ASSERT(map->max_entries && stride && (percpu || !plane));
	op->d = 0, op->disp = facts->map;
	if (facts->const_key && (u32)facts->const_arg >= map->max_entries) {
		op->code = J_IMM;
	} else if (facts->const_key && !percpu) {
		op->code = J_ADDRESS, op->scale = RELOC_MAP_VALUE, op->imm = (u32)facts->const_arg * stride;
	} else {
		op->code = J_ARRAY;
		op->array = facts->map, op->disp = 0, op->b = 2, op->size = 4;
		op->target = map->max_entries, op->meter = (u32)stride, op->imm = plane;
	}
	fold_emit(j, op);
}

void build_helper(struct jit *j, u32 i) {
	u32 helper = (u32)j->x->insns[i].imm;
	const struct insn_facts *facts = &j->x->facts[i];
	const struct map_facts *map = map_of_call(j->x, i);
	struct jop *op = jop_new(j, J_CALL, i);
	if (is_inline_lookup(j->x, i, map)) {
		build_array_lookup(j, map, i);
		return;
	}
	op->d = 0;
	if (helper == BPF_FUNC_tail_call) {
		op->code = J_TAIL;
	} else if (helper == BPF_FUNC_get_smp_processor_id) {
		op->code = J_CPU;
	} else {
		s32 symbol = dp_of_call(j->x, i);
		if (symbol < 0) {
			j->error = -EOPNOTSUPP;
			return;
		}
		op->imm = helper, op->disp = symbol;
		op->flags = facts->may_abort || facts->callback || facts->back_edge ? JF_ABORT : 0;
	}
	fold_emit(j, op);
}
