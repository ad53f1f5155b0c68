/* Where a refusal comes from: notes on earlier instructions of the refused path.
 *
 * The verifier's message is about one register at one instruction; what people must change is usually elsewhere. So the
 * refused path is walked backwards, following one value through copies and spills, until the instruction that made it:
 *
 *      r0 = call get_prandom       «returned by bpf_get_prandom_u32 here»          origin
 *      w6 = w0                     «only the lower 32 bits are kept here»          narrowed
 *      if r0 > 63 goto …           «this tests another copy of the value»          lost
 *      *(fp-8) = r6                                                                 spill: followed
 *      r1 = *(fp-8)                                                                 fill: followed
 *      r2 += r1                    «the index is added here»                        mixed: r1 is followed, if r2 is
 *  ──► r3 = *(u32 *)(r2 + 0)       refused                                                an address
 *
 * The path is the recorded history of the state and its ancestors (backtrack.c walks the same one); frames are counted
 * along. Nothing here decides anything: when the walk meets something that it cannot follow, there is one note less.
 *
 * Rules for changing: an instruction that moves values must be known to follow(); a note says what is known for sure from
 * the instruction itself, since the states along the path are gone. Whoever adds a row to diag.def gets the notes of its
 * kind by a row of `kinds`. */
#include "verify/env.h"
#include <stdarg.h>
#include <string.h>

enum { TRAIL_MOST = 1 << 16, ARGUMENT_LOOK_BACK = 16 };

/* One instruction of the path, newest first; next is the one that ran after it. */
struct point {
	u32 insn, next;
	u8 frame;
	bool stack;   /* it reads or writes a stack slot: */
	u8 slot_frame, slot;
};
struct trail {
	VEC(struct point) points;
};

/* What is followed. */
struct value {
	bool slot;
	u32 frame, n; /* register, or slot */
};
enum came { CAME_ELSEWHERE, CAME_MOVED, CAME_NARROWED, CAME_SIGNED, CAME_CHANGED, CAME_MIXED,
            /* from here on it ends */
            CAME_CONSTANT, CAME_LOADED, CAME_RETURNED, CAME_CLOBBERED, CAME_WRITTEN, CAME_START };

/* == The path == */

static bool trail_add(const struct verifier *v, struct trail *t, u32 insn, const struct step *step) {
	const struct point *last = t->points.n ? &t->points.at[t->points.n - 1] : NULL;
	const struct bpf_insn *i = &v->insns[insn];
	u32 frame = last ? last->frame : v->cur->curframe, next = last ? last->insn : insn;
	ASSERT(insn < v->n);
	if (last && i->code == (BPF_JMP | BPF_EXIT))
		frame++;
	else if (last && last->insn != insn + 1 && i->code == (BPF_JMP | BPF_CALL))
		frame--;
	struct point *p = frame < MAX_FRAMES && t->points.n < TRAIL_MOST ? vec_push(&t->points) : NULL;
	if (!p)
		return false;
	*p = (struct point){.insn = insn, .next = next, .frame = (u8)frame};
	if (step && step->flags & STEP_STACK) {
		p->stack = true;
		p->slot_frame = step->flags >> STEP_FRAME_SHIFT & 7;
		p->slot = step->flags & STEP_SLOT_MASK;
	}
	return true;
}

static void find_trail(const struct verifier *v, struct trail *t) {
	const struct state *s = v->cur;
	s64 at = s->insn;
	while (s) {
		u32 left = s->history_n;
		while (at >= 0 && at < v->n) {
			const struct step *step = left && s->history[left - 1].insn == at ? &s->history[left - 1] : NULL;
			if (!trail_add(v, t, (u32)at, step))
				return;
			at = insn_before(s, (u32)at, &left);
		}
		s = s->parent;
		at = s ? (s32)s->last_insn : -1; /* of the parent: the one before its child's first */
	}
}

/* == Following a value == */

