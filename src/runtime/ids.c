/* Objects by id: *_GET_NEXT_ID and *_GET_FD_BY_ID. All kinds share one space of ids. */
#include "runtime/state.h"
#include <errno.h>

static s64 next_id(struct call *c, u32 kind) {
	struct skep_engine *e = c->e;
	u32 after = c->attr.start_id, found = 0;
	int err = 0;
	if (after >= INT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&e->mutex);
	if (!after || e->opts.backing != BACKING_FILES)
		collect(e); /* what is gone must not show; once per listing is enough where it costs */
	for (u32 b = 0; b < OBJECT_BUCKETS; b++)
		for (struct object *o = e->by_id[b]; o; o = o->next_id)
			if (o->kind == kind && o->id > after && (!found || o->id < found))
				found = o->id;
	if (e->opts.backing == BACKING_FILES && !(err = store_lock(&e->store))) {
		struct store_entry *all;
		u32 n;
		err = store_scan(&e->store, &all, &n);
		for (u32 i = 0; !err && i < n; i++)
			if (all[i].kind == kind && all[i].id > after && (!found || all[i].id < found))
				found = all[i].id;
		if (!err)
			free(all);
		store_unlock(&e->store);
	}
	pthread_mutex_unlock(&e->mutex);
	if (err)
		return err;
	if (!found)
		return -ENOENT;
	return call_write(c, c->uattr + offsetof(union bpf_attr, next_id), &found, sizeof found);
}

static s64 fd_by_id(struct call *c, u32 kind, u32 mode) {
	struct skep_engine *e = c->e;
	struct object *o;
	pthread_mutex_lock(&e->mutex);
	collect(e);
	s64 r = store_lock(&e->store);
	if (!r) {
		r = object_find(c, kind, c->attr.map_id, &o);
		if (!r)
			r = token_open(c, o, mode);
		store_unlock(&e->store);
	}
	pthread_mutex_unlock(&e->mutex);
	return r;
}

s64 cmd_map_get_next_id(struct call *c) {
	return next_id(c, OBJECT_MAP);
}
s64 cmd_prog_get_next_id(struct call *c) {
	return next_id(c, OBJECT_PROG);
}
s64 cmd_btf_get_next_id(struct call *c) {
	return next_id(c, OBJECT_BTF);
}
s64 cmd_link_get_next_id(struct call *c) {
	return next_id(c, OBJECT_LINK);
}
s64 cmd_map_get_fd_by_id(struct call *c) {
	u32 flags = c->attr.open_flags;
	if ((flags & ~(BPF_F_RDONLY | BPF_F_WRONLY)) ||
		(flags & (BPF_F_RDONLY | BPF_F_WRONLY)) == (BPF_F_RDONLY | BPF_F_WRONLY))
		return -EINVAL;
	return fd_by_id(c, OBJECT_MAP,
					flags & BPF_F_RDONLY   ? MODE_READ
					: flags & BPF_F_WRONLY ? MODE_WRITE
										   : MODE_READ | MODE_WRITE);
}
s64 cmd_prog_get_fd_by_id(struct call *c) {
	return fd_by_id(c, OBJECT_PROG, MODE_READ | MODE_WRITE);
}
s64 cmd_btf_get_fd_by_id(struct call *c) {
	if (c->attr.open_flags & ~(u32)BPF_F_TOKEN_FD)
		return -EINVAL;
	return fd_by_id(c, OBJECT_BTF, MODE_READ | MODE_WRITE);
}
s64 cmd_link_get_fd_by_id(struct call *c) {
	return fd_by_id(c, OBJECT_LINK, MODE_READ | MODE_WRITE);
}
