/* One abstract state of the machine: the frames of the call chain with their registers and stacks, held references,
 * locks, and where the state stands in the search.
 *
 *   struct state ── frames[0] ── regs[11], slots[]      slot i is the 8 bytes at fp-8*(i+1)
 *        │          frames[1] ── …                      the frame that runs is frames[curframe]
 *        ├── refs[], locks                              what must be given back
 *        ├── history[]                                  the way from the parent to here, for precision
 *        └── parent                                     the checkpoint before
 *
 * A slot has a kind for each of its bytes: kind[i] describes the byte at fp-8*slot-1-i, so kind[7] is the byte at the
 * lowest address, the first of an 8-byte access. It is SPILL whenever a register, whole or its low part, lies there; reg
 * is meaningful only then.
 *
 * States come from a pool (state_pool): blocks are recycled by size class within the arena. Copying is deep. */
#ifndef SKEP_VERIFY_STATE_H
#define SKEP_VERIFY_STATE_H
#include "base/arena.h"
#include "verify/reg.h"

enum { MAX_FRAMES = 8, STACK_BYTES = 512, STACK_SLOTS = STACK_BYTES / 8 };

enum slot_kind { STACK_INVALID, STACK_SPILL, STACK_MISC, STACK_ZERO, STACK_DYNPTR, STACK_ITER, STACK_IRQ };
struct slot {
	u8 kind[8];
	struct reg reg;
};

/* What a callback must return. */
struct return_range {
	s32 min, max;
	bool return32; /* only the low half is looked at */
};

struct stack_instance;
struct explored;

struct frame {
	struct reg regs[MAX_BPF_REG];
	s32 callsite; /* of the call in the caller's frame; -1 for the outermost */
	u32 frameno, subprog;
	u32 callback_depth; /* iterations of a callback simulated so far by the call that stands in this frame */
	u32 async_entry;
	bool in_callback, in_async_callback, in_exception_callback;
	struct return_range callback_return;
	struct stack_instance *instance; /* liveness of this call chain, found at first use */
	u32 slots_n, slots_room;         /* slots in use: stack that was ever written, from the top */
	struct slot *slots;
};

enum ref_kind { REF_PTR, REF_LOCK, REF_RES_LOCK, REF_RES_LOCK_IRQ, REF_IRQ };
struct ref {
	u32 kind, id, insn;
	u32 map_uid;       /* of a lock: which inner map */
	const void *place; /* of a lock: the map (or type) whose lock is held */
};

/* One step of the way: the instruction before `insn` on this path was `prev`. linked packs registers that a comparison
 * touched through their ids. */
struct step {
	u64 prev : 32, insn : 20, flags : 12;
	u64 linked;
};
enum { STEP_STACK = 1u << 9, STEP_SRC_POINTER = 1u << 10, STEP_DST_POINTER = 1u << 11, /* comparisons of stack pointers */
       STEP_FRAME_SHIFT = 6, STEP_SLOT_MASK = 0x3f };                                 /* frame << 6 | slot */
STATIC_ASSERT(STACK_SLOTS <= 1 << STEP_FRAME_SHIFT && MAX_FRAMES << STEP_FRAME_SHIFT <= STEP_STACK, "fields of flags");

struct state {
	struct frame *frames[MAX_FRAMES];
	struct state *parent;
	struct explored *checkpoint; /* its entry in the lists, NULL: none */
	struct state *equal; /* of a back edge: the state that this one was found to lie in */
	u32 curframe;
	u32 branches; /* paths that start here and are not finished */
	u32 insn;     /* of a checkpoint: where it stands */
	u32 first_insn, last_insn;
	u32 depth, callback_unroll_depth, may_goto_depth;
	u32 active_locks, active_preempt, active_rcu;
	u32 active_irq; /* id of the reference of the last flag saved, 0: interrupts are as they were */
	bool in_sleepable;
	bool speculative; /* only the processor goes here (speculation.c) */
	bool cleaned;
	u32 refs_n, refs_room;
	struct ref *refs;
	u32 history_n, history_room;
	struct step *history;
};

/* Blocks of (class + 1) * 64 bytes up to 4096, above that of powers of two. */
enum { POOL_SMALL = 64, POOL_CLASSES = POOL_SMALL + 20 };
struct state_pool {
	struct arena *arena;
	void *free[POOL_CLASSES];
	u64 in_use;
};
void *pool_alloc(struct state_pool *p, u64 size); /* not zeroed; NULL: out of memory */
void pool_free(struct state_pool *p, void *block, u64 size);

struct frame *frame_new(struct state_pool *p);
struct state *state_new(struct state_pool *p);
/* to = from, deep; keeps nothing of what `to` held but its blocks. False: out of memory. */
bool state_copy(struct state_pool *p, struct state *to, const struct state *from, bool with_history);
void state_free(struct state_pool *p, struct state *s);
void frame_free(struct state_pool *p, struct frame *f);
/* Makes slots[0 … n-1] exist. */
bool frame_grow(struct state_pool *p, struct frame *f, u32 slots);
bool state_add_ref(struct state_pool *p, struct state *s, struct ref ref);
bool state_drop_ref(struct state *s, u32 id);
void state_remove_ref(struct state *s, u32 i);
struct ref *state_find_ref(struct state *s, u32 kind, u32 id);
bool state_push_step(struct state_pool *p, struct state *s, struct step step);

static inline struct frame *state_frame(const struct state *s) {
	return s->frames[s->curframe];
}
static inline struct reg *state_regs(const struct state *s) {
	return s->frames[s->curframe]->regs;
}
static inline bool slot_is_spill(const struct slot *slot) {
	return slot->kind[7] == STACK_SPILL;
}
/* Does something lie here that only its own helpers may read? */
static inline bool slot_is_object(const struct slot *slot) {
	return slot->kind[7] == STACK_DYNPTR || slot->kind[7] == STACK_ITER || slot->kind[7] == STACK_IRQ;
}
static inline bool slot_is_spilled_scalar(const struct slot *slot) {
	return slot->kind[7] == STACK_SPILL && slot->reg.type == SCALAR_VALUE;
}
static inline bool slot_is_full_scalar(const struct slot *slot) {
	return slot->kind[0] == STACK_SPILL && slot->reg.type == SCALAR_VALUE;
}
/* The instruction of frame i at which the state stands: for callers their call. */
static inline u32 state_frame_insn(const struct state *s, u32 i) {
	return i == s->curframe ? s->insn : (u32)s->frames[i + 1]->callsite;
}
/* Same chain of calls? */
bool state_same_callsites(const struct state *a, const struct state *b);

/* Every register of a state, spilled ones as well:
 *     for (struct reg_walk w = {.state = s}; reg_next(&w);) … w.reg … */
struct reg_walk {
	struct state *state;
	struct reg *reg;
	struct frame *frame;
	struct slot *slot; /* NULL: a register */
	u32 frame_i, i;
};
bool reg_next(struct reg_walk *w);
#endif