static enum came follow_alu(const struct bpf_insn *insn, struct value *x) {
	bool half = BPF_CLASS(insn->code) == BPF_ALU;
	switch (BPF_OP(insn->code)) {
	case BPF_MOV:
		if (BPF_SRC(insn->code) == BPF_K)
			return CAME_CONSTANT;
		x->n = insn->src_reg;
		return insn->off ? CAME_SIGNED : half ? CAME_NARROWED : CAME_MOVED;
	case BPF_ARSH:
		return BPF_SRC(insn->code) == BPF_K ? CAME_SIGNED : CAME_MIXED;
	case BPF_RSH: /* behind a shift to the left: a cast to 32 bits */
		return BPF_SRC(insn->code) == BPF_X ? CAME_MIXED : !half && insn->imm == 32 ? CAME_NARROWED : CAME_CHANGED;
	case BPF_NEG:
	case BPF_END:
		return CAME_CHANGED;
	}
	return BPF_SRC(insn->code) == BPF_K ? CAME_CHANGED : CAME_MIXED;
}

/* Does the call get an address of the slot in an argument that it may write? Arguments are made shortly before. */
static bool call_writes(const struct verifier *v, const struct trail *t, u32 i, const struct value *x) {
	const struct abi_helper *h = abi_helper(v->abi, (u32)v->insns[t->points.at[i].insn].imm);
	for (u32 arg = 0; h && arg < 5; arg++) {
		u32 base = base_type(h->arg[arg]), reg = arg + 1;
		s32 off = 0;
		if (base != ARG_PTR_TO_MEM && base != ARG_PTR_TO_MAP_VALUE)
			continue;
		if (!(h->arg[arg] & (MEM_UNINIT | MEM_WRITE)))
			continue;
		for (u32 k = i + 1; k < MIN(t->points.n, i + ARGUMENT_LOOK_BACK); k++) {
			const struct bpf_insn *b = &v->insns[t->points.at[k].insn];
			if (b->dst_reg != reg || t->points.at[k].frame != x->frame)
				continue;
			if (b->code == (BPF_ALU64 | BPF_ADD | BPF_K))
				off += b->imm;
			else if (b->code == (BPF_ALU64 | BPF_MOV | BPF_X) && b->src_reg == BPF_REG_FP)
				return off < 0 && (u32)(-off - 1) / 8 == x->n;
			else
				break;
		}
	}
	return false;
}

static enum came follow_call(const struct verifier *v, const struct trail *t, u32 i, struct value *x) {
	const struct point *p = &t->points.at[i];
	const struct bpf_insn *insn = &v->insns[p->insn];
	bool entered = p->next != p->insn + 1;
	ASSERT(i < t->points.n);
	if (entered && x->frame == p->frame + 1u) {
		if (x->slot || x->n < BPF_REG_1 || x->n > BPF_REG_5 || !insn_is_pseudo_call(insn))
			return CAME_START; /* nothing comes in through it, or a helper made it for a callback */
		x->frame = p->frame;
		return CAME_MOVED;
	}
	if (x->frame != p->frame || entered)
		return CAME_ELSEWHERE;
	if (x->slot)
		return insn_is_helper_call(insn) && call_writes(v, t, i, x) ? CAME_WRITTEN : CAME_ELSEWHERE;
	return x->n == BPF_REG_0 ? CAME_RETURNED : x->n <= BPF_REG_5 ? CAME_CLOBBERED : CAME_ELSEWHERE;
}

static enum came follow_exit(const struct point *p, struct value *x) {
	if (x->slot || x->frame + 1 != p->frame || x->n > BPF_REG_5)
		return CAME_ELSEWHERE;
	if (x->n)
		return CAME_CLOBBERED;
	x->frame = p->frame;
	return CAME_MOVED;
}

/* The slot that a load or store at an offset of the frame pointer means. */
static bool names_slot(const struct point *p, const struct bpf_insn *insn, u32 base, struct value *slot) {
	*slot = (struct value){.slot = true, .frame = p->slot_frame, .n = p->slot};
	if (p->stack)
		return true;
	*slot = (struct value){.slot = true, .frame = p->frame, .n = (u32)(-insn->off - 1) / 8};
	return base == BPF_REG_FP && insn->off < 0 && slot->n < STACK_SLOTS;
}

