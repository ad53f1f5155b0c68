/* From the BTF that a compiler wrote to one that BPF_BTF_LOAD takes. Compilers leave to the loader what only the ELF
 * file says: sizes of data sections and offsets of variables in them. Beyond that:
 *   - variables and functions with hidden visibility become static: they are nobody's interface;
 *   - extern variables and functions become allocated ones (the kernel has no externs): those of .ksyms four bytes
 * each, those of .kconfig where their values will lie;
 *   - names that are no identifiers (C++ and Rust have such) get underscores;
 *   - parameters of functions without a name get one.
 * Ids stay as they are, because .BTF.ext refers to them; additions go to the end. */
#include "lib/object.h"
#include "btf/builder.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fixup {
	struct skep_object *o;
	const struct btf *raw;
	struct btf_builder b;
	u32 dummy_var, dummy_name, int_id; /* 0 until needed */
	struct renamed {
		u32 old, new;
	} * renamed; /* RENAMED entries, by old % RENAMED: the last one wins */
};
enum { RENAMED = 4096 };

/* The record in the builder that will be type id: ids below raw->end lie where they lay. */
static struct btf_type *own(struct fixup *x, u32 id) {
	return (struct btf_type *)(x->b.types.at + x->raw->type_at[id - x->raw->start]);
}

