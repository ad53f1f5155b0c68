/* Objects: found by descriptor or id, opened from the store, held, given out, dropped.
 *
 *     object_use    a command looks at it: uses + 1, without the engine's lock until object_unuse
 *     object_hold   another object or a caller of engine_*_get keeps it: holds + 1, with the hold lease on the token
 *     object_drop   nobody does any more: out of the tables, what it holds is released, its memory retired
 *
 * Invariants. An object in the tables has an id, a head and (but with handles) an open token. Everything that changes
 * tables or holds has the engine's mutex. An object with uses or holds is never dropped; collect.c decides when one
 * goes. Opening an object of the store opens what it refers to first, so edges always lead to objects in the tables. */
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static u32 bucket(u64 x) {
	return (u32)((x * 0x9e3779b97f4a7c15ull) >> 32) % OBJECT_BUCKETS;
}

void object_add(struct skep_engine *e, struct object *o) {
	ASSERT(o->kind && o->kind < OBJECT_KINDS && o->id && o->head);
	ASSERT(!object_by_id(e, o->id));
	struct object **at = &e->by_id[bucket(o->id)];
	o->next_id = *at, *at = o;
	if (o->token_fd >= 0) {
		at = &e->by_ino[bucket(o->ino)];
		o->next_ino = *at, *at = o;
	}
	e->objects_n++, e->made_since_collect++;
}
static void object_take_out(struct skep_engine *e, struct object *o) {
	struct object **at = &e->by_id[bucket(o->id)];
	while (*at && *at != o)
		at = &(*at)->next_id;
	ASSERT(*at == o);
	*at = o->next_id;
	if (o->token_fd >= 0) {
		at = &e->by_ino[bucket(o->ino)];
		while (*at && *at != o)
			at = &(*at)->next_ino;
		ASSERT(*at == o);
		*at = o->next_ino;
	}
	ASSERT(e->objects_n);
	e->objects_n--;
}
struct object *object_by_id(struct skep_engine *e, u32 id) {
	struct object *o = e->by_id[bucket(id)];
	while (o && o->id != id)
		o = o->next_id;
	return o;
}
struct object *object_by_ino(struct skep_engine *e, u64 dev, u64 ino) {
	struct object *o = e->by_ino[bucket(ino)];
	while (o && (o->ino != ino || o->dev != dev))
		o = o->next_ino;
	return o;
}

int object_new_id(struct call *c, struct object *o) {
	struct skep_engine *e = c->e;
	if (e->opts.backing == BACKING_FILES)
		return store_new_id(&e->store, &o->id);
	do
		e->last_id = e->last_id >= INT32_MAX - 1 ? 1 : e->last_id + 1;
	while (object_by_id(e, e->last_id));
	o->id = e->last_id;
	return 0;
}

/* Makes a finished object public: its facts are written (file backing), it enters the tables, the caller gets a
 * descriptor. On failure the object is untouched but for its head: the caller frees it, and nothing of it is left in
 * the store. */
int object_publish(struct call *c, struct object *o, struct record *r, u32 size, u32 mode) {
	struct skep_engine *e = c->e;
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	r->head = (struct record_head){.magic = RECORD_MAGIC,
								   .version = RECORD_VERSION,
								   .kind = o->kind,
								   .id = o->id,
								   .uid = geteuid(),
								   .created_ns = (u64)t.tv_sec * 1000000000 + t.tv_nsec,
								   .ino = o->ino,
								   .size = size};
	int err = 0;
	if (e->opts.backing == BACKING_FILES) {
		err = store_write_facts(&e->store, o->id, r, size, &o->head);
		if (err == -ENOSPC || err == -EDQUOT)
			err = explain_full(c, size);
	} else if (!(o->head = malloc(sizeof r->head))) {
		err = -ENOMEM;
	} else {
		*o->head = r->head;
	}
	if (err)
		return err;
	int fd = token_open(c, o, mode);
	if (fd < 0)
		return fd;
	object_add(e, o);
	return fd;
}

void object_hold(struct object *o) {
	if (!o->holds++)
		token_hold(o, true);
}
void object_release(struct object *o) {
	ASSERT(o->holds);
	if (!--o->holds)
		token_hold(o, false);
}
void object_unuse(struct object *o) {
	u32 was = __atomic_fetch_sub(&o->uses, 1, __ATOMIC_RELEASE);
	ASSERT(was);
}

