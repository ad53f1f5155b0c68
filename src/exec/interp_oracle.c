/* The oracle's side of the interpreter: where the things of a run are, and the comparison before every instruction. */
#include "abi/context.h"
#include "exec/interp.h"
#include "map/hashtab.h"

/* Which map value does p lie in? Types whose layout is not looked at here are taken on trust. */
static bool in_map_value(const struct map *map, u64 p, u64 *off) {
	u64 start = (u64)map_values(map), stride = map->value_stride, plane = map->off[MAP_CPU_PLANE];
	u64 bytes = (u64)map->max_entries * stride;
	switch (map->type) {
	case BPF_MAP_TYPE_HASH:
		start = (u64)htab_value(map, 1, map->key_size, 0), stride = map->elem_size;
		bytes = (u64)map->max_entries * stride;
		break;
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		bytes = plane * map->nr_cpus;
		break;
	case BPF_MAP_TYPE_ARRAY:
		plane = 0;
		break;
	default:
		*off = 0;
		return p;
	}
	if (p < start || p - start >= bytes)
		return false;
	u64 at = p - start;
	*off = (plane && map->type != BPF_MAP_TYPE_HASH ? at % plane : at) % stride;
	return *off < map->value_size;
}

static bool map_value(void *owner, u32 index, u64 p, u64 *off) {
	const struct oracle_run *o = owner;
	u32 frame = o->where.frames - 1;
	const struct interp_env *env = o->env[frame];
	ASSERT(index < o->image[frame]->xlated->maps_n);
	const struct map *map = (const void *)env->resolve(env->owner, RELOC_MAP, (u16)index, 0);
	if (!map)
		return p;
	return in_map_value(map, p, off);
}

void oracle_run_init(struct oracle_run *o, void *ctx) {
	*o = (struct oracle_run){.where = {.ctx = ctx, .map_value = map_value, .owner = o}};
}

void oracle_enter(struct oracle_run *o, const struct image *image, const struct interp_env *env, u64 r10) {
	ASSERT(o->where.frames < RUN_STACK_FRAMES_MAX);
	u32 frame = o->where.frames++;
	o->where.stack_top[frame] = (const u8 *)r10;
	o->env[frame] = env;
	o->image[frame] = image;
}

void oracle_leave(struct oracle_run *o) {
	ASSERT(o->where.frames);
	o->where.frames--;
}

/* Helpers may move the packet, so it is looked up every time. */
static void find_packet(struct oracle_run *o, u32 prog_type) {
	const struct skep_sk_buff *skb = o->where.ctx;
	STATIC_ASSERT(offsetof(struct skep_sk_buff, data_end) == offsetof(struct skep_xdp_buff, data_end), "both begin alike");
	switch (prog_type) {
	case BPF_PROG_TYPE_XDP:
	case BPF_PROG_TYPE_SOCKET_FILTER:
	case BPF_PROG_TYPE_SCHED_CLS:
	case BPF_PROG_TYPE_SCHED_ACT:
	case BPF_PROG_TYPE_CGROUP_SKB:
		o->where.packet = skb->data, o->where.packet_end = skb->data_end;
	}
}

bool oracle_look(struct oracle_run *o, u32 insn, const u64 *r, struct skep_run *run) {
	u32 frame = o->where.frames - 1;
	const struct interp_env *env = o->env[frame];
	char text[2048];
	find_packet(o, o->image[frame]->xlated->prog_type);
	if (!env->oracle || oracle_check(env->oracle, frame, insn, r, &o->where))
		return true;
	run->status = RUN_ORACLE;
	if (env->oracle_report) {
		oracle_explain(env->oracle, frame, insn, r, &o->where, text, sizeof text);
		env->oracle_report(env->owner, text);
	}
	return false;
}
