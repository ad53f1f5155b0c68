/* What is written when. C wants a struct complete where it is a member, declared where it is pointed to, and typedefs
 * and enums written before they are used. So the walk asks each use what it needs:
 *
 *   by value   struct member, array element           the definition must stand before
 *   by name    behind a pointer, in a prototype       a forward declaration is enough
 *
 * and writes that first. By value nothing contains itself (btf_parse has seen to it); by name a forward declaration
 * ends the ring. Chains of pointers and prototypes have no such end: their depth is limited.
 *
 * States of a type, by id: DECLARED, OPEN (being written), DONE. Two types of one name get a number behind
 * the second (___2), as struct tags and as ordinary names (typedefs, enumerators) apart. */
#include "btf/dump_c.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum state { DECLARED = 1, OPEN = 2, DONE = 4 };

static void flush(struct dump *d) {
	if (d->out.failed && !d->error)
		d->error = d->out.s.n > DUMP_MOST ? -E2BIG : -ENOMEM;
	d->written += d->out.s.n;
	if (d->written > DUMP_MOST && !d->error)
		d->error = -E2BIG;
	if (!d->error && d->out.s.n)
		d->error = d->write(d->owner, d->out.s.at, d->out.s.n);
	d->out.s.n = 0;
}

static void need(struct dump *d, u32 id, bool by_value);

static void need_members(struct dump *d, const struct btf_type *t) {
	for (u32 i = 0; i < btf_vlen(t) && !d->error; i++)
		need(d, btf_members(t)[i].type, true);
}

static void define_struct(struct dump *d, u32 id, const struct btf_type *t) {
	if (d->state[id] & (OPEN | DONE))
		return;
	d->state[id] |= OPEN;
	need_members(d, t);
	text_add(&d->out, btf_kind(t) == BTF_KIND_UNION ? "union " : "struct ");
	dump_name(d, &d->out, id);
	text_add(&d->out, " ");
	dump_struct_body(d, &d->out, id, 0);
	text_add(&d->out, ";\n\n");
	d->state[id] |= DONE | DECLARED;
	flush(d);
}
/* Also of one that is being written: what stands before it may point to it. */
static void declare_struct(struct dump *d, u32 id, const struct btf_type *t) {
	if (d->state[id] & DECLARED)
		return;
	d->state[id] |= DECLARED;
	text_add(&d->out,
		 btf_kind(t) == BTF_KIND_UNION || (btf_kind(t) == BTF_KIND_FWD && btf_kflag(t)) ? "union " : "struct ");
	dump_name(d, &d->out, id);
	text_add(&d->out, ";\n\n");
	flush(d);
}
static void define_enum(struct dump *d, u32 id) {
	if (d->state[id])
		return;
	d->state[id] = DONE;
	text_add(&d->out, "enum ");
	if (*btf_name_of(d->btf, id)) {
		dump_name(d, &d->out, id);
		text_add(&d->out, " ");
	}
	dump_enum_body(d, &d->out, id, 0);
	text_add(&d->out, ";\n\n");
	flush(d);
}
/* Compilers know this one. */
static bool is_builtin(const char *name) {
	return !strcmp(name, "__builtin_va_list");
}
static void define_typedef(struct dump *d, u32 id, const struct btf_type *t, bool by_value) {
	if (!d->state[id] && !is_builtin(btf_name(d->btf, t))) {
		d->state[id] = OPEN;
		/* An unnamed struct is written inside the typedef: what it contains must stand before. */
		need(d, t->type, false);
		struct text name = {0};
		dump_name(d, &name, id);
		text_add(&d->out, "typedef ");
		dump_declaration(d, &d->out, t->type, name.s.n ? name.s.at : "", 0);
		text_add(&d->out, ";\n\n");
		vec_free(&name.s);
		d->state[id] = DONE;
		flush(d);
	}
	if (by_value)
		need(d, t->type, true);
}

static void need(struct dump *d, u32 id, bool by_value) {
	const struct btf_type *t = btf_type(d->btf, id);
	bool named = *btf_name(d->btf, t);
	if (d->error)
		return;
	if (++d->depth > DUMP_DEPTH) {
		d->error = -E2BIG;
		return;
	}
	switch (btf_kind(t)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		if (!named)
			need_members(d, t);
		else if (by_value)
			define_struct(d, id, t);
		else
			declare_struct(d, id, t);
		break;
	case BTF_KIND_FWD:
		declare_struct(d, id, t);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		if (named)
			define_enum(d, id);
		break;
	case BTF_KIND_TYPEDEF:
		define_typedef(d, id, t, by_value);
		break;
	case BTF_KIND_PTR:
		need(d, t->type, false);
		break;
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		need(d, t->type, by_value);
		break;
	case BTF_KIND_ARRAY:
		/* Also behind a pointer: C has no arrays of incomplete types. */
		need(d, btf_array(t)->type, true);
		break;
	case BTF_KIND_FUNC_PROTO:
		need(d, t->type, false);
		for (u32 i = 0; i < btf_vlen(t); i++)
			need(d, btf_params(t)[i].type, false);
		break;
	}
	d->depth--;
}

