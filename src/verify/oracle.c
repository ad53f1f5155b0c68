/* The oracle: what the walk saw at every instruction, and whether concrete registers and stack fit it (oracle.h).
 *
 *   table[hash of (instruction, frame)] ──► newest record ──► older ──► …
 *
 * A record is the frame that ran: registers that were live, and its stack. Equal states are recorded once (by hash). A
 * check passes when one record fits; the hint makes loops cheap. Pointers are compared with where the run says that their
 * objects are; what the run does not tell is taken on trust.
 *
 * Invariant: misfit() may only say «does not fit» when the verifier claimed something that is not so. */
#include "verify/oracle.h"
#include "verify/env.h"
#include <stdlib.h>
#include <string.h>

/* One recorded state: the registers of the frame that runs, and the known stack of that frame. */
struct record {
	struct record *next, *newer; /* in its list, in the order of recording */
	u32 frame, insn;
	u64 hash;
	struct reg regs[MAX_BPF_REG];
	u32 map_index[MAX_BPF_REG];
	u32 slots_n;
	struct slot slots[];
};

struct oracle {
	struct arena arena;
	struct record **table; /* by insn and frame */
	struct record **hint;  /* the one that probably fits next: loops come by in the order in which they were walked */
	u32 mask;
	u64 states;
	bool full;
};

struct oracle *oracle_create(u64 memory_limit) {
	struct oracle *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	arena_init(&o->arena, memory_limit ? memory_limit : (u64)256 << 20);
	o->mask = (1 << 14) - 1;
	o->table = arena_array(&o->arena, struct record *, o->mask + 1);
	o->hint = arena_array(&o->arena, struct record *, o->mask + 1);
	if (!o->table || !o->hint) {
		arena_free(&o->arena);
		free(o);
		return NULL;
	}
	return o;
}

void oracle_destroy(struct oracle *o) {
	if (!o)
		return;
	arena_free(&o->arena);
	free(o);
}

u64 oracle_states(const struct oracle *o) {
	return o->states;
}
bool oracle_complete(const struct oracle *o) {
	return !o->full;
}

static u32 bucket(const struct oracle *o, u32 frame, u32 insn) {
	return (insn * 8 + frame) & o->mask;
}

