/* The text column of ops.def, read forwards.
 *
 *     insn ──printed_as──► row ──its text, each $field filled──► "r1 = *(u64 *)(r1 +8)"
 *              └─ none: special() or BUG_xx
 *
 * A log prints an instruction before the verifier judges it, so this takes bits that mean nothing too, and says of them
 * what Linux 6.18 says: reserved fields are not shown, a few opcodes have special forms, the rest is BUG_xx. printed_as
 * therefore looks at fewer fields than insn_decode. Only DISASM_EXACT promises that the text tells everything.
 *
 * Rule: what the kernel prints is ABI (tools parse logs); test/kernel/disasm.c compares it line by line. */
#include "isa/disasm.h"
#include "isa/decode.h"

enum { MOV_PERCPU = -1 }; /* off of the kernel's internal move of a per-CPU address */

struct out {
	char *to;
	u32 n, size;
};

static void put(struct out *o, char c) {
	if (o->n + 1 < o->size)
		o->to[o->n] = c;
	o->n++;
}
static void puts_(struct out *o, const char *s) {
	while (*s)
		put(o, *s++);
}
static void put_unsigned(struct out *o, u64 v, u32 base, u32 digits) {
	char buf[20];
	u32 n = 0;
	do
		buf[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	for (; digits > n; digits--)
		put(o, '0');
	while (n)
		put(o, buf[--n]);
}
static void put_signed(struct out *o, s32 v, bool plus) {
	if (v < 0)
		put(o, '-');
	else if (plus)
		put(o, '+');
	put_unsigned(o, v < 0 ? -(u64)(s64)v : (u64)v, 10, 0);
}
static void put_hex(struct out *o, u64 v) {
	puts_(o, "0x");
	put_unsigned(o, v, 16, 0);
}
static void put_reg(struct out *o, char kind, u32 reg) {
	put(o, kind);
	put_unsigned(o, reg, 10, 0);
}

/* The row whose text the kernel prints for these bits, if it prints one of a row at all. It looks at fewer fields than
 * insn_decode: a div with off 2 prints as a plain div, a movsx from an immediate as a move. */
static enum bpf_op printed_as(const struct bpf_insn *insn) {
	struct bpf_insn plain = {.code = insn->code};
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	switch (class) {
	case BPF_ALU:
	case BPF_ALU64:
		if (op == BPF_END)
			plain.imm = insn->imm;
		else if (op == BPF_DIV || op == BPF_MOD)
			plain.off = insn->off == 1;
		else if (op == BPF_MOV && insn_reg_form(insn) && (insn->off == 8 || insn->off == 16 || insn->off == 32))
			plain.off = insn->off;
		else if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->off == BPF_ADDR_SPACE_CAST)
			plain.off = insn->off, plain.imm = 1;
		else if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->off == MOV_PERCPU)
			return OP_BAD;
		break;
	case BPF_STX:
		plain.imm = BPF_MODE(insn->code) == BPF_ATOMIC ? insn->imm : 0;
		if (plain.imm < BPF_LOAD_ACQ && BPF_MODE(insn->code) == BPF_ATOMIC && BPF_SIZE(insn->code) != BPF_DW)
			plain.code = BPF_STX | BPF_ATOMIC | BPF_W;
		break;
	case BPF_LD:
		plain.src_reg = insn_is_ldimm64(insn) ? insn->src_reg : 0;
		break;
	case BPF_JMP:
		if (op == BPF_JCOND)
			plain.src_reg = insn->src_reg;
		else if (op == BPF_CALL && insn->src_reg <= BPF_PSEUDO_KFUNC_CALL)
			plain.src_reg = insn->src_reg;
		break;
	}
	return insn_decode_fields(&plain);
}

static const char *size_name(u8 code) {
	static const char *const names[4] = {"u32", "u16", "u8", "u64"};
	return names[BPF_SIZE(code) >> 3];
}

struct printing {
	struct out out;
	const struct bpf_insn *insn;
	const char *name; /* from the caller, or NULL */
};

