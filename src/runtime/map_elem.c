/* Commands on the elements of maps.
 *
 *     descriptor ──mutex──► map in use ──► mode (-EPERM), lock flag, key and value copied in ──► ops of the type ──►
 * out
 *
 * The engine's lock is held to find the map only: the operations themselves are the data plane's and need none. What a
 * holder of the token can cut off (mmapable pages in the file backing) is touched under the SIGBUS guard. Values of
 * per-CPU types are what bpf(2) carries: one copy for each possible CPU, each rounded up to 8 bytes. Maps whose values
 * are objects take descriptors and give ids: map_slots.c. */
#include "runtime/state.h"
#include <errno.h>

enum { SMALL = 512 };
/* Key and value of a command, copied in; small ones on the stack. */
struct elem {
	struct object_map *m;
	u8 *key, *value, *allocated;
	u64 value_bytes;
	u8 room[SMALL] __attribute__((aligned(8)));
};
/* One map operation, as guarded() wants it. */
struct op {
	int (*fn)(const struct map_ops *ops, const struct op *op);
	const struct object_map *m;
	const void *key;
	void *value;
	u64 flags;
};
static int op_lookup(const struct map_ops *ops, const struct op *op) {
	return ops->lookup(&op->m->m.map, op->key, op->value, op->flags);
}
static int op_update(const struct map_ops *ops, const struct op *op) {
	return ops->update(&op->m->m.map, op->key, op->value, op->flags);
}
static int op_delete(const struct map_ops *ops, const struct op *op) {
	return ops->delete (&op->m->m.map, op->key);
}
static int op_next(const struct map_ops *ops, const struct op *op) {
	return ops->get_next_key(&op->m->m.map, op->key, op->value);
}
static int op_take(const struct map_ops *ops, const struct op *op) {
	return ops->lookup_and_delete(&op->m->m.map, op->key, op->value, op->flags);
}
static int run_op(void *arg) {
	const struct op *op = arg;
	return op->fn(op->m->m.ops, op);
}
static int map_op(struct call *c, struct op op) {
	/* Only pages of the token can be cut off, and only where it is a file of the store. */
	return guarded(c->e->opts.backing == BACKING_FILES && op.m->m.map.data, run_op, &op);
}

static int not_run(struct call *c, const struct object_map *m) {
	const struct abi_map_type *row = abi_map_type(c->e->abi, m->m.facts.type);
	bool kernel;
	const char *why = row ? abi_refusal(row->engine, &kernel) : NULL;
	return explain(c, -EOPNOTSUPP, "map %s is of type %s, which the user engine does not run: %s", m->m.name,
				   row ? row->name : "unknown", why ? why : "not implemented yet");
}

/* Finds the map, checks the descriptor's mode and the lock flag, makes room and reads the key, in the kernel's order.
 */
static int elem_begin(struct call *c, struct elem *x, u32 want, bool with_value, bool null_key, u64 flags) {
	struct object *o;
	u32 mode;
	int err = object_use(c, c->attr.map_fd, OBJECT_MAP, &o, &mode);
	if (err)
		return err;
	struct object_map *m = MAP_OF(o);
	x->m = m, x->allocated = NULL;
	u32 key_size = m->m.facts.key_size;
	if ((want & MODE_WRITE) && READ_ONCE(m->o.head->frozen))
		mode &= ~MODE_WRITE;
	if ((mode & want) != want)
		err = -EPERM;
	else if ((flags & BPF_F_LOCK) && m->m.facts.fields.spin_lock < 0)
		err = -EINVAL;
	else if (!key_size && c->attr.key)
		err = -EINVAL;
	x->value_bytes = with_value ? map_value_bytes(&m->m) : key_size;
	u64 room = round_up(key_size, 8) + x->value_bytes;
	u8 *at = x->room;
	if (!err && room > sizeof x->room && !(at = x->allocated = malloc(room)))
		err = -ENOMEM;
	x->key = at, x->value = at + round_up(key_size, 8);
	if (!err && !(null_key && !c->attr.key))
		err = call_read(c, x->key, c->attr.key, key_size);
	if (err) {
		free(x->allocated);
		object_unuse(o);
	}
	return err;
}
static void elem_end(struct elem *x) {
	free(x->allocated);
	object_unuse(&x->m->o);
}
/* Special fields of a value are not shown: they read as zero. */
static void hide_fields(const struct object_map *m, u8 *value) {
	const struct btf_fields *f = &m->m.facts.fields;
	for (u32 i = 0; i < f->n; i++)
		memset(value + f->list[i].off, 0, f->list[i].size);
}

