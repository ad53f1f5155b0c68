/* What BPF_MAP_CREATE checks beyond the map types' own geometry(): sizes and flags of the types that the user engine
 * does not run, and the types of keys and values (BTF) of all.
 *
 * Types that do not run are created as facts, so that programs that use them verify. What maps.def can say comes from
 * its rows (check_row); the rest is here, type by type, with the kernel's errors in the kernel's order: flags, sizes,
 * number of entries, limits. test/kernel/bpf_compare.c tries some hundred shapes of every type on both sides.
 *
 * Rules: a number that the kernel has a name for is in limits.def; a new type needs a row, and a case here only if its
 * row says MAP_SPECIAL or the kernel bounds it. */
#include "runtime/state.h"
#include <errno.h>

enum {
	PAGE = 4096,
	STORAGE_MAX = 0xffff - 0xd8, /* BPF_LOCAL_STORAGE_MAX_VALUE_SIZE of 6.18 on x86-64 */
	STACK_MAX = 127,             /* perf_event_max_stack as it comes */
	BUILD_ID_SIZE = 32,          /* struct bpf_stack_build_id */
	CPUS_MAX = 8192,             /* CONFIG_NR_CPUS of distributions */
	HTAB_ELEM = 48,              /* struct htab_elem */
	LPM_NODE = 48,               /* struct lpm_trie_node, rounded */
};

static int check_row(const struct abi_map_type *row, const struct map_facts *f) {
	bool lru = f->type == BPF_MAP_TYPE_LRU_HASH || f->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	if (lru && (f->map_flags & BPF_F_NO_PREALLOC) && !(f->map_flags & ~row->allowed & ~(u32)BPF_F_NO_PREALLOC))
		return -ENOTSUPP;
	if ((f->map_flags & ~row->allowed) || (f->map_flags & row->required) != row->required)
		return -EINVAL;
	if ((f->map_flags & BPF_F_RDONLY_PROG) && (f->map_flags & BPF_F_WRONLY_PROG))
		return -EINVAL;
	const u32 size[2] = {f->key_size, f->value_size};
	const u8 rule[2] = {row->key, row->value};
	for (u32 i = 0; i < 2; i++)
		if (rule[i] == MAP_ANY ? !size[i] : rule[i] != MAP_SPECIAL && size[i] != rule[i])
			return -EINVAL;
	if (row->flags & MAP_NO_MAX_ENTRIES ? f->max_entries != 0 : f->max_entries == 0)
		return -EINVAL;
	return 0;
}

static int check_hash(const struct map_facts *f, bool percpu) {
	if ((u64)f->key_size + f->value_size >= KMALLOC_MAX_SIZE - HTAB_ELEM)
		return -E2BIG;
	return percpu && round_up(f->value_size, 8) > PCPU_MIN_UNIT_SIZE ? -E2BIG : 0;
}
static int check_storage(const struct map_facts *f) {
	if (f->key_size != 4 || !f->btf_key_type_id || !f->btf_value_type_id)
		return -EINVAL;
	return f->value_size > STORAGE_MAX ? -E2BIG : 0;
}
static int check_arena(const struct map_facts *f) {
	u64 bytes = (u64)f->max_entries * PAGE;
	if (f->map_extra & (PAGE - 1))
		return -EINVAL;
	if (bytes > 1ull << 32)
		return -E2BIG;
	return f->map_extra >> 32 != (f->map_extra + bytes - 1) >> 32 ? -ERANGE : 0;
}
static int check_stack_trace(const struct map_facts *f) {
	u32 unit = f->map_flags & BPF_F_STACK_BUILD_ID ? BUILD_ID_SIZE : 8;
	if (f->value_size < 8 || f->value_size % 8 || f->value_size % unit || f->value_size / unit > STACK_MAX)
		return -EINVAL;
	return f->max_entries > 1u << 31 ? -E2BIG : 0;
}