static void put_field(struct printing *p, char what) {
	struct out *o = &p->out;
	const struct bpf_insn *insn = p->insn;
	bool reg = insn_reg_form(insn);
	switch (what) {
	case 'd':
		return put_reg(o, 'r', insn->dst_reg);
	case 'D':
		return put_reg(o, 'w', insn->dst_reg);
	case 's':
		return put_reg(o, 'r', insn->src_reg);
	case 'S':
		return put_reg(o, 'w', insn->src_reg);
	case 'v':
	case 'V':
		return reg ? put_reg(o, what == 'v' ? 'r' : 'w', insn->src_reg) : put_signed(o, insn->imm, false);
	case 'x':
	case 'X':
		return reg ? put_reg(o, what == 'x' ? 'r' : 'w', insn->src_reg) : put_hex(o, (u32)insn->imm);
	case 'o':
		return put_signed(o, insn->off, true);
	case 'p':
		return puts_(o, "pc"), put_signed(o, insn->off, true);
	case 'P':
		return puts_(o, "pc"), p->name ? puts_(o, p->name) : put_signed(o, insn->imm, true);
	case 'i':
		return put_signed(o, insn->imm, false);
	case 'n':
		return put_signed(o, insn[1].imm, false);
	case 'l':
		return put_hex(o, insn_imm64(insn));
	case 'c':
		put_unsigned(o, (u32)insn->imm >> 16, 10, 0);
		puts_(o, ", ");
		return put_unsigned(o, (u16)insn->imm, 10, 0);
	case 'h':
		return puts_(o, p->name ? p->name : "unknown");
	case 'k':
		return puts_(o, p->name ? p->name : "kernel-function");
	case 'z':
		return puts_(o, size_name(insn->code));
	}
	ASSERT(!"a field of a text");
}
static void put_template(struct printing *p, const char *text) {
	for (; *text; text++) {
		if (*text == '$')
			put_field(p, *++text);
		else
			put(&p->out, *text);
	}
}

/* What the kernel prints for bits that no row's text fits: the opcode classes' special forms. */
static const char *special(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	if (class == BPF_ALU && op == BPF_END)
		return insn_reg_form(insn) ? "$d = be$i $d" : "$d = le$i $d";
	if (class == BPF_ALU64 && op == BPF_END)
		return "$d = bswap$i $d";
	if (insn->code == (BPF_ALU | BPF_MOV | BPF_X) && insn->off == 32)
		return "$D = (s32)$S";
	if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X))
		return "$d = &(void __percpu *)($s)";
	if (insn->code == (BPF_JMP | BPF_JCOND))
		return "if $d (null) $x goto $p";
	return NULL;
}
static const char *bug_prefix(u8 class) {
	switch (class) {
	case BPF_ST:
		return "BUG_st_";
	case BPF_LDX:
		return "BUG_ldx_";
	case BPF_LD:
		return "BUG_ld_";
	}
	return "BUG_";
}
/* All that decodes wholly, prints all its fields and comes back from its text. */
static bool text_is_exact(const struct bpf_insn *insn, u32 left) {
	enum bpf_op op = insn_decode(insn);
	if (!op || op == OP_CALLX)
		return op == OP_CALLX;
	if (op_rows[op].uses & IGNORES_OFF && insn->off)
		return false;
	if (op == OP_CALL_KFUNC && insn->off)
		return false;
	if (op_rows[op].shape != SHAPE_LDDW)
		return true;
	const struct bpf_insn *next = insn + 1;
	if (left < 2 || next->code || next->dst_reg || next->src_reg || next->off)
		return false;
	return op_rows[op].uses & FIELD_NEXT_IMM || !next->imm;
}
static void put_insn_directive(struct printing *p) {
	const struct bpf_insn *insn = p->insn;
	struct out *o = &p->out;
	puts_(o, ".insn 0x");
	put_unsigned(o, insn->code, 16, 2);
	puts_(o, " dst=");
	put_unsigned(o, insn->dst_reg, 10, 0);
	puts_(o, " src=");
	put_unsigned(o, insn->src_reg, 10, 0);
	puts_(o, " off=");
	put_signed(o, insn->off, false);
	puts_(o, " imm=");
	put_signed(o, insn->imm, false);
}

u32 insn_text(const struct bpf_insn *insn, u32 left, u32 flags, const struct disasm_names *names, char *to, u32 size) {
	ASSERT(left);
	struct printing p = {.out = {.to = to, .size = size}, .insn = insn};
	struct bpf_insn lone[2];
	char buffer[DISASM_NAME];
	enum bpf_op op = printed_as(insn);
	const char *text = op ? op_rows[op].text : special(insn);
	if (flags & DISASM_EXACT && !text_is_exact(insn, left)) {
		put_insn_directive(&p);
	} else if (!text) {
		puts_(&p.out, bug_prefix(BPF_CLASS(insn->code)));
		put_unsigned(&p.out, insn->code, 16, 2);
	} else {
		if (insn_is_ldimm64(insn) && left < 2) {
			lone[0] = *insn;
			lone[1] = (struct bpf_insn){0};
			p.insn = lone;
		}
		if (op_rows[op].shape == SHAPE_LDDW && flags & DISASM_KERNEL)
			text = op_rows[OP_LDDW].text;
		if (names && (op_rows[op].shape == SHAPE_CALL || op_rows[op].shape == SHAPE_LDDW))
			p.name = names->name(names->owner, insn, buffer, sizeof buffer);
		if (op_rows[op].shape == SHAPE_LDDW && p.name)
			text = "$d = $h";
		if (flags & DISASM_OPCODE) {
			put(&p.out, '(');
			put_unsigned(&p.out, insn->code, 16, 2);
			puts_(&p.out, ") ");
		}
		put_template(&p, text);
	}
	if (size)
		to[MIN(p.out.n, size - 1)] = 0;
	return p.out.n;
}