static enum came follow_memory(const struct point *p, const struct bpf_insn *insn, struct value *x) {
	bool fetch = insn->imm == BPF_LOAD_ACQ || insn->imm & BPF_FETCH;
	bool load = BPF_CLASS(insn->code) == BPF_LDX || (BPF_MODE(insn->code) == BPF_ATOMIC && fetch);
	struct value slot;
	u32 to = BPF_CLASS(insn->code) == BPF_LDX || insn->imm == BPF_LOAD_ACQ ? insn->dst_reg
	         : insn->imm == BPF_CMPXCHG                                   ? BPF_REG_0
	                                                                      : insn->src_reg;
	if (load && !x->slot && x->frame == p->frame && x->n == to) {
		if (!names_slot(p, insn, BPF_CLASS(insn->code) == BPF_LDX ? insn->src_reg : insn->dst_reg, &slot))
			return CAME_LOADED;
		*x = slot;
		if (BPF_MODE(insn->code) == BPF_MEMSX)
			return CAME_SIGNED;
		return insn_size_bytes(insn->code) < 8 ? CAME_NARROWED : CAME_MOVED;
	}
	if (load || !x->slot)
		return CAME_ELSEWHERE;
	if (!names_slot(p, insn, insn->dst_reg, &slot) || x->frame != slot.frame || x->n != slot.n)
		return CAME_ELSEWHERE;
	if (BPF_CLASS(insn->code) == BPF_ST)
		return CAME_CONSTANT;
	*x = (struct value){.frame = p->frame, .n = insn->src_reg};
	return CAME_MOVED;
}

/* What point i did to the value; *x becomes what it was before. */
static enum came follow(const struct verifier *v, const struct trail *t, u32 i, struct value *x) {
	const struct point *p = &t->points.at[i];
	const struct bpf_insn *insn = &v->insns[p->insn];
	bool here = !x->slot && x->frame == p->frame;
	ASSERT(x->frame < MAX_FRAMES && (x->slot || x->n < MAX_BPF_REG));
	if (!x->slot && x->n == BPF_REG_FP)
		return CAME_START;
	if (!insn->code) /* the second half of a wide instruction */
		return CAME_ELSEWHERE;
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return here && insn->dst_reg == x->n ? follow_alu(insn, x) : CAME_ELSEWHERE;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		return follow_memory(p, insn, x);
	case BPF_LD:
		if (insn_is_ldimm64(insn))
			return here && insn->dst_reg == x->n ? CAME_CONSTANT : CAME_ELSEWHERE;
		return here && x->n == BPF_REG_0 ? CAME_LOADED : here && x->n <= BPF_REG_5 ? CAME_CLOBBERED : CAME_ELSEWHERE;
	}
	if (BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) == BPF_CALL)
		return follow_call(v, t, i, x);
	return insn->code == (BPF_JMP | BPF_EXIT) ? follow_exit(p, x) : CAME_ELSEWHERE;
}

/* The story of a value: the points that matter of its way, UINT32_MAX where there is none. */
struct story {
	u32 narrowed, is_signed, tested, changed;
	struct value tested_value;
	u32 end; /* the point that made it */
	enum came how;
	struct value at_end;
};

static bool tests(const struct verifier *v, const struct point *p, const struct value *x) {
	const struct bpf_insn *insn = &v->insns[p->insn];
	u8 op = BPF_OP(insn->code);
	if (!insn_may_jump(insn) || op == BPF_JA || op == BPF_JCOND || x->slot || x->frame != p->frame)
		return false;
	return insn->dst_reg == x->n || (BPF_SRC(insn->code) == BPF_X && insn->src_reg == x->n);
}

static bool number_at_end(const struct verifier *v, const struct trail *t, const struct story *s);

