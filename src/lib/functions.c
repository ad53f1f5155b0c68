/* Functions: what lies in the executable sections, and the records of .BTF.ext that belong to each. */
#include "lib/object.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_place(const void *a, const void *b) {
	const struct function *x = a, *y = b;
	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* Aliases: the global name first, then as in the symbol table. */
	if (x->global != y->global)
		return x->global ? -1 : 1;
	return x->symbol < y->symbol ? -1 : x->symbol > y->symbol;
}

static int add_function(struct skep_object *o, u32 i) {
	const struct symbol *sym = &o->symbols.at[i];
	const struct section *s = &o->sections.at[sym->section];
	if (sym->value % 8 || sym->size % 8 || sym->value >= s->size || sym->size > s->size - sym->value)
		return object_error(
		    o, -EINVAL, "Build it again",
		    "%s is damaged: function «%s» does not lie on whole instructions inside section «%s»", o->path,
		    sym->name, s->name);
	if (o->functions.n == FUNCTIONS_MAX)
		return object_error(o, -E2BIG, NULL, "%s has more than %d functions", o->path, FUNCTIONS_MAX);
	struct function *f = vec_push(&o->functions);
	if (!f)
		return out_of_memory(o);
	f->name = sym->name, f->section = sym->section, f->symbol = i, f->program = NONE;
	f->start = (u32)(sym->value / 8), f->n = (u32)(sym->size / 8);
	f->global = sym->bind != STB_LOCAL, f->weak = sym->bind == STB_WEAK;
	f->hidden = sym->visibility == STV_HIDDEN || sym->visibility == STV_INTERNAL;
	return 0;
}

/* One function per place; functions without a size (assembler) reach to the next; others must not overlap. */
static int settle(struct skep_object *o) {
	u32 kept = 0;
	for (u32 i = 0; i < o->functions.n; i++) {
		struct function *f = &o->functions.at[i], *before = kept ? &o->functions.at[kept - 1] : NULL;
		if (before && before->section == f->section && before->start == f->start) {
			before->n = MAX(before->n, f->n);
			continue;
		}
		o->functions.at[kept++] = *f;
	}
	o->functions.n = kept;
	for (u32 i = 0; i < kept; i++) {
		struct function *f = &o->functions.at[i];
		bool last = i + 1 == kept || o->functions.at[i + 1].section != f->section;
		u32 limit = last ? (u32)(o->sections.at[f->section].size / 8) : o->functions.at[i + 1].start;
		if (!f->n)
			f->n = limit - f->start;
		if (f->start + f->n > limit)
			return object_error(o, -EINVAL, "Build it again",
					    "%s is damaged: functions «%s» and «%s» overlap", o->path, f->name,
					    o->functions.at[i + 1].name);
		f->insns = arena_copy(&o->arena, o->sections.at[f->section].data + 8 * (u64)f->start, 8 * (u64)f->n);
		if (!f->insns)
			return out_of_memory(o);
	}
	return 0;
}

int object_find_functions(struct skep_object *o) {
	for (u32 i = 0; i < o->sections.n; i++)
		if (o->sections.at[i].kind == SECTION_CODE &&
		    (o->sections.at[i].size % 8 || o->sections.at[i].size > UINT32_MAX))
			return object_error(o, -EINVAL, "Copy or build it again",
					    "%s is damaged: section «%s» does not hold whole instructions", o->path,
					    o->sections.at[i].name);
	for (u32 i = 0; i < o->symbols.n; i++) {
		const struct symbol *sym = &o->symbols.at[i];
		if (sym->type != STT_FUNC || sym->section >= o->sections.n ||
		    o->sections.at[sym->section].kind != SECTION_CODE)
			continue;
		int err = add_function(o, i);
		if (err)
			return err;
	}
	if (!o->functions.n)
		return 0;
	qsort(o->functions.at, o->functions.n, sizeof *o->functions.at, by_place);
	return settle(o);
}

