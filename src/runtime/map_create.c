/* BPF_MAP_CREATE, and maps of the store opened again.
 *
 *     attr ──► map_facts (what the verifier sees) ──► struct map (what the data plane sees) ──► files, memory, id
 *                  ▲                                       ▲
 *     record ──────┘                       describe(): geometry() of the type, and the seed, which a record keeps
 *
 * Three layers check what is asked for, in the kernel's order: this file what holds for all types (flags, name,
 * device), the map type's own geometry() or, for types that the user engine does not run, map_check.c sizes and flags,
 * and again map_check.c the types of key and value. A map whose type does not run is created all the same, as facts.
 *
 * Until object_publish nobody else can see the map: whatever fails before takes everything back (files too). */
#include "runtime/state.h"
#include <errno.h>

u64 map_value_bytes(const struct engine_map *m) {
	return m->map.nr_cpus > 1 || map_is_percpu(m->facts.type) ? round_up(m->facts.value_size, 8) * m->map.nr_cpus
															  : m->facts.value_size;
}
bool map_is_percpu(u32 type) {
	const struct abi_map_type *row = abi_map_type(abi_linux(), type);
	return row && (row->flags & MAP_PERCPU);
}

/* What programs may read at load time: frozen, read-only for programs, so that its values are constants. */
static int read_value(const struct map_facts *facts, u32 off, void *to, u32 size) {
	const struct object_map *m = map_of_facts(facts);
	if (facts->type != BPF_MAP_TYPE_ARRAY || !m->m.ops)
		return -EOPNOTSUPP;
	if (off > facts->value_size || size > facts->value_size - off)
		return -EINVAL;
	void *value = malloc(round_up(facts->value_size, 8));
	if (!value)
		return -ENOMEM;
	u32 key = 0;
	int err = m->m.ops->lookup(&m->m.map, &key, value, 0);
	if (!err)
		memcpy(to, (u8 *)value + off, size);
	free(value);
	return err;
}

/* The descriptor from the facts. The seed, which geometry() draws, is the only thing that is not a function of them. */
static int describe(struct skep_engine *e, struct object_map *m) {
	struct map_facts *f = &m->m.facts;
	f->owner = &m->m;
	f->read_value = read_value;
	f->inner = m->meta ? &m->meta->facts : NULL;
	f->btf = m->btf ? m->btf->btf : NULL;
	m->m.inner = m->meta;
	m->m.ops = map_ops_of(f->type);
	m->m.map = (struct map){
		.type = f->type,
		.key_size = f->key_size,
		.value_size = f->value_size,
		.max_entries = f->max_entries,
		.map_flags = f->map_flags,
		.id = f->id,
		.value_stride = round_up(f->value_size, 8),
		.spin_lock = f->fields.spin_lock,
		.nr_cpus = map_is_percpu(f->type) ? e->nr_cpus : 1,
		.participant = e->env.participant,
	};
	return m->m.ops ? m->m.ops->geometry(&m->m.map) : 0;
}

static int check_attr(const union bpf_attr *a) {
	if (a->btf_vmlinux_value_type_id) {
		if (a->map_type != BPF_MAP_TYPE_STRUCT_OPS || a->btf_key_type_id || a->btf_value_type_id)
			return -EINVAL;
	} else if (a->btf_key_type_id && !a->btf_value_type_id) {
		return -EINVAL;
	}
	if (a->map_type != BPF_MAP_TYPE_BLOOM_FILTER && a->map_type != BPF_MAP_TYPE_ARENA && a->map_extra)
		return -EINVAL;
	if ((a->map_flags & BPF_F_RDONLY) && (a->map_flags & BPF_F_WRONLY))
		return -EINVAL;
	/* One memory node: what else could be asked for is not there. */
	if ((a->map_flags & BPF_F_NUMA_NODE) && a->numa_node != UINT32_MAX && a->numa_node)
		return -EINVAL;
	return 0;
}

/* The template of a map of maps: a copy of the facts of the map given, which may go afterwards. */
static int make_meta(struct call *c, struct object_map *m, s32 inner_fd) {
	struct object *o;
	int err = object_use(c, inner_fd, OBJECT_MAP, &o, NULL);
	if (err)
		return err;
	const struct object_map *inner = MAP_OF(o);
	if (inner->meta)
		err = -EINVAL;
	else if (!map_may_be_inner(inner->m.facts.type))
		err = -ENOTSUPP;
	if (!err && !(m->meta = calloc(1, sizeof *m->meta)))
		err = -ENOMEM;
	if (!err) {
		m->meta->facts = inner->m.facts;
		m->meta->facts.id = 0, m->meta->facts.owner = NULL, m->meta->facts.read_value = NULL;
		m->meta->map = inner->m.map;
		m->meta->map.area = m->meta->map.data = NULL;
		m->meta->ops = inner->m.ops;
		m->meta->token_fd = m->meta->area_fd = -1;
		m->meta->facts.frozen = false;
		if ((m->meta_btf = inner->btf)) {
			pthread_mutex_lock(&c->e->mutex);
			object_hold(&m->meta_btf->o);
			pthread_mutex_unlock(&c->e->mutex);
		}
	}
	object_unuse(o);
	return err;
}

