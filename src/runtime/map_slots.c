/* Maps whose values are objects: prog_array and maps of maps.
 *
 *     user's view          the map's area (shared, hostile)      map->objects (private, read only in targets)
 *     fd 7        ──────►  slot: {id 17, generation 1}  ──run──►  sorted by id: {17, 1, address of its code}
 *     ◄────── id 17
 *
 * The area never holds an address. A slot that names what is not in the map's own table is empty for programs (counted
 * as COUNT_UNREACHABLE), so scribbling over slots reaches at most other members of the same map, which all passed the
 * same checks at update.
 *
 * Order. An object is put into the table (a new table, published with a release store) before its slot is written, and
 * taken out after no slot names it. Old tables, and what they alone kept, are retired (retire.c). Members are held.
 *
 * Another process that has the map open sees new slots only after it has rebuilt its table (when it opens the map);
 * until then they are NULL for its programs. */
#include "runtime/state.h"
#include <errno.h>

struct slot {
	u32 id, generation;
};
enum { GENERATION = 1 };

bool map_has_slots(u32 type) {
	return type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS;
}
static u32 slot_kind(const struct object_map *m) {
	return m->m.facts.type == BPF_MAP_TYPE_PROG_ARRAY ? OBJECT_PROG : OBJECT_MAP;
}
static const void *address_of(const struct object *o) {
	if (o->kind == OBJECT_MAP)
		return &CONTAINER(o, const struct object_map, o)->m.map;
	return prog_tail_address(CONTAINER(o, const struct object_prog, o));
}

static void free_table(struct skep_engine *e, void *table) {
	free(table);
}
static int compare_objects(const void *a, const void *b) {
	const struct map_object *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}
/* Publishes the table of m->slots. */
static int publish(struct skep_engine *e, struct object_map *m) {
	struct map_table *old = m->table, *t = NULL;
	if (m->slots.n) {
		t = calloc(1, sizeof *t + m->slots.n * sizeof *t->at);
		if (!t)
			return -ENOMEM;
		t->n = m->slots.n;
		for (u32 i = 0; i < t->n; i++)
			t->at[i] = (struct map_object){m->slots.at[i]->id, GENERATION, address_of(m->slots.at[i])};
		qsort(t->at, t->n, sizeof *t->at, compare_objects);
	}
	store_release(&m->m.map.objects, t);
	m->table = t;
	if (old)
		retire(e, free_table, old);
	return 0;
}

static struct object **find_slot(struct object_map *m, u32 id) {
	for (u32 i = 0; i < m->slots.n; i++)
		if (m->slots.at[i]->id == id)
			return &m->slots.at[i];
	return NULL;
}
static int add_member(struct skep_engine *e, struct object_map *m, struct object *o) {
	if (find_slot(m, o->id))
		return 0;
	struct object **at = vec_push(&m->slots);
	if (!at)
		return -ENOMEM;
	*at = o;
	int err = publish(e, m);
	if (err) {
		m->slots.n--;
		return err;
	}
	object_hold(o);
	return 0;
}

static bool next_slot(const struct object_map *m, void **key, void **next, struct slot *s) {
	const struct map_ops *ops = m->m.ops;
	while (!ops->get_next_key(&m->m.map, *key, *next)) {
		void *swap = *key ? *key : (u8 *)*next + round_up(m->m.map.key_size, 8);
		*key = *next, *next = swap;
		if (!ops->lookup(&m->m.map, *key, s, 0) && s->id)
			return true;
	}
	return false;
}
/* Calls fn for every slot that is taken, until it returns true. */
static bool each_slot(const struct object_map *m, bool (*fn)(void *owner, const void *key, u32 id), void *owner) {
	void *room = calloc(2, round_up(m->m.map.key_size, 8));
	void *key = NULL, *next = room;
	struct slot s;
	bool stopped = false;
	while (room && !stopped && next_slot(m, &key, &next, &s))
		stopped = fn(owner, key, s.id);
	free(room);
	return stopped;
}

static bool same_id(void *owner, const void *key, u32 id) {
	return *(u32 *)owner == id;
}
/* Takes an object out of the table unless another slot still names it. */
static void drop_member(struct skep_engine *e, struct object_map *m, u32 id) {
	struct object **at = find_slot(m, id), *o;
	if (!at || each_slot(m, same_id, &id))
		return;
	o = *at;
	*at = m->slots.at[--m->slots.n];
	if (publish(e, m)) { /* no memory for a smaller table: the member stays, unused */
		m->slots.at[m->slots.n++] = o;
		return;
	}
	object_release(o);
}

bool map_owner_fits(struct object_map *m, const struct object_prog *p) {
	const struct engine_prog *prog = &p->p;
	if (!m->owner.type) {
		m->owner = (struct slot_owner){prog->type, prog->attach_type, p->xdp_has_frags, p->code != NULL};
		return true;
	}
	/* Machine code jumps to machine code only. */
	return m->owner.type == prog->type && m->owner.attach_type == prog->attach_type &&
		   m->owner.xdp_has_frags == p->xdp_has_frags && m->owner.jited == (p->code != NULL);
}