static u64 hash_bytes(u64 h, const void *data, u64 n) {
	const u8 *p = data;
	for (u64 i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

static u64 hash_frame(const struct frame *f, u32 live) {
	u64 h = 0xcbf29ce484222325;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (live >> i & 1)
			h = hash_bytes(h, &f->regs[i], offsetof(struct reg, id));
	for (u32 i = 0; i < f->slots_n; i++) {
		h = hash_bytes(h, f->slots[i].kind, 8);
		if (slot_is_spill(&f->slots[i]))
			h = hash_bytes(h, &f->slots[i].reg, offsetof(struct reg, id));
	}
	return h;
}

/* Adds the current state at the instruction that it is about to run, unless the same was recorded there. */
int oracle_record(struct verifier *v) {
	struct oracle *o = v->in->oracle;
	const struct frame *f = cur_frame(v);
	ASSERT(f->frameno == v->cur->curframe && v->at < v->n);
	u32 at = bucket(o, f->frameno, v->at);
	u32 live = v->aux[v->at].live | 1u << BPF_REG_FP; /* pruning does not look at the others */
	u64 hash = hash_frame(f, live);
	struct record *r;
	if (o->full)
		return 0;
	for (r = o->table[at]; r; r = r->next)
		if (r->hash == hash && r->insn == v->at && r->frame == f->frameno)
			return 0;
	r = arena_alloc(&o->arena, sizeof *r + f->slots_n * sizeof r->slots[0]);
	if (!r) {
		o->full = true;
		return 0;
	}
	r->frame = f->frameno;
	r->insn = v->at;
	r->hash = hash;
	r->slots_n = f->slots_n;
	for (u32 i = 0; i < MAX_BPF_REG; i++) {
		u32 base = base_type(f->regs[i].type);
		r->map_index[i] = NO_MAP;
		if (!(live >> i & 1))
			continue; /* zeroed: anything */
		r->regs[i] = f->regs[i];
		r->map_index[i] = base == PTR_TO_MAP_VALUE || base == PTR_TO_MAP_KEY || base == CONST_PTR_TO_MAP
		                      ? f->regs[i].map->index : NO_MAP;
	}
	for (u32 i = 0; i < f->slots_n; i++) {
		memcpy(r->slots[i].kind, f->slots[i].kind, 8);
		if (slot_is_spill(&f->slots[i]))
			r->slots[i].reg = f->slots[i].reg;
	}
	r->next = o->table[at];
	if (r->next)
		r->next->newer = r;
	o->table[at] = r;
	o->states++;
	return 0;
}

/* Is address x = base + off + a member of the variable offset? */
static bool offset_fits(const struct reg *r, u64 x, const void *base) {
	return scalar_contains(&r->s, x - (u64)(uintptr_t)base - (u64)(s64)r->off);
}

static bool value_fits(const struct reg *r, u64 x, u32 map_index, const struct oracle_memory *where) {
	u64 off;
	if (r->type & PTR_MAYBE_NULL && !x)
		return true;
	switch (base_type(r->type)) {
	case NOT_INIT:
		return true;
	case SCALAR_VALUE:
		return scalar_contains(&r->s, x);
	case PTR_TO_CTX:
		return !where->ctx || offset_fits(r, x, where->ctx);
	case PTR_TO_STACK:
		if (r->frameno >= where->frames || !where->stack_top[r->frameno])
			return r->frameno < where->frames || !where->frames;
		return offset_fits(r, x, where->stack_top[r->frameno]);
	case PTR_TO_PACKET:
		if (!where->packet)
			return true;
		if (!offset_fits(r, x, where->packet))
			return false;
		/* what was proven: range bytes from the variable part on lie before the end */
		return r->range <= 0 || x - (u64)(s64)r->off + (u64)r->range <= (u64)(uintptr_t)where->packet_end;
	case PTR_TO_PACKET_END:
		return !where->packet_end || x == (u64)(uintptr_t)where->packet_end;
	case PTR_TO_MAP_VALUE:
		if (map_index == NO_MAP || !where->map_value)
			return x;
		return where->map_value(where->owner, map_index, x - (u64)(s64)r->off - r->s.r.umin, &off) ||
		       (where->map_value(where->owner, map_index, x, &off) && scalar_contains(&r->s, off - (u64)(s64)r->off));
	}
	return x || base_type(r->type) == PTR_TO_BTF_ID;
}

static bool slot_fits(const struct slot *slot, const u8 *at, const struct oracle_memory *where) {
	u64 x = 0;
	u32 n = 0;
	ASSERT((uintptr_t)at % 8 == 0);
	for (u32 i = 0; i < 8; i++) /* kind[7] is the first byte */
		if (slot->kind[7 - i] == STACK_ZERO && at[i])
			return false;
	while (n < 8 && slot->kind[7 - n] == STACK_SPILL)
		n++;
	if (!n)
		return true;
	memcpy(&x, at, n);
	if (slot->reg.type == SCALAR_VALUE) {
		struct scalar s = slot->reg.s;
		if (n < 8)
			scalar_zext(&s, n);
		return scalar_contains(&s, x);
	}
	return n < 8 || value_fits(&slot->reg, x, NO_MAP, where);
}

/* Number of the first register (or 16 + slot) that does not fit; -1: all fit. */
static s32 misfit(const struct record *r, const u64 regs[11], const struct oracle_memory *where) {
	const u8 *top = r->frame < where->frames ? where->stack_top[r->frame] : NULL;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (!value_fits(&r->regs[i], regs[i], r->map_index[i], where))
			return (s32)i;
	for (u32 i = 0; top && i < r->slots_n; i++)
		if (!slot_fits(&r->slots[i], top - 8 * (i + 1), where))
			return (s32)(16 + i);
	return -1;
}

static bool fits(const struct record *r, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where) {
	return r->insn == insn && r->frame == frame && misfit(r, regs, where) < 0;
}

bool oracle_check(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where) {
	u32 at = bucket(o, frame, insn);
	const struct record *r = o->hint[at];
	if (o->full)
		return true;
	if (!r || !fits(r, frame, insn, regs, where))
		for (r = o->table[at]; r && !fits(r, frame, insn, regs, where);)
			r = r->next;
	if (r)
		o->hint[at] = r->newer ? r->newer : o->table[at];
	return r;
}

u32 oracle_explain(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where,
                   char *to, u32 size) {
	u32 n = 0, states = 0;
	for (const struct record *r = o->table[bucket(o, frame, insn)]; r; r = r->next)
		states += r->insn == insn && r->frame == frame;
	n += (u32)snprintf(to, size, "instruction %u, frame %u: %u states, none fits\n", insn, frame, states);
	for (const struct record *r = o->table[bucket(o, frame, insn)]; r && n < size; r = r->next) {
		s32 at;
		const struct reg *reg;
		if (r->insn != insn || r->frame != frame)
			continue;
		at = misfit(r, regs, where);
		if (at < 0)
			continue;
		reg = at < 16 ? &r->regs[at] : &r->slots[at - 16].reg;
		n += (u32)snprintf(to + n, size - n,
		                   "  %s%d type %#x off %d u64 [%#llx, %#llx] s64 [%lld, %lld] bits (%#llx; %#llx) value %#llx\n",
		                   at < 16 ? "r" : "slot ", at < 16 ? at : at - 16, reg->type, reg->off,
		                   (unsigned long long)reg->s.r.umin, (unsigned long long)reg->s.r.umax, (long long)reg->s.r.smin,
		                   (long long)reg->s.r.smax, (unsigned long long)reg->s.var.value,
		                   (unsigned long long)reg->s.var.mask, at < 16 ? (unsigned long long)regs[at] : 0);
	}
	return n;
}
