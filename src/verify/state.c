/* States: blocks from the pool, deep copies, references, steps (state.h has the picture).
 *
 *   pool_alloc   freed blocks of a size class are a list; new ones come from the arena. States and frames, of which there
 *                are many, fit their classes closely
 *   copies       reuse the blocks that the destination has, so that a state that is copied to again and again allocates
 *                nothing. Registers of slots that hold no spill are not copied: they mean nothing, and stacks are large.
 *
 * Rules for changing. A pointer in a state belongs to that state alone, except `instance`, `checkpoint` and `parent`,
 * which are shared and not owned. Whoever adds an owned pointer frees it in state_free and copies what it points to. */
#include "verify/state.h"

static inline u32 pool_class(u64 *size) {
	u32 class;
	if (*size <= POOL_SMALL * 64) {
		class = (u32)(*size + 63) / 64;
		*size = class * (u64)64;
		return class - 1;
	}
	class = 63 - (u32)__builtin_clzll((*size - 1) / (POOL_SMALL * 64));
	*size = (u64)(POOL_SMALL * 64) << (class + 1);
	ASSERT(class < POOL_CLASSES - POOL_SMALL);
	return POOL_SMALL + class;
}

void *pool_alloc(struct state_pool *p, u64 size) {
	ASSERT(size > 0);
	u32 class = pool_class(&size);
	void *block = p->free[class];
	if (block)
		__builtin_memcpy(&p->free[class], block, sizeof(void *));
	else
		block = arena_alloc(p->arena, size);
	if (block)
		p->in_use += size;
	return block;
}

void pool_free(struct state_pool *p, void *block, u64 size) {
	u32 class;
	if (!block)
		return;
	class = pool_class(&size);
	ASSERT(p->in_use >= size);
	p->in_use -= size;
	__builtin_memcpy(block, &p->free[class], sizeof(void *));
	p->free[class] = block;
}

/* Moves an array to a block with room for n elements. */
static void *grow(struct state_pool *p, void *at, u32 *room, u32 used, u32 n, u64 size) {
	ASSERT(used <= *room && n > *room);
	u32 new_room = MAX(n, MAX(*room * 2, 4u));
	void *to = pool_alloc(p, new_room * size);
	if (!to)
		return NULL;
	if (used)
		__builtin_memcpy(to, at, used * size);
	pool_free(p, at, *room * size);
	*room = new_room;
	return to;
}

struct frame *frame_new(struct state_pool *p) {
	struct frame *f = pool_alloc(p, sizeof *f);
	if (f)
		__builtin_memset(f, 0, sizeof *f);
	return f;
}

struct state *state_new(struct state_pool *p) {
	struct state *s = pool_alloc(p, sizeof *s);
	if (s)
		__builtin_memset(s, 0, sizeof *s);
	return s;
}

void frame_free(struct state_pool *p, struct frame *f) {
	if (!f)
		return;
	pool_free(p, f->slots, f->slots_room * sizeof *f->slots);
	pool_free(p, f, sizeof *f);
}

void state_free(struct state_pool *p, struct state *s) {
	if (!s)
		return;
	for (u32 i = 0; i < MAX_FRAMES; i++)
		frame_free(p, s->frames[i]);
	pool_free(p, s->refs, s->refs_room * sizeof *s->refs);
	pool_free(p, s->history, s->history_room * sizeof *s->history);
	pool_free(p, s, sizeof *s);
}

bool frame_grow(struct state_pool *p, struct frame *f, u32 slots) {
	ASSERT(slots <= STACK_SLOTS);
	if (slots <= f->slots_n)
		return true;
	if (slots > f->slots_room) {
		struct slot *to = grow(p, f->slots, &f->slots_room, f->slots_n, slots, sizeof *to);
		if (!to)
			return false;
		f->slots = to;
	}
	for (u32 i = f->slots_n; i < slots; i++)
		__builtin_memset(&f->slots[i], 0, sizeof f->slots[i]);
	f->slots_n = slots;
	return true;
}

/* Copies slots; the register of a slot that is no spill means nothing and is not copied, except for what iterators,
 * dynptrs and interrupt flags keep there. */
static void copy_slots(struct slot *to, const struct slot *from, u32 n) {
	for (u32 i = 0; i < n; i++) {
		u8 kind = from[i].kind[7];
		__builtin_memcpy(to[i].kind, from[i].kind, sizeof to[i].kind);
		if (kind == STACK_SPILL || kind == STACK_DYNPTR || kind == STACK_ITER || kind == STACK_IRQ)
			to[i].reg = from[i].reg;
	}
}

