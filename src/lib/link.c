/* One program as the kernel takes it: its function, then every function it reaches by calls or by address, each once,
 * in the order in which they are first met, depth first; all references filled in; function and line records moved
 * along.
 *
 *      main ── call f ── call g ──┐      parts: main, f, g, then what the tag «exception_callback:…» of main names, and
 *                                 │             what that one reaches
 *      references of a part: distances to other parts, descriptors of maps, ids of kernel functions, addresses
 *
 * Programs of one object share functions, so linking must not change them: a program's instructions are a copy. A
 * reference that cannot be filled in becomes an instruction that no verifier accepts, and whose number says why (poison):
 * it is refused only where it is reached. */
#include "lib/object.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { POISON_MAP = 2001000000, POISON_KFUNC = 2002000000 };

/* Where the walk over a function's references stands. */
struct walk {
	u32 part, ref;
};
struct linker {
	struct skep_object *o;
	struct skep_program *p;
	VEC(struct bpf_insn) insns;
	VEC(struct part) parts;
	u32 *part_of; /* by function: index of its part + 1; all 0 between programs */
	VEC(struct walk) stack;
};

static int fail(struct linker *l) {
	return out_of_memory(l->o);
}

static int append(struct linker *l, u32 function) {
	struct function *f = &l->o->functions.at[function];
	int err = function_relocate_core(l->o, f);
	if (err)
		return err;
	if (l->insns.n + (u64)f->n > INSNS_MAX)
		return object_error(l->o, -E2BIG, "Split it with tail calls",
				    "%s: program «%s» has more than a million instructions", l->o->path, l->p->name);
	struct part *part = vec_push(&l->parts);
	if (!part || !vec_reserve(&l->insns, f->n))
		return fail(l);
	*part = (struct part){function, l->insns.n};
	memcpy(l->insns.at + l->insns.n, f->insns, 8 * (u64)f->n);
	l->insns.n += f->n;
	l->part_of[function] = l->parts.n;
	struct walk *w = vec_push(&l->stack);
	if (!w)
		return fail(l);
	w->part = l->parts.n - 1;
	return 0;
}

/* The function, and all that it reaches. */
static int place_function(struct linker *l, u32 function) {
	int err = append(l, function);
	while (!err && l->stack.n) {
		struct walk *w = &l->stack.at[l->stack.n - 1];
		const struct function *f = &l->o->functions.at[l->parts.at[w->part].function];
		if (w->ref == f->refs.n) {
			l->stack.n--;
			continue;
		}
		const struct ref *r = &f->refs.at[w->ref++];
		if ((r->kind == REF_CALL || r->kind == REF_FUNCTION) && !l->part_of[r->index])
			err = append(l, r->index);
	}
	return err;
}

/* Nobody calls the function for exceptions: a declaration tag on the program names it. Two tags are left to the verifier,
 * who refuses them. */
static int place_exception_callback(struct linker *l) {
	const struct function *main = &l->o->functions.at[l->p->function], *f;
	const char *name, *second;
	u32 tag = main->btf_id ? btf_decl_tag_next(l->o->btf, main->btf_id, -1, "exception_callback:", 0, &name) : 0;
	if (!tag || btf_decl_tag_next(l->o->btf, main->btf_id, -1, "exception_callback:", tag, &second))
		return 0;
	for (u32 i = 0; i < l->o->functions.n; i++) {
		f = &l->o->functions.at[i];
		if (f->section != NONE && f->global && !f->hidden && !strcmp(f->name, name) &&
		    !strcmp(l->o->sections.at[f->section].name, ".text"))
			return l->part_of[i] ? 0 : place_function(l, i);
	}
	return object_error(l->o, -ENOENT, "Write it as a global function with one integer argument",
			    "%s: program «%s» names «%s» as its exception callback, which is not a global function here",
			    l->o->path, l->p->name, name);
}

/* Makes an instruction one that no verifier accepts; the number says why, as libbpf's does. */
static void poison(struct bpf_insn *in, u32 n, u32 imm) {
	for (u32 i = 0; i < n; i++)
		in[i] = (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = (s32)imm};
}

static void fill_map(struct linker *l, struct bpf_insn *in, const struct ref *r) {
	const struct skep_map *m = l->o->maps.at[r->index];
	u32 off = (u32)in[0].imm + r->off;
	if (m->fd < 0 && m->error) {
		poison(in, 2, POISON_MAP + r->index);
		return;
	}
	in[0].src_reg = r->kind == REF_MAP ? BPF_PSEUDO_MAP_FD : BPF_PSEUDO_MAP_VALUE;
	in[0].imm = m->fd;
	if (r->kind == REF_DATA)
		in[1].imm = (s32)off;
}

