/* What nobody holds any more goes.
 *
 *     roots: a descriptor somewhere, a pin, a command or a caller of engine_*_get in this process
 *     edges: program → maps and BTF, map → BTF, slots → programs and inner maps, link → program
 *
 * Anonymous backing: edges are counted (object.holds), so an object without a root and without holds goes, and the next
 * round finds what it held.
 *
 * File backing: an edge may start at an object that only the store knows, so edges are read from the records:
 * everything reachable from a root stays. Roots and hold leases of other processes are seen as locks on the token. What
 * this process keeps open without need is closed on the way.
 *
 * The one ring, prog_array ↔ its programs, is broken as the kernel does: when the last descriptor or pin of a
 * prog_array goes, its slots are emptied. */
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool pinned(struct skep_engine *e, const struct object *o) {
	if (e->opts.backing != BACKING_FILES)
		return o->pins;
	struct stat st;
	return o->token_fd >= 0 && !fstat(o->token_fd, &st) && st.st_nlink > 1;
}
static bool in_use(const struct object *o) {
	return __atomic_load_n(&o->uses, __ATOMIC_ACQUIRE);
}
/* Empties the slots of prog_arrays that no user can reach. */
static void break_rings(struct skep_engine *e) {
	for (u32 b = 0; b < OBJECT_BUCKETS; b++)
		for (struct object *o = e->by_id[b]; o; o = o->next_id)
			if (o->kind == OBJECT_MAP && MAP_OF(o)->slots.n && MAP_OF(o)->m.facts.type == BPF_MAP_TYPE_PROG_ARRAY &&
				!in_use(o) && !token_user_leased(o) && !pinned(e, o) && !o->got)
				map_slots_clear(e, MAP_OF(o));
}

static bool drop_unheld(struct skep_engine *e) {
	bool any = false;
	for (u32 b = 0; b < OBJECT_BUCKETS; b++)
		for (struct object *o = e->by_id[b], *next; o; o = next) {
			next = o->next_id;
			if (o->holds || in_use(o) || pinned(e, o) || token_leased(o))
				continue;
			object_drop(e, o);
			any = true;
		}
	return any;
}

/* == The store == */

struct mark {
	struct store_entry *all;
	u32 n;
	u8 *reached;
	VEC(u32) queue; /* indexes into all */
};
static void reach(struct mark *m, u32 id) {
	u32 low = 0, high = m->n;
	while (low < high) {
		u32 mid = (low + high) / 2;
		if (m->all[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	if (low >= m->n || m->all[low].id != id || m->reached[low])
		return;
	m->reached[low] = 1;
	u32 *q = vec_push(&m->queue);
	if (q)
		*q = low;
}

static void reach_record(struct skep_engine *e, struct mark *m, const struct record *r) {
	if (r->head.kind == OBJECT_MAP) {
		reach(m, r->map.map.btf_id);
		reach(m, r->map.inner.btf_id);
	} else if (r->head.kind == OBJECT_PROG) {
		u64 n = r->prog.ids_n, at = prog_record_ids(&r->prog);
		for (u64 i = 0; i < n && at + (i + 1) * sizeof(u32) <= r->head.size; i++) {
			u32 id;
			memcpy(&id, (const u8 *)r + at + i * sizeof id, sizeof id);
			reach(m, id);
		}
		reach(m, r->prog.btf_id);
	}
}

/* Slots of a map on disk: those of one that a user can reach count, whoever filled them. */
static void reach_slots(struct skep_engine *e, struct mark *m, const struct record *r) {
	struct object *o = object_by_id(e, r->head.id);
	if (r->head.kind != OBJECT_MAP || !map_has_slots(r->map.map.type))
		return;
	if (o) {
		for (u32 i = 0; i < MAP_OF(o)->slots.n; i++)
			reach(m, MAP_OF(o)->slots.at[i]->id);
	}
	u32 *ids, n = map_slot_ids(e, r, &ids);
	for (u32 i = 0; i < n; i++)
		reach(m, ids[i]);
	free(ids);
}

static void mark_all(struct skep_engine *e, struct mark *m) {
	for (u32 i = 0; i < m->n; i++) {
		struct stat st;
		struct object *o = object_by_id(e, m->all[i].id);
		if (o) {
			if (o->holds || in_use(o) || pinned(e, o) || token_leased(o))
				reach(m, o->id);
			continue;
		}
		int fd = store_open_token(&e->store, m->all[i].kind, m->all[i].id, O_RDWR);
		if (fd < 0)
			continue;
		struct object probe = {.token_fd = fd};
		if ((!fstat(fd, &st) && st.st_nlink > 1) || token_leased(&probe))
			reach(m, m->all[i].id);
		close(fd);
	}
	for (u32 at = 0; at < m->queue.n; at++) {
		struct record *r;
		if (store_read_facts(&e->store, m->all[m->queue.at[at]].id, &r, NULL))
			continue;
		reach_record(e, m, r);
		reach_slots(e, m, r);
		free(r);
	}
}

/* One round over the store; true when something was dropped that may have held something else. */
static bool collect_store(struct skep_engine *e) {
	struct mark m = {0};
	bool any = false;
	if (store_scan(&e->store, &m.all, &m.n))
		return false;
	m.reached = calloc(m.n + 1, 1);
	if (m.reached && vec_reserve(&m.queue, m.n + 1)) {
		mark_all(e, &m);
		for (u32 i = 0; i < m.n; i++) {
			struct object *o = object_by_id(e, m.all[i].id);
			bool open = o && (o->holds || in_use(o));
			if (!m.reached[i])
				store_remove(&e->store, m.all[i].kind, m.all[i].id);
			if (o && !open && (!m.reached[i] || !token_leased(o))) {
				object_drop(e, o); /* gone, or only pinned: opened again when wanted */
				any = true;
			}
		}
	}
	vec_free(&m.queue);
	free(m.reached);
	free(m.all);
	return any;
}

void collect(struct skep_engine *e) {
	e->made_since_collect = 0;
	break_rings(e);
	if (e->opts.backing != BACKING_FILES) {
		while (drop_unheld(e))
			break_rings(e);
	} else if (!store_lock(&e->store)) {
		while (collect_store(e))
			break_rings(e);
		store_unlock(&e->store);
	}
	retire_poll(e);
}

void collect_sometimes(struct skep_engine *e) {
	retire_poll(e);
	if (e->made_since_collect > 64 + e->objects_n / 4)
		collect(e);
}

void engine_collect(struct skep_engine *e) {
	pthread_mutex_lock(&e->mutex);
	collect(e);
	pthread_mutex_unlock(&e->mutex);
}
