/* Objects that programs allocate, of types of their own: pointers to them, and what holds them.
 *
 *      ptr_node(ref_obj_id=2)           owned: bpf_obj_new made it, or it was taken out of a list, tree or map
 *           │ bpf_rbtree_add(root, …)   gives it away, under the root's lock
 *           ▼
 *      ptr_node(non_own_ref)            borrowed: good until the lock is released, which makes it a number
 *
 *      rcu_ptr_node()                   read out of a map: good until the RCU section ends
 *      percpu_ptr_node(ref_obj_id=2)    one for each processor: only helpers turn it into one that can be read
 *
 * An object is read and written like memory, but for its special members (roots, nodes, locks, pointers), and what is read
 * out of it is a number. A pointer in it is exchanged, as one in a map is (kptr.c).
 *
 * The root of a list or tree and the lock that protects it lie in the same map value or object; the lock that is held is
 * known by its place (the map, or the types of the object) and by the id of the pointer through which it was taken. */
#include "verify/kfunc.h"

/* == Types == */

/* A type whose special members do not fit each other: BTF_LOAD refuses it, and nothing of it may be touched here. */
static void close_type(const struct btf *btf, u32 id, struct btf_fields *f) {
	s64 size = btf_size(btf, id);
	*f = (struct btf_fields){.spin_lock = -1, .timer = -1, .workqueue = -1, .n = 1};
	f->list[0] = (struct btf_field){.size = size > 0 ? (u32)MIN(size, (s64)INT32_MAX) : 0, .name = "all of it"};
}

/* Valid until seven other types were asked for. */
const struct btf_fields *object_fields(struct verifier *v, const struct btf *btf, u32 id) {
	struct object_type *o;
	ASSERT(btf && btf_type(btf, id));
	for (u32 i = 0; i < ARRAY_SIZE(v->objects); i++)
		if (v->objects[i].btf == btf && v->objects[i].id == id)
			return &v->objects[i].fields;
	o = &v->objects[v->objects_next++ % ARRAY_SIZE(v->objects)];
	o->btf = btf;
	o->id = id;
	if (btf_object_fields(btf, id, &o->fields, NULL))
		close_type(btf, id, &o->fields);
	return &o->fields;
}

static bool is_object(const struct reg *r) {
	return base_type(r->type) == PTR_TO_BTF_ID && r->type & MEM_ALLOC;
}

/* Special fields of what the register points to: a map value or an object; NULL: anything else. */
const struct btf_fields *fields_of(struct verifier *v, const struct reg *r) {
	if (base_type(r->type) == PTR_TO_MAP_VALUE)
		return &r->map->facts->fields;
	return is_object(r) ? object_fields(v, r->btf, r->btf_id) : NULL;
}

int check_object_fields(struct verifier *v, const struct reg *r, s32 off, u32 size) {
	const struct btf_fields *fields = object_fields(v, r->btf, r->btf_id);
	ASSERT(off >= 0);
	for (u32 i = 0; i < fields->n; i++) {
		const struct btf_field *f = &fields->list[i];
		if ((u64)off >= (u64)f->off + f->size || f->off >= (u64)off + size)
			continue;
		say(v, "name", "%s", f->name);
		say(v, "off", "%u", f->off);
		say(v, "type", "%s", btf_name_of(r->btf, r->btf_id));
		return refuse(v, OBJECT_FIELD, -EACCES, f->name);
	}
	return 0;
}

/* == Callbacks of trees == */

/* In the callback of a function that needs a tree's lock, or in what it calls: the caller holds the lock. */
bool in_tree_callback(const struct verifier *v) {
	const struct state *s = v->cur;
	for (u32 i = s->curframe; i > 0; i--) {
		const struct frame *f = s->frames[i];
		const struct kfunc *call = f->in_callback ? kfunc_at(v, (u32)f->callsite) : NULL;
		if (call && call->special == KF_RB_ADD)
			return true;
	}
	return false;
}

/* == Borrowed pointers == */

/* The lock is released: others may free what it protected. */
void forget_borrowed(struct verifier *v) {
	for (struct reg_walk w = {.state = v->cur}; reg_next(&w);)
		if (is_object(w.reg) && w.reg->type & NON_OWN_REF)
			reg_set_unknown(w.reg);
}

/* An object in a list or tree, by its node. */
void set_node(struct reg *r, const struct btf *btf, const struct btf_field *root) {
	ASSERT(btf_field_is_root(root));
	reg_set_pointer(r, PTR_TO_BTF_ID | MEM_ALLOC);
	r->btf = btf;
	r->btf_id = root->type_id;
	r->off = (s32)root->node_off;
}

/* One that counts its references stays readable for the rest of the RCU section. */
int set_borrowed(struct verifier *v, struct reg *r) {
	ASSERT(is_object(r) && !(r->type & NON_OWN_REF));
	if (!v->cur->active_locks)
		return refuse_text(v, INTERNAL, -EFAULT, "ref_set_non_owning w/o active lock");
	r->type |= NON_OWN_REF;
	if (btf_field_at(object_fields(v, r->btf, r->btf_id), BTF_FIELD_REFCOUNT, -1))
		r->type |= MEM_RCU;
	return 0;
}
