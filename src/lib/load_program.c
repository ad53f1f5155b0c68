/* One program on its way through BPF_PROG_LOAD, and what is said when it is refused.
 *
 * The first attempt asks for no log: a million instructions take longer to write down than to verify. An engine remembers
 * why it refused; for the kernel, and when a log is asked for, a refused program is loaded again with one that grows until
 * it holds everything. The report then says, best first: the loader's own reason, when the verifier stopped at an
 * instruction that the loader had made unusable (a CO-RE relocation without an answer, a map that could not be made, a
 * kernel function that is absent); the engine's sentence; the verifier's line. The C line comes from the engine's verdict
 * or from the program's line records. Kinds that need a BTF id of what they attach to get it here, with the nearest name
 * when there is none. */
#include "abi/diag.h"
#include "lib/object.h"
#include "runtime/engine.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_FIRST = 64 * 1024, LOG_MOST = 256 * 1024 * 1024 };
enum { POISON_RELO = 195896080, POISON_MAP = 2001000000, POISON_KFUNC = 2002000000 };

static int unknown_section(struct skep_program *p) {
	struct skep_object *o = p->object;
	const char *words[256];
	u32 n = 0;
	for (const struct abi_section *s; n < ARRAY_SIZE(words) && (s = abi_section_at(n)); n++)
		words[n] = s->name;
	char head[64];
	snprintf(head, sizeof head, "%.*s", (int)MIN(strcspn(p->section, "/"), sizeof head - 1), p->section);
	const char *near = nearest_word(head, words, n);
	char hint[160];
	snprintf(hint, sizeof hint,
		 near ? "Did you mean SEC(\"%s…\")? «skep help sections» lists them"
		      : "«skep help sections» lists the sections that programs may have%s",
		 near ? near : "");
	return object_error(o, -EINVAL, hint, "program «%s»: section «%s» does not say what kind of program it is",
			    p->name, p->section);
}

/* ---- what it is attached to by type ---- */

