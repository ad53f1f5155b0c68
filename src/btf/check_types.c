/* The kernel's rules for how types refer to each other (btf_check_all_types): everything that has a size must resolve
 * to one, within 32 steps and without a ring.
 *
 * The walk is depth first with a fixed stack. What counts as the end of a chain depends on where the walk began, which
 * is the part that must be copied exactly to give the kernel's verdict:
 *   from a pointer   everything but modifiers and pointers ends it (so struct a { struct a *next; } is fine)
 *   from a struct or array   everything but modifiers, arrays and structs ends it
 * A modifier that a struct resolved may therefore stop at a pointer whose own chain has not been walked; a pointer or
 * VAR that reaches it later goes on from there.
 *
 * This only judges. What later code relies on is established by resolve.c, for any BTF. */
#include "btf/parse.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_RESOLVE_DEPTH = 32 };
enum visit { NOT_VISITED, VISITED, RESOLVED };
enum mode { RESOLVE_TBD, RESOLVE_PTR, RESOLVE_STRUCT_OR_ARRAY };

struct frame {
	const struct btf_type *t;
	u32 id;
	u32 next_member;
};
struct check {
	const struct btf *btf;
	struct btf_log *log;
	struct frame stack[MAX_RESOLVE_DEPTH];
	u32 depth;
	enum mode mode;
	u8 *visit;                 /* by id - start */
	struct btf_resolved *done; /* of RESOLVED types; of pointers the pointee */
};

static bool is(const struct btf_type *t, u32 kind) {
	return btf_kind(t) == kind;
}
static bool has_size(const struct btf_type *t) {
	return is(t, BTF_KIND_INT) || btf_is_composite(t) || btf_is_any_enum(t) || is(t, BTF_KIND_DATASEC) ||
	       is(t, BTF_KIND_FLOAT);
}
static bool has_no_size(const struct btf_type *t) {
	return !t || is(t, BTF_KIND_UNKN) || is(t, BTF_KIND_FWD) || is(t, BTF_KIND_FUNC) ||
	       is(t, BTF_KIND_FUNC_PROTO) || is(t, BTF_KIND_DECL_TAG);
}
static bool is_source_only(const struct btf_type *t) {
	return is(t, BTF_KIND_VAR) || is(t, BTF_KIND_DATASEC) || is(t, BTF_KIND_DECL_TAG);
}
static bool needs_resolve(const struct btf_type *t) {
	return btf_is_modifier(t) || is(t, BTF_KIND_PTR) || btf_is_composite(t) || is(t, BTF_KIND_ARRAY) ||
	       is(t, BTF_KIND_VAR) || is(t, BTF_KIND_FUNC) || is(t, BTF_KIND_DECL_TAG) || is(t, BTF_KIND_DATASEC);
}

static bool is_sink(const struct check *c, const struct btf_type *t) {
	switch (c->mode) {
	case RESOLVE_TBD:
		return !needs_resolve(t);
	case RESOLVE_PTR:
		return !btf_is_modifier(t) && !is(t, BTF_KIND_PTR);
	case RESOLVE_STRUCT_OR_ARRAY:
		return !btf_is_modifier(t) && !is(t, BTF_KIND_ARRAY) && !btf_is_composite(t);
	}
	return true;
}
static bool is_resolved(const struct check *c, u32 id) {
	return id < c->btf->start || c->visit[id - c->btf->start] == RESOLVED;
}
static struct btf_resolved done_of(const struct check *c, u32 id) {
	if (id >= c->btf->start)
		return c->done[id - c->btf->start];
	/* The finished tables of a base say the same but for pointers, which stand for themselves there. */
	struct btf_resolved r = btf_resolved_of(c->btf, id);
	const struct btf_type *t = btf_type(c->btf, id);
	if (is(t, BTF_KIND_PTR))
		r.id = btf_skip_modifiers(c->btf, t->type);
	return r;
}

static int push(struct check *c, const struct btf_type *t, u32 id) {
	if (c->depth == MAX_RESOLVE_DEPTH)
		return -E2BIG;
	if (id < c->btf->start || c->visit[id - c->btf->start] != NOT_VISITED)
		return -EEXIST;
	c->visit[id - c->btf->start] = VISITED;
	c->stack[c->depth++] = (struct frame){t, id, 0};
	if (c->mode == RESOLVE_TBD) {
		if (is(t, BTF_KIND_PTR))
			c->mode = RESOLVE_PTR;
		else if (btf_is_composite(t) || is(t, BTF_KIND_ARRAY))
			c->mode = RESOLVE_STRUCT_OR_ARRAY;
	}
	return 0;
}
static int pop(struct check *c, u32 id, u32 size) {
	u32 own = c->stack[--c->depth].id - c->btf->start;
	c->done[own] = (struct btf_resolved){id, size};
	c->visit[own] = RESOLVED;
	return 0;
}