/* Follows x back from before point `from`. */
static struct story story_of(const struct verifier *v, const struct trail *t, u32 from, struct value x, u32 depth) {
	struct story s = {.narrowed = UINT32_MAX, .is_signed = UINT32_MAX, .tested = UINT32_MAX, .changed = UINT32_MAX,
	                  .end = UINT32_MAX, .how = CAME_START};
	for (u32 i = from; i < t->points.n; i++) {
		const struct point *p = &t->points.at[i];
		struct value before = x;
		enum came how = follow(v, t, i, &x);
		if (how == CAME_ELSEWHERE && s.tested == UINT32_MAX && tests(v, p, &x))
			s.tested = i, s.tested_value = x;
		if (how == CAME_NARROWED && s.narrowed == UINT32_MAX)
			s.narrowed = i;
		if (how == CAME_SIGNED && s.is_signed == UINT32_MAX)
			s.is_signed = i;
		if (how == CAME_CHANGED && s.changed == UINT32_MAX)
			s.changed = i;
		if (how == CAME_MIXED && depth < 4) { /* the number of the two: the other one is an address */
			struct value other = {.frame = p->frame, .n = v->insns[p->insn].src_reg};
			struct story mine = story_of(v, t, i + 1, x, depth + 1);
			if (!number_at_end(v, t, &mine))
				x = other;
		}
		if (how >= CAME_CONSTANT || (how == CAME_MIXED && depth >= 4)) {
			s.end = i, s.how = how, s.at_end = before;
			return s;
		}
	}
	s.at_end = x;
	return s;
}

/* Is what the story began with a number, not an address? */
static bool number_at_end(const struct verifier *v, const struct trail *t, const struct story *s) {
	if (s->end == UINT32_MAX || s->how == CAME_START)
		return false;
	ASSERT(s->end < t->points.n);
	u32 at = t->points.at[s->end].insn;
	const struct bpf_insn *insn = &v->insns[at];
	const struct insn_aux *aux = &v->aux[at];
	if (s->how == CAME_LOADED)
		return base_type(aux->ptr_type) != PTR_TO_CTX || !aux->field || base_type(aux->field->reg) <= SCALAR_VALUE;
	if (s->how == CAME_RETURNED) {
		const struct abi_helper *h = insn_is_helper_call(insn) ? abi_helper(v->abi, (u32)insn->imm) : NULL;
		return h && base_type(h->ret) == RET_INTEGER;
	}
	return s->how == CAME_WRITTEN || (s->how == CAME_CONSTANT && !(insn_is_ldimm64(insn) && insn->src_reg));
}

/* == Notes == */

void note(struct verifier *v, u32 insn, const char *fmt, ...) {
	struct verify_diag *d = &v->out->diag;
	const struct bpf_line_info *line = line_of(v, insn);
	char text[400];
	ASSERT(insn < v->n && d->notes_n <= ARRAY_SIZE(d->notes));
	va_list args;
	if (d->notes_n == ARRAY_SIZE(d->notes))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	struct verify_note *n = &d->notes[d->notes_n++];
	n->insn = (s32)insn;
	n->text = arena_copy(v->arena, text, strlen(text) + 1);
	if (!line)
		return;
	n->file = btf_string(v->in->btf, line->file_name_off);
	n->line_text = btf_string(v->in->btf, line->line_off);
	n->line = BPF_LINE_INFO_LINE_NUM(line->line_col);
	n->column = BPF_LINE_INFO_LINE_COL(line->line_col);
}

static const char *callee(const struct verifier *v, u32 at, char to[96]) {
	const struct bpf_insn *insn = &v->insns[at];
	const struct abi_helper *h = insn_is_helper_call(insn) ? abi_helper(v->abi, (u32)insn->imm) : NULL;
	s32 sub = insn_is_pseudo_call(insn) ? subprog_at(v, at + 1 + (u32)insn->imm) : -1;
	const char *kfunc = insn_is_kfunc_call(insn) ? kfunc_name(v, insn) : NULL;
	snprintf(to, 96, "%s%s", h ? "bpf_" : "",
	         h ? h->name : kfunc ? kfunc : sub >= 0 && v->subprogs[sub].name[0] ? v->subprogs[sub].name : "a function");
	return to;
}

static const char *from_where(const struct verifier *v, u32 at, char to[96]) {
	const struct insn_aux *aux = &v->aux[at];
	ASSERT(at < v->n);
	switch (base_type(aux->ptr_type)) {
	case PTR_TO_CTX:
		snprintf(to, 96, "%s%s of the context", aux->field && aux->field->name ? "field " : "a field",
		         aux->field && aux->field->name ? aux->field->name : "");
		return to;
	case PTR_TO_MAP_VALUE: return "a map value";
	case PTR_TO_MAP_KEY: return "a map key";
	case PTR_TO_PACKET:
	case PTR_TO_PACKET_META: return "the packet";
	case PTR_TO_BTF_ID: return "a kernel structure";
	case PTR_TO_STACK: return "the stack";
	}
	return "memory";
}