static bool frame_copy(struct state_pool *p, struct frame *to, const struct frame *from) {
	ASSERT(from->slots_n <= from->slots_room && from->slots_n <= STACK_SLOTS);
	struct slot *slots = to->slots;
	u32 room = to->slots_room;
	if (from->slots_n > room) {
		pool_free(p, slots, room * sizeof *slots);
		to->slots = NULL;
		to->slots_room = 0;
		slots = pool_alloc(p, from->slots_n * sizeof *slots);
		if (!slots)
			return false;
		room = from->slots_n;
	}
	*to = *from;
	to->slots = slots;
	to->slots_room = room;
	copy_slots(slots, from->slots, from->slots_n);
	return true;
}

static bool copy_array(struct state_pool *p, void **to, u32 *room, const void *from, u32 n, u64 size) {
	if (n > *room) {
		void *block = pool_alloc(p, n * size);
		if (!block)
			return false;
		pool_free(p, *to, *room * size);
		*to = block;
		*room = n;
	}
	if (n)
		__builtin_memcpy(*to, from, n * size);
	return true;
}

bool state_copy(struct state_pool *p, struct state *to, const struct state *from, bool with_history) {
	struct state kept = *to;
	u32 history = with_history ? from->history_n : 0;
	ASSERT(from->curframe < MAX_FRAMES && from->frames[from->curframe]);
	ASSERT(to != from);
	if (!copy_array(p, (void **)&kept.refs, &kept.refs_room, from->refs, from->refs_n, sizeof *from->refs) ||
	    !copy_array(p, (void **)&kept.history, &kept.history_room, from->history, history, sizeof *from->history)) {
		*to = kept;
		return false;
	}
	*to = *from;
	__builtin_memcpy(to->frames, kept.frames, sizeof to->frames);
	to->refs = kept.refs;
	to->refs_room = kept.refs_room;
	to->history = kept.history;
	to->history_room = kept.history_room;
	to->history_n = history;
	for (u32 i = 0; i < MAX_FRAMES; i++) {
		if (i > from->curframe) {
			frame_free(p, to->frames[i]);
			to->frames[i] = NULL;
			continue;
		}
		if (!to->frames[i] && !(to->frames[i] = frame_new(p)))
			return false;
		if (!frame_copy(p, to->frames[i], from->frames[i]))
			return false;
	}
	return true;
}

bool state_add_ref(struct state_pool *p, struct state *s, struct ref ref) {
	ASSERT(ref.id || (ref.kind != REF_PTR && ref.kind != REF_IRQ));
	ASSERT(s->refs_n <= s->refs_room);
	if (s->refs_n == s->refs_room) {
		struct ref *to = grow(p, s->refs, &s->refs_room, s->refs_n, s->refs_n + 1, sizeof *to);
		if (!to)
			return false;
		s->refs = to;
	}
	s->refs[s->refs_n++] = ref;
	return true;
}

struct ref *state_find_ref(struct state *s, u32 kind, u32 id) {
	for (u32 i = 0; i < s->refs_n; i++)
		if (s->refs[i].kind == kind && s->refs[i].id == id)
			return &s->refs[i];
	return NULL;
}

/* The others keep their order, which logs show. */
void state_remove_ref(struct state *s, u32 i) {
	ASSERT(i < s->refs_n);
	__builtin_memmove(&s->refs[i], &s->refs[i + 1], (--s->refs_n - i) * sizeof s->refs[0]);
}

bool state_drop_ref(struct state *s, u32 id) {
	for (u32 i = 0; i < s->refs_n; i++) {
		if (s->refs[i].kind == REF_PTR && s->refs[i].id == id) {
			state_remove_ref(s, i);
			return true;
		}
	}
	return false;
}

bool state_push_step(struct state_pool *p, struct state *s, struct step step) {
	ASSERT(s->history_n <= s->history_room);
	if (s->history_n == s->history_room) {
		struct step *to = grow(p, s->history, &s->history_room, s->history_n, s->history_n + 1, sizeof *to);
		if (!to)
			return false;
		s->history = to;
	}
	s->history[s->history_n++] = step;
	return true;
}

bool state_same_callsites(const struct state *a, const struct state *b) {
	if (a->curframe != b->curframe)
		return false;
	for (u32 i = a->curframe; i > 0; i--)
		if (a->frames[i]->callsite != b->frames[i]->callsite)
			return false;
	return true;
}

bool reg_next(struct reg_walk *w) {
	for (; w->frame_i <= w->state->curframe; w->frame_i++, w->i = 0) {
		w->frame = w->state->frames[w->frame_i];
		if (w->i < MAX_BPF_REG) {
			w->slot = NULL;
			w->reg = &w->frame->regs[w->i++];
			return true;
		}
		while (w->i - MAX_BPF_REG < w->frame->slots_n) {
			w->slot = &w->frame->slots[w->i++ - MAX_BPF_REG];
			if (slot_is_spill(w->slot)) {
				w->reg = &w->slot->reg;
				return true;
			}
		}
	}
	return false;
}