static int by_offset(const void *a, const void *b) {
	const struct btf_var_secinfo *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int fix_data_section(struct fixup *x, u32 id, const char *name) {
	struct skep_object *o = x->o;
	struct btf_type *t = own(x, id);
	struct btf_var_secinfo *v = (struct btf_var_secinfo *)(t + 1);
	u32 section = section_by_name(o, name), n = btf_vlen(t);
	bool place = !t->size;
	if (place) {
		u64 size = section == NONE ? 0 : o->sections.at[section].size;
		if (!size || size > UINT32_MAX)
			return object_error(o, -EINVAL, "Build it again",
					    "%s: its BTF describes section «%s», which the file does not have", o->path,
					    name);
		t->size = (u32)size;
	}
	for (u32 i = 0; i < n; i++) {
		struct btf_type *var = own(x, v[i].type);
		if (btf_kind(var) != BTF_KIND_VAR)
			return object_error(o, -EINVAL, "Build it again",
					    "%s: its BTF puts a function into section «%s»", o->path, name);
		struct btf_var *linkage = (struct btf_var *)(var + 1);
		if (linkage->linkage != BTF_VAR_GLOBAL_ALLOCATED)
			continue;
		u32 sym = symbol_of_variable(o, btf_name(x->raw, var), section);
		if (sym == NONE)
			return object_error(o, -EINVAL, "Build it again",
					    "%s: variable «%s» of section «%s» has no symbol", o->path,
					    btf_name(x->raw, var), name);
		if (place)
			v[i].offset = (u32)MIN(o->symbols.at[sym].value, (u64)UINT32_MAX);
		if (o->symbols.at[sym].visibility == STV_HIDDEN || o->symbols.at[sym].visibility == STV_INTERNAL)
			linkage->linkage = BTF_VAR_STATIC;
	}
	if (n)
		qsort(v, n, sizeof *v, by_offset);
	return 0;
}

static u32 find_int(const struct btf *btf) {
	for (u32 id = 1; id < btf->end; id++) {
		const struct btf_type *t = btf_type(btf, id);
		if (btf_kind(t) == BTF_KIND_INT && BTF_INT_BITS(btf_int_data(t)) == 32)
			return id;
	}
	return 0;
}
/* An int variable that stands for extern functions, whose name stands for those of their parameters. */
static void need_dummy(struct fixup *x) {
	if (x->dummy_name)
		return;
	x->int_id = find_int(x->raw);
	if (!x->int_id)
		x->int_id = btf_builder_int(&x->b, "int", 4, BTF_INT_SIGNED);
	x->dummy_name = btf_builder_string(&x->b, "dummy_ksym");
	x->dummy_var = x->b.next_id;
	btf_builder_type(&x->b, NULL, BTF_KIND_VAR, 0, x->int_id, 1, BTF_VAR_GLOBAL_ALLOCATED);
	if (!x->b.failed)
		((struct btf_type *)(x->b.types.at + x->b.types.n - sizeof(struct btf_type) - 4))->name_off =
		    x->dummy_name;
}

static void name_parameters(struct fixup *x, u32 proto_id) {
	struct btf_type *proto = own(x, proto_id);
	struct btf_param *p = (struct btf_param *)(proto + 1);
	for (u32 i = 0; i < btf_vlen(proto); i++)
		if (p[i].type && !p[i].name_off)
			p[i].name_off = x->dummy_name;
}

static void fix_ksyms(struct fixup *x, u32 id) {
	struct btf_type *t = own(x, id);
	u32 n = btf_vlen(t);
	need_dummy(x);
	if (x->b.failed)
		return;
	t = own(x, id); /* the builder may have moved */
	struct btf_var_secinfo *v = (struct btf_var_secinfo *)(t + 1);
	for (u32 i = 0; i < n; i++) {
		struct btf_type *e = own(x, v[i].type);
		if (btf_kind(e) == BTF_KIND_FUNC) {
			name_parameters(x, e->type);
			e->info = (e->info & ~0xffffu) | BTF_FUNC_GLOBAL;
			v[i].type = x->dummy_var;
		} else {
			((struct btf_var *)(e + 1))->linkage = BTF_VAR_GLOBAL_ALLOCATED;
			e->type = x->int_id;
		}
		v[i].offset = i * 4, v[i].size = 4;
	}
	t->size = n * 4;
}

static void fix_kconfig(struct fixup *x, u32 id) {
	struct skep_object *o = x->o;
	struct btf_type *t = own(x, id);
	struct btf_var_secinfo *v = (struct btf_var_secinfo *)(t + 1);
	t->size = 0;
	for (u32 i = 0; i < o->externs.n; i++)
		if (o->externs.at[i].kind == EXTERN_KCONFIG)
			t->size = MAX(t->size, o->externs.at[i].kconfig.off + o->externs.at[i].kconfig.size);
	for (u32 i = 0; i < btf_vlen(t); i++) {
		struct btf_type *var = own(x, v[i].type);
		if (btf_kind(var) != BTF_KIND_VAR)
			continue;
		((struct btf_var *)(var + 1))->linkage = BTF_VAR_GLOBAL_ALLOCATED;
		for (u32 e = 0; e < o->externs.n; e++)
			if (o->externs.at[e].btf_id == v[i].type)
				v[i].offset = o->externs.at[e].kconfig.off, v[i].size = o->externs.at[e].kconfig.size;
	}
	if (btf_vlen(t))
		qsort(v, btf_vlen(t), sizeof *v, by_offset);
}

static bool identifier_char(char c, bool first) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
	       (!first && c >= '0' && c <= '9');
}
static bool is_identifier(const char *s) {
	for (u32 i = 0; s[i]; i++)
		if (!identifier_char(s[i], !i) || i >= 511)
			return false;
	return *s;
}
/* The offset of a name that the kernel takes. */
static u32 clean(struct fixup *x, u32 off) {
	const char *name = btf_string(x->raw, off);
	if (!off || !name || !*name || is_identifier(name)) /* NULL: a name of our own */
		return off;
	struct renamed *memo = &x->renamed[off % RENAMED];
	if (memo->old == off)
		return memo->new;
	char text[512];
	u32 n = 0;
	for (; name[n] && n < sizeof text - 1; n++)
		text[n] = identifier_char(name[n], !n) ? name[n] : '_';
	text[n] = 0;
	*memo = (struct renamed){off, btf_builder_string(&x->b, text)};
	x->b.failed |= x->b.strings.n > BTF_MAX_NAME_OFFSET;
	return memo->new;
}

