/* The text column of ops.def, read backwards.
 *
 *     line ──labels, prefix──► statement ──match against each row's text──► fields ──insn_encode──► slots
 *                                                      └─ label wanted ─► fixup, done when all lines are read
 *
 * match() walks a row's text and the statement together; each $field reads what the disassembler would have written
 * there and binds the field. A row matches when both end together; the first row of ops.def that matches wins. A field
 * that a text names twice (r0 = be16 r0) must be the same both times. The error is reported where the row that came
 * furthest gave up.
 *
 * Invariants: cursors never pass the end of their line; every slot has a line; fixups name slots that exist. The time is
 * linear in the text (times the number of rows), but for the sorting of the labels; no recursion. */
#include "isa/asm.h"
#include "isa/decode.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASM_REPEAT_MAX = 1 << 20 }; /* slots of a program that .repeat makes */

struct name {
	const char *at;
	u32 length;
};
struct label {
	struct name name;
	u32 slot, line;
};
struct fixup {
	struct name name;
	u32 slot, line;
	bool in_imm;
};
struct assembler {
	const char *line_start, *end; /* of the current line; end without its comment */
	u32 line;
	const struct asm_names *names;
	struct asm_program *out;
	struct asm_error *error;
	VEC(struct label) labels;
	VEC(struct fixup) fixups;
};

/* What one attempt to match has read so far. */
struct match {
	const char *at, *end;
	struct bpf_insn insn;
	s32 next_imm;
	bool reg_form, has_dst, has_src, has_imm;
	struct name target;   /* a label that off or imm must reach */
	bool target_in_imm;
	const char *furthest; /* over all attempts on this statement */
};

static NOINLINE PRINTF(3, 4) int fail(struct assembler *a, const char *at, const char *format, ...) {
	va_list args;
	va_start(args, format);
	a->error->line = a->line;
	a->error->column = at ? (u32)(at - a->line_start) + 1 : 1;
	vsnprintf(a->error->message, sizeof a->error->message, format, args);
	va_end(args);
	return -EINVAL;
}