static int find_attach_type(struct skep_program *p, u32 *btf_id) {
	struct skep_object *o = p->object;
	static const struct {
		u32 prog_type, attach_type;
		const char *prefix;
		u32 kind;
	} prefixes[] = {{BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, "btf_trace_", BTF_KIND_TYPEDEF},
			{BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, "bpf_iter_", BTF_KIND_FUNC},
			{BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_", BTF_KIND_FUNC},
			{BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, "bpf_lsm_", BTF_KIND_FUNC}};
	const char *prefix = "", *name = p->attach;
	u32 kind = BTF_KIND_FUNC;
	for (u32 i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefixes[i].prog_type == p->type && prefixes[i].attach_type == p->attach_type)
			prefix = prefixes[i].prefix, kind = prefixes[i].kind;
	if (!name || !*name)
		return object_error(o, -EINVAL, "Name it in the section: SEC(\"fentry/vfs_read\")",
				    "program «%s»: section «%s» does not say which function", p->name, p->section);
	if (p->type == BPF_PROG_TYPE_EXT)
		return object_error(
		    o, -ENOTSUP, NULL,
		    "program «%s» replaces a function of another program (freplace), which skep does not do", p->name);
	const struct btf *target = object_ids_btf(o);
	if (!target)
		return -ESRCH;
	char full[256];
	snprintf(full, sizeof full, "%s%.200s", prefix, name);
	*btf_id = btf_find(target, full, kind);
	if (*btf_id)
		return 0;
	const char *near = btf_nearest_name(target, full, kind);
	char hint[200] = "Functions of the kernel are out of reach here; ksyscall/NAME and tracepoint/syscalls/… are not";
	if (near)
		snprintf(hint, sizeof hint, "Did you mean «%s»?", near + strlen(prefix));
	return object_error(o, -ESRCH, near || (o->engine && !engine_types_given(o->engine)) ? hint : NULL,
			    "program «%s»: %s has no «%s» to attach to (section «%s»)", p->name, object_ids_name(o), name,
			    p->section);
}

/* ---- what a refusal says ---- */

struct refusal {
	s64 err;
	const char *log;
	char message[512]; /* the verifier's line */
	s32 insn;
};

/* The first line behind the last instruction of the log that is about the program, and that instruction; without any
 * instruction the last line. */
static void read_log(struct refusal *r) {
	const char *line = r->log, *message = "";
	u64 message_len = 0;
	s32 insn = -1;
	while (line && *line) {
		u64 len = strcspn(line, "\n");
		int end = 0;
		unsigned n;
		if (sscanf(line, "%u: (%n", &n, &end) == 1 && end)
			insn = (s32)n, message_len = 0;
		else if (len && strncmp(line, "processed ", 10) && strncmp(line, "verification time", 17) &&
			 strncmp(line, "stack depth", 11) && strncmp(line, "peak_states", 11) && *line != ';' &&
			 *line != ' ' && (insn < 0 || !message_len))
			message = line, message_len = len, r->insn = insn;
		line += len + (line[len] != 0);
	}
	snprintf(r->message, sizeof r->message, "%.*s", (int)MIN(message_len, sizeof r->message - 1), message);
}

static const struct bpf_line_info *line_of(const struct skep_program *p, s32 insn) {
	const struct bpf_line_info *best = NULL;
	for (u32 i = 0; i < p->line_info_n && insn >= 0; i++)
		if (p->line_info[i].insn_off <= (u32)insn)
			best = &p->line_info[i];
	return best;
}

static const char *why_poisoned(const struct skep_program *p, s32 insn) {
	for (u32 i = 0; i < p->parts_n && insn >= 0; i++) {
		const struct function *f = &p->object->functions.at[p->parts[i].function];
		for (u32 k = 0; k < f->poisoned.n; k++)
			if (p->parts[i].start + f->poisoned.at[k].insn == (u32)insn)
				return f->poisoned.at[k].why;
	}
	return NULL;
}

/* The loader's own reason, when the verifier met an instruction that the loader had made unusable. */
static const char *own_reason(const struct skep_program *p, const struct refusal *r, char *to, u32 size) {
	const struct skep_object *o = p->object;
	unsigned n = 0;
	if (sscanf(r->message, "invalid func unknown#%u", &n) != 1)
		return NULL;
	if (n == POISON_RELO) {
		const char *why = why_poisoned(p, r->insn);
		snprintf(to, size, "the program needs what the types of %s do not have: %s", object_target_name(o),
			 why ? why : "a CO-RE relocation could not be resolved");
		return to;
	}
	if (n >= POISON_KFUNC && n - POISON_KFUNC < o->externs.n)
		snprintf(to, size, "the program calls kernel function «%s», which %s does not have",
			 o->externs.at[n - POISON_KFUNC].name, object_target_name(o));
	else if (n >= POISON_MAP && n - POISON_MAP < o->maps.n)
		snprintf(to, size, "the program uses map «%s», which could not be created",
			 o->maps.at[n - POISON_MAP]->name);
	else
		return NULL;
	return to;
}

static void describe_line(const struct skep_program *p, s32 insn, struct skep_diagnostic *d) {
	const struct bpf_line_info *line = line_of(p, insn);
	if (!line)
		return;
	d->file = btf_string(p->object->btf, line->file_name_off);
	d->line_text = btf_string(p->object->btf, line->line_off);
	d->line = BPF_LINE_INFO_LINE_NUM(line->line_col), d->column = BPF_LINE_INFO_LINE_COL(line->line_col);
}

static void take_notes(const struct verify_diag *from, struct skep_diagnostic *d, struct skep_note *notes) {
	const struct diag_row *row = diag_row(from->code);
	d->family = row ? diag_family_name(row->family) : NULL;
	d->needed = from->needed, d->known = from->known;
	for (u32 i = 0; i < from->notes_n; i++) {
		const struct verify_note *n = &from->notes[i];
		notes[i] = (struct skep_note){.text = n->text, .file = n->file, .line_text = n->line_text, .line = n->line,
		                              .column = n->column, .insn = n->insn};
	}
	d->notes = notes, d->notes_count = from->notes_n;
}

static int report_refusal(struct skep_program *p, struct refusal *r) {
	struct skep_object *o = p->object;
	char reason[320], sentence[1024];
	struct skep_diagnostic d = {.program = p->name, .log = r->log, .insn = -1};
	struct engine_problem problem;
	struct skep_note notes[ARRAY_SIZE(((struct verify_diag *)0)->notes)];
	const struct engine_verdict *v = o->opts.bpf ? NULL : engine_last_verdict(o->engine);
	r->insn = -1;
	if (r->log) {
		read_log(r);
	} else if (v && v->error && v->diag.message) {
		snprintf(r->message, sizeof r->message, "%s", v->diag.message);
		r->insn = v->diag.insn;
	}
	const char *said = own_reason(p, r, reason, sizeof reason);
	d.insn = r->insn;
	d.kernel_message = *r->message ? r->message : NULL;
	if (v && v->error && v->diag.code) {
		d.code = v->diag.code, d.insn = v->diag.insn;
		take_notes(&v->diag, &d, notes);
		d.suggestion = v->diag.suggestion;
		d.kernel_message = v->diag.message ? v->diag.message : d.kernel_message;
		said = said ? said : v->diag.sentence;
	} else if (!o->opts.bpf && engine_explain(o->engine, &problem)) {
		d.code = problem.code, d.suggestion = *problem.suggestion ? problem.suggestion : NULL;
		said = said ? said : problem.sentence;
	}
	if (v && v->error && v->diag.file) {
		d.file = v->diag.file, d.line_text = v->diag.line_text, d.line = v->diag.line,
		d.column = v->diag.column;
	} else {
		describe_line(p, d.insn, &d);
	}
	if (!said && *r->message)
		said = r->message;
	if (r->err == -EPERM && !*r->message && o->opts.bpf)
		d.suggestion = "The kernel's eBPF needs CAP_BPF and CAP_PERFMON, and some program kinds are switched "
			       "off in this kernel; "
			       "skep's own engine (without --kernel) needs no rights";
	snprintf(sentence, sizeof sentence, "program «%s» is refused: %s", p->name,
		 said ? said : strerror((int)-r->err));
	d.sentence = sentence;
	object_report(o, &d);
	return (int)r->err;
}

/* ---- loading ---- */

static int fill_attr(struct skep_program *p, union bpf_attr *a) {
	struct skep_object *o = p->object;
	u32 flags = p->def ? p->def->flags : 0;
	*a = (union bpf_attr){.prog_type = p->type, .insn_cnt = p->n};
	a->insns = (u64)(uintptr_t)p->insns, a->license = (u64)(uintptr_t)o->license;
	a->kern_version = o->kern_version;
	a->expected_attach_type = p->attach_type;
	snprintf(a->prog_name, sizeof a->prog_name, "%.15s", p->name);
	for (char *c = a->prog_name; *c; c++)
		if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
		      *c == '.'))
			*c = '_';
	if (flags & SECTION_SLEEPABLE)
		a->prog_flags |= BPF_F_SLEEPABLE;
	if (flags & SECTION_FRAGS && p->type == BPF_PROG_TYPE_XDP)
		a->prog_flags |= BPF_F_XDP_HAS_FRAGS;
	if (o->btf_fd >= 0) {
		a->prog_btf_fd = (u32)o->btf_fd;
		a->func_info = (u64)(uintptr_t)p->func_info, a->func_info_cnt = p->func_info_n;
		a->func_info_rec_size = p->func_info_n ? sizeof *p->func_info : 0;
		a->line_info = (u64)(uintptr_t)p->line_info, a->line_info_cnt = p->line_info_n;
		a->line_info_rec_size = p->line_info_n ? sizeof *p->line_info : 0;
	}
	u32 id = 0;
	if (p->type == BPF_PROG_TYPE_STRUCT_OPS) {
		int bad = program_find_ops(p, &id, &a->expected_attach_type);
		a->attach_btf_id = id;
		return bad;
	}
	if (!(flags & SECTION_ATTACH_BTF))
		return 0;
	int err = find_attach_type(p, &id);
	a->attach_btf_id = id;
	return err;
}