static int check_special(const struct map_facts *f) {
	switch (f->type) {
	case BPF_MAP_TYPE_LRU_HASH:
		return check_hash(f, false);
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return check_hash(f, true);
	case BPF_MAP_TYPE_HASH_OF_MAPS:
		return f->value_size != 4 ? -EINVAL : check_hash(f, false);
	case BPF_MAP_TYPE_STACK_TRACE:
		return check_stack_trace(f);
	case BPF_MAP_TYPE_LPM_TRIE:
		return f->key_size < 5 || f->key_size > 4 + LPM_DATA_SIZE_MAX || !f->value_size ||
					   f->value_size > KMALLOC_MAX_SIZE - LPM_DATA_SIZE_MAX - LPM_NODE
				   ? -EINVAL
				   : 0;
	case BPF_MAP_TYPE_DEVMAP_HASH:
		return (f->value_size != 4 && f->value_size != 8) || f->max_entries > 1u << 31 ? -EINVAL : 0;
	case BPF_MAP_TYPE_DEVMAP:
		return f->value_size != 4 && f->value_size != 8 ? -EINVAL : 0;
	case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
		return f->value_size != 4 && f->value_size != 8 ? -EINVAL : 0;
	case BPF_MAP_TYPE_SOCKMAP:
		return (f->value_size != 4 && f->value_size != 8) || f->max_entries > INT32_MAX ? -EINVAL : 0;
	case BPF_MAP_TYPE_SOCKHASH:
		if (f->value_size != 4 && f->value_size != 8)
			return -EINVAL;
		return f->key_size > 512 ? -E2BIG : 0;
	case BPF_MAP_TYPE_CPUMAP:
		if (f->value_size != 4 && f->value_size != 8)
			return -EINVAL;
		return f->max_entries > CPUS_MAX ? -E2BIG : 0;
	case BPF_MAP_TYPE_CGROUP_STORAGE:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		if (f->key_size != 8 && f->key_size != 16)
			return -EINVAL;
		return f->value_size > (f->type == BPF_MAP_TYPE_CGROUP_STORAGE ? STORAGE_MAX : PCPU_MIN_UNIT_SIZE) ? -E2BIG : 0;
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
		return f->value_size > KMALLOC_MAX_SIZE || f->max_entries >= UINT32_MAX / f->value_size ? -E2BIG : 0;
	case BPF_MAP_TYPE_BLOOM_FILTER:
		if (f->map_extra & ~0xfull)
			return -EINVAL;
		return f->value_size > KMALLOC_MAX_SIZE ? -E2BIG : 0;
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_CGRP_STORAGE:
		return check_storage(f);
	case BPF_MAP_TYPE_STRUCT_OPS:
		return f->key_size != 4 || f->max_entries != 1 ? -EINVAL : 0;
	case BPF_MAP_TYPE_USER_RINGBUF:
		return !is_power_of_two(f->max_entries) || f->max_entries % PAGE ? -EINVAL : 0;
	case BPF_MAP_TYPE_ARENA:
		return check_arena(f);
	}
	return 0;
}

int map_check_unrun(const struct skep_abi *abi, const struct map_facts *f) {
	const struct abi_map_type *row = abi_map_type(abi, f->type);
	ASSERT(row);
	int err = check_row(row, f);
	return err ? err : check_special(f);
}

/* Templates of maps of maps: every type whose maps can be told equal (the kernel's map_meta_equal). */
bool map_may_be_inner(u32 type) {
	const u64 not = SET(PROG_ARRAY) | SET(ARRAY_OF_MAPS) | SET(HASH_OF_MAPS) | SET(CGROUP_STORAGE_DEPRECATED) |
					SET(PERCPU_CGROUP_STORAGE_DEPRECATED) | SET(STRUCT_OPS);
	return type < 64 && !(not >> type & 1);
}
static bool equal_fields(const struct btf_fields *a, const struct btf_fields *b) {
	for (u32 i = 0; i < a->n && i < b->n; i++)
		if (a->list[i].off != b->list[i].off || a->list[i].kind != b->list[i].kind ||
			strcmp(a->list[i].name, b->list[i].name))
			return false;
	return a->n == b->n;
}
bool map_equals_template(const struct map_facts *t, const struct map_facts *m) {
	if (t->type != m->type || t->key_size != m->key_size || t->value_size != m->value_size ||
		t->map_flags != m->map_flags || !equal_fields(&t->fields, &m->fields))
		return false;
	return t->max_entries == m->max_entries || t->type != BPF_MAP_TYPE_ARRAY || (t->map_flags & BPF_F_INNER_MAP);
}

/* == Types of keys and values == */

/* Types without key and value types at all (the kernel's map_check_no_btf), and those with a rule of their own. */
static const u64 no_btf = SET(PERF_EVENT_ARRAY) | SET(CGROUP_ARRAY) | SET(ARRAY_OF_MAPS) | SET(HASH_OF_MAPS) |
						  SET(STACK_TRACE) | SET(DEVMAP) | SET(DEVMAP_HASH) | SET(CPUMAP) | SET(XSKMAP) | SET(SOCKMAP) |
						  SET(SOCKHASH);
static const u64 void_key = SET(ARRAY) | SET(PERCPU_ARRAY) | SET(BLOOM_FILTER) | SET(ARENA) | SET(LPM_TRIE);