/* Characters. ctype.h depends on the locale. */
static bool is_blank(char c) {
	return c == ' ' || c == '\t' || c == '\r';
}
static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}
static bool is_name(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '.';
}
static s32 digit_value(char c) {
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}
static const char *skip_blanks(const char *at, const char *end) {
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* A number: sign, then decimal or 0x digits. False when there is none or it does not fit 64 bits. */
struct number {
	u64 magnitude;
	bool negative, hex;
};
static bool read_number(const char **at, const char *end, struct number *n) {
	const char *p = *at;
	*n = (struct number){0};
	if (p < end && (*p == '-' || *p == '+')) {
		n->negative = *p++ == '-';
		p = skip_blanks(p, end);
	}
	u32 base = 10;
	if (end - p > 2 && p[0] == '0' && p[1] == 'x')
		n->hex = true, base = 16, p += 2;
	const char *first = p;
	for (; p < end && digit_value(*p) < (s32)base; p++) {
		if (n->magnitude > (~0ull - digit_value(*p)) / base)
			return false;
		n->magnitude = n->magnitude * base + digit_value(*p);
	}
	if (p == first || (p < end && is_name(*p)))
		return false;
	*at = p;
	return true;
}
/* As a field of so many bits. Hexadecimal may name all bits where wraps is set: 0xffffffff is -1. */
static bool fits(const struct number *n, u32 bits, bool wraps, s64 *value) {
	u64 limit = n->negative ? 1ull << (bits - 1) : (1ull << (bits - 1)) - 1;
	if (wraps && n->hex && !n->negative)
		limit = (1ull << bits) - 1;
	if (n->magnitude > limit)
		return false;
	*value = n->negative ? -(s64)n->magnitude : (s64)n->magnitude;
	return true;
}

static bool read_signed(struct match *m, u32 bits, bool wraps, s64 *value, bool *hex) {
	struct number n;
	const char *at = m->at;
	if (!read_number(&at, m->end, &n) || !fits(&n, bits, wraps, value))
		return false;
	*hex = n.hex;
	m->at = at;
	return true;
}
static bool read_imm(struct match *m, bool wraps, bool hex_allowed) {
	s64 value;
	bool hex;
	if (!read_signed(m, 32, wraps, &value, &hex) || (hex && !hex_allowed))
		return false;
	if (m->has_imm && m->insn.imm != (s32)value)
		return false;
	m->has_imm = true;
	m->insn.imm = (s32)value;
	return true;
}
/* A register, which must be the one that `bound` holds if the text has named it before. */
static bool read_reg(struct match *m, char kind, bool known, u32 bound, u32 *reg) {
	const char *p = m->at;
	if (m->end - p < 2 || *p++ != kind || !is_digit(*p))
		return false;
	*reg = *p++ - '0';
	if (p < m->end && *reg == 1 && *p == '0')
		*reg = 10, p++;
	if ((p < m->end && is_name(*p)) || (known && *reg != bound))
		return false;
	m->at = p;
	return true;
}
static bool read_dst(struct match *m, char kind) {
	u32 reg = 0;
	if (!read_reg(m, kind, m->has_dst, m->insn.dst_reg, &reg))
		return false;
	m->has_dst = true;
	m->insn.dst_reg = reg;
	return true;
}
static bool read_src(struct match *m, char kind) {
	u32 reg = 0;
	if (!read_reg(m, kind, m->has_src, m->insn.src_reg, &reg))
		return false;
	m->has_src = true;
	m->insn.src_reg = reg;
	return true;
}
static bool read_name(struct match *m, struct name *name) {
	const char *p = m->at;
	if (p == m->end || !is_name(*p) || is_digit(*p))
		return false;
	while (p < m->end && is_name(*p))
		p++;
	*name = (struct name){.at = m->at, .length = (u32)(p - m->at)};
	m->at = p;
	return true;
}
static bool read_word(struct match *m, const char *word) {
	u64 n = strlen(word);
	if ((u64)(m->end - m->at) < n || memcmp(m->at, word, n))
		return false;
	m->at += n;
	return true;
}

/* A target: pc+3, +3, or a label. */
static bool read_target(struct match *m, bool in_imm) {
	const char *start = m->at;
	if (read_word(m, "pc") && m->at < m->end && is_name(*m->at))
		m->at = start;
	if (m->at < m->end && (*m->at == '+' || *m->at == '-')) {
		s64 value;
		bool hex;
		if (!read_signed(m, in_imm ? 32 : 16, false, &value, &hex))
			return false;
		if (in_imm)
			m->insn.imm = (s32)value;
		else
			m->insn.off = (s16)value;
		return true;
	}
	m->at = start;
	m->target_in_imm = in_imm;
	return read_name(m, &m->target);
}
/* NAME#5, NAME, 5 or #5 after "call". What follows '#' counts; a name alone must be known. */
static bool read_callee(struct match *m, const struct asm_names *names, u8 wanted) {
	struct name name = {0};
	u8 kind = BPF_PSEUDO_CALL; /* unknown */
	s32 imm = 0;
	if (read_word(m, "kernel-function"))
		kind = BPF_PSEUDO_KFUNC_CALL;
	else if (read_name(m, &name) && names && !names->call(names->owner, name.at, name.length, &kind, &imm))
		kind = BPF_PSEUDO_CALL;
	bool resolved = name.length && kind != BPF_PSEUDO_CALL;
	bool numbered = m->at < m->end && *m->at == '#';
	if (numbered)
		m->at++;
	if (numbered || (m->at < m->end && is_digit(*m->at))) {
		if (kind == BPF_PSEUDO_CALL)
			kind = 0; /* a number with a name that says nothing: a helper */
		return kind == wanted && read_imm(m, false, true);
	}
	m->insn.imm = imm;
	return resolved && kind == wanted;
}

/* The value of an lddw: what a move would not have printed. */
static bool read_imm64(struct match *m) {
	struct number n;
	s64 small;
	if (!read_number(&m->at, m->end, &n))
		return false;
	const char *after = skip_blanks(m->at, m->end);
	bool wide = after > m->at && m->end - after == 2 && !memcmp(after, "ll", 2);
	if (!wide && !n.hex && fits(&n, 32, false, &small))
		return false;
	if (n.negative && n.magnitude > 1ull << 63)
		return false;
	if (wide)
		m->at = m->end;
	u64 value = n.negative ? -n.magnitude : n.magnitude;
	m->insn.imm = (s32)value;
	m->next_imm = (s32)(value >> 32);
	return true;
}
static bool read_offset(struct match *m) {
	s64 value = 0;
	bool hex;
	m->at = skip_blanks(m->at, m->end);
	if (m->at < m->end && *m->at == ')')
		return true; /* *(u8 *)(r1): no offset */
	if (m->at == m->end || (*m->at != '+' && *m->at != '-') || !read_signed(m, 16, false, &value, &hex))
		return false;
	m->insn.off = (s16)value;
	return true;
}
static bool read_spaces(struct match *m) {
	s64 to, from;
	bool hex;
	if (!read_signed(m, 17, false, &to, &hex) || !read_word(m, ","))
		return false;
	m->at = skip_blanks(m->at, m->end);
	if (!read_signed(m, 17, false, &from, &hex) || to < 0 || from < 0)
		return false;
	m->insn.imm = (s32)((u32)to << 16 | (u32)from);
	return true;
}
static bool read_size(struct match *m, u8 code) {
	static const char *const names[4] = {"u32", "u16", "u8", "u64"};
	return read_word(m, names[BPF_SIZE(code) >> 3]);
}

static bool read_operand(struct match *m, char kind, enum bpf_op op) {
	m->reg_form = m->at < m->end && *m->at == kind;
	if (m->reg_form)
		return read_src(m, kind);
	/* 0xffffffff is what the kernel prints of -1 in jumps; in 64-bit arithmetic it would mislead. */
	bool wraps = kind == 'w' || op_rows[op].shape == SHAPE_JCC;
	return read_imm(m, wraps, op != OP_MOV64);
}
static bool read_field(struct match *m, char what, enum bpf_op op, const struct asm_names *names) {
	s64 value;
	bool hex;
	switch (what) {
	case 'd':
		return read_dst(m, 'r');
	case 'D':
		return read_dst(m, 'w');
	case 's':
		return read_src(m, 'r');
	case 'S':
		return read_src(m, 'w');
	case 'v':
	case 'x':
		return read_operand(m, 'r', op);
	case 'V':
	case 'X':
		return read_operand(m, 'w', op);
	case 'o':
		return read_offset(m);
	case 'p':
		return read_target(m, false);
	case 'P':
		return read_target(m, true);
	case 'i':
		return read_imm(m, false, true);
	case 'n':
		if (!read_signed(m, 32, false, &value, &hex))
			return false;
		m->next_imm = (s32)value;
		return true;
	case 'l':
		return read_imm64(m);
	case 'c':
		return read_spaces(m);
	case 'h':
		return read_callee(m, names, 0);
	case 'k':
		return read_callee(m, names, BPF_PSEUDO_KFUNC_CALL);
	case 'z':
		return read_size(m, op_rows[op].code);
	}
	ASSERT(!"a field of a text");
	return false;
}
/* One literal character of a text. A space stands for any number of blanks, but keeps two names apart. */
static bool read_literal(struct match *m, char c) {
	const char *p = skip_blanks(m->at, m->end);
	if (c == ' ') { /* never the first of a text, so there is a character before */
		if (p == m->at && p < m->end && is_name(p[-1]) && is_name(*p))
			return false;
		m->at = p;
		return true;
	}
	if (!is_name(c))
		m->at = p;
	if (m->at == m->end || *m->at != c)
		return false;
	m->at++;
	return true;
}
static bool match_row(struct match *m, enum bpf_op op, const struct asm_names *names) {
	for (const char *t = op_rows[op].text; *t; t++) {
		bool field = *t == '$';
		if (field)
			m->at = skip_blanks(m->at, m->end);
		bool ok = field ? read_field(m, *++t, op, names) : read_literal(m, *t);
		m->furthest = MAX(m->furthest, m->at);
		if (!ok)
			return false;
		if (field && (*t == 'h' || *t == 'k'))
			break; /* the callee has read its number */
	}
	m->at = skip_blanks(m->at, m->end);
	return m->at == m->end;
}

static int emit(struct assembler *a, struct bpf_insn insn) {
	struct bpf_insn *slot = vec_push(&a->out->insns);
	u32 *line = vec_push(&a->out->lines);
	if (!slot || !line)
		return -ENOMEM;
	*slot = insn;
	*line = a->line;
	return 0;
}
static int emit_match(struct assembler *a, enum bpf_op op, const struct match *m) {
	if (m->target.length) {
		struct fixup *f = vec_push(&a->fixups);
		if (!f)
			return -ENOMEM;
		*f = (struct fixup){
		    .name = m->target, .slot = a->out->insns.n, .line = a->line, .in_imm = m->target_in_imm};
	}
	const struct bpf_insn *in = &m->insn;
	int r = emit(a, insn_encode(op, m->reg_form, in->dst_reg, in->src_reg, in->off, in->imm));
	if (!r && op_rows[op].shape == SHAPE_LDDW)
		r = emit(a, insn_encode_next(m->next_imm));
	return r;
}
static int statement(struct assembler *a, const char *at) {
	const char *furthest = at;
	for (enum bpf_op op = OP_BAD + 1; op < OP_COUNT; op++) {
		struct match m = {.at = at, .end = a->end, .furthest = furthest};
		if (match_row(&m, op, a->names))
			return emit_match(a, op, &m);
		furthest = m.furthest;
	}
	furthest = skip_blanks(furthest, a->end);
	u32 length = (u32)MIN(a->end - furthest, 40);
	if (!length)
		return fail(a, furthest, "instruction ends too early");
	return fail(a, furthest, "not understood from here: %.*s", (int)length, furthest);
}

/* .insn 0x07 dst=1 src=0 off=1 imm=5 */
static int directive(struct assembler *a, const char *at) {
	struct match m = {.at = at, .end = a->end};
	struct bpf_insn insn = {0};
	s64 value;
	bool hex;
	if (!read_signed(&m, 9, false, &value, &hex) || value < 0)
		return fail(a, m.at, "an opcode byte must follow .insn");
	insn.code = (u8)value;
	while ((m.at = skip_blanks(m.at, m.end)) < m.end) {
		static const struct {
			const char *word;
			u32 bits;
			bool is_signed;
		} fields[] = {{"dst=", 4, false}, {"src=", 4, false}, {"off=", 16, true}, {"imm=", 32, true}};
		const char *start = m.at;
		u32 f = 0;
		while (f < ARRAY_SIZE(fields) && !read_word(&m, fields[f].word))
			f++;
		if (f == ARRAY_SIZE(fields))
			return fail(a, start, "one of dst= src= off= imm= must stand here");
		if (!read_signed(&m, fields[f].bits + !fields[f].is_signed, fields[f].is_signed, &value, &hex) ||
		    (!fields[f].is_signed && value < 0))
			return fail(a, start, "%s takes a number of %u bits", fields[f].word, fields[f].bits);
		switch (f) {
		case 0:
			insn.dst_reg = (u8)value;
			break;
		case 1:
			insn.src_reg = (u8)value;
			break;
		case 2:
			insn.off = (s16)value;
			break;
		default:
			insn.imm = (s32)value;
		}
	}
	return emit(a, insn);
}

/* .repeat 33000 r0 += 1: for programs whose length is the point. */
static int repeat(struct assembler *a, const char *at) {
	struct match m = {.at = at, .end = a->end};
	s64 times;
	bool hex;
	if (!read_signed(&m, 32, false, &times, &hex) || times < 1 || times > ASM_REPEAT_MAX)
		return fail(a, at, "a number from 1 to %d must follow .repeat", ASM_REPEAT_MAX);
	u32 first = a->out->insns.n, fixups = a->fixups.n;
	int r = statement(a, skip_blanks(m.at, m.end));
	u32 slots = a->out->insns.n - first;
	if (!r && a->fixups.n != fixups)
		return fail(a, m.at, "what .repeat repeats cannot name a label");
	if (!r && slots * (u64)times + first > ASM_REPEAT_MAX)
		return fail(a, at, "more than %d slots", ASM_REPEAT_MAX);
	for (s64 k = 1; k < times && !r; k++)
		for (u32 i = 0; i < slots && !r; i++)
			r = emit(a, a->out->insns.at[first + i]);
	return r;
}
static int compare_names(struct name x, struct name y) {
	int c = memcmp(x.at, y.at, MIN(x.length, y.length));
	return c ? c : (x.length > y.length) - (x.length < y.length);
}
static int compare_labels(const void *x, const void *y) {
	const struct label *a = x, *b = y;
	int c = compare_names(a->name, b->name);
	return c ? c : (a->line > b->line) - (a->line < b->line);
}
/* By name, so that they can be found; two of one name are refused where the second stands. */
static int sort_labels(struct assembler *a) {
	if (!a->labels.n)
		return 0;
	qsort(a->labels.at, a->labels.n, sizeof *a->labels.at, compare_labels);
	for (u32 i = 1; i < a->labels.n; i++) {
		const struct label *l = &a->labels.at[i];
		if (compare_names(l[-1].name, l->name))
			continue;
		a->line = l->line;
		return fail(a, NULL, "label %.*s stands in line %u already", (int)MIN(l->name.length, 40u), l->name.at,
		            l[-1].line);
	}
	return 0;
}
static const struct label *find_label(const struct assembler *a, struct name name) {
	u32 low = 0, high = a->labels.n;
	while (low < high) {
		u32 middle = low + (high - low) / 2;
		int c = compare_names(name, a->labels.at[middle].name);
		if (!c)
			return &a->labels.at[middle];
		if (c < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
/* Labels and the positions and opcodes of a log, all optional, before a statement. */
static int prefixes(struct assembler *a, const char **at) {
	for (;;) {
		struct match m = {.at = skip_blanks(*at, a->end), .end = a->end};
		struct name name;
		const char *start = m.at;
		while (m.at < m.end && is_digit(*m.at))
			m.at++;
		bool position = m.at > start;
		if (!position && !read_name(&m, &name))
			break;
		if (m.at == m.end || *m.at != ':')
			break;
		*at = ++m.at;
		if (position)
			continue;
		struct label *l = vec_push(&a->labels);
		if (!l)
			return -ENOMEM;
		*l = (struct label){.name = name, .slot = a->out->insns.n, .line = a->line};
	}
	const char *p = skip_blanks(*at, a->end);
	if (a->end - p >= 4 && p[0] == '(' && digit_value(p[1]) < 16 && digit_value(p[2]) < 16 && p[3] == ')')
		p = skip_blanks(p + 4, a->end);
	*at = p;
	return 0;
}
static int assemble_line(struct assembler *a, const char *at, const char *end) {
	a->line_start = at;
	const char *p = skip_blanks(at, end);
	if (p < end && *p == '#')
		return 0;
	for (const char *c = p; c < end; c++) {
		if (*c == ';' || (*c == '/' && end - c > 1 && c[1] == '/')) {
			end = c;
			break;
		}
	}
	while (end > p && is_blank(end[-1]))
		end--;
	a->end = end;
	int r = prefixes(a, &p);
	if (r || p == end)
		return r;
	if (end - p > 6 && !memcmp(p, ".insn", 5) && is_blank(p[5]))
		return directive(a, skip_blanks(p + 5, end));
	if (end - p > 8 && !memcmp(p, ".repeat", 7) && is_blank(p[7]))
		return repeat(a, skip_blanks(p + 7, end));
	return statement(a, p);
}
static int apply_fixups(struct assembler *a) {
	for (u32 i = 0; i < a->fixups.n; i++) {
		const struct fixup *f = &a->fixups.at[i];
		a->line = f->line;
		const struct label *l = find_label(a, f->name);
		if (!l)
			return fail(a, NULL, "no label or function %.*s", (int)MIN(f->name.length, 40u), f->name.at);
		ASSERT(f->slot < a->out->insns.n);
		s64 distance = (s64)l->slot - f->slot - 1;
		struct bpf_insn *insn = &a->out->insns.at[f->slot];
		if (f->in_imm)
			insn->imm = (s32)distance;
		else if (distance != (s16)distance)
			return fail(a, NULL, "%.*s is %lld slots away, more than a jump reaches; use gotol",
			            (int)MIN(f->name.length, 40u), f->name.at, (long long)distance);
		else
			insn->off = (s16)distance;
	}
	return 0;
}
int asm_text(const char *text, u64 length, const struct asm_names *names, struct asm_program *out,
             struct asm_error *error) {
	*out = (struct asm_program){0};
	*error = (struct asm_error){0};
	struct assembler a = {.names = names, .out = out, .error = error};
	int r = 0;
	for (const char *at = text, *end = text + length; at < end && !r;) {
		const char *newline = memchr(at, '\n', end - at);
		a.line++;
		r = assemble_line(&a, at, newline ? newline : end);
		at = newline ? newline + 1 : end;
	}
	if (!r)
		r = sort_labels(&a);
	if (!r)
		r = apply_fixups(&a);
	if (r == -ENOMEM)
		fail(&a, NULL, "out of memory");
	vec_free(&a.labels);
	vec_free(&a.fixups);
	return r;
}
void asm_free(struct asm_program *p) {
	vec_free(&p->insns);
	vec_free(&p->lines);
}