u32 function_around(const struct skep_object *o, u32 section, u64 insn) {
	u32 low = 0, high = o->functions.n;
	while (low < high) {
		u32 middle = (low + high) / 2;
		const struct function *f = &o->functions.at[middle];
		if (f->section < section || (f->section == section && f->start + (u64)f->n <= insn))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == o->functions.n)
		return NONE;
	const struct function *f = &o->functions.at[low];
	return f->section == section && insn >= f->start ? low : NONE;
}
u32 function_at(const struct skep_object *o, u32 section, u64 insn) {
	u32 i = function_around(o, section, insn);
	return i != NONE && o->functions.at[i].start == insn ? i : NONE;
}

/* The function a record of section `section` belongs to, and *insn within it; NULL for records of code that is gone (a
 * static linker leaves those of overridden weak functions). */
static struct function *owner_of(struct skep_object *o, u32 section, u32 byte_off, u32 *insn) {
	u32 i = byte_off % 8 ? NONE : function_around(o, section, byte_off / 8);
	if (i == NONE)
		return NULL;
	*insn = byte_off / 8 - o->functions.at[i].start;
	return &o->functions.at[i];
}

static int attach_func_info(struct skep_object *o, u32 section, const struct bpf_func_info *r) {
	u32 insn;
	struct function *f = owner_of(o, section, r->insn_off, &insn);
	const struct btf_type *t = btf_type(o->btf, r->type_id);
	if (!f)
		return 0;
	if (!t || btf_kind(t) != BTF_KIND_FUNC)
		return object_error(o, -EINVAL, "Build it again",
				    "%s is damaged: the function record of «%s» does not name a function type", o->path,
				    f->name);
	struct bpf_func_info *own = vec_push(&f->func_info);
	if (!own)
		return out_of_memory(o);
	*own = (struct bpf_func_info){insn, r->type_id};
	if (!insn)
		f->btf_id = r->type_id;
	return 0;
}
static int attach_line_info(struct skep_object *o, u32 section, const struct bpf_line_info *r) {
	u32 insn;
	struct function *f = owner_of(o, section, r->insn_off, &insn);
	if (!f)
		return 0;
	if (!btf_string(o->btf, r->file_name_off) || !btf_string(o->btf, r->line_off))
		return object_error(o, -EINVAL, "Build it again", "%s is damaged: a line record of «%s» has no text",
				    o->path, f->name);
	struct bpf_line_info *own = vec_push(&f->line_info);
	if (!own)
		return out_of_memory(o);
	*own = *r;
	own->insn_off = insn;
	return 0;
}
static int attach_core(struct skep_object *o, u32 section, const struct bpf_core_relo *r) {
	u32 insn;
	struct function *f = owner_of(o, section, r->insn_off, &insn);
	if (!f)
		return 0;
	struct bpf_core_relo *own = vec_push(&f->core);
	if (!own)
		return out_of_memory(o);
	*own = *r;
	own->insn_off = insn;
	return 0;
}

int object_attach_records(struct skep_object *o) {
	int err = 0;
	if (!o->ext)
		return 0;
	const struct btf_ext_info *infos[] = {&o->ext->func, &o->ext->line, &o->ext->core};
	for (u32 k = 0; k < ARRAY_SIZE(infos); k++)
		for (u32 i = 0; i < infos[k]->sections_n; i++) {
			const struct btf_ext_section *s = &infos[k]->sections[i];
			u32 section = section_by_name(o, s->name);
			for (u32 j = 0; j < s->n && !err && section != NONE; j++)
				err = k == 0   ? attach_func_info(o, section, btf_func_info(infos[k], s, j))
				      : k == 1 ? attach_line_info(o, section, btf_line_info(infos[k], s, j))
					       : attach_core(o, section, btf_core_relo(infos[k], s, j));
			if (err)
				return err;
		}
	return 0;
}