s64 cmd_map_lookup_elem(struct call *c) {
	struct elem x;
	if (c->attr.flags & ~(u64)BPF_F_LOCK)
		return -EINVAL;
	int err = elem_begin(c, &x, MODE_READ, true, false, c->attr.flags);
	if (err)
		return err;
	struct object_map *m = x.m;
	if (!m->m.ops)
		err = not_run(c, m);
	if (!err && map_has_slots(m->m.facts.type))
		err = map_slot_lookup(c, m, x.key, x.value);
	else if (!err)
		err = map_op(c, (struct op){op_lookup, m, x.key, x.value, c->attr.flags});
	if (!err) {
		hide_fields(m, x.value);
		err = call_write(c, c->attr.value, x.value, x.value_bytes);
	}
	elem_end(&x);
	return err;
}

s64 cmd_map_update_elem(struct call *c) {
	struct elem x;
	int err = elem_begin(c, &x, MODE_WRITE, true, false, c->attr.flags);
	if (err)
		return err;
	struct object_map *m = x.m;
	err = call_read(c, x.value, c->attr.value, x.value_bytes);
	if (!err && !m->m.ops)
		err = not_run(c, m);
	if (!err && map_has_slots(m->m.facts.type))
		err = map_slot_update(c, m, x.key, x.value, c->attr.flags);
	else if (!err)
		err = map_op(c, (struct op){op_update, m, x.key, x.value, c->attr.flags});
	elem_end(&x);
	return err;
}

s64 cmd_map_delete_elem(struct call *c) {
	struct elem x;
	int err = elem_begin(c, &x, MODE_WRITE, false, false, 0);
	if (err)
		return err;
	struct object_map *m = x.m;
	if (!m->m.ops)
		err = not_run(c, m);
	else if (map_has_slots(m->m.facts.type))
		err = map_slot_delete(c, m, x.key);
	else
		err = map_op(c, (struct op){op_delete, m, x.key});
	elem_end(&x);
	return err;
}

s64 cmd_map_get_next_key(struct call *c) {
	struct elem x;
	int err = elem_begin(c, &x, MODE_READ, false, true, 0);
	if (err)
		return err;
	if (!x.m->m.ops)
		err = not_run(c, x.m);
	else
		err = map_op(c, (struct op){op_next, x.m, c->attr.key ? x.key : NULL, x.value});
	if (!err)
		err = call_write(c, c->attr.next_key, x.value, x.m->m.facts.key_size);
	elem_end(&x);
	return err;
}

s64 cmd_map_lookup_and_delete_elem(struct call *c) {
	const u64 taken = SET(HASH) | SET(PERCPU_HASH) | SET(LRU_HASH) | SET(LRU_PERCPU_HASH) | SET(QUEUE) | SET(STACK);
	struct elem x;
	if (c->attr.flags & ~(u64)BPF_F_LOCK)
		return -EINVAL;
	int err = elem_begin(c, &x, MODE_READ | MODE_WRITE, true, false, c->attr.flags);
	if (err)
		return err;
	struct object_map *m = x.m;
	if (!m->m.ops)
		err = not_run(c, m);
	else if (!(taken >> m->m.facts.type & 1) || !m->m.ops->lookup_and_delete)
		err = -ENOTSUPP;
	else
		err = map_op(c, (struct op){op_take, m, x.key, x.value, c->attr.flags});
	if (!err) {
		hide_fields(m, x.value);
		err = call_write(c, c->attr.value, x.value, x.value_bytes);
	}
	elem_end(&x);
	return err;
}

s64 cmd_map_freeze(struct call *c) {
	struct object *o;
	u32 mode;
	int err = object_use(c, c->attr.map_fd, OBJECT_MAP, &o, &mode);
	if (err)
		return err;
	struct object_map *m = MAP_OF(o);
	const struct btf_fields *f = &m->m.facts.fields;
	pthread_mutex_lock(&c->e->mutex);
	if (m->m.facts.type == BPF_MAP_TYPE_STRUCT_OPS || f->spin_lock >= 0 || f->timer >= 0 || f->workqueue >= 0 ||
		f->kptrs)
		err = -ENOTSUPP;
	else if (READ_ONCE(o->head->frozen) || !(mode & MODE_WRITE))
		err = -EPERM;
	else
		WRITE_ONCE(o->head->frozen, 1), m->m.facts.frozen = true;
	pthread_mutex_unlock(&c->e->mutex);
	object_unuse(o);
	return err;
}

s64 cmd_map_batch(struct call *c) {
	return explain(c, -ENOTSUPP,
				   "batch operations on maps are not available in the user engine: not implemented yet; "
				   "go element by element");
}
