/* The window: the operations of straight-line code that have not become machine code yet.
 *
 *   ops[0]   every value that is older than the window
 *   ops[i]   an operation; as a definition of its register d it is named by its index i
 *   def[r]   the definition that register r holds now
 *
 *   an operation's va, vb, vx, vd say which definitions its operands are; uses says how many operations use it as an
 *   operand. Since registers never move, «definition v is still in register r» is just def[r] == v.
 *
 * The only change that the window itself makes is to drop a definition that nobody used when its register is written
 * again, or is dead at the end. Operations are never reordered and never inserted, so an operand that was in its
 * register when an operation was appended is there when it is executed.
 *
 * Who reads what is not an operand: a jump reads all that is live at its target (pinned), an exit reads r0, calls read
 * r1 to r5. What an operation that is not pure does cannot be dropped.
 *
 * A window ends at a label, when it is full, and at the end of the function; conditional jumps do not end it. */
#include "exec/jit/build.h"
#include <string.h>

/* What the window must know of an operation, by code. */
enum {
	PROP_REMOVABLE = 1, /* only d changes */
	PROP_MEMORY = 2,    /* may write memory */
	PROP_CALL = 4,      /* loses r0 … r5 */
	PROP_IMPLICIT = 8,  /* reads what is no operand */
	PROP_NARROW = 16,   /* zero-extends its result unless it is wide */
	PROP_ZEXT = 32,     /* zero-extends always */
	PROP_SIZE = 64,     /* zero-extends its result when size is below 8 */
	PROP_ODD = 128,     /* see result_zext */
	PURE = PROP_REMOVABLE | PROP_NARROW,
};
static const u8 props[JOP_CODES] = {
	[J_ADD] = PURE, [J_SUB] = PURE, [J_MUL] = PURE, [J_OR] = PURE, [J_AND] = PURE | PROP_ODD, [J_XOR] = PURE,
	[J_LSH] = PURE, [J_RSH] = PURE | PROP_ODD, [J_ARSH] = PURE, [J_ROL] = PURE, [J_DIV] = PURE, [J_MOD] = PURE,
	[J_SDIV] = PURE, [J_SMOD] = PURE, [J_NEG] = PURE, [J_MOVSX] = PURE, [J_MOV] = PURE | PROP_ODD,
	[J_MOVZX] = PROP_REMOVABLE | PROP_ZEXT, [J_BSWAP] = PROP_REMOVABLE | PROP_SIZE, [J_IMM] = PROP_REMOVABLE | PROP_ODD,
	[J_ADDRESS] = PROP_REMOVABLE, [J_FUNC] = PROP_REMOVABLE, [J_LEA] = PROP_REMOVABLE,
	[J_SELECT] = PROP_REMOVABLE | PROP_ODD, [J_SETCC] = PROP_REMOVABLE | PROP_ZEXT,
	[J_LOAD] = PROP_REMOVABLE | PROP_SIZE, [J_LOADSX] = PROP_REMOVABLE, [J_LOADBE] = PROP_REMOVABLE | PROP_SIZE,
	[J_STORE] = PROP_MEMORY, [J_RMW] = PROP_MEMORY, [J_ATOMIC] = PROP_MEMORY | PROP_IMPLICIT, [J_PROBE] = PROP_MEMORY,
	[J_JCC] = PROP_IMPLICIT, [J_JMP] = PROP_IMPLICIT, [J_MAY_GOTO] = PROP_IMPLICIT, [J_EXIT] = PROP_IMPLICIT,
	[J_CALL] = PROP_MEMORY | PROP_CALL, [J_LOCAL] = PROP_MEMORY | PROP_CALL, [J_TAIL] = PROP_MEMORY | PROP_CALL,
	[J_ARRAY] = PROP_CALL, [J_CPU] = PROP_ZEXT, [J_BARRIER] = PROP_MEMORY,
};

static bool is_removable(const struct jop *op) {
	return props[op->code] & PROP_REMOVABLE;
}

/* The operation that is being appended reads r. */
static inline void use(struct jit *j, u8 r) {
	u16 v = j->def[r];
	struct jop *def = &j->ops[v];
	j->read_at[r] = (u16)(j->n - 1);
	ASSERT(!v || def->code != J_NOP); /* what was dropped as dead is not read */
	def->uses++;
}
static void pin(struct jit *j, u8 r) {
	j->ops[j->def[r]].uses |= PINNED;
	j->read_at[r] = (u16)(j->n - 1);
}