/* Makes an object of the store known in this process. */
static int object_load(struct call *c, u32 id, struct object **out) {
	struct skep_engine *e = c->e;
	struct record *r;
	struct record_head *head;
	int err = store_read_facts(&e->store, id, &r, &head);
	if (err)
		return err;
	struct object *o = NULL;
	if (r->head.kind == OBJECT_MAP)
		err = map_open(c, r, &o);
	else if (r->head.kind == OBJECT_BTF)
		err = btf_open(c, r, &o);
	else if (r->head.kind == OBJECT_PROG)
		err = prog_open(c, r, &o);
	else
		err = -ENOENT; /* links end with their process */
	if (!err) {
		struct stat st;
		o->token_fd = store_open_token(&e->store, o->kind, id, O_RDWR);
		if (o->token_fd < 0 || fstat(o->token_fd, &st))
			err = -ENOENT;
		else
			o->dev = st.st_dev, o->ino = st.st_ino;
		o->id = id, o->head = head, o->restricted = true;
	}
	if (err) {
		store_unmap_head(head);
		if (o)
			o->head = NULL, object_free(e, o);
		free(r);
		return err;
	}
	free(r);
	object_add(e, o);
	if (o->kind == OBJECT_MAP && (err = map_opened(c, MAP_OF(o)))) {
		object_drop(e, o);
		return err;
	}
	*out = o;
	return 0;
}

/* With what it refers to. A prog_array and its programs name each other: slots are resolved when all objects are there.
 */
static int object_load_all(struct call *c, u32 id, struct object **out) {
	struct skep_engine *e = c->e;
	e->loading++;
	int err = object_load(c, id, out);
	e->loading--;
	while (!e->loading && e->unresolved.n) {
		struct object_map *m = e->unresolved.at[--e->unresolved.n];
		e->loading++;
		map_slots_rebuild(c, m);
		e->loading--;
	}
	return err;
}

int object_find(struct call *c, u32 kind, u32 id, struct object **out) {
	struct skep_engine *e = c->e;
	struct object *o = object_by_id(e, id);
	if (!o && e->opts.backing == BACKING_FILES) {
		int err = store_lock(&e->store);
		if (err)
			return err;
		err = object_load_all(c, id, &o);
		store_unlock(&e->store);
		if (err)
			return err;
	}
	if (!o || o->kind != kind)
		return -ENOENT;
	*out = o;
	return 0;
}

/* A token of the store that this process has not seen: its inode says which object it is. */
int object_of_foreign(struct call *c, u64 ino, struct object **out) {
	struct skep_engine *e = c->e;
	struct store_entry *all;
	u32 n, id = 0;
	int err = store_lock(&e->store);
	if (err)
		return err;
	err = store_scan(&e->store, &all, &n);
	if (!err) {
		for (u32 i = 0; i < n; i++)
			if (all[i].ino == ino)
				id = all[i].id;
		free(all);
		err = id ? object_load_all(c, id, out) : -EINVAL;
	}
	store_unlock(&e->store);
	return err;
}

static int find_by_fd(struct call *c, int fd, struct object **out, u32 *mode) {
	struct skep_engine *e = c->e;
	if (fd >= ENGINE_HANDLE && e->opts.handles) {
		u32 i = fd - ENGINE_HANDLE;
		if (i >= e->handles.n || !e->handles.at[i].o)
			return -EBADF;
		*out = e->handles.at[i].o, *mode = e->handles.at[i].mode;
		return 0;
	}
	struct stat st;
	if (fstat(fd, &st))
		return -EBADF;
	struct object *o = object_by_ino(e, st.st_dev, st.st_ino);
	if (!o) {
		if (e->opts.backing != BACKING_FILES || st.st_dev != e->store.dev)
			return -EINVAL;
		int err = object_of_foreign(c, st.st_ino, &o);
		if (err)
			return err;
	}
	/* All descriptors that this engine gave out are for both unless it said otherwise; those of others may not be. */
	int flags = o->restricted ? fcntl(fd, F_GETFL) & O_ACCMODE : O_RDWR;
	*mode = flags == O_RDONLY ? MODE_READ : flags == O_WRONLY ? MODE_WRITE : MODE_READ | MODE_WRITE;
	*out = o;
	return 0;
}

int object_use(struct call *c, int fd, u32 kind, struct object **out, u32 *mode) {
	struct skep_engine *e = c->e;
	u32 unwanted;
	int mine = fd;
	bool borrowed = c->caller && c->caller->borrow_fd;
	if (borrowed && (mine = c->caller->borrow_fd(c->caller->owner, fd)) < 0)
		return -EBADF;
	pthread_mutex_lock(&e->mutex);
	int err = find_by_fd(c, mine, out, mode ? mode : &unwanted);
	if (!err && kind && (*out)->kind != kind)
		err = -EINVAL;
	if (!err)
		__atomic_fetch_add(&(*out)->uses, 1, __ATOMIC_ACQUIRE);
	pthread_mutex_unlock(&e->mutex);
	if (borrowed && c->caller->return_fd)
		c->caller->return_fd(c->caller->owner, mine);
	return err;
}