static void facts_of(const union bpf_attr *a, struct map_facts *f) {
	*f = (struct map_facts){.type = a->map_type,
							.key_size = a->key_size,
							.value_size = a->value_size,
							.max_entries = a->max_entries,
							.map_flags = a->map_flags & ~BPF_F_TOKEN_FD,
							.map_extra = a->map_extra,
							.btf_key_type_id = a->btf_key_type_id,
							.btf_value_type_id = a->btf_value_type_id,
							.fields = {-1, -1, -1, 0}};
}

static void record_of(const struct object_map *m, struct record_map *r) {
	const struct map_facts *f = &m->m.facts;
	*r = (struct record_map){.map = {
								 .type = f->type,
								 .key_size = f->key_size,
								 .value_size = f->value_size,
								 .max_entries = f->max_entries,
								 .map_flags = f->map_flags,
								 .ifindex = m->ifindex,
								 .map_extra = f->map_extra,
								 .btf_id = m->btf ? m->btf->o.id : 0,
								 .btf_key_type_id = f->btf_key_type_id,
								 .btf_value_type_id = f->btf_value_type_id,
								 .vmlinux_value_type_id = m->vmlinux_value_type_id,
								 .seed = m->m.map.seed,
								 .area_size = m->m.map.area_size,
								 .data_size = m->m.map.data_size,
								 .committed = m->m.committed,
								 .has_inner = m->meta != NULL,
							 }};
	memcpy(r->map.name, m->m.name, sizeof m->m.name);
	if (m->meta) {
		f = &m->meta->facts;
		r->inner = (struct map_record){
			.type = f->type,
			.key_size = f->key_size,
			.value_size = f->value_size,
			.max_entries = f->max_entries,
			.map_flags = f->map_flags,
			.map_extra = f->map_extra,
			.btf_id = m->meta_btf ? m->meta_btf->o.id : 0,
			.btf_key_type_id = f->btf_key_type_id,
			.btf_value_type_id = f->btf_value_type_id,
		};
	}
}

/* Id, files, memory, descriptor. Whatever fails, nothing of the map is left. */
static s64 make(struct call *c, struct object_map *m, u32 mode) {
	struct skep_engine *e = c->e;
	pthread_mutex_lock(&e->mutex);
	collect_sometimes(e);
	s64 r = store_lock(&e->store);
	if (!r) {
		r = object_new_id(c, &m->o);
		if (!r) {
			m->m.facts.id = m->m.map.id = m->o.id;
			r = map_area_create(c, m);
		}
		if (!r) {
			struct record record;
			record_of(m, &record.map);
			r = object_publish(c, &m->o, &record, sizeof record.head + sizeof record.map, mode);
		}
		if (r < 0 && m->o.id && e->opts.backing == BACKING_FILES)
			store_remove(&e->store, OBJECT_MAP, m->o.id);
		store_unlock(&e->store);
	}
	pthread_mutex_unlock(&e->mutex);
	return r;
}