/* «read from the packet here» */
static void note_made(struct verifier *v, const struct trail *t, const struct story *s, const char *what,
                      const char *tail) {
	char name[96];
	if (s->end == UINT32_MAX)
		return;
	ASSERT(s->end < t->points.n);
	u32 at = t->points.at[s->end].insn;
	switch (s->how) {
	case CAME_LOADED: note(v, at, "%s is read from %s here%s", what, from_where(v, at, name), tail); break;
	case CAME_RETURNED: note(v, at, "%s is what %s returns here%s", what, callee(v, at, name), tail); break;
	case CAME_WRITTEN: note(v, at, "%s is written by %s here%s", what, callee(v, at, name), tail); break;
	case CAME_CONSTANT: note(v, at, "%s is set here%s", what, tail); break;
	case CAME_CLOBBERED:
		note(v, at, "the call of %s destroys R1 to R5%s", callee(v, at, name), tail);
		break;
	default: break;
	}
}

/* What holds for the register behind the comparison, as the path went. */
static bool known_since(const struct verifier *v, const struct point *p, const struct value *x, char to[96]) {
	static const char *const yes[16] = {[BPF_JEQ >> 4] = "==", [BPF_JGT >> 4] = ">",  [BPF_JGE >> 4] = ">=",
	                                    [BPF_JNE >> 4] = "!=", [BPF_JSGT >> 4] = ">", [BPF_JSGE >> 4] = ">=",
	                                    [BPF_JLT >> 4] = "<",  [BPF_JLE >> 4] = "<=", [BPF_JSLT >> 4] = "<",
	                                    [BPF_JSLE >> 4] = "<="};
	static const char *const no[16] = {[BPF_JEQ >> 4] = "!=", [BPF_JGT >> 4] = "<=",  [BPF_JGE >> 4] = "<",
	                                   [BPF_JNE >> 4] = "==", [BPF_JSGT >> 4] = "<=", [BPF_JSGE >> 4] = "<",
	                                   [BPF_JLT >> 4] = ">=", [BPF_JLE >> 4] = ">",   [BPF_JSLT >> 4] = ">=",
	                                   [BPF_JSLE >> 4] = ">"};
	const struct bpf_insn *insn = &v->insns[p->insn];
	u8 op = BPF_OP(insn->code) >> 4;
	bool is_signed = BPF_OP(insn->code) == BPF_JSGT || BPF_OP(insn->code) == BPF_JSGE ||
	                 BPF_OP(insn->code) == BPF_JSLT || BPF_OP(insn->code) == BPF_JSLE;
	const char *relation = p->next == p->insn + 1 ? no[op] : yes[op];
	if (!relation || BPF_SRC(insn->code) != BPF_K || insn->dst_reg != x->n)
		return false;
	ASSERT(!x->slot);
	snprintf(to, 96, "R%u %s %lld%s%s", x->n, relation,
	         is_signed ? (long long)insn->imm : (long long)(u32)insn->imm, is_signed ? " as a signed number" : "",
	         BPF_CLASS(insn->code) == BPF_JMP32 ? ", of its lower 32 bits" : "");
	return true;
}

/* == Kinds of refusals == */

/* A comparison, after the value was copied, of the copy that is not used. */
static bool note_other_copy(struct verifier *v, const struct trail *t, const struct story *s, u32 used) {
	u32 copied = s->narrowed != UINT32_MAX ? s->narrowed : s->is_signed;
	if (copied == UINT32_MAX || copied == 0)
		return false;
	const struct bpf_insn *copy = &v->insns[t->points.at[copied].insn];
	struct value source = {.frame = t->points.at[copied].frame, .n = copy->src_reg};
	if (BPF_OP(copy->code) != BPF_MOV || copy->src_reg == copy->dst_reg)
		return false;
	for (u32 i = copied; i-- > used;) {
		const struct point *p = &t->points.at[i];
		struct value x = source;
		if (tests(v, p, &source)) {
			note(v, p->insn, "this tests R%u, another copy: what it shows is not known of the one that is used", source.n);
			return true;
		}
		if (follow(v, t, i, &x) != CAME_ELSEWHERE)
			return false;
	}
	return false;
}