/* The type with a size that *id stands for, or NULL; *id and *size follow then. As btf_type_id_size in the kernel. */
static const struct btf_type *sized(const struct check *c, u32 *id, u32 *size) {
	const struct btf_type *t = btf_type(c->btf, *id);
	if (has_no_size(t))
		return NULL;
	if (btf_is_modifier(t) || is(t, BTF_KIND_VAR)) {
		u32 behind = done_of(c, *id).id;
		t = btf_type(c->btf, behind);
		if (has_no_size(t) || btf_is_modifier(t) || is(t, BTF_KIND_VAR))
			return NULL;
		*id = behind;
	}
	*size = is(t, BTF_KIND_PTR) ? 8 : is(t, BTF_KIND_ARRAY) ? done_of(c, *id).size : t->size;
	return has_size(t) || is(t, BTF_KIND_PTR) || is(t, BTF_KIND_ARRAY) ? t : NULL;
}

static int refuse(struct check *c, const struct frame *f, const char *error) {
	btf_log_type(c->btf, c->log, f->id, f->t, true, error);
	return -EINVAL;
}

/* Does the member lie inside the struct, on a boundary its type can have? As check_member and check_kflag_member. */
static const char *wrong_member(struct check *c, const struct btf_type *s, u32 i) {
	u32 id = btf_members(s)[i].type, size = 0, off = btf_member_bit_offset(s, i),
	    width = btf_member_bitfield_size(s, i);
	const struct btf_type *t = sized(c, &id, &size);
	if (!t)
		return "Invalid member";
	u32 kind = btf_kind(t), bits;
	if (kind == BTF_KIND_INT) {
		u32 data = btf_int_data(t);
		bits = BTF_INT_BITS(data);
		if (btf_kflag(s)) {
			if (!btf_int_is_regular(t))
				return "Invalid member base type";
			if (!width && off % 8)
				return "Invalid member offset";
			if (width > bits)
				return "Invalid member bitfield_size";
			bits = width ? width : bits;
		} else if (UINT32_MAX - off < BTF_INT_OFFSET(data)) {
			return "bits_offset exceeds U32_MAX";
		} else {
			off += BTF_INT_OFFSET(data);
		}
		bits += off % 8;
		if (bits > 128)
			return "nr_copy_bits exceeds 128";
		if (s->size < off / 8 || s->size - off / 8 < (bits + 7) / 8)
			return "Member exceeds struct_size";
		return NULL;
	}
	if (btf_is_any_enum(t) && btf_kflag(s)) {
		if (!width && off % 8)
			return "Member is not byte aligned";
		if (width > 32)
			return "Invalid member bitfield_size";
		return s->size < ((u64)off + (width ? width : 32) + 7) / 8 ? "Member exceeds struct_size" : NULL;
	}
	if (width)
		return "Invalid member bitfield_size";
	if (kind == BTF_KIND_FLOAT) {
		if (off % (MIN(8u, t->size) * 8))
			return "Member is not properly aligned";
		return off / 8 + (u64)t->size > s->size ? "Member exceeds struct_size" : NULL;
	}
	if (off % 8)
		return "Member is not byte aligned";
	return s->size - off / 8 < size ? "Member exceeds struct_size" : NULL;
}
static int check_member(struct check *c, const struct frame *f, u32 i) {
	const char *error = wrong_member(c, f->t, i);
	if (!error)
		return 0;
	/* The kernel prints the type behind modifiers, once it knows one. */
	u32 id = btf_members(f->t)[i].type, size;
	sized(c, &id, &size);
	btf_log_type(c->btf, c->log, f->id, f->t, true, NULL);
	btf_log_member(c->btf, c->log, f->id, f->t, i, id, error);
	return -EINVAL;
}

static int resolve_struct(struct check *c, struct frame *f) {
	u32 i = f->next_member;
	int err = i ? check_member(c, f, i - 1) : 0; /* the one the walk came back from */
	for (; !err && i < btf_vlen(f->t); i++) {
		u32 id = btf_members(f->t)[i].type;
		const struct btf_type *t = btf_type(c->btf, id);
		if (has_no_size(t) || is_source_only(t)) {
			btf_log_type(c->btf, c->log, f->id, f->t, true, NULL);
			btf_log_member(c->btf, c->log, f->id, f->t, i, id, "Invalid member");
			return -EINVAL;
		}
		if (!is_sink(c, t) && !is_resolved(c, id)) {
			f->next_member = i + 1;
			return push(c, t, id);
		}
		err = check_member(c, f, i);
	}
	return err ? err : pop(c, 0, 0);
}