static int check_member(struct call *c, struct object_map *m, struct object *o) {
	if (o->kind == OBJECT_MAP)
		return map_equals_template(&m->meta->facts, &MAP_OF(o)->m.facts) ? 0 : -EINVAL;
	struct object_prog *p = PROG_OF(o);
	if (p->p.type == BPF_PROG_TYPE_EXT)
		return -EINVAL;
	/* First: without code it would not look like its siblings either. */
	if (!p->p.image)
		return explain(c, -EOPNOTSUPP, "%s cannot be called: %s", p->p.name, p->p.refusal);
	return map_owner_fits(m, p) ? 0 : -EINVAL;
}

static int current_member(struct object_map *m, const void *key) {
	struct slot old = {0};
	return m->m.ops->lookup(&m->m.map, key, &old, 0) ? 0 : old.id;
}

int map_slot_update(struct call *c, struct object_map *m, const void *key, const void *value, u64 flags) {
	struct skep_engine *e = c->e;
	struct object *o;
	s32 fd;
	bool hash = m->m.facts.type == BPF_MAP_TYPE_HASH_OF_MAPS;
	memcpy(&fd, value, sizeof fd);
	if (!hash && flags != BPF_ANY)
		return -EINVAL;
	if (!hash && *(const u32 *)key >= m->m.facts.max_entries)
		return -E2BIG;
	int err = object_use(c, fd, slot_kind(m), &o, NULL);
	if (err)
		return err;
	pthread_mutex_lock(&e->mutex);
	err = check_member(c, m, o);
	u32 old = current_member(m, key);
	struct slot s = {o->id, GENERATION};
	if (!err)
		err = add_member(e, m, o);
	if (!err) {
		err = m->m.ops->update(&m->m.map, key, &s, flags);
		if (err)
			drop_member(e, m, o->id);
		else if (old && old != o->id)
			drop_member(e, m, old);
	}
	object_unuse(o);
	retire_poll(e);
	pthread_mutex_unlock(&e->mutex);
	return err;
}

int map_slot_lookup(struct call *c, struct object_map *m, const void *key, void *value) {
	struct slot s = {0};
	int err = m->m.ops->lookup(&m->m.map, key, &s, 0);
	if (!err && !s.id)
		err = -ENOENT;
	if (!err)
		memcpy(value, &s.id, sizeof s.id);
	return err;
}

int map_slot_delete(struct call *c, struct object_map *m, const void *key) {
	struct skep_engine *e = c->e;
	pthread_mutex_lock(&e->mutex);
	u32 old = current_member(m, key);
	int err = m->m.ops->delete (&m->m.map, key);
	if (!err && old)
		drop_member(e, m, old);
	retire_poll(e);
	pthread_mutex_unlock(&e->mutex);
	return err;
}

/* Empties the table and lets its members go. Slots in the area that still name them resolve to nothing. */
void map_slots_clear(struct skep_engine *e, struct object_map *m) {
	u32 n = m->slots.n;
	if (!n)
		return;
	m->slots.n = 0;
	publish(e, m);
	for (u32 i = 0; i < n; i++)
		object_release(m->slots.at[i]);
}

struct rebuild {
	struct call *c;
	struct object_map *m;
};
static bool rebuild_one(void *owner, const void *key, u32 id) {
	struct rebuild *r = owner;
	struct object *o;
	if (!object_find(r->c, slot_kind(r->m), id, &o) && !check_member(r->c, r->m, o))
		add_member(r->c->e, r->m, o);
	return false;
}
/* The table of a map of the store, from its slots; what does not fit stays out. */
void map_slots_rebuild(struct call *c, struct object_map *m) {
	struct rebuild r = {c, m};
	if (m->m.ops && m->m.map.area)
		each_slot(m, rebuild_one, &r);
}

static bool collect_id(void *owner, const void *key, u32 id) {
	VEC(u32) *ids = owner;
	u32 *at = vec_push(ids);
	if (at)
		*at = id;
	return !at;
}
u32 map_slot_ids(struct skep_engine *e, const struct record *r, u32 **ids) {
	VEC(u32) found = {0};
	struct object *o = object_by_id(e, r->head.id);
	struct call c = {.e = e};
	*ids = NULL;
	if (o) {
		each_slot(MAP_OF(o), collect_id, &found);
	} else if (!map_open(&c, r, &o)) {
		struct object_map *m = MAP_OF(o);
		m->o.id = r->head.id;
		if (!map_area_open(&c, m) && m->m.map.area)
			each_slot(m, collect_id, &found);
		map_let_go(e, m);
		object_free(e, o);
	}
	*ids = found.at;
	return found.n;
}