static void explain_number(struct verifier *v, const struct trail *t, u32 from, struct value x, const char *what) {
	struct story s = story_of(v, t, from, x, 0);
	char known[96];
	bool tested = s.tested != UINT32_MAX && known_since(v, &t->points.at[s.tested], &s.tested_value, known);
	bool other = note_other_copy(v, t, &s, from);
	bool before = tested && s.narrowed != UINT32_MAX && s.narrowed < s.tested;
	if (tested)
		note(v, t->points.at[s.tested].insn, "%s: %s", before ? "tested before" : "known from here on", known);
	if (s.is_signed != UINT32_MAX)
		note(v, t->points.at[s.is_signed].insn, "%s is extended with its sign here: it can be negative", what);
	else if (s.narrowed != UINT32_MAX && (other || before))
		note(v, t->points.at[s.narrowed].insn, "only 32 bits are kept here: a negative number becomes a large one");
	note_made(v, t, &s, what, s.tested == UINT32_MAX && !other ? ", and nothing on this path limits it" : "");
}

static void explain_index(struct verifier *v, const struct trail *t, u32 regno) {
	struct value x = {.frame = t->points.at[0].frame, .n = regno};
	for (u32 i = 1; i < t->points.n && !reg_is_scalar(&cur_regs(v)[regno]); i++) {
		const struct point *p = &t->points.at[i];
		struct value before = x;
		enum came how = follow(v, t, i, &x);
		if (how == CAME_MIXED) {
			struct value other = {.frame = p->frame, .n = v->insns[p->insn].src_reg};
			struct story mine = story_of(v, t, i + 1, before, 0);
			note(v, p->insn, "the index is added to the address here");
			explain_number(v, t, i + 1, number_at_end(v, t, &mine) ? before : other, "the index");
			return;
		}
		if (how >= CAME_CONSTANT)
			return;
	}
	if (reg_is_scalar(&cur_regs(v)[regno]))
		explain_number(v, t, 1, x, "the value");
}

/* The number that is being added to an address. */
static void explain_addend(struct verifier *v, const struct trail *t, u32 regno) {
	const struct bpf_insn *insn = &v->insns[t->points.at[0].insn];
	struct value x = {.frame = t->points.at[0].frame, .n = insn->dst_reg};
	(void)regno;
	if (BPF_SRC(insn->code) == BPF_K)
		return;
	struct story mine = story_of(v, t, 1, x, 0);
	if (!number_at_end(v, t, &mine))
		x.n = insn->src_reg;
	explain_number(v, t, 1, x, "the number");
}

static void explain_size(struct verifier *v, const struct trail *t, u32 regno) {
	explain_number(v, t, 1, (struct value){.frame = t->points.at[0].frame, .n = regno}, "the length");
}

/* A reference that was given back on the path, and is used again. */
static void note_released(struct verifier *v, const struct trail *t, const struct story *s) {
	char name[96];
	if (s->how != CAME_RETURNED || !insn_is_helper_call(&v->insns[t->points.at[s->end].insn]))
		return;
	const struct abi_helper *taken = abi_helper(v->abi, (u32)v->insns[t->points.at[s->end].insn].imm);
	for (u32 i = 1; taken && taken->flags & HELPER_ACQUIRES && i < s->end; i++) {
		u32 at = t->points.at[i].insn;
		const struct abi_helper *h = insn_is_helper_call(&v->insns[at]) ? abi_helper(v->abi, (u32)v->insns[at].imm) : NULL;
		if (h && h->flags & HELPER_RELEASES) {
			note(v, at, "%s gives it back here: the pointer is worth nothing from then on", callee(v, at, name));
			return;
		}
	}
}

static void explain_pointer(struct verifier *v, const struct trail *t, u32 regno) {
	struct value x = {.frame = t->points.at[0].frame, .n = regno};
	struct story s = story_of(v, t, 1, x, 0);
	char what[16];
	snprintf(what, sizeof what, "R%u", regno);
	if (v->out->diag.code == DIAG_STALE_PACKET_POINTER && v->packet_cleared) {
		char name[96];
		note(v, v->packet_cleared - 1, "%s may move the packet: pointers from before are no longer valid",
		     callee(v, v->packet_cleared - 1, name));
	}
	if (reg_is_scalar(&cur_regs(v)[regno]))
		note_released(v, t, &s);
	note_made(v, t, &s, what, "");
}

