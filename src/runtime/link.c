/* Links: a program at a hook, held by a descriptor. What a hook is, hook/ knows: it fills struct attach_ops. */
#include "runtime/state.h"
#include <errno.h>

static int no_hooks(struct call *c) {
	return explain(c, -EOPNOTSUPP,
				   "this engine attaches nothing: programs run on test data, or on a command that skep runs "
				   "(skep run, skep attach … -- COMMAND)");
}

static s64 make(struct call *c, struct object_link *l) {
	struct skep_engine *e = c->e;
	struct record r = {0};
	pthread_mutex_lock(&e->mutex);
	s64 fd = store_lock(&e->store);
	if (!fd) {
		fd = object_new_id(c, &l->o);
		if (!fd)
			fd = token_create(c, &l->o, 0, false);
		if (!fd)
			fd = object_publish(c, &l->o, &r, sizeof r.head, MODE_READ | MODE_WRITE);
		if (fd < 0 && l->o.id && e->opts.backing == BACKING_FILES)
			store_remove(&e->store, OBJECT_LINK, l->o.id);
		store_unlock(&e->store);
	}
	pthread_mutex_unlock(&e->mutex);
	return fd;
}

/* attr is the command's: attach_ops tells by its own reading what is wanted. */
static s64 attach(struct call *c, s32 prog_fd, u32 type, u32 attach_type) {
	struct skep_engine *e = c->e;
	struct object *o;
	int err = object_use(c, prog_fd, OBJECT_PROG, &o, NULL);
	if (err)
		return err;
	struct object_prog *p = PROG_OF(o);
	struct object_link *l = NULL;
	s64 r = 0;
	if (!p->p.image)
		r = explain(c, -EOPNOTSUPP, "%s cannot be attached: %s", p->p.name, p->p.refusal);
	else if (!e->attach)
		r = no_hooks(c);
	else if (!(l = calloc(1, sizeof *l)))
		r = -ENOMEM;
	if (!r) {
		l->o.kind = OBJECT_LINK, l->o.token_fd = -1;
		l->type = type, l->attach_type = attach_type, l->ops = e->attach, l->prog = p;
		r = l->ops->attach(e, &p->p, &c->attr, &l->attached);
		if (r)
			free(l);
	}
	if (!r) {
		pthread_mutex_lock(&e->mutex);
		object_hold(o);
		pthread_mutex_unlock(&e->mutex);
		r = make(c, l);
		if (r < 0) {
			pthread_mutex_lock(&e->mutex);
			link_let_go(e, l);
			object_free(e, &l->o);
			pthread_mutex_unlock(&e->mutex);
		}
	}
	object_unuse(o);
	return r;
}

void link_let_go(struct skep_engine *e, struct object_link *l) {
	if (l->attached)
		l->ops->detach(e, l->attached);
	l->attached = NULL;
	if (l->prog)
		object_release(&l->prog->o);
	l->prog = NULL;
}

static u32 link_type_of(const struct skep_engine *e, u32 attach_type) {
	const struct abi_attach *row = abi_attach(e->abi, attach_type);
	return row ? row->link : 0;
}
s64 cmd_link_create(struct call *c) {
	u32 type = c->attr.link_create.attach_type;
	if (!abi_attach(c->e->abi, type))
		return -EINVAL;
	return attach(c, c->attr.link_create.prog_fd, link_type_of(c->e, type), type);
}
s64 cmd_raw_tracepoint_open(struct call *c) {
	return attach(c, c->attr.raw_tracepoint.prog_fd, BPF_LINK_TYPE_RAW_TRACEPOINT, BPF_TRACE_RAW_TP);
}

s64 cmd_link_detach(struct call *c) {
	struct object *o;
	int err = object_use(c, c->attr.link_detach.link_fd, OBJECT_LINK, &o, NULL);
	if (err)
		return err;
	struct object_link *l = LINK_OF(o);
	pthread_mutex_lock(&c->e->mutex);
	if (l->attached)
		err = l->ops->detach(c->e, l->attached);
	if (!err)
		l->attached = NULL;
	pthread_mutex_unlock(&c->e->mutex);
	object_unuse(o);
	return err;
}
s64 cmd_link_update(struct call *c) {
	struct object *o;
	int err = object_use(c, c->attr.link_update.link_fd, OBJECT_LINK, &o, NULL);
	if (err)
		return err;
	object_unuse(o);
	return explain(c, -EOPNOTSUPP,
				   "replacing the program of a link is not available in the user engine: not implemented yet");
}