static int resolve_array(struct check *c, struct frame *f) {
	const struct btf_array *a = btf_array(f->t);
	u32 id = a->index_type, size = 0;
	const struct btf_type *t = btf_type(c->btf, id);
	if (has_no_size(t) || is_source_only(t))
		return refuse(c, f, "Invalid index");
	if (!is_sink(c, t) && !is_resolved(c, id))
		return push(c, t, id);
	t = sized(c, &id, &size);
	if (!t || !is(t, BTF_KIND_INT) || !btf_int_is_regular(t))
		return refuse(c, f, "Invalid index");
	id = a->type;
	t = btf_type(c->btf, id);
	if (has_no_size(t) || is_source_only(t))
		return refuse(c, f, "Invalid elem");
	if (!is_sink(c, t) && !is_resolved(c, id))
		return push(c, t, id);
	t = sized(c, &id, &size);
	if (!t)
		return refuse(c, f, "Invalid elem");
	if (is(t, BTF_KIND_INT) && !btf_int_is_regular(t))
		return refuse(c, f, "Invalid array of int");
	if (a->nelems && size > UINT32_MAX / a->nelems)
		return refuse(c, f, "Array size overflows U32_MAX");
	return pop(c, id, size * a->nelems);
}

/* Modifiers, pointers and VARs: one type behind them. */
static int resolve_reference(struct check *c, struct frame *f) {
	u32 id = f->t->type, size;
	const struct btf_type *t = btf_type(c->btf, id);
	if (!t || is_source_only(t))
		return refuse(c, f, "Invalid type_id");
	if (!is_sink(c, t) && !is_resolved(c, id))
		return push(c, t, id);
	if (btf_is_modifier(t) && !btf_is_modifier(f->t)) {
		u32 behind = done_of(c, id).id;
		const struct btf_type *p = btf_type(c->btf, behind);
		if (is(p, BTF_KIND_PTR) && !is_sink(c, p) && !is_resolved(c, behind))
			return push(c, p, behind);
	}
	if (!sized(c, &id, &size)) {
		if (is(f->t, BTF_KIND_VAR))
			return refuse(c, f, "Invalid type_id");
		if (is_resolved(c, id) && id && needs_resolve(btf_type(c->btf, id)))
			id = done_of(c, id).id;
		t = btf_type(c->btf, id);
		if (!is(t, BTF_KIND_UNKN) && !is(t, BTF_KIND_FWD) && !is(t, BTF_KIND_FUNC_PROTO))
			return refuse(c, f, "Invalid type_id");
	}
	return pop(c, id, 0);
}

static int resolve_func(struct check *c, struct frame *f) {
	const struct btf_type *proto = btf_type(c->btf, f->t->type);
	if (!proto || !is(proto, BTF_KIND_FUNC_PROTO))
		return refuse(c, f, "Invalid type_id");
	for (u32 i = 0; i < btf_vlen(proto); i++)
		if (!btf_params(proto)[i].name_off && btf_params(proto)[i].type) {
			char text[32];
			snprintf(text, sizeof text, "Invalid arg#%u", i + 1);
			return refuse(c, f, text);
		}
	return pop(c, f->t->type, 0);
}

static int resolve_datasec(struct check *c, struct frame *f) {
	c->mode = RESOLVE_TBD;
	for (u32 i = f->next_member; i < btf_vlen(f->t); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(f->t)[i];
		const struct btf_type *t = btf_type(c->btf, v->type);
		const char *error = NULL;
		u32 size = 0;
		if (!t || !is(t, BTF_KIND_VAR)) {
			error = "Not a VAR kind member";
		} else if (!is_sink(c, t) && !is_resolved(c, v->type)) {
			f->next_member = i + 1;
			return push(c, t, v->type);
		} else if (!sized(c, &(u32){t->type}, &size)) {
			error = "Invalid type";
		} else if (v->size < size) {
			error = "Invalid size";
		}
		if (error) {
			btf_log_type(c->btf, c->log, f->id, f->t, true, NULL);
			btf_log_secinfo(c->log, f->id, v, error);
			return -EINVAL;
		}
	}
	return pop(c, 0, 0);
}