static void fill_extern(struct linker *l, struct bpf_insn *in, const struct ref *r) {
	const struct extern_ *e = &l->o->externs.at[r->index];
	if (e->kind == EXTERN_KCONFIG) {
		for (u32 i = 0; i < l->o->maps.n; i++)
			if (l->o->maps.at[i]->kind == MAP_KCONFIG)
				in[0].imm = l->o->maps.at[i]->fd;
		in[0].src_reg = BPF_PSEUDO_MAP_VALUE;
		in[1].imm = (s32)e->kconfig.off;
	} else if (e->ksym.type_id && e->set) {
		in[0].src_reg = BPF_PSEUDO_BTF_ID;
		in[0].imm = (s32)e->ksym.target_id, in[1].imm = 0;
	} else {
		/* An address, or NULL for a weak symbol that is absent. */
		u64 address = e->set ? e->ksym.address : 0;
		in[0].src_reg = 0;
		in[0].imm = (s32)address, in[1].imm = (s32)(address >> 32);
	}
}

static void fill(struct linker *l, const struct part *part) {
	const struct function *f = &l->o->functions.at[part->function];
	for (u32 i = 0; i < f->refs.n; i++) {
		const struct ref *r = &f->refs.at[i];
		u32 at = part->start + r->insn;
		struct bpf_insn *in = &l->insns.at[at];
		/* CO-RE may have poisoned it. */
		if (r->kind != REF_CALL && r->kind != REF_EXTERN_CALL && in->code != BPF_LD_IMM64)
			continue;
		u32 distance = r->kind == REF_CALL || r->kind == REF_FUNCTION
				   ? l->parts.at[l->part_of[r->index] - 1].start - at - 1
				   : 0;
		switch (r->kind) {
		case REF_MAP:
		case REF_DATA:
			fill_map(l, in, r);
			break;
		case REF_CALL:
			in->imm = (s32)distance;
			break;
		case REF_FUNCTION:
			in[0].src_reg = BPF_PSEUDO_FUNC;
			in[0].imm = (s32)distance, in[1].imm = 0;
			break;
		case REF_EXTERN:
			fill_extern(l, in, r);
			break;
		case REF_EXTERN_CALL:
			if (l->o->externs.at[r->index].set) {
				in->src_reg = BPF_PSEUDO_KFUNC_CALL, in->off = 0;
				in->imm = (s32)l->o->externs.at[r->index].ksym.target_id;
			} else {
				poison(in, 1, POISON_KFUNC + r->index);
			}
			break;
		}
	}
}

/* Records of all parts, or none when a part has none: the kernel wants them for every function or not at all. */
static int move_records(struct linker *l) {
	struct skep_program *p = l->p;
	u64 funcs = 0, lines = 0;
	bool all_funcs = true, all_lines = true;
	for (u32 i = 0; i < l->parts.n; i++) {
		const struct function *f = &l->o->functions.at[l->parts.at[i].function];
		funcs += f->func_info.n, lines += f->line_info.n;
		all_funcs &= f->func_info.n && !f->func_info.at[0].insn_off;
		all_lines &= f->line_info.n != 0;
	}
	p->func_info_n = p->line_info_n = 0;
	p->func_info = arena_array(&l->o->arena, struct bpf_func_info, all_funcs ? funcs : 0);
	p->line_info = arena_array(&l->o->arena, struct bpf_line_info, all_lines ? lines : 0);
	if (!p->func_info || !p->line_info)
		return fail(l);
	for (u32 i = 0; i < l->parts.n; i++) {
		const struct part *part = &l->parts.at[i];
		const struct function *f = &l->o->functions.at[part->function];
		for (u32 k = 0; k < f->func_info.n && all_funcs; k++) {
			p->func_info[p->func_info_n] = f->func_info.at[k];
			p->func_info[p->func_info_n++].insn_off += part->start;
		}
		for (u32 k = 0; k < f->line_info.n && all_lines; k++) {
			p->line_info[p->line_info_n] = f->line_info.at[k];
			p->line_info[p->line_info_n++].insn_off += part->start;
		}
	}
	return 0;
}

int program_link(struct skep_program *p) {
	struct skep_object *o = p->object;
	if (!o->part_of)
		o->part_of = arena_array(&o->arena, u32, o->functions.n);
	struct linker l = {.o = o, .p = p, .part_of = o->part_of};
	int err = l.part_of ? place_function(&l, p->function) : fail(&l);
	err = err ? err : place_exception_callback(&l);
	for (u32 i = 0; i < l.parts.n && !err; i++)
		fill(&l, &l.parts.at[i]);
	err = err ? err : move_records(&l);
	if (!err) {
		p->insns = arena_copy(&o->arena, l.insns.at, 8 * (u64)l.insns.n);
		p->parts = arena_copy(&o->arena, l.parts.at, sizeof *l.parts.at * (u64)l.parts.n);
		p->n = l.insns.n, p->parts_n = l.parts.n;
		err = p->insns && p->parts ? 0 : fail(&l);
	}
	p->linked = !err;
	for (u32 i = 0; i < l.parts.n; i++)
		l.part_of[l.parts.at[i].function] = 0;
	vec_free(&l.insns);
	vec_free(&l.parts);
	vec_free(&l.stack);
	return err;
}
