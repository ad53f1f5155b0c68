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

/* One recorded state: the registers of the frame that runs, as far as they are live, and the known stack of that frame. */
struct record {
	struct record *next, *newer; /* in its list, in the order of recording */
	u32 frame, insn;
	u64 hash;
	struct reg regs[MAX_BPF_REG];
	u32 map_index[MAX_BPF_REG];
	const struct map_facts *facts[MAX_BPF_REG]; /* of registers that point to a map or its values */
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
	struct bpf_insn *insns; /* as loaded */
	u32 insns_n;
	const struct skep_abi *abi;
	struct record *spare;   /* a block that was not needed after all */
	u64 spare_size;
	char refused[256]; /* why the second walk refuses, "" = it does not */
};

enum { FITS = -1, ACCESS_MISFIT = -2 }; /* else the number of a register, or 16 + slot */

struct oracle *oracle_create(u64 memory_limit) {
	struct oracle *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	arena_init(&o->arena, memory_limit ? memory_limit : (u64)256 << 20);
	o->mask = (1 << 10) - 1;
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

static u64 hash_record(const struct record *r) {
	u64 h = 0xcbf29ce484222325;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		h = hash_bytes(h, &r->regs[i], offsetof(struct reg, id));
	for (u32 i = 0; i < r->slots_n; i++)
		h = hash_bytes(h, &r->slots[i], offsetof(struct slot, reg) + offsetof(struct reg, id));
	return h;
}

/* The walk that records begins. A program that is looked at anew (opened from the store) starts from nothing. */
void oracle_begin(struct verifier *v) {
	struct oracle *o = v->in->oracle;
	ASSERT(v->recording && !o->states);
	o->abi = v->abi;
	o->insns_n = v->in->insns_n;
	o->insns = arena_copy(&o->arena, v->in->insns, o->insns_n * sizeof *o->insns);
	o->full = !o->insns;
}

/* What the first walk accepted the second one refuses. Limits say nothing; anything else is a path that was hidden. */
void oracle_refused(struct oracle *o, int err, const struct verify_diag *diag) {
	ASSERT(err < 0);
	if (err == -ENOMEM || err == -E2BIG)
		o->full = true;
	else
		snprintf(o->refused, sizeof o->refused, "a path that pruning hid is refused at instruction %d: %s", diag->insn,
		         diag->message ? diag->message : "?");
}

static void keep_reg(struct record *r, u32 i, const struct reg *reg) {
	u32 base = base_type(reg->type);
	r->regs[i] = *reg;
	r->map_index[i] = NO_MAP;
	if (base != PTR_TO_MAP_VALUE && base != PTR_TO_MAP_KEY && base != CONST_PTR_TO_MAP)
		return;
	r->map_index[i] = reg->map->index;
	r->facts[i] = reg->map->facts;
}

/* Adds the current state at the instruction that it is about to run, unless the same was recorded there. */
int oracle_record(struct verifier *v) {
	struct oracle *o = v->in->oracle;
	const struct frame *f = cur_frame(v);
	u32 at = bucket(o, f->frameno, v->at), live = v->aux[v->at].live | 1u << BPF_REG_FP;
	struct record *r;
	u64 size = sizeof *r + f->slots_n * sizeof r->slots[0];
	ASSERT(f->frameno == v->cur->curframe && v->at < v->n);
	if (o->full)
		return 0;
	if (!o->spare || o->spare_size < size) {
		o->spare = arena_alloc(&o->arena, size);
		o->spare_size = size;
	}
	r = o->spare;
	if (!r) {
		o->full = true;
		return 0;
	}
	__builtin_memset(r, 0, size);
	r->frame = f->frameno;
	r->insn = v->at;
	r->slots_n = f->slots_n;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (live >> i & 1)
			keep_reg(r, i, &f->regs[i]);
	for (u32 i = 0; i < f->slots_n; i++) {
		__builtin_memcpy(r->slots[i].kind, f->slots[i].kind, 8);
		if (slot_is_spill(&f->slots[i]))
			r->slots[i].reg = f->slots[i].reg;
	}
	r->hash = hash_record(r);
	for (const struct record *other = o->table[at]; other; other = other->next)
		if (other->hash == r->hash && other->insn == r->insn && other->frame == r->frame)
			return 0; /* the block is used for the next one */
	r->next = o->table[at];
	if (r->next)
		r->next->newer = r;
	o->table[at] = r;
	o->spare = NULL;
	o->states++;
	return 0;
}

/* Is address x = base + off + a member of the variable offset? */
static bool offset_fits(const struct reg *r, u64 x, const void *base) {
	return scalar_contains(&r->s, x - (u64)(uintptr_t)base - (u64)(s64)r->off);
}

/* A pointer may leave its value as long as it is not used (accesses are looked at apart). Is there a value that it may
 * belong to? Tries the starts of values from the last that is possible downwards. */
static bool map_pointer_fits(const struct reg *r, u64 x, u32 map_index, const struct oracle_memory *where) {
	u64 moved = x - (u64)(s64)r->off, last = moved - (u64)r->s.r.smin, off;
	for (u32 tries = 0; tries < 16; tries++) {
		if (!where->map_value(where->owner, map_index, last, &off))
			return true; /* beyond all values, or between two */
		if (scalar_contains(&r->s, moved - (last - off)))
			return true;
		if ((s64)(moved - (last - off)) > r->s.r.smax)
			return false;
		last -= off + 1;
	}
	return true;
}

static bool value_fits(const struct reg *r, u64 x, u32 map_index, const struct oracle_memory *where) {
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
		return x && (map_index == NO_MAP || !where->map_value || map_pointer_fits(r, x, map_index, where));
	}
	return x || base_type(r->type) == PTR_TO_BTF_ID || r->type & PTR_UNTRUSTED;
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

/* May the program touch [at, at+size) through this register? What cannot be seen from here is taken on trust. */
static bool access_fits(const struct record *r, u32 regno, u64 at, u64 size, const struct oracle_memory *where) {
	const struct reg *reg = &r->regs[regno];
	u64 first, last, top;
	if (!size)
		return true;
	switch (base_type(reg->type)) {
	case SCALAR_VALUE:
	case NOT_INIT:
		return false;
	case PTR_TO_STACK:
		top = reg->frameno < where->frames ? (u64)(uintptr_t)where->stack_top[reg->frameno] : 0;
		return !top || (at >= top - STACK_BYTES && at < top && size <= top - at);
	case PTR_TO_PACKET:
		if (!where->packet)
			return true;
		return at >= (u64)(uintptr_t)where->packet && at < (u64)(uintptr_t)where->packet_end &&
		       size <= (u64)(uintptr_t)where->packet_end - at;
	case PTR_TO_MAP_VALUE:
		if (r->map_index[regno] == NO_MAP || !where->map_value)
			return true;
		return at + size > at && where->map_value(where->owner, r->map_index[regno], at, &first) &&
		       where->map_value(where->owner, r->map_index[regno], at + size - 1, &last) && last == first + size - 1;
	}
	return true;
}

/* The memory behind a helper's argument. NULL is one that need not be there. */
static bool argument_fits(const struct record *r, const struct abi_helper *h, u32 arg, const u64 regs[11],
                          const struct oracle_memory *where) {
	const struct map_facts *map = r->facts[BPF_REG_1];
	u32 kind = base_type(h->arg[arg]), regno = arg + 1;
	u64 size = 0;
	switch (kind) {
	case ARG_PTR_TO_MAP_KEY:
		size = map ? map->key_size : 0;
		break;
	case ARG_PTR_TO_MAP_VALUE:
		size = map ? map->value_size : 0;
		break;
	case ARG_PTR_TO_MEM:
		size = h->arg[arg] & MEM_FIXED_SIZE ? h->size[arg] : 0;
		break;
	case ARG_CONST_SIZE:
	case ARG_CONST_SIZE_OR_ZERO:
		if (arg) {
			size = regs[regno];
			regno--;
		}
		break;
	}
	if (!regs[regno] && (r->regs[regno].type == SCALAR_VALUE || r->regs[regno].type & PTR_MAYBE_NULL))
		return true;
	return access_fits(r, regno, regs[regno], size, where);
}

/* What the instruction is about to touch. */
static bool accesses_fit(const struct oracle *o, const struct record *r, const u64 regs[11],
                         const struct oracle_memory *where) {
	const struct bpf_insn *insn = &o->insns[r->insn];
	u8 class = BPF_CLASS(insn->code), mode = BPF_MODE(insn->code);
	bool load = class == BPF_LDX || (class == BPF_STX && mode == BPF_ATOMIC && insn->imm == BPF_LOAD_ACQ);
	u32 base = load ? insn->src_reg : insn->dst_reg;
	ASSERT(r->insn < o->insns_n);
	if (class == BPF_LDX || class == BPF_STX || class == BPF_ST)
		return access_fits(r, base, regs[base] + (u64)(s64)insn->off, insn_size_bytes(insn->code), where);
	if (insn_is_helper_call(insn)) {
		const struct abi_helper *h = abi_helper(o->abi, (u32)insn->imm);
		for (u32 arg = 0; h && arg < 5; arg++)
			if (!argument_fits(r, h, arg, regs, where))
				return false;
	}
	return true;
}

/* The first thing that does not fit, or FITS. */
static s32 misfit(const struct oracle *o, const struct record *r, const u64 regs[11], const struct oracle_memory *where) {
	const u8 *top = r->frame < where->frames ? where->stack_top[r->frame] : NULL;
	for (u32 i = 0; i < MAX_BPF_REG; i++)
		if (!value_fits(&r->regs[i], regs[i], r->map_index[i], where))
			return (s32)i;
	for (u32 i = 0; top && i < r->slots_n; i++)
		if (!slot_fits(&r->slots[i], top - 8 * (i + 1), where))
			return (s32)(16 + i);
	return accesses_fit(o, r, regs, where) ? FITS : ACCESS_MISFIT;
}

static bool fits(const struct oracle *o, const struct record *r, u32 frame, u32 insn, const u64 regs[11],
				 const struct oracle_memory *where) {
	return r->insn == insn && r->frame == frame && misfit(o, r, regs, where) == FITS;
}

bool oracle_check(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where) {
	u32 at = bucket(o, frame, insn);
	const struct record *r = o->hint[at];
	if (o->full)
		return true;
	if (unlikely(o->refused[0]))
		return false;
	if (!r || !fits(o, r, frame, insn, regs, where))
		for (r = o->table[at]; r && !fits(o, r, frame, insn, regs, where);)
			r = r->next;
	if (r)
		o->hint[at] = r->newer ? r->newer : o->table[at];
	return r;
}

static u32 explain_one(const struct oracle *o, const struct record *r, const u64 regs[11],
                       const struct oracle_memory *where, char *to, u32 size) {
	s32 at = misfit(o, r, regs, where);
	const struct reg *reg;
	if (at == FITS)
		return 0;
	if (at == ACCESS_MISFIT)
		return (u32)snprintf(to, size, "  the access leaves what its register points into\n");
	reg = at < 16 ? &r->regs[at] : &r->slots[at - 16].reg;
	return (u32)snprintf(to, size,
						 "  %s%d type %#x off %d u64 [%#llx, %#llx] s64 [%lld, %lld] bits (%#llx; %#llx) value %#llx\n",
						 at < 16 ? "r" : "slot ", at < 16 ? at : at - 16, reg->type, reg->off,
						 (unsigned long long)reg->s.r.umin, (unsigned long long)reg->s.r.umax, (long long)reg->s.r.smin,
						 (long long)reg->s.r.smax, (unsigned long long)reg->s.var.value,
						 (unsigned long long)reg->s.var.mask, at < 16 ? (unsigned long long)regs[at] : 0);
}

u32 oracle_explain(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where,
                   char *to, u32 size) {
	u32 n, states = 0;
	if (o->refused[0])
		return (u32)snprintf(to, size, "%s\n", o->refused);
	for (const struct record *r = o->table[bucket(o, frame, insn)]; r; r = r->next)
		states += r->insn == insn && r->frame == frame;
	n = (u32)snprintf(to, size, "instruction %u, frame %u: %u states, none fits\n", insn, frame, states);
	for (const struct record *r = o->table[bucket(o, frame, insn)]; r && n < size; r = r->next)
		if (r->insn == insn && r->frame == frame)
			n += explain_one(o, r, regs, where, to + n, size - n);
	return n;
}
