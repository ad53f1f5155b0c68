/* Which functions are programs, entered from outside, and of which kind. A function is one
 *   - in a section other than .text: global ones always; local ones when nothing in the object calls them;
 *   - in .text: global ones that nothing calls. When the object has programs elsewhere, those whose name says what they
 *     are for (kprobe__x and such, the convention of bcc); others that take a pointer can be loaded by name.
 * The section's name gives the kind (abi/sections); without a section, the function's name; else it is a kprobe that
 * somebody attaches by hand. */
#include "lib/object.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Names of functions that say where they belong, and the section they stand for. */
static const struct {
	const char *prefix, *section;
	bool split; /* the next __ separates category and event */
} dialect[] = {
    {"kprobe__", "kprobe/", false},         {"kretprobe__", "kretprobe/", false},
    {"tracepoint__", "tracepoint/", true},  {"raw_tracepoint__", "raw_tracepoint/", false},
    {"raw_tp__", "raw_tracepoint/", false}, {"syscall__", "ksyscall/", false},
};

/* The section that the function's name stands for, or NULL. In bcc, syscall__x says how arguments are passed, not where it
 * is attached: syscall__trace_entry_openat belongs to a hand. */
static const char *section_of_name(struct skep_object *o, const char *name) {
	for (u32 i = 0; i < ARRAY_SIZE(dialect); i++) {
		u64 n = strlen(dialect[i].prefix);
		if (strncmp(name, dialect[i].prefix, n) || !name[n])
			continue;
		const char *rest = name + n, *gap = dialect[i].split ? strstr(rest, "__") : NULL;
		if ((dialect[i].split && !gap) || (name[0] == 's' && !abi_syscall_by_name(rest)))
			return NULL;
		return gap ? arena_printf(&o->arena, "%s%.*s/%s", dialect[i].section, (int)(gap - rest), rest, gap + 2)
			   : arena_printf(&o->arena, "%s%s", dialect[i].section, rest);
	}
	return NULL;
}

/* As libbpf before 1.0: a known name at the beginning is enough («xdp_drop», «socket1»). */
static const struct abi_section *sloppy_section(const char *name) {
	const struct abi_section *best = NULL;
	for (u32 i = 0; abi_section_at(i); i++) {
		const struct abi_section *s = abi_section_at(i);
		u64 n = strlen(s->name);
		if (!strncmp(name, s->name, n) && (!best || n > strlen(best->name)))
			best = s;
	}
	return best;
}

static struct skep_program *add_program(struct skep_object *o, u32 function, const char *section) {
	struct function *f = &o->functions.at[function];
	struct skep_program *p = arena_new(&o->arena, struct skep_program), **slot = p ? vec_push(&o->programs) : NULL;
	if (!slot) {
		out_of_memory(o);
		return NULL;
	}
	*slot = p;
	f->program = o->programs.n - 1;
	p->object = o, p->name = f->name, p->function = function, p->fd = -1;
	p->autoload = true;
	if (*section == '?')
		section++, p->autoload = false;
	p->section = section;
	p->def = *section ? abi_section(abi_linux(), section, &p->attach) : NULL;
	if (!p->def && *section)
		p->def = sloppy_section(section);
	if (p->def)
		p->type = p->def->prog_type, p->attach_type = p->def->attach_type;
	return p;
}

static bool is_text(const struct skep_object *o, const struct function *f) {
	return !strcmp(o->sections.at[f->section].name, ".text");
}

static bool takes_context(const struct skep_object *o, const struct function *f) {
	const struct btf_type *proto = f->btf_id ? btf_type(o->btf, btf_type(o->btf, f->btf_id)->type) : NULL;
	return proto && btf_vlen(proto) && btf_kind(btf_skip_type(o->btf, btf_params(proto)->type)) == BTF_KIND_PTR;
}

/* others: there are programs in other sections. Then those without a name that says where are loaded on demand only. */
static int add_text_programs(struct skep_object *o, bool others) {
	for (u32 i = 0; i < o->functions.n; i++) {
		struct function *f = &o->functions.at[i];
		if (!is_text(o, f) || !f->global || f->referenced)
			continue;
		const char *section = section_of_name(o, f->name);
		if (!section && others && !takes_context(o, f))
			continue;
		struct skep_program *p = add_program(o, i, section ? section : "");
		if (!p)
			return -ENOMEM;
		if (!section)
			p->type = BPF_PROG_TYPE_KPROBE, p->by_hand = true, p->autoload = !others;
	}
	return 0;
}

int object_find_programs(struct skep_object *o) {
	for (u32 i = 0; i < o->functions.n; i++) {
		const struct function *f = &o->functions.at[i];
		if (is_text(o, f) || (!f->global && f->referenced))
			continue;
		if (!add_program(o, i, o->sections.at[f->section].name))
			return -ENOMEM;
	}
	return add_text_programs(o, o->programs.n);
}