static void drop_use(struct jit *j, u16 v) {
	struct jop *def = &j->ops[v];
	if (!v || def->uses >= PINNED)
		return;
	ASSERT(def->uses > 0);
	if (--def->uses == 0 && def->d != JREG_NONE && j->def[def->d] != v && is_removable(def))
		window_remove(j, v);
}

void window_remove(struct jit *j, u16 v) {
	struct jop *op = &j->ops[v];
	ASSERT(v && !op->uses && is_removable(op));
	struct jop old = *op;
	op->code = J_NOP;
	if (old.a != JREG_NONE)
		drop_use(j, old.va);
	if (old.b != JREG_NONE)
		drop_use(j, old.vb);
	if (old.x != JREG_NONE)
		drop_use(j, old.vx);
	if (old.code == J_SELECT)
		drop_use(j, old.vd);
}

/* Register r is about to be written. */
static inline void kill(struct jit *j, u8 r) {
	struct jop *def = def_of(j, r);
	if (!def->uses && is_removable(def)) /* the entry op is pinned, a dropped one not removable */
		window_remove(j, j->def[r]);
}

/* Is the upper half of the result zero? */
static bool result_zext(struct jit *j, const struct jop *op) {
	u8 prop = props[op->code];
	if (prop & PROP_NARROW && !op->wide)
		return true;
	if (!(prop & PROP_ODD))
		return prop & PROP_ZEXT || (prop & PROP_SIZE && op->size < 8);
	switch (op->code) {
	case J_IMM:
		return op->imm >> 32 == 0;
	case J_MOV:
		return def_of(j, op->a)->flags & JF_ZEXT;
	case J_RSH:
		return op->flags & JF_IMM && (op->imm & 63) >= 32;
	case J_AND:
		if (op->flags & (JF_IMM | JF_MEM))
			return op->flags & JF_IMM && op->imm >> 32 == 0;
		return (def_of(j, op->a)->flags | def_of(j, op->b)->flags) & JF_ZEXT;
	default:
		ASSERT(op->code == J_SELECT);
		return def_of(j, op->d)->flags & JF_ZEXT &&
		       (op->x == JREG_NONE ? op->disp >= 0 : def_of(j, op->x)->flags & JF_ZEXT);
	}
}

/* Operations that are calls: they read r1 … r5 and leave them with values that nobody may read. */
static void commit_call(struct jit *j, u16 v, bool reads) {
	for (u8 r = 1; r <= 5 && reads; r++)
		pin(j, r);
	for (u8 r = 0; r <= 5; r++) {
		kill(j, r);
		j->def[r] = v;
	}
}

/* What a jump's target, or the end, reads. */
static void commit_implicit(struct jit *j, const struct jop *op) {
	u16 live = 0;
	if (op->code == J_JCC || op->code == J_JMP || op->code == J_MAY_GOTO)
		live = j->f.blocks[op->target].live_in;
	else if (op->code == J_EXIT || (op->code == J_ATOMIC && op->imm == BPF_CMPXCHG))
		live = 1;
	for (u32 left = live; left; left &= left - 1)
		pin(j, (u8)__builtin_ctz(left));
}

void window_commit(struct jit *j, struct jop *op) {
	u16 v = (u16)j->n++;
	ASSERT(v <= WINDOW && op == &j->ops[v]);
	ASSERT(op->d == JREG_NONE || (op->d < JREGS && op->d != JREG_FP)); /* the frame pointer is never written */
	ASSERT(op->x == JREG_NONE || op->b != JREG_NONE || op->code == J_SELECT);
	op->flags = (u8)((op->flags & ~JF_ZEXT) | (op->d != JREG_NONE && result_zext(j, op) ? JF_ZEXT : 0));
	if (op->a != JREG_NONE) {
		use(j, op->a);
		op->va = j->def[op->a];
	}
	if (op->b != JREG_NONE) {
		use(j, op->b);
		op->vb = j->def[op->b];
	}
	if (op->x != JREG_NONE) {
		use(j, op->x);
		op->vx = j->def[op->x];
	}
	if (op->code == J_SELECT) {
		use(j, op->d);
		op->vd = j->def[op->d];
	}
	u8 prop = props[op->code];
	if (prop & PROP_IMPLICIT)
		commit_implicit(j, op);
	if (prop & PROP_MEMORY)
		j->memory = v;
	if (prop & PROP_CALL) {
		commit_call(j, v, op->code != J_ARRAY);
	} else if (op->d != JREG_NONE) {
		op->prev = j->def[op->d];
		kill(j, op->d);
		j->def[op->d] = v;
	}
}