static void explain_packet(struct verifier *v, const struct trail *t, u32 regno) {
	bool known = cur_regs(v)[regno].range > 0;
	for (u32 i = 1; i < t->points.n; i++) {
		const struct point *p = &t->points.at[i];
		const struct bpf_insn *insn = &v->insns[p->insn];
		if (!insn_may_jump(insn) || BPF_SRC(insn->code) != BPF_X || BPF_OP(insn->code) == BPF_JA)
			continue;
		for (u32 k = 0; k < 2; k++) {
			struct value x = {.frame = p->frame, .n = k ? insn->src_reg : insn->dst_reg};
			struct story s = story_of(v, t, i + 1, x, 0);
			const struct insn_aux *aux = s.how == CAME_LOADED ? &v->aux[t->points.at[s.end].insn] : NULL;
			if (!aux || base_type(aux->ptr_type) != PTR_TO_CTX || !aux->field || aux->field->reg != PTR_TO_PACKET_END)
				continue;
			if (known)
				note(v, p->insn, "this comparison with the end shows that %d bytes are there, and no more",
				     cur_regs(v)[regno].range);
			else
				note(v, p->insn, "this comparison with the end shows nothing about the address that is used");
			return;
		}
	}
	struct story s = story_of(v, t, 1, (struct value){.frame = t->points.at[0].frame, .n = regno}, 0);
	note_made(v, t, &s, "the address", ", and it is not compared with the end of the packet");
}

/* The branch that leads out, after the reference was taken. */
static void explain_reference(struct verifier *v, const struct trail *t, u32 regno) {
	u32 taken = UINT32_MAX;
	char name[96];
	(void)regno;
	for (u32 i = 0; i < v->cur->refs_n && taken == UINT32_MAX; i++)
		taken = v->cur->refs[i].insn;
	if (taken == UINT32_MAX)
		return;
	note(v, taken, "taken here by %s", callee(v, taken, name));
	for (u32 i = 1; i < t->points.n && t->points.at[i].insn != taken; i++) {
		const struct bpf_insn *insn = &v->insns[t->points.at[i].insn];
		if (insn_may_jump(insn) && BPF_OP(insn->code) != BPF_JA) {
			note(v, t->points.at[i].insn, "the path that does not give it back leaves here");
			return;
		}
	}
}

static void explain_return(struct verifier *v, const struct trail *t, u32 regno) {
	(void)regno;
	struct story s = story_of(v, t, 1, (struct value){.frame = t->points.at[0].frame, .n = BPF_REG_0}, 0);
	note_made(v, t, &s, "the return value", "");
}

/* Which loop of the path went round most often, and what would end it. */
static void explain_loop(struct verifier *v, const struct trail *t, u32 regno) {
	u32 *turns = arena_array(&v->scratch, u32, v->n), head = 0, end = 0;
	(void)regno;
	for (u32 i = 0; turns && i < t->points.n; i++) {
		u32 from = t->points.at[i].insn, to = t->points.at[i].next;
		if (to <= from && insn_may_jump(&v->insns[from]) && ++turns[to] > turns[head])
			head = to, end = from;
	}
	if (!turns || turns[head] < 2)
		return;
	note(v, head, "this loop went round %u times on one path, and nothing shows that it ends", turns[head]);
	for (u32 i = 1; i < t->points.n; i++) {
		const struct point *p = &t->points.at[i];
		const struct bpf_insn *insn = &v->insns[p->insn];
		struct value x = {.frame = p->frame, .n = insn->dst_reg};
		if (p->insn < head || p->insn > end || !insn_may_jump(insn) || BPF_OP(insn->code) == BPF_JA)
			continue;
		s64 other = p->next == p->insn + 1 ? jump_target(insn, p->insn) : (s64)p->insn + 1;
		if (other >= head && other <= end)
			continue;
		struct story s = story_of(v, t, i + 1, x, 0);
		note(v, p->insn, "it is left here");
		note_made(v, t, &s, "what decides that", ": any number, every time");
		return;
	}
}

