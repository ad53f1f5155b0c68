/* What instructions refer to: the relocations of code sections, and calls inside a section that need none. */
#include "lib/object.h"
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int bad_reference(struct skep_object *o, const struct function *f, u32 insn, const struct symbol *sym,
			 const char *what, const char *suggestion) {
	const char *name = *sym->name                     ? sym->name
			   : sym->section < o->sections.n ? o->sections.at[sym->section].name
							  : "?";
	return object_error(o, -EINVAL, suggestion, "%s: function «%s», instruction %u: «%s» %s", o->path, f->name,
			    insn, name, what);
}

/* A function by address: the symbol's place plus what the instruction adds. */
static int find_callee(struct skep_object *o, const struct function *f, u32 insn, const struct symbol *sym, s64 target,
		       struct ref *ref) {
	ref->index = sym->section < o->sections.n && target >= 0 ? function_at(o, sym->section, (u64)target) : NONE;
	if (ref->index == NONE)
		return bad_reference(o, f, insn, sym, "is called at a place where no function begins",
				     "Build it again");
	o->functions.at[ref->index].referenced = true;
	return 0;
}

static int classify_call(struct skep_object *o, struct function *f, u32 insn, const struct symbol *sym,
			 struct ref *ref) {
	const struct bpf_insn *in = &f->insns[insn];
	if (in->src_reg != BPF_PSEUDO_CALL)
		return bad_reference(o, f, insn, sym, "is not called as a function", "Build it again");
	if (sym->section >= o->sections.n || o->sections.at[sym->section].kind != SECTION_CODE)
		return bad_reference(o, f, insn, sym, "is called but is not defined in this object",
				     "Define it, or declare kernel functions with __ksym");
	if (sym->value % 8)
		return bad_reference(o, f, insn, sym, "is called in the middle of an instruction", "Build it again");
	ref->kind = REF_CALL;
	return find_callee(o, f, insn, sym, (s64)(sym->value / 8) + in->imm + 1, ref);
}

static int classify_load(struct skep_object *o, struct function *f, u32 insn, const struct symbol *sym,
			 struct ref *ref) {
	const struct bpf_insn *in = &f->insns[insn];
	if (insn + 1 >= f->n)
		return bad_reference(o, f, insn, sym, "is loaded by an instruction that is cut short",
				     "Copy or build it again");
	if (sym->section == SHN_UNDEF || sym->section >= o->sections.n)
		return bad_reference(o, f, insn, sym, "lies in no section",
				     "Initialise global variables, or build without -fcommon");
	struct section *s = &o->sections.at[sym->section];
	switch (s->kind) {
	case SECTION_CODE:
		if (sym->value % 8 || in->imm % 8)
			return bad_reference(o, f, insn, sym, "is addressed in the middle of an instruction",
					     "Build it again");
		ref->kind = REF_FUNCTION;
		return find_callee(o, f, insn, sym, (s64)(sym->value / 8) + in->imm / 8, ref);
	case SECTION_MAPS:
	case SECTION_LEGACY_MAPS:
		ref->kind = REF_MAP;
		ref->index = object_map_at(o, sym->section, sym->value);
		return ref->index == NONE ? bad_reference(o, f, insn, sym, "is no map", "Build it again") : 0;
	case SECTION_DATA:
	case SECTION_RODATA:
	case SECTION_BSS:
	case SECTION_ARENA:
		ref->kind = REF_DATA, ref->index = s->map, ref->off = (u32)sym->value;
		return s->map == NONE ? bad_reference(o, f, insn, sym, "lies in an empty section", "Build it again")
				      : 0;
	case SECTION_STRUCT_OPS:
		return bad_reference(o, f, insn, sym, "is a struct_ops, whose value programs cannot read", NULL);
	}
	return object_error(o, -EINVAL, "Move it to a section named .data.*, .rodata.* or .bss.*",
			    "%s: variable «%s» lies in section «%s», which does not become a map", o->path, sym->name,
			    s->name);
}

