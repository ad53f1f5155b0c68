/* What every BTF must hold before anything else may look at it, whoever made it: references exist and make sense, and
 * every type resolves to the one behind its modifiers and to a size.
 *
 * Resolution is a depth-first walk over «contains by value», on a stack of its own: a hostile BTF chooses the depth. A
 * type is finished when all it contains is: then its size, alignment and what it stands for go into the tables that
 * btf_skip_modifiers, btf_size and btf_align read. A type met again on the stack contains itself and is refused; nesting
 * of structs and arrays is limited, so that code which walks values may recurse. Pointers and prototypes end the walk:
 * chains of those can be of any length and rings, and code that follows them must bound itself. */
#include "btf/parse.h"
#include "base/vec.h"
#include <errno.h>
#include <stdlib.h>

/* Structs and arrays inside one another by value: bounds every later recursion over members. Real code has about ten.
 */
enum { NESTING_MAX = 64 };

static bool known(const struct btf *btf, u32 id) {
	return id < btf->end;
}
static bool string_known(const struct btf *btf, u32 off) {
	return btf_string(btf, off);
}

static const char *wrong_member(const struct btf *btf, const struct btf_type *t, u32 i) {
	const struct btf_member *m = &btf_members(t)[i];
	if (!string_known(btf, m->name_off))
		return "has a member with a name outside the strings";
	if (!known(btf, m->type) || !m->type)
		return "has a member without a type";
	/* An end beyond the struct would lead readers of values outside; sizes are known later, see member_inside. */
	return (u64)btf_member_bit_offset(t, i) > (u64)t->size * 8 ? "has a member outside it" : NULL;
}

static const char *wrong_component(const struct btf *btf, const struct btf_type *t) {
	s32 component = btf_decl_tag(t)->component_idx;
	const struct btf_type *of = btf_type(btf, t->type);
	if (!of || !t->type)
		return "tags a type that does not exist";
	if (component == -1)
		return NULL;
	if (btf_kind(of) == BTF_KIND_FUNC) {
		of = btf_type(btf, of->type);
		if (!of || btf_kind(of) != BTF_KIND_FUNC_PROTO)
			return "tags a function without a prototype";
	} else if (!btf_is_composite(of)) {
		return "tags a component of a type without components";
	}
	return (u32)component >= btf_vlen(of) ? "tags a component that does not exist" : NULL;
}

static const char *wrong(const struct btf *btf, const struct btf_type *t) {
	const char *error = NULL;
	const struct btf_type *other;
	u32 n = btf_vlen(t), i;
	if (!string_known(btf, t->name_off))
		return "has a name outside the strings";
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		i = BTF_INT_BITS(btf_int_data(t)) + BTF_INT_OFFSET(btf_int_data(t));
		return i > 128 || i > (u64)t->size * 8 ? "has more bits than its size" : NULL;
	case BTF_KIND_FLOAT:
		return t->size > 16 ? "has no known size" : NULL;
	case BTF_KIND_ARRAY:
		return known(btf, btf_array(t)->type) && known(btf, btf_array(t)->index_type)
			   ? NULL
			   : "is of a type that does not exist";
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		for (i = 0; i < n && !error; i++)
			error = wrong_member(btf, t, i);
		return error;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		if (t->size > 8)
			return "is wider than 64 bits";
		for (i = 0; i < n; i++)
			if (!string_known(btf, btf_kind(t) == BTF_KIND_ENUM ? btf_enums(t)[i].name_off
									    : btf_enums64(t)[i].name_off))
				return "has a value with a name outside the strings";
		return NULL;
	case BTF_KIND_FUNC_PROTO:
		for (i = 0; i < n; i++)
			if (!known(btf, btf_params(t)[i].type) || !string_known(btf, btf_params(t)[i].name_off))
				return "has a parameter of a type that does not exist";
		return known(btf, t->type) ? NULL : "returns a type that does not exist";
	case BTF_KIND_FUNC:
		other = btf_type(btf, t->type);
		return other && btf_kind(other) == BTF_KIND_FUNC_PROTO ? NULL : "has no prototype";
	case BTF_KIND_DATASEC:
		for (i = 0; i < n; i++) {
			other = btf_type(btf, btf_var_secinfos(t)[i].type);
			if (!other || (btf_kind(other) != BTF_KIND_VAR && btf_kind(other) != BTF_KIND_FUNC))
				return "holds something that is neither a variable nor a function";
		}
		return NULL;
	case BTF_KIND_DECL_TAG:
		return wrong_component(btf, t);
	case BTF_KIND_FWD:
		return NULL;
	default:
		return known(btf, t->type) ? NULL : "refers to a type that does not exist";
	}
}