static const struct {
	u32 code;
	void (*explain)(struct verifier *v, const struct trail *t, u32 regno);
	bool needs_reg;
} kinds[] = {
    {DIAG_UNBOUNDED, explain_index, true},           {DIAG_MIN_NEGATIVE, explain_index, true},
    {DIAG_MIN_OUTSIDE, explain_index, true},         {DIAG_MAX_OUTSIDE, explain_index, true},
    {DIAG_MAP_VALUE_BOUNDS, explain_index, true},    {DIAG_MEM_BOUNDS, explain_index, true},
    {DIAG_STACK_VARIABLE_BOUNDS, explain_index, true}, {DIAG_STACK_UNBOUNDED, explain_index, true},
    {DIAG_CTX_POINTER_VARIABLE, explain_index, true}, {DIAG_NOT_A_CONSTANT, explain_size, true},
    {DIAG_UNBOUNDED_MATH, explain_addend, false},    {DIAG_POINTER_OUT_OF_BOUNDS, explain_addend, false},
    {DIAG_SIZE_NEGATIVE, explain_size, true},        {DIAG_SIZE_UNBOUNDED, explain_size, true},
    {DIAG_SIZE_ZERO, explain_size, true},            {DIAG_PACKET_BOUNDS, explain_packet, true},
    {DIAG_PACKET_OFFSET, explain_packet, true},      {DIAG_UNRELEASED_REFERENCE, explain_reference, false},
    {DIAG_EXIT_LEAK, explain_reference, false},      {DIAG_TAIL_CALL_LEAK, explain_reference, false},
    {DIAG_LOCK_AT_EXIT, explain_reference, false},   {DIAG_LOCK_TAIL_CALL, explain_reference, false},
    {DIAG_LOCK_CALL, explain_reference, false},      {DIAG_LOCK_TWICE, explain_reference, false},
    {DIAG_RETURN_RANGE, explain_return, false},      {DIAG_RETURN_NOT_SCALAR, explain_return, false},
    {DIAG_READ_UNINIT, explain_pointer, true},       {DIAG_INVALID_MEM_ACCESS, explain_pointer, true},
    {DIAG_MAYBE_NULL, explain_pointer, true},        {DIAG_STALE_PACKET_POINTER, explain_pointer, true},
    {DIAG_POINTER_ARITHMETIC, explain_pointer, true}, {DIAG_POINTER_ARITHMETIC_NULL, explain_pointer, true},
    {DIAG_CANNOT_WRITE_INTO, explain_pointer, true}, {DIAG_ARG_TYPE, explain_pointer, true},
    {DIAG_ARG_MAYBE_NULL, explain_pointer, true},    {DIAG_ARG_NOT_CONST_MAP, explain_pointer, true},
    {DIAG_ARG_BTF_TYPE, explain_pointer, true},      {DIAG_TRUSTED_NULL, explain_pointer, true},
    {DIAG_UNTRUSTED_ARG, explain_pointer, true},     {DIAG_ATOMIC_TARGET, explain_pointer, true},
    {DIAG_TOO_LARGE, explain_loop, false},           {DIAG_TOO_COMPLEX, explain_loop, false},
    {DIAG_INFINITE_LOOP, explain_loop, false},
    {DIAG_RELEASE_UNOWNED, explain_pointer, true},   {DIAG_CTX_POINTER_MODIFIED, explain_pointer, true},
};

/* The state that the refusal left behind is still there. */
void find_causes(struct verifier *v) {
	struct verify_diag *d = &v->out->diag;
	struct trail t = {0};
	ASSERT(v->said_reg <= MAX_BPF_REG);
	ASSERT(!d->notes_n);
	if (!d->code || !v->cur || d->insn < 0 || v->cur->insn != (u32)d->insn)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].code != d->code || (kinds[i].needs_reg && !v->said_reg))
			continue;
		find_trail(v, &t);
		if (t.points.n)
			kinds[i].explain(v, &t, v->said_reg ? v->said_reg - 1 : 0);
		vec_free(&t.points);
		return;
	}
}
