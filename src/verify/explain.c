/* Refusals: the kernel's line for the log, and for people a sentence in values, a suggestion and the C line.
 *
 * A check says what it knows (say: {reg}, {max}, {limit} …), then refuses. The first refusal is the diagnostic; lines that
 * the kernel adds behind it only go to the log. The sentence is the row's of diag.def with the values filled in; needs.def
 * has what was needed and what was known, in the same values. cause.c looks for the instructions that it comes from. */
#include "verify/env.h"
#include <stdarg.h>
#include <string.h>

void say(struct verifier *v, const char *name, const char *fmt, ...) {
	char text[512];
	const char *value = fmt;
	va_list args;
	if (v->out->diag.code || v->values_n == ARRAY_SIZE(v->values))
		return;
	for (u32 i = 0; i < v->values_n; i++)
		if (!strcmp(v->values[i].name, name))
			return; /* what was said first is nearer to the cause */
	if (strchr(fmt, '%')) { /* most checks pass: what is constant is not copied for nothing */
		va_start(args, fmt);
		vsnprintf(text, sizeof text, fmt, args);
		va_end(args);
		value = arena_copy(v->arena, text, strlen(text) + 1);
	}
	v->values[v->values_n++] = (struct diag_value){name, value};
}

/* A number's range as people would write it. */
static void say_range(struct verifier *v, const struct scalar *s) {
	if (scalar_is_const(s))
		say(v, "range", "%lld", (long long)s->var.value);
	else if (s->r.smin >= 0)
		say(v, "range", "%llu..%llu", (unsigned long long)s->r.umin, (unsigned long long)s->r.umax);
	else if (s->r.smin > INT64_MIN || s->r.smax < INT64_MAX)
		say(v, "range", "%lld..%lld", (long long)s->r.smin, (long long)s->r.smax);
	else
		say(v, "range", "any number");
	say(v, "min", "%lld", (long long)s->r.smin);
	say(v, "max", "%llu", (unsigned long long)s->r.umax);
}

static const char *type_text(u32 type) {
	bool null = type & PTR_MAYBE_NULL;
	if (type & PTR_UNTRUSTED)
		return base_type(type) == PTR_TO_BTF_ID ? "a kernel object that may be gone" : "an address of anything";
	switch (base_type(type)) {
	case NOT_INIT: return "nothing";
	case SCALAR_VALUE: return "a number";
	case PTR_TO_CTX: return "the context";
	case CONST_PTR_TO_MAP: return "a map";
	case PTR_TO_MAP_VALUE: return null ? "a map value or NULL" : "a map value";
	case PTR_TO_MAP_KEY: return "a map key";
	case PTR_TO_STACK: return "an address on the stack";
	case PTR_TO_PACKET: return "a packet pointer";
	case PTR_TO_PACKET_META: return "a pointer to packet metadata";
	case PTR_TO_PACKET_END: return "the end of the packet";
	case PTR_TO_BTF_ID: return null ? "a kernel object or NULL" : "a kernel object";
	case PTR_TO_MEM: return null ? "memory or NULL" : "memory";
	case PTR_TO_FUNC: return "a function";
	case CONST_PTR_TO_DYNPTR: return "a dynptr";
	case PTR_TO_SOCKET:
	case PTR_TO_SOCK_COMMON:
	case PTR_TO_TCP_SOCK:
	case PTR_TO_XDP_SOCK: return null ? "a socket or NULL" : "a socket";
	}
	return "something else";
}

void say_reg(struct verifier *v, u32 regno) {
	const struct reg *r;
	if (!v->cur || v->out->diag.code)
		return;
	r = &cur_regs(v)[regno];
	v->said_reg = v->said_reg ? v->said_reg : regno + 1;
	say(v, "reg", "R%u", regno);
	say(v, "type", "%s", type_text(r->type));
	if (r->type != SCALAR_VALUE)
		say(v, "off", "%d", r->off);
	say_range(v, &r->s);
}

/* A call that people should look at: its line, or its number where lines are not known. */
void say_insn(struct verifier *v, u32 insn) {
	const struct bpf_line_info *line = line_of(v, insn);
	const struct abi_helper *h = insn_is_helper_call(&v->insns[insn]) ? abi_helper(v->abi, (u32)v->insns[insn].imm) : NULL;
	if (line)
		say(v, "line", "%u", BPF_LINE_INFO_LINE_NUM(line->line_col));
	else
		say(v, "line", "(instruction %u)", insn);
	if (insn_is_kfunc_call(&v->insns[insn]) && kfunc_name(v, &v->insns[insn]))
		say(v, "name", "%s", kfunc_name(v, &v->insns[insn]));
	else
		say(v, "name", "bpf_%s", h ? h->name : "?");
}