static int refuse(const struct btf *btf, struct btf_log *log, u32 id, const char *error) {
	const struct btf_type *t = btf_type(btf, id);
	const char *name = btf_string(btf, t->name_off);
	btf_errorf(log, "[%u] %s %.64s %s\n", id, btf_kind_name(btf_kind(t)), name ? name : "", error);
	return -EINVAL;
}

int btf_check_references(const struct btf *btf, struct btf_log *log) {
	for (u32 id = btf->start; id < btf->end; id++) {
		const char *error = wrong(btf, btf_type(btf, id));
		if (error)
			return refuse(btf, log, id, error);
	}
	return 0;
}

/* Depth first over «contains by value»: modifiers and VARs lead to their type, arrays to their element, structs to
 * their members. Pointers and functions end it. */
struct step {
	u32 id, next;
};
struct resolver {
	struct btf *btf;
	struct btf_resolved *out;
	u8 *align;
	u8 *depth; /* 0 not visited, 255 on the stack, else 1 + nesting below */
	VEC(struct step) stack;
};
enum { ON_STACK = 255 };

/* The next type that a type contains, or 0. */
static u32 contained(const struct btf_type *t, u32 next) {
	switch (btf_kind(t)) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_VAR:
		return next ? 0 : t->type;
	case BTF_KIND_ARRAY:
		return next ? 0 : btf_array(t)->type;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return next < btf_vlen(t) ? btf_members(t)[next].type : 0;
	}
	return 0;
}

static bool member_inside(const struct btf *btf, const struct btf_type *t, u32 i) {
	u64 off = btf_member_bit_offset(t, i), width = btf_member_bitfield_size(t, i);
	const struct btf_resolved r = btf_resolved_of(btf, btf_members(t)[i].type);
	const struct btf_type *m = btf_type(btf, r.id);
	if (r.size == BTF_NO_SIZE)
		return false;
	u32 kind = btf_kind(m);
	if (width) {
		if ((kind != BTF_KIND_INT && kind != BTF_KIND_ENUM && kind != BTF_KIND_ENUM64) || width > (u64)r.size * 8)
			return false;
	} else if (kind == BTF_KIND_INT) {
		/* What counts is the bits: in the old form bit fields are INTs with fewer of them than their size. */
		if (btf_kflag(t) && off % 8)
			return false;
		off += BTF_INT_OFFSET(btf_int_data(m));
		width = BTF_INT_BITS(btf_int_data(m));
	} else {
		if (off % 8)
			return false;
		width = (u64)r.size * 8;
	}
	return off + width <= (u64)t->size * 8;
}

/* Of what is contained it is known already. */
static u8 alignment(const struct btf *btf, u32 id, struct btf_resolved res) {
	const struct btf_type *t = btf_type(btf, res.id);
	if (res.size == BTF_NO_SIZE)
		return 0;
	if (res.id != id)
		return (u8)btf_align(btf, res.id);
	switch (btf_kind(t)) {
	case BTF_KIND_ARRAY:
		return (u8)btf_align(btf, btf_array(t)->type);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: {
		u32 most = 1;
		for (u32 i = 0; i < btf_vlen(t); i++) {
			u32 a = btf_align(btf, btf_members(t)[i].type);
			if (!btf_member_bitfield_size(t, i) && btf_member_bit_offset(t, i) % (8 * a))
				return 1;
			most = MAX(most, a);
		}
		return t->size % most ? 1 : (u8)most;
	}
	case BTF_KIND_DATASEC:
		return 8;
	}
	return is_power_of_two(res.size) ? (u8)MIN(res.size, 16u) : res.size == 12 ? 4 : 1;
}