static int visit(struct skep_object *o, u32 section, const struct relocation *r) {
	const struct symbol *sym = &o->symbols.at[r->symbol];
	u32 i = r->off % 8 ? NONE : function_around(o, section, r->off / 8);
	if (i == NONE) {
		/* Left over from functions that a static linker removed. */
		return r->off % 8 || r->off >= o->sections.at[section].size
			   ? object_error(o, -EINVAL, "Build it again",
					  "%s is damaged: a relocation of section «%s» hits no instruction", o->path,
					  o->sections.at[section].name)
			   : 0;
	}
	struct function *f = &o->functions.at[i];
	u32 insn = (u32)(r->off / 8) - f->start;
	const struct bpf_insn *in = &f->insns[insn];
	bool is_call = in->code == (BPF_JMP | BPF_CALL);
	struct ref ref = {.insn = insn};
	int err;
	if (!is_call && in->code != BPF_LD_IMM64)
		return bad_reference(o, f, insn, sym, "is referred to by an instruction that cannot",
				     "Build it with clang -target bpf");
	if (sym->section == SHN_UNDEF && r->symbol && sym->type == STT_NOTYPE) {
		ref.kind = is_call ? REF_EXTERN_CALL : REF_EXTERN;
		ref.index = sym->extern_;
		if (ref.index == NONE)
			return bad_reference(
			    o, f, insn, sym, "is used but defined nowhere",
			    "Define it; helpers are declared in <bpf/bpf_helpers.h>, kernel functions with __ksym");
		err = !is_call && insn + 1 >= f->n
			  ? bad_reference(o, f, insn, sym, "is loaded by an instruction that is cut short",
					  "Build it again")
			  : 0;
	} else {
		err = is_call ? classify_call(o, f, insn, sym, &ref) : classify_load(o, f, insn, sym, &ref);
	}
	struct ref *slot = err ? NULL : vec_push(&f->refs);
	if (slot)
		*slot = ref;
	return err ? err : slot ? 0 : out_of_memory(o);
}

static int by_insn(const void *a, const void *b) {
	const struct ref *x = a, *y = b;
	return x->insn < y->insn ? -1 : x->insn > y->insn;
}

/* Calls and function addresses without a relocation are relative, within the section. */
static int find_local_calls(struct skep_object *o, struct function *f) {
	u32 known = 0, relocated = f->refs.n;
	for (u32 i = 0; i < f->n; i++) {
		const struct bpf_insn *in = &f->insns[i];
		bool wide = in->code == BPF_LD_IMM64;
		if (!insn_is_pseudo_call(in) && !(wide && in->src_reg == BPF_PSEUDO_FUNC)) {
			i += wide;
			continue;
		}
		while (known < relocated && f->refs.at[known].insn < i)
			known++;
		if (known < relocated && f->refs.at[known].insn == i) {
			i += wide;
			continue;
		}
		struct ref ref = {.insn = i, .kind = wide ? REF_FUNCTION : REF_CALL};
		const struct symbol *self = &o->symbols.at[f->symbol];
		s64 target = (s64)f->start + i + in->imm + 1;
		int err = find_callee(o, f, i, self, target, &ref);
		struct ref *slot = err ? NULL : vec_push(&f->refs);
		if (!slot)
			return err ? err : out_of_memory(o);
		*slot = ref;
		i += wide;
	}
	return 0;
}

int object_collect_refs(struct skep_object *o) {
	int err = 0;
	for (u32 i = 1; i < o->sections.n && !err; i++)
		if (o->sections.at[i].kind == SECTION_CODE)
			err = object_relocations(o, i, visit);
	for (u32 i = 0; i < o->functions.n && !err; i++) {
		struct function *f = &o->functions.at[i];
		if (f->refs.n)
			qsort(f->refs.at, f->refs.n, sizeof *f->refs.at, by_insn);
		for (u32 r = 1; r < f->refs.n && !err; r++)
			if (f->refs.at[r].insn == f->refs.at[r - 1].insn)
				err = object_error(o, -EINVAL, "Build it again",
						   "%s is damaged: instruction %u of «%s» is relocated twice", o->path,
						   f->refs.at[r].insn, f->name);
		err = err ? err : find_local_calls(o, f);
		if (f->refs.n)
			qsort(f->refs.at, f->refs.n, sizeof *f->refs.at, by_insn);
	}
	return err;
}