void window_bring_back(struct jit *j, u8 r, u16 v) {
	u16 drop = j->def[r];
	if (drop == v)
		return;
	ASSERT(j->ops[drop].prev == v && j->ops[drop].d == r && !j->ops[drop].uses);
	j->def[r] = v; /* first: so that v does not look superseded */
	window_remove(j, drop);
}

bool window_retarget(struct jit *j, const struct jop *mov) {
	u8 from = mov->a, to = mov->d;
	u16 v = j->def[from];
	struct jop *def = &j->ops[v];
	if (!only_reader(j, mov, from) || from == to || !is_removable(def) || def->code == J_SELECT || def->code == J_NOP)
		return false;
	if (!mov->wide) /* the move is a zero extension as well */
		return false;
	/* the old value of `to` is not wanted after def, and nobody has changed it since */
	if (j->def[to] > v || j->read_at[to] > v)
		return false;
	ASSERT(def->d == from);
	j->def[from] = def->prev;
	def->d = to, def->prev = j->def[to];
	kill(j, to);
	j->def[to] = v;
	return true;
}

void window_invert(struct jit *j, u32 target) {
	struct jop *op = &j->ops[j->n - 1];
	ASSERT(j->n > 1 && op->code == J_JCC);
	op->pred = pred_invert(op->pred);
	op->target = target;
	commit_implicit(j, op);
}

/* What is live before op, given what is live after it: operations that read more than their operands. */
static u32 live_before(const struct jit *j, const struct jop *op, u32 live) {
	switch (op->code) {
	case J_CALL:
	case J_LOCAL:
	case J_TAIL:
		return (live & ~0x3fu) | 0x3e;
	case J_ARRAY:
		live &= ~0x3fu;
		break;
	case J_EXIT:
		return 1;
	case J_JMP:
		return j->f.blocks[op->target].live_in;
	case J_JCC:
	case J_MAY_GOTO:
		live |= j->f.blocks[op->target].live_in;
		break;
	}
	live &= ~(1u << op->d);
	if (op->code == J_ATOMIC && op->imm == BPF_CMPXCHG)
		live |= 1;
	return live | 1u << op->a | 1u << op->b | 1u << op->x;
}

/* The rules make registers live longer than the bytecode says; the machine needs to know what it may clobber. */
static void machine_liveness(struct jit *j, u32 live) {
	for (u32 i = j->n; i-- > 1;) {
		struct jop *op = &j->ops[i];
		op->live = (u16)live;
		if (op->code == J_NOP)
			continue;
		if (props[op->code] & (PROP_CALL | PROP_IMPLICIT))
			live = live_before(j, op, live);
		else /* JREG_NONE is beyond the registers; a select leaves its d live */
			live = (live & ~(1u << (op->code == J_SELECT ? JREG_NONE : op->d))) | 1u << op->a | 1u << op->b | 1u << op->x;
	}
}

/* Everything that is left becomes machine code. live: registers read afterwards. */
void build_flush(struct jit *j, u16 live) {
	for (u32 round = 0; round < 2; round++) /* what a dead one used may be dead now */
		for (u32 left = ~(u32)live & ((1u << JREGS) - 1); left; left &= left - 1)
			if (j->def[__builtin_ctz(left)])
				kill(j, (u8)__builtin_ctz(left));
	ASSERT(j->n >= 1 && j->n <= WINDOW + 1);
	machine_liveness(j, live);
	for (u32 i = 1; i < j->n; i++) {
		if (j->ops[i].code == J_NOP)
			continue;
		code_line(&j->code, j->ops[i].insn);
		j->m->lower(j, &j->ops[i]);
	}
	j->n = 1, j->memory = 0;
	memset(j->def, 0, sizeof j->def);
	memset(j->read_at, 0, sizeof j->read_at);
	j->ops[0].uses = PINNED;
}