static void clean_names(struct fixup *x) {
	for (u32 id = x->raw->start; id < x->raw->end && !x->b.failed; id++) {
		struct btf_type *t = own(x, id);
		struct btf_member *m = (struct btf_member *)(t + 1);
		struct btf_enum *e = (struct btf_enum *)(t + 1);
		struct btf_enum64 *w = (struct btf_enum64 *)(t + 1);
		struct btf_param *p = (struct btf_param *)(t + 1);
		u32 kind = btf_kind(t);
		if (kind != BTF_KIND_DATASEC && kind != BTF_KIND_INT && kind != BTF_KIND_FLOAT &&
		    kind != BTF_KIND_DECL_TAG && kind != BTF_KIND_TYPE_TAG && t->name_off)
			t->name_off = clean(x, t->name_off);
		for (u32 i = 0; i < btf_vlen(t); i++) {
			if (btf_is_composite(t))
				m[i].name_off = clean(x, m[i].name_off);
			else if (kind == BTF_KIND_ENUM)
				e[i].name_off = clean(x, e[i].name_off);
			else if (kind == BTF_KIND_ENUM64)
				w[i].name_off = clean(x, w[i].name_off);
			else if (kind == BTF_KIND_FUNC_PROTO)
				p[i].name_off = clean(x, p[i].name_off);
		}
	}
}

static void fix_functions(struct fixup *x) {
	for (u32 i = 0; i < x->o->functions.n; i++) {
		const struct function *f = &x->o->functions.at[i];
		u32 id = f->global && f->hidden ? btf_find(x->raw, f->name, BTF_KIND_FUNC) : 0;
		if (id && btf_vlen(own(x, id)) == BTF_FUNC_GLOBAL)
			own(x, id)->info &= ~0xffffu;
	}
}

static int fix_sections(struct fixup *x) {
	int err = 0;
	for (u32 id = x->raw->start; id < x->raw->end && !err; id++) {
		const struct btf_type *t = btf_type(x->raw, id);
		const char *name = btf_name(x->raw, t);
		if (btf_kind(t) != BTF_KIND_DATASEC)
			continue;
		if (!strcmp(name, ".ksyms"))
			fix_ksyms(x, id);
		else if (!strcmp(name, ".kconfig"))
			fix_kconfig(x, id);
		else
			err = fix_data_section(x, id, name);
		if (!err && x->b.failed)
			err = out_of_memory(x->o);
	}
	return err;
}

static int parse_section(struct skep_object *o, struct btf **raw) {
	u32 i = section_by_name(o, ".BTF");
	struct btf_log log = {0};
	*raw = NULL;
	if (i == NONE || !o->sections.at[i].size || !o->sections.at[i].data)
		return 0;
	int err = btf_parse(o->sections.at[i].data, o->sections.at[i].size, NULL, 0, &log, raw);
	return err ? object_error(o, err, "Build it again with clang -g",
				  "%s: its type information (.BTF) is damaged: %s", o->path, log.error)
		   : 0;
}

static int rebuild(struct skep_object *o, const struct btf *raw) {
	struct fixup x = {.o = o, .raw = raw, .renamed = arena_array(&o->arena, struct renamed, RENAMED)};
	btf_builder_copy(&x.b, raw);
	int err = x.renamed && !x.b.failed ? fix_sections(&x) : out_of_memory(o);
	if (!err) {
		fix_functions(&x);
		clean_names(&x);
	}
	const void *data;
	u32 size;
	struct btf_log log = {0};
	err = err ? err : btf_builder_blob(&x.b, &data, &size) ? out_of_memory(o) : 0;
	if (!err && (err = btf_parse(data, size, NULL, 0, &log, &o->btf)))
		object_error(o, err, "Build it again with clang -g",
			     "%s: its type information does not fit its sections: %s", o->path, log.error);
	btf_builder_free(&x.b);
	return err;
}

int object_parse_btf(struct skep_object *o) {
	struct btf *raw;
	struct btf_log log = {0};
	int err = parse_section(o, &raw);
	if (err || !raw)
		return err;
	err = object_collect_externs(o, raw);
	err = err ? err : rebuild(o, raw);
	btf_put(raw);
	u32 i = section_by_name(o, ".BTF.ext");
	if (err || i == NONE || !o->sections.at[i].size || !o->sections.at[i].data)
		return err;
	err = btf_ext_parse(o->sections.at[i].data, o->sections.at[i].size, o->btf, &log, &o->ext);
	return err ? object_error(o, err, "Build it again with clang -g", "%s: %s", o->path, log.error)
		   : object_attach_records(o);
}