s64 cmd_map_create(struct call *c) {
	const union bpf_attr *a = &c->attr;
	const struct abi_map_type *row = abi_map_type(c->e->abi, a->map_type);
	int err = check_attr(a);
	if (err)
		return err;
	if (!row || !row->id)
		return -EINVAL;
	struct object_map *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->o.kind = OBJECT_MAP, m->o.token_fd = -1;
	m->m.token_fd = m->m.area_fd = -1;
	facts_of(a, &m->m.facts);
	m->m.facts.unpriv = !(c->caps & (VERIFY_PERFMON | VERIFY_SYS_ADMIN));
	m->ifindex = a->map_ifindex, m->vmlinux_value_type_id = a->btf_vmlinux_value_type_id;
	err = describe(c->e, m);
	if (!err && !m->m.ops)
		err = map_check_unrun(c->e->abi, &m->m.facts);
	if (!err && ((row->flags & MAP_BPF && !(c->caps & (VERIFY_BPF | VERIFY_SYS_ADMIN))) ||
				 (row->flags & MAP_NET_ADMIN && !(c->caps & (VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN)))))
		err = explain(c, -EPERM, "maps of type %s take %s, which their maker does not have", row->name,
					  row->flags & MAP_BPF ? "CAP_BPF" : "CAP_NET_ADMIN");
	if (!err && a->map_type == BPF_MAP_TYPE_STRUCT_OPS && !a->btf_vmlinux_value_type_id)
		err = -EINVAL;
	m->m.facts.map_flags &= ~(BPF_F_RDONLY | BPF_F_WRONLY); /* of the descriptor, not of the map */
	if (a->map_type == BPF_MAP_TYPE_DEVMAP || a->map_type == BPF_MAP_TYPE_DEVMAP_HASH)
		m->m.facts.map_flags |= BPF_F_RDONLY_PROG; /* as the kernel: programs only look */
	if (!err && (row->flags & MAP_INNER))
		err = make_meta(c, m, a->inner_map_fd);
	if (!err && a->map_ifindex)
		err = explain(c, -EINVAL, "maps on a network device (map_ifindex) exist in the kernel's engine only");
	if (!err)
		err = name_copy(m->m.name, a->map_name);
	memcpy(m->m.facts.name, m->m.name, sizeof m->m.name);
	if (!err)
		err = map_check_btf(c, m, a->btf_fd);
	if (!err) /* again: now with the fields of the value and the template */
		err = describe(c->e, m);
	s64 r = err ? err
				: make(c, m,
					   a->map_flags & BPF_F_RDONLY   ? MODE_READ
					   : a->map_flags & BPF_F_WRONLY ? MODE_WRITE
													 : MODE_READ | MODE_WRITE);
	if (r < 0) {
		pthread_mutex_lock(&c->e->mutex);
		map_let_go(c->e, m);
		object_free(c->e, &m->o);
		pthread_mutex_unlock(&c->e->mutex);
	}
	return r;
}

/* == Maps of the store == */

static int facts_from(struct call *c, const struct map_record *r, struct map_facts *f, struct object_btf **btf) {
	*f = (struct map_facts){.type = r->type,
							.key_size = r->key_size,
							.value_size = r->value_size,
							.max_entries = r->max_entries,
							.map_flags = r->map_flags,
							.map_extra = r->map_extra,
							.btf_key_type_id = r->btf_key_type_id,
							.btf_value_type_id = r->btf_value_type_id,
							.fields = {-1, -1, -1, 0}};
	if (!r->btf_id)
		return 0;
	struct object *o;
	int err = object_find(c, OBJECT_BTF, r->btf_id, &o);
	if (err)
		return err;
	object_hold(o);
	*btf = BTF_OF(o);
	f->btf = (*btf)->btf;
	return map_find_fields(c->e, f);
}

int map_open(struct call *c, const struct record *r, struct object **out) {
	const struct map_record *a = &r->map.map;
	if (r->head.size != sizeof r->head + sizeof r->map)
		return -EIO;
	struct object_map *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->o.kind = OBJECT_MAP, m->o.token_fd = -1;
	m->m.token_fd = m->m.area_fd = -1;
	int err = facts_from(c, a, &m->m.facts, &m->btf);
	memcpy(m->m.name, a->name, sizeof m->m.name);
	memcpy(m->m.facts.name, a->name, sizeof m->m.name);
	m->m.facts.id = r->head.id;
	m->m.committed = a->committed;
	m->ifindex = a->ifindex, m->vmlinux_value_type_id = a->vmlinux_value_type_id;
	if (!err && a->has_inner) {
		m->meta = calloc(1, sizeof *m->meta);
		err = m->meta ? facts_from(c, &r->map.inner, &m->meta->facts, &m->meta_btf) : -ENOMEM;
		if (!err) {
			m->meta->token_fd = m->meta->area_fd = -1;
			m->meta->ops = map_ops_of(m->meta->facts.type);
		}
	}
	if (!err)
		err = describe(c->e, m) ? -EIO : 0;
	m->m.map.seed = a->seed;
	if (!err && (m->m.map.area_size != a->area_size || m->m.map.data_size != a->data_size))
		err = -EIO; /* made by a skep with another layout */
	if (err) {
		map_let_go(c->e, m);
		object_free(c->e, &m->o);
		return err;
	}
	*out = &m->o;
	return 0;
}

int map_opened(struct call *c, struct object_map *m) {
	int err = map_area_open(c, m);
	if (!err && map_has_slots(m->m.facts.type)) {
		struct object_map **at = vec_push(&c->e->unresolved);
		if (!at)
			return -ENOMEM;
		*at = m;
	}
	return err;
}

/* Ends what the map holds of others. */
void map_let_go(struct skep_engine *e, struct object_map *m) {
	map_slots_clear(e, m);
	if (m->btf)
		object_release(&m->btf->o);
	if (m->meta_btf)
		object_release(&m->meta_btf->o);
	m->btf = m->meta_btf = NULL;
}
void map_free(struct skep_engine *e, struct object_map *m) {
	ASSERT(!m->slots.n);
	map_area_close(m);
	vec_free(&m->slots);
	free(m->table);
	free(m->meta);
	free(m);
}