static int resolve_decl_tag(struct check *c, struct frame *f) {
	u32 id = f->t->type;
	s32 component = btf_decl_tag(f->t)->component_idx;
	const struct btf_type *t = btf_type(c->btf, id);
	if (!t || !(is(t, BTF_KIND_FUNC) || btf_is_composite(t) || is(t, BTF_KIND_VAR) || is(t, BTF_KIND_TYPEDEF)))
		return refuse(c, f, "Invalid type_id");
	if (!is_sink(c, t) && !is_resolved(c, id))
		return push(c, t, id);
	if (component != -1) {
		if (is(t, BTF_KIND_VAR) || is(t, BTF_KIND_TYPEDEF))
			return refuse(c, f, "Invalid component_idx");
		const struct btf_type *counted = btf_is_composite(t) ? t : btf_type(c->btf, t->type);
		if ((u32)component >= btf_vlen(counted))
			return refuse(c, f, "Invalid component_idx");
	}
	return pop(c, id, 0);
}

static int resolve_step(struct check *c) {
	struct frame *f = &c->stack[c->depth - 1];
	switch (btf_kind(f->t)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return resolve_struct(c, f);
	case BTF_KIND_ARRAY:
		return resolve_array(c, f);
	case BTF_KIND_FUNC:
		return resolve_func(c, f);
	case BTF_KIND_DATASEC:
		return resolve_datasec(c, f);
	case BTF_KIND_DECL_TAG:
		return resolve_decl_tag(c, f);
	default:
		return resolve_reference(c, f);
	}
}

static int resolve(struct check *c, const struct btf_type *t, u32 id) {
	c->mode = RESOLVE_TBD;
	c->depth = 0;
	int err = push(c, t, id);
	ASSERT(!err);
	while (!err && c->depth)
		err = resolve_step(c);
	if (err == -E2BIG)
		btf_log_type(c->btf, c->log, id, t, true, "Exceeded max resolving depth:32");
	else if (err == -EEXIST)
		btf_log_type(c->btf, c->log, id, t, true, "Loop detected");
	return err;
}

/* The kernel looks into prototypes last: a parameter or result type must have a size once resolved. */
static bool usable_type(struct check *c, u32 id, int *err) {
	const struct btf_type *t = btf_type(c->btf, id);
	if (!t || is_source_only(t))
		return false;
	if (needs_resolve(t) && !is_resolved(c, id)) {
		*err = resolve(c, t, id);
		if (*err)
			return false;
	}
	u32 size;
	return sized(c, &id, &size);
}

static int check_proto(struct check *c, u32 id, const struct btf_type *t) {
	struct frame f = {t, id, 0};
	int err = 0;
	if (t->type && !usable_type(c, t->type, &err))
		return err ? err : refuse(c, &f, "Invalid return type");
	u32 n = btf_vlen(t);
	char text[32];
	if (n && !btf_params(t)[n - 1].type) {
		if (btf_params(t)[n - 1].name_off) {
			snprintf(text, sizeof text, "Invalid arg#%u", n);
			return refuse(c, &f, text);
		}
		n--;
	}
	for (u32 i = 0; i < n; i++) {
		const struct btf_param *p = &btf_params(t)[i];
		if ((p->name_off && !btf_name_is_identifier(c->btf, p->name_off)) || !usable_type(c, p->type, &err)) {
			if (err)
				return err;
			snprintf(text, sizeof text, "Invalid arg#%u", i + 1);
			return refuse(c, &f, text);
		}
	}
	return 0;
}

/* Type tags come before other modifiers. */
static int check_type_tags(struct check *c) {
	const struct btf *btf = c->btf;
	for (u32 id = btf->start; id < btf->end; id++) {
		const struct btf_type *t = btf_type(btf, id);
		bool in_tags = is(t, BTF_KIND_TYPE_TAG);
		u32 limit = 32;
		for (u32 at = id; btf_is_modifier(t); at = t->type, t = btf_type(btf, at)) {
			if (!limit--)
				return btf_errorf(c->log, "Max chain length or cycle detected"), -ELOOP;
			if (!is(t, BTF_KIND_TYPE_TAG))
				in_tags = false;
			else if (!in_tags)
				return btf_errorf(c->log, "Type tags don't precede modifiers"), -EINVAL;
			if (at < id)
				break; /* judged already */
		}
	}
	return 0;
}

int btf_check_types(const struct btf *btf, struct btf_log *log) {
	u32 n = btf->end - btf->start;
	struct check *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	*c = (struct check){.btf = btf, .log = log, .visit = calloc(n + 1, 1), .done = calloc(n + 1, sizeof *c->done)};
	int err = c->visit && c->done ? 0 : -ENOMEM;
	for (u32 id = btf->start; id < btf->end && !err; id++) {
		const struct btf_type *t = btf_type(btf, id);
		if (needs_resolve(t) && !is_resolved(c, id))
			err = resolve(c, t, id);
		if (!err && is(t, BTF_KIND_FUNC_PROTO))
			err = check_proto(c, id, t);
	}
	err = err ? err : check_type_tags(c);
	free(c->visit), free(c->done), free(c);
	return err;
}