/* ---- names ---- */

struct name {
	const char *text;
	u32 id;
	bool tag; /* struct, union and enum names are apart from the others */
};
static int by_name(const void *a, const void *b) {
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);
	return order ? order : x->tag != y->tag ? x->tag - y->tag : x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b) {
	const struct renamed *x = a, *y = b;
	return x->id != y->id ? (x->id < y->id ? -1 : 1) : strcmp(x->text, y->text);
}

/* Which of the types of its name each is. A forward declaration belongs to the first struct or union of its name. */
static int number_names(struct dump *d) {
	const struct btf *btf = d->btf;
	VEC(struct name) names = {0};
	int err = 0;
	for (u32 id = 1; id < btf->end && !err; id++) {
		const struct btf_type *t = btf_type(btf, id);
		u32 kind = btf_kind(t);
		bool tag = btf_is_composite(t) || (btf_is_any_enum(t) && *btf_name(btf, t));
		if (kind == BTF_KIND_TYPEDEF || (tag && *btf_name(btf, t))) {
			struct name *n = vec_push(&names);
			if (n)
				*n = (struct name){btf_name(btf, t), id, tag};
			else
				err = -ENOMEM;
		}
		for (u32 i = 0; btf_is_any_enum(t) && i < btf_vlen(t) && !err; i++) {
			struct name *n = vec_push(&names);
			if (n)
				*n = (struct name){btf_string(btf, kind == BTF_KIND_ENUM ? btf_enums(t)[i].name_off
											 : btf_enums64(t)[i].name_off),
						   id, false};
			else
				err = -ENOMEM;
		}
	}
	if (names.n)
		qsort(names.at, names.n, sizeof *names.at, by_name);
	for (u32 i = 0, run = 0; i < names.n && !err; i++) {
		const struct name *n = &names.at[i], *before = n - 1;
		run = i && !strcmp(n->text, before->text) && n->tag == before->tag ? run + 1 : 1;
		struct renamed *r = run > 1 ? vec_push(&d->renamed) : NULL;
		if (r)
			*r = (struct renamed){n->id, run, n->text};
		else if (run > 1)
			err = -ENOMEM;
	}
	if (d->renamed.n)
		qsort(d->renamed.at, d->renamed.n, sizeof *d->renamed.at, by_id);
	vec_free(&names);
	return err;
}

static int start(struct dump *d, const struct btf *btf, btf_write_fn *write, void *owner) {
	u64 n = btf->end;
	*d = (struct dump){.btf = btf, .write = write, .owner = owner};
	d->state = calloc(n, 1), d->layout = calloc(n, 1);
	return d->state && d->layout ? number_names(d) : -ENOMEM;
}
static int end(struct dump *d, int err) {
	vec_free(&d->out.s);
	vec_free(&d->renamed);
	free(d->state), free(d->layout);
	return err ? err : d->error;
}

int btf_dump_c_type(const struct btf *btf, u32 id, btf_write_fn *write, void *owner) {
	struct dump d;
	int err = start(&d, btf, write, owner);
	if (!err && id < btf->end)
		need(&d, id, true);
	return end(&d, err);
}

/* Unnamed enums that types use are written there; the rest are constants for everyone. */
static void mark_used(struct dump *d, u8 *used, u32 id) {
	u32 at = btf_skip_modifiers(d->btf, id);
	const struct btf_type *t = btf_type(d->btf, at);
	while (btf_kind(t) == BTF_KIND_ARRAY)
		at = btf_skip_modifiers(d->btf, btf_array(t)->type), t = btf_type(d->btf, at);
	used[at] = 1;
}

int btf_dump_c(const struct btf *btf, u32 flags, btf_write_fn *write, void *owner) {
	struct dump d;
	int err = start(&d, btf, write, owner);
	u8 *used = calloc(btf->end, 1);
	if (!used)
		err = -ENOMEM;
	if (flags & BTF_C_VMLINUX)
		text_add(&d.out,
			 "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
			 "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = "
			 "record)\n#endif\n\n");
	for (u32 id = 1; id < btf->end && !err; id++) {
		const struct btf_type *t = btf_type(btf, id);
		for (u32 i = 0; btf_is_composite(t) && i < btf_vlen(t); i++)
			mark_used(&d, used, btf_members(t)[i].type);
		if (btf_kind(t) == BTF_KIND_TYPEDEF)
			mark_used(&d, used, t->type);
	}
	for (u32 id = 1; id < btf->end && !err && !d.error; id++) {
		const struct btf_type *t = btf_type(btf, id);
		bool named = *btf_name(btf, t);
		if (btf_is_any_enum(t) && (named || !used[id]))
			define_enum(&d, id);
		else if (named &&
			 (btf_is_composite(t) || btf_kind(t) == BTF_KIND_TYPEDEF || btf_kind(t) == BTF_KIND_FWD))
			need(&d, id, btf_is_composite(t));
	}
	if (flags & BTF_C_VMLINUX)
		text_add(&d.out,
			 "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n#endif\n");
	flush(&d);
	free(used);
	return end(&d, err);
}