/* Again with a log, growing until it holds all. */
static char *load_with_log(struct skep_object *o, union bpf_attr a, s64 *err) {
	char *log = NULL;
	for (u32 size = LOG_FIRST;; size *= 4) {
		char *bigger = realloc(log, size);
		if (!bigger)
			return log;
		log = bigger, *log = 0;
		a.log_buf = (u64)(uintptr_t)log, a.log_size = size, a.log_true_size = 0;
		a.log_level = o->opts.log_level ? o->opts.log_level : 1;
		*err = object_bpf(o, BPF_PROG_LOAD, &a);
		if (*err != -ENOSPC || size >= LOG_MOST)
			return log;
	}
}

int program_load(struct skep_program *p) {
	struct skep_object *o = p->object;
	union bpf_attr a;
	if (!p->type)
		return unknown_section(p);
	int err = program_link(p);
	err = err ? err : fill_attr(p, &a);
	if (err)
		return err;
	if (!p->n)
		return object_error(o, -EINVAL, NULL, "program «%s» has no instructions", p->name);
	s64 fd = object_bpf(o, BPF_PROG_LOAD, &a);
	if (fd >= 0 && !o->opts.log_level) {
		p->fd = (int)fd;
	} else if (!o->opts.log_level && !o->opts.bpf) {
		struct refusal r = {.err = fd};
		err = report_refusal(p, &r);
	} else {
		s64 again = fd;
		object_close_fd(o, (int)fd);
		struct refusal r = {.log = load_with_log(o, a, &again)};
		if (again < 0) {
			r.err = fd < 0 ? fd : again;
			err = report_refusal(p, &r);
		} else {
			p->fd = (int)again;
			struct skep_diagnostic d = {
			    .level = 2, .program = p->name, .sentence = "verified", .insn = -1, .log = r.log};
			object_report(o, &d);
		}
		free((char *)r.log);
	}
	/* Read-only data goes with the program that was verified with it. */
	for (u32 i = 0; i < o->maps.n && p->fd >= 0; i++)
		if (o->maps.at[i]->kind == MAP_RODATA && o->maps.at[i]->fd >= 0) {
			union bpf_attr bind = {
			    .prog_bind_map = {.prog_fd = (u32)p->fd, .map_fd = (u32)o->maps.at[i]->fd}};
			object_bpf(o, BPF_PROG_BIND_MAP, &bind);
		}
	return err;
}