static const char *finish(struct resolver *r, u32 id) {
	struct btf *btf = r->btf;
	const struct btf_type *t = btf_type(btf, id);
	struct btf_resolved res = {id, BTF_NO_SIZE};
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FLOAT:
	case BTF_KIND_DATASEC:
		res.size = t->size;
		break;
	case BTF_KIND_PTR:
		res.size = 8;
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		if (t->size == BTF_NO_SIZE)
			return "is too large";
		res.size = t->size;
		for (u32 i = 0; i < btf_vlen(t); i++)
			if (!member_inside(btf, t, i))
				return "has a member that does not fit in it";
		break;
	case BTF_KIND_ARRAY: {
		struct btf_resolved elem = btf_resolved_of(btf, btf_array(t)->type);
		u64 size = (u64)elem.size * btf_array(t)->nelems;
		if (elem.size == BTF_NO_SIZE)
			return "has elements without a size";
		if (size >= BTF_NO_SIZE)
			return "is too large";
		res.size = (u32)size;
		break;
	}
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_VAR:
		res = btf_resolved_of(btf, t->type);
		break;
	}
	r->out[id - btf->start] = res;
	r->align[id - btf->start] = alignment(btf, id, res);
	return NULL;
}

/* No value holds one: else sections could hold themselves by way of a variable, as entries of sections are not followed. */
static bool is_variable_or_section(const struct btf_type *t) {
	return btf_kind(t) == BTF_KIND_VAR || btf_kind(t) == BTF_KIND_DATASEC;
}

static int resolve_from(struct resolver *r, u32 root, struct btf_log *log) {
	struct btf *btf = r->btf;
	struct step *top = vec_push(&r->stack);
	if (!top)
		return -ENOMEM;
	top->id = root;
	r->depth[root - btf->start] = ON_STACK;
	u8 nesting = 1; /* of the child finished last */
	while (r->stack.n) {
		top = &r->stack.at[r->stack.n - 1];
		u32 id = top->id, child = contained(btf_type(btf, id), top->next);
		if (child && is_variable_or_section(btf_type(btf, child)))
			return refuse(btf, log, id, "contains a variable or a section");
		if (child >= btf->start) {
			u8 state = r->depth[child - btf->start];
			if (state == ON_STACK)
				return refuse(btf, log, id, "contains itself");
			if (!state) {
				struct step *s = vec_push(&r->stack);
				if (!s)
					return -ENOMEM;
				s->id = child;
				r->depth[child - btf->start] = ON_STACK;
				continue;
			}
		}
		if (child) {
			top->next++;
			continue;
		}
		const struct btf_type *t = btf_type(btf, id);
		const char *error = finish(r, id);
		if (error)
			return refuse(btf, log, id, error);
		nesting = 1;
		for (u32 i = 0; (child = contained(t, i)); i++)
			if (child >= btf->start)
				nesting = MAX(nesting, r->depth[child - btf->start]);
		nesting += btf_is_composite(t) || btf_kind(t) == BTF_KIND_ARRAY;
		if (nesting > NESTING_MAX)
			return refuse(btf, log, id, "is nested too deeply");
		r->depth[id - btf->start] = nesting;
		r->stack.n--;
	}
	return 0;
}

int btf_resolve_all(struct btf *btf, struct btf_log *log) {
	u32 n = btf->end - btf->start;
	struct resolver r = {.btf = btf, .out = calloc((u64)n + 1, sizeof *r.out)};
	btf->resolved = r.out;
	btf->align = r.align = calloc((u64)n + 1, 1);
	r.depth = calloc((u64)n + 1, 1);
	int err = r.out && r.align && r.depth ? 0 : -ENOMEM;
	for (u32 id = btf->start; id < btf->end && !err; id++)
		if (!r.depth[id - btf->start])
			err = resolve_from(&r, id, log);
	free(r.depth);
	vec_free(&r.stack);
	return err;
}

s64 btf_size(const struct btf *btf, u32 id) {
	if (id >= btf->end)
		return -EINVAL;
	u32 size = btf_resolved_of(btf, id).size;
	return size == BTF_NO_SIZE ? -EINVAL : (s64)size;
}

u32 btf_align(const struct btf *btf, u32 id) {
	if (!id || id >= btf->end)
		return 0;
	while (id < btf->start)
		btf = btf->base;
	return btf->align[id - btf->start];
}