/* The memory of an object that is in no table. */
void object_free(struct skep_engine *e, struct object *o) {
	ASSERT(!o->holds && !__atomic_load_n(&o->uses, __ATOMIC_ACQUIRE));
	token_close(o);
	if (o->head && e->opts.backing == BACKING_FILES)
		store_unmap_head(o->head);
	else
		free(o->head);
	switch (o->kind) {
	case OBJECT_MAP:
		map_free(e, MAP_OF(o));
		break;
	case OBJECT_PROG:
		prog_free(e, PROG_OF(o));
		break;
	case OBJECT_BTF:
		btf_object_free(BTF_OF(o));
		break;
	case OBJECT_LINK:
		free(LINK_OF(o));
		break;
	}
}
static void free_retired(struct skep_engine *e, void *o) {
	object_free(e, o);
}
void object_drop(struct skep_engine *e, struct object *o) {
	ASSERT(!o->holds && !o->counted);
	object_take_out(e, o);
	switch (o->kind) { /* what it holds goes free now, its memory when nobody can be running in it */
	case OBJECT_MAP:
		map_let_go(e, MAP_OF(o));
		break;
	case OBJECT_PROG:
		prog_let_go(e, PROG_OF(o));
		break;
	case OBJECT_LINK:
		link_let_go(e, LINK_OF(o));
		break;
	}
	retire(e, free_retired, o);
}

static struct object *get_by_fd(struct skep_engine *e, int fd, u32 kind) {
	struct call c = {.e = e};
	struct object *o = NULL;
	u32 mode;
	pthread_mutex_lock(&e->mutex);
	if (find_by_fd(&c, fd, &o, &mode) || o->kind != kind)
		o = NULL;
	else
		object_hold(o), o->got++;
	pthread_mutex_unlock(&e->mutex);
	return o;
}
static struct object *get_by_id(struct skep_engine *e, u32 id, u32 kind) {
	struct call c = {.e = e};
	struct object *o = NULL;
	pthread_mutex_lock(&e->mutex);
	if (object_find(&c, kind, id, &o))
		o = NULL;
	else
		object_hold(o), o->got++;
	pthread_mutex_unlock(&e->mutex);
	return o;
}
static void put(struct skep_engine *e, struct object *o) {
	pthread_mutex_lock(&e->mutex);
	ASSERT(o->got);
	o->got--;
	object_release(o);
	pthread_mutex_unlock(&e->mutex);
}
struct engine_map *engine_map_get(struct skep_engine *e, int fd) {
	struct object *o = get_by_fd(e, fd, OBJECT_MAP);
	return o ? &MAP_OF(o)->m : NULL;
}
struct engine_map *engine_map_by_id(struct skep_engine *e, u32 id) {
	struct object *o = get_by_id(e, id, OBJECT_MAP);
	return o ? &MAP_OF(o)->m : NULL;
}
void engine_map_put(struct skep_engine *e, struct engine_map *m) {
	put(e, &CONTAINER(m, struct object_map, m)->o);
}
struct engine_prog *engine_prog_get(struct skep_engine *e, int fd) {
	struct object *o = get_by_fd(e, fd, OBJECT_PROG);
	return o ? &PROG_OF(o)->p : NULL;
}
struct engine_prog *engine_prog_by_id(struct skep_engine *e, u32 id) {
	struct object *o = get_by_id(e, id, OBJECT_PROG);
	return o ? &PROG_OF(o)->p : NULL;
}
void engine_prog_put(struct skep_engine *e, struct engine_prog *p) {
	put(e, &CONTAINER(p, struct object_prog, p)->o);
}

int engine_close(struct skep_engine *e, int fd) {
	int err = 0;
	pthread_mutex_lock(&e->mutex);
	if (fd >= ENGINE_HANDLE && e->opts.handles) {
		u32 i = fd - ENGINE_HANDLE;
		if (i < e->handles.n && e->handles.at[i].o) {
			ASSERT(e->handles.at[i].o->counted);
			e->handles.at[i].o->counted--;
			e->handles.at[i].o = NULL;
		} else {
			err = -EBADF;
		}
	} else {
		struct stat st;
		struct object *o = fstat(fd, &st) ? NULL : object_by_ino(e, st.st_dev, st.st_ino);
		if (o && o->unwatched && o->counted)
			o->counted--;
		if (close(fd))
			err = -errno;
	}
	pthread_mutex_unlock(&e->mutex);
	return err;
}