/* Special fields that maps of the type may not have. */
static u32 forbidden_fields(const struct map_facts *f, const struct btf_fields *found) {
	static const u32 bits[] = {
		[BTF_FIELD_KPTR_UNTRUSTED] = BPF_KPTR_UNREF, [BTF_FIELD_KPTR] = BPF_KPTR_REF,
		[BTF_FIELD_KPTR_PERCPU] = BPF_KPTR_PERCPU,   [BTF_FIELD_UPTR] = BPF_UPTR,
		[BTF_FIELD_LIST_HEAD] = BPF_LIST_HEAD,       [BTF_FIELD_RB_ROOT] = BPF_RB_ROOT,
		[BTF_FIELD_REFCOUNT] = BPF_REFCOUNT};
	u32 has = 0, may = abi_map_type(abi_linux(), f->type)->fields;
	has |= found->spin_lock >= 0 ? BPF_SPIN_LOCK : 0;
	has |= found->timer >= 0 ? BPF_TIMER : 0;
	has |= found->workqueue >= 0 ? BPF_WORKQUEUE : 0;
	for (u32 i = 0; i < found->n; i++)
		has |= found->list[i].kind < ARRAY_SIZE(bits) ? bits[found->list[i].kind] : 0;
	return has & ~may;
}

bool fields_have_destructors(struct skep_engine *e, const struct btf *btf, const struct btf_fields *f) {
	for (u32 i = 0; i < f->n; i++) {
		const struct btf *kernel;
		const char *name = btf_name_of(btf, btf_skip_modifiers(btf, f->list[i].type_id));
		if (f->list[i].kind != BTF_FIELD_KPTR || abi_has_destructor(name))
			continue;
		kernel = engine_kernel_btf(e);
		if (kernel && btf_find(kernel, name, BTF_KIND_STRUCT)) /* else the program's own */
			return false;
	}
	return true;
}

/* A value whose special fields do not fit each other has none, for the kernel: its programs find out. */
int map_find_fields(struct skep_engine *e, struct map_facts *f) {
	struct btf_fields found;
	const char *why;
	if (btf_find_fields(f->btf, f->btf_value_type_id, &found, &why) || !fields_have_destructors(e, f->btf, &found))
		return 0;
	f->fields = found;
	if (found.n && f->map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
		return -EACCES;
	return forbidden_fields(f, &found) ? -EOPNOTSUPP : btf_check_held(f->btf, &found);
}

static int check_key(const struct map_facts *f) {
	const struct btf_type *key = btf_skip_type(f->btf, f->btf_key_type_id);
	const struct btf_type *value = btf_skip_type(f->btf, f->btf_value_type_id);
	u32 kind = key ? btf_kind(key) : 0;
	switch (f->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		if (!f->btf_key_type_id) /* global data */
			return f->type == BPF_MAP_TYPE_ARRAY && f->max_entries == 1 && btf_kind(value) == BTF_KIND_DATASEC
					   ? 0
					   : -EINVAL;
		/* fall through */
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_CGRP_STORAGE:
		return kind == BTF_KIND_INT && btf_size(f->btf, f->btf_key_type_id) == 4 ? 0 : -EINVAL;
	case BPF_MAP_TYPE_LPM_TRIE:
		return kind == BTF_KIND_STRUCT ? 0 : -EINVAL;
	case BPF_MAP_TYPE_BLOOM_FILTER:
		return f->btf_key_type_id ? -EINVAL : 0;
	}
	return no_btf >> f->type & 1 ? -ENOTSUPP : 0;
}

int map_check_btf(struct call *c, struct object_map *m, s32 btf_fd) {
	struct map_facts *f = &m->m.facts;
	if (!f->btf_key_type_id && !f->btf_value_type_id && !m->vmlinux_value_type_id)
		return 0;
	struct object *o;
	int err = object_use(c, btf_fd, OBJECT_BTF, &o, NULL);
	if (err)
		return err;
	pthread_mutex_lock(&c->e->mutex);
	object_hold(o);
	pthread_mutex_unlock(&c->e->mutex);
	object_unuse(o);
	m->btf = BTF_OF(o);
	f->btf = m->btf->btf;
	if (!f->btf_value_type_id)
		return 0;
	if (f->btf_key_type_id ? btf_size(f->btf, f->btf_key_type_id) != f->key_size
						   : !((void_key | no_btf) >> f->type & 1))
		return -EINVAL;
	if (btf_size(f->btf, f->btf_value_type_id) != f->value_size)
		return -EINVAL;
	err = map_find_fields(c->e, f);
	return err ? err : check_key(f);
}