void note_origin(struct verifier *v, u32 id) {
	u32 at = id % ARRAY_SIZE(v->origins);
	v->origins[at].id = id;
	v->origins[at].insn = v->at;
}

bool origin_of(const struct verifier *v, u32 id, u32 *insn) {
	u32 at = id % ARRAY_SIZE(v->origins);
	*insn = v->origins[at].insn;
	return id && v->origins[at].id == id;
}

int refuse_as(struct verifier *v, u32 diag, int err, const char *fmt, ...) {
	struct verify_diag *d = &v->out->diag;
	char text[1000];
	va_list args;
	ASSERT(err < 0);
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (*text)
		vlog(v, "%s\n", text);
	if (d->code || v->tolerant)
		return err;
	d->code = diag;
	d->insn = v->insns && v->cur ? (s32)v->at : -1;
	d->message = *text ? arena_copy(v->arena, text, strlen(text) + 1) : NULL;
	return err;
}

/* The kernel's line from insn_valid belongs to one of several rows. */
int refuse_insn(struct verifier *v, const char *message) {
	static const struct {
		const char *part;
		u32 diag;
	} rows[] = {{"uses reserved fields", DIAG_RESERVED_FIELDS}, {"div by zero", DIAG_DIV_BY_ZERO},
	            {"invalid shift", DIAG_INVALID_SHIFT},          {"invalid bpf_ld_imm64", DIAG_INVALID_LD_IMM},
	            {"unrecognized bpf_ld", DIAG_LD_IMM_UNRECOGNISED}, {"invalid BPF_ALU", DIAG_INVALID_ALU},
	            {"invalid BPF_JMP", DIAG_INVALID_JMP},          {"invalid BPF_LD mode", DIAG_INVALID_LD_MODE},
	            {"invalid atomic operand", DIAG_ATOMIC_SIZE},   {"invalid atomic", DIAG_INVALID_ATOMIC},
	            {"may_goto", DIAG_MAY_GOTO}};
	u32 diag = DIAG_UNKNOWN_OPCODE;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strstr(message, rows[i].part)) {
			diag = rows[i].diag;
			break;
		}
	}
	say(v, "insn", "%u", v->at);
	say(v, "value", "%02x", v->insns[v->at].code);
	return refuse_as(v, diag, -EINVAL, "%s", message);
}

/* What a check did not say: v->out->diag.code stands in the way of say(). */
static void say_last(struct verifier *v) {
	struct verify_diag *d = &v->out->diag;
	u32 code = d->code;
	d->code = 0;
	say(v, "insn", "%d", d->insn);
	say(v, "prog", "%s", v->type ? v->type->name : "this type");
	if (d->line)
		say(v, "line", "%u", d->line);
	d->code = code;
}

/* needs.def, filled in; NULL where a value was not said. */
static const char *fill_in(struct verifier *v, const char *sentence) {
	char text[400];
	diag_format(sentence, v->values, v->values_n, text, sizeof text);
	return strchr(text, '?') ? NULL : arena_copy(v->arena, text, strlen(text) + 1);
}

static void say_needs(struct verifier *v) {
	static const struct {
		u32 code;
		const char *needed, *known;
	} rows[] = {
#define NEED(NAME, needed, known) {DIAG_##NAME, needed, known},
#include "verify/needs.def"
#undef NEED
	};
	struct verify_diag *d = &v->out->diag;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code != d->code)
			continue;
		d->needed = fill_in(v, rows[i].needed);
		d->known = fill_in(v, rows[i].known);
		return;
	}
}

/* Fills in what people read, once the verdict is known. */
void explain_finish(struct verifier *v) {
	struct verify_diag *d = &v->out->diag;
	const struct diag_row *row = diag_row(d->code);
	const struct bpf_line_info *line = d->insn >= 0 ? line_of(v, (u32)d->insn) : NULL;
	char sentence[1000];
	ASSERT(d->insn < (s32)v->n || d->insn < 0);
	if (!row)
		return;
	if (line) {
		d->file = btf_string(v->in->btf, line->file_name_off);
		d->line_text = btf_string(v->in->btf, line->line_off); /* with its indent, which the column counts */
		d->line = BPF_LINE_INFO_LINE_NUM(line->line_col);
		d->column = BPF_LINE_INFO_LINE_COL(line->line_col);
	}
	say_last(v);
	say_needs(v);
	if (row->sentence) {
		diag_format(row->sentence, v->values, v->values_n, sentence, sizeof sentence);
		d->sentence = arena_copy(v->arena, sentence, strlen(sentence) + 1);
	}
	d->suggestion = row->suggestion;
}
