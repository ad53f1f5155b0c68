/* The stack as memory: spills, fills, partial and variable accesses.
 *
 *      fp-8   fp-7 … fp-1      slot 0: kind[7] kind[6] … kind[0]
 *
 * A register that is stored with all its 8 bytes at an aligned place keeps all that is known of it (a spill); a number
 * also when its low bytes are stored there. A load from the same place gives it back (a fill), narrowed if fewer bytes
 * are read. Any other store makes bytes «misc», or «zero» if a known 0 was stored. A store at a variable offset may hit
 * every slot of its range, so it weakens all of them and destroys spilled pointers. Stack that was never written may be
 * read where the loader may see addresses (CAP_PERFMON), and is an unknown number then. Without CAP_BPF no number is kept.
 *
 * Every access tells the liveness of slots, and, when a register moved, the history for precision.
 *
 * Invariants: kind[7] is SPILL exactly when reg means something; accesses are aligned to their size, so one of at most 8
 * bytes lies in one slot. */
#include "verify/env.h"

static inline u32 slot_of(s32 off) {
	ASSERT(off < 0 && off >= -STACK_BYTES);
	return (u32)(-off - 1) / 8;
}

static inline u32 step_flags(const struct frame *f, u32 slot) {
	return STEP_STACK | f->frameno << STEP_FRAME_SHIFT | slot;
}

/* Notes that the frame reaches down to off. */
static int grow_to(struct verifier *v, struct frame *f, s32 off) {
	struct subprog *sub = &v->subprogs[f->subprog];
	u32 bytes = (u32)round_up((u64)-(s64)off, 8);
	if (bytes / 8 > f->slots_n && !frame_grow(&v->pool, f, bytes / 8))
		return -ENOMEM;
	sub->stack = MAX(sub->stack, bytes);
	return 0;
}

/* == Bounds == */

int check_stack_bounds(struct verifier *v, u32 regno, s32 off, s32 size, bool write) {
	const struct reg *r = &cur_regs(v)[regno];
	const char *what = write ? " write to" : " read from";
	s64 min, max;
	char text[48];
	int err = 0;
	if (scalar_is_const(&r->s)) {
		min = (s64)r->s.var.value + off;
		max = min + size;
	} else {
		if (r->s.r.smax >= MAX_VAR_OFF || r->s.r.smin <= -MAX_VAR_OFF) {
			say_reg(v, regno);
			return refuse(v, STACK_UNBOUNDED, -EACCES, what, regno);
		}
		min = r->s.r.smin + off;
		max = r->s.r.smax + off + size;
	}
	if (min < (write || v->allow_ptr_leaks ? -STACK_BYTES : -8 * (s64)frame_of(v, r)->slots_n) || min > -1)
		err = -EACCES;
	else if (max > 0)
		err = -EINVAL;
	else if (size < 0)
		err = -EFAULT;
	if (!err)
		return grow_to(v, frame_of(v, r), (s32)min);
	say(v, "off", "%lld", (long long)min);
	say(v, "size", "%d", size);
	say(v, "range", "offsets %lld to %lld", (long long)min, (long long)max);
	if (scalar_is_const(&r->s))
		return refuse(v, STACK_BOUNDS, err, what, regno, off, size);
	return refuse(v, STACK_VARIABLE_BOUNDS, err, what, regno, tnum_text(r->s.var, text), off, size);
}

s32 stack_object_slot(struct verifier *v, const struct reg *r, const char *what, u32 slots) {
	s32 off = r->off + (s32)r->s.var.value;
	ASSERT(r->type == PTR_TO_STACK && slots);
	if (!scalar_is_const(&r->s)) {
		vlog(v, "%s has to be at a constant offset\n", what);
		return -EINVAL;
	}
	if (off % 8 || off > -8 * (s32)slots) {
		vlog(v, "cannot pass in %s at an offset=%d\n", what, off);
		return -EINVAL;
	}
	if (off < -STACK_BYTES || slot_of(off) >= frame_of(v, r)->slots_n)
		return -ERANGE;
	return (s32)slot_of(off);
}

/* == Writing == */

static bool is_spillable(u32 type) {
	return base_type(type) > SCALAR_VALUE && base_type(type) != CONST_PTR_TO_DYNPTR;
}

/* Forgets what is spilled or kept in the slot; the bytes stay initialised. */
static void scrub(struct slot *slot) {
	if (slot_is_spill(slot) || slot_is_object(slot))
		for (u32 i = 0; i < 8; i++)
			if (slot->kind[i] != STACK_INVALID)
				slot->kind[i] = STACK_MISC;
}

/* The register's `size` low bytes lie at the start of the slot; bytes above them keep at most «zero». */
static void spill(struct slot *slot, const struct reg *r, u32 size) {
	ASSERT(size >= 1 && size <= 8);
	ASSERT(size == 8 || r->type == SCALAR_VALUE); /* pointers are saved whole */
	slot->reg = *r;
	for (u32 i = 8 - size; i < 8; i++)
		slot->kind[i] = STACK_SPILL;
	for (u32 i = 0; i < 8 - size; i++)
		if (slot->kind[i] != STACK_ZERO && slot->kind[i] != STACK_INVALID)
			slot->kind[i] = STACK_MISC;
}

static bool stores_immediate(const struct verifier *v) {
	return BPF_CLASS(v->insns[v->at].code) == BPF_ST;
}

/* No register is kept: bytes become misc, or zero. */
static int write_bytes(struct verifier *v, struct frame *f, s32 off, u32 size, s32 value) {
	ASSERT((u32)(-off) % 8 == 0 || (u32)(-off) % 8 >= size); /* inside one slot */
	struct slot *slot = &f->slots[slot_of(off)];
	u32 byte = (u32)(-off - 1);
	u8 kind = STACK_MISC;
	if (HOLE(SPILL_KEPT_PARTIAL) && slot_is_spill(slot) && size < 8)
		return 0;
	scrub(slot);
	if (value >= 0 ? reg_is_zero(&cur_regs(v)[value]) : stores_immediate(v) && !v->insns[v->at].imm) {
		int err = value >= 0 ? mark_precise(v, value) : 0; /* states to come rely on its being zero */
		if (err)
			return err;
		kind = STACK_ZERO;
	}
	for (u32 i = 0; i < size; i++)
		slot->kind[(byte - i) % 8] = kind;
	return 0;
}

/* A load that overtakes this store would find something else than a number: an address, or nothing. */
static bool may_be_bypassed(const struct slot *slot, s32 off, u32 size, const struct reg *r) {
	bool may = r && is_spillable(r->type);
	for (u32 i = 0; i < size; i++) {
		u8 kind = slot->kind[((u32)(-off - 1) - i) % 8];
		may |= kind != STACK_MISC && kind != STACK_ZERO;
	}
	return may;
}

static int write_fixed(struct verifier *v, struct frame *f, s32 off, u32 size, s32 value) {
	u32 at = slot_of(off);
	struct slot *slot = &f->slots[at];
	struct reg *r = value >= 0 ? &cur_regs(v)[value] : NULL;
	bool start = !(off % 8);
	int err;
	if (!v->allow_ptr_leaks && size != 8 && slot_is_spill(slot) && slot->reg.type != SCALAR_VALUE)
		return refuse(v, SPILL_CORRUPT, -EACCES);
	if (!v->bypass_spec)
		v->aux[v->at].nospec_result |= may_be_bypassed(slot, off, size, r);
	err = dynptr_destroy(v, f, at);
	if (err)
		return err;
	scratch_slot(v, at);
	if (size == 8)
		stack_mark_write(v, f->frameno, (u64)1 << at);
	if (r && start && r->type == SCALAR_VALUE && v->bpf_capable) {
		bool fits = size == 8 || !(r->s.r.umax >> size * 8);
		if (fits)
			link_before_copy(v, r);
		spill(slot, r, size);
		if (!fits)
			slot->reg.id = 0;
	} else if (!r && start && stores_immediate(v) && v->bpf_capable) {
		struct reg number;
		reg_set_const(&number, (u64)(s64)v->insns[v->at].imm);
		spill(slot, &number, size);
	} else if (r && is_spillable(r->type)) {
		if (size != 8) {
			log_line(v, v->at, "; ");
			return refuse(v, SPILL_SIZE, -EACCES);
		}
		if (f != cur_frame(v) && r->type == PTR_TO_STACK)
			return refuse(v, SPILL_CALLER, -EINVAL);
		spill(slot, r, size);
	} else {
		return write_bytes(v, f, off, size, value);
	}
	return record_step(v, step_flags(f, at), 0);
}

static int write_variable(struct verifier *v, struct frame *f, const struct reg *ptr, s32 off, u32 size, s32 value) {
	s32 min = (s32)(ptr->s.r.smin + off), max = (s32)(ptr->s.r.smax + off + (s32)size);
	bool zero = value >= 0 ? reg_is_zero(&cur_regs(v)[value]) : stores_immediate(v) && !v->insns[v->at].imm;
	bool relied = false;
	for (s32 i = min; i < max; i++) {
		int err = dynptr_destroy(v, f, slot_of(i));
		if (err)
			return err;
	}
	for (s32 i = min; i < max; i++) {
		u32 at = slot_of(i), byte = (u32)(-i - 1) % 8;
		struct slot *slot = &f->slots[at];
		u8 kind = slot->kind[byte];
		scratch_slot(v, at);
		if (!v->allow_ptr_leaks && kind != STACK_MISC && kind != STACK_ZERO)
			return refuse_text(v, SPILL_CORRUPT, -EINVAL,
			                   "spilled ptr in range of var-offset stack write; insn %d, ptr off: %d", v->at, i);
		if (zero && kind == STACK_SPILL && reg_is_zero(&slot->reg)) { /* 0 over 0 */
			relied = true;
			continue;
		}
		scrub(slot);
		slot->kind[byte] = STACK_MISC;
		if (zero && kind == STACK_ZERO) {
			slot->kind[byte] = STACK_ZERO;
			relied = true;
		}
	}
	return relied && value >= 0 ? mark_precise(v, value) : 0;
}

/* off includes the pointer's fixed part. Bounds were checked. */
int stack_write(struct verifier *v, u32 regno, s32 off, u32 size, s32 value) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *f = frame_of(v, r);
	ASSERT(r->type == PTR_TO_STACK);
	ASSERT(is_power_of_two(size) && size <= 8);
	if (unlikely(v->fastcall != NULL))
		fastcall_access(v, f, off + (s32)r->s.r.smin);
	if (scalar_is_const(&r->s))
		return write_fixed(v, f, off + (s32)r->s.var.value, size, value);
	return write_variable(v, f, r, off, size, value);
}

/* == Reading == */

/* What bytes that are no spill give: 0 if all of them are. */
static void read_bytes(struct verifier *v, const struct frame *f, s32 min, s32 max, u32 to) {
	struct reg *d = &cur_regs(v)[to];
	bool zero = true;
	ASSERT(min < max && max <= 0 && to < MAX_BPF_REG);
	for (s32 i = min; i < max && zero; i++) {
		const struct slot *slot = &f->slots[slot_of(i)];
		u8 kind = slot->kind[(u32)(-i - 1) % 8];
		scratch_slot(v, slot_of(i));
		zero = kind == STACK_ZERO || (HOLE(STACK_UNINIT) && kind == STACK_INVALID);
	}
	if (zero)
		reg_set_const(d, 0);
	else
		reg_set_unknown(d);
}

static int refuse_unwritten(struct verifier *v, s32 off, u32 byte, u32 size) {
	say(v, "byte", "%u", byte);
	say(v, "size", "%u", size);
	say(v, "off", "%d", off);
	return refuse(v, STACK_UNINIT_READ, -EACCES, off, byte, size);
}

/* Was all of it written? */
static int check_written(struct verifier *v, const struct slot *slot, s32 off, u32 size) {
	for (u32 i = 0; i < size && !v->allow_uninit_stack; i++) {
		if (slot->kind[((u32)(-off - 1) - i) % 8] == STACK_INVALID)
			return refuse_unwritten(v, off, i, size);
	}
	return 0;
}

/* Part of a slot in which a register is spilled, or all of one in which part of a register is. */
static int fill_partial(struct verifier *v, struct frame *f, s32 off, u32 size, s32 to, bool *fill) {
	struct slot *slot = &f->slots[slot_of(off)];
	struct reg *d;
	u32 spilled = 0, spills = 0, zeroes = 0, byte = (u32)(-off - 1);
	int err;
	ASSERT(slot_is_spill(slot));
	while (spilled < 8 && slot->kind[7 - spilled] == STACK_SPILL)
		spilled++;
	*fill = false;
	if (slot->reg.type != SCALAR_VALUE && v->recording && v->allow_ptr_leaks) {
		/* pruning counts a slot of anything as misc: part of a pointer is a number like any other, as long as nobody may be
		 * denied seeing it */
		if (to >= 0)
			reg_set_unknown(&cur_regs(v)[to]);
		return 0;
	}
	if (slot->reg.type != SCALAR_VALUE) {
		log_line(v, v->at, "; ");
		return refuse(v, FILL_SIZE, -EACCES);
	}
	if (to < 0)
		return 0;
	d = &cur_regs(v)[to];
	if (size <= spilled && !(off % 8)) {
		*d = slot->reg;
		if (size < 8 && d->s.r.umax >> size * 8) { /* the caller narrows it: no longer the same number */
			d->id = 0;
			d->off = 0;
		}
		*fill = true;
		return 0;
	}
	err = check_written(v, slot, off, size);
	if (err)
		return err;
	for (u32 i = 0; i < size; i++) {
		u8 kind = slot->kind[(byte - i) % 8];
		spills += kind == STACK_SPILL;
		zeroes += kind == STACK_ZERO;
	}
	if (spills == size && reg_is_zero(&slot->reg)) {
		reg_set_const(d, 0);
		*fill = true;
	} else if (zeroes == size) {
		reg_set_const(d, 0);
	} else {
		reg_set_unknown(d);
	}
	return 0;
}

static int read_fixed(struct verifier *v, struct frame *f, s32 off, u32 size, s32 to) {
	u32 at = slot_of(off);
	struct slot *slot = &f->slots[at];
	bool fill = false;
	int err;
	ASSERT(at < f->slots_n);
	scratch_slot(v, at);
	if (slot_is_object(slot))
		return refuse_unwritten(v, off, 0, size);
	err = stack_mark_read(v, f->frameno, (u64)1 << at);
	if (err)
		return err;
	if (!slot_is_spill(slot)) {
		err = check_written(v, slot, off, size);
		if (err)
			return err;
		if (to >= 0)
			read_bytes(v, f, off, off + (s32)size, (u32)to);
		return 0;
	}
	if (size == 8 && slot->kind[0] == STACK_SPILL) {
		if (to < 0 && is_secret(v, &slot->reg))
			return refuse(v, LEAK_STACK, -EACCES, off);
		if (to >= 0)
			cur_regs(v)[to] = slot->reg;
		fill = true;
	} else {
		err = fill_partial(v, f, off, size, to, &fill);
	}
	return err || !fill ? err : record_step(v, step_flags(f, at), 0);
}

int stack_read(struct verifier *v, u32 regno, s32 off, u32 size, s32 to) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *f = frame_of(v, r);
	char text[48];
	s32 min, max;
	int err;
	ASSERT(r->type == PTR_TO_STACK);
	ASSERT(is_power_of_two(size) && size <= 8);
	if (unlikely(v->fastcall != NULL))
		fastcall_access(v, f, off + (s32)r->s.r.smin);
	if (scalar_is_const(&r->s))
		return read_fixed(v, f, off + (s32)r->s.var.value, size, to);
	if (to < 0)
		return refuse_text(v, STACK_VARIABLE_UNPRIV, -EACCES,
		                   "variable offset stack pointer cannot be passed into helper function; var_off=%s off=%d size=%d",
		                   tnum_text(r->s.var, text), off, size);
	min = (s32)(r->s.r.smin + off);
	max = (s32)(r->s.r.smax + off + (s32)size);
	err = check_stack_range(v, regno, off, (s32)size, false, false, NULL);
	if (!err)
		read_bytes(v, f, min, max, (u32)to);
	return err;
}

static int refuse_object_read(struct verifier *v, u32 regno, s32 min, s32 byte, s32 size) {
	const struct reg *r = &cur_regs(v)[regno];
	char text[48];
	say(v, "byte", "%d", byte);
	say(v, "size", "%d", size);
	say(v, "off", "%d", min);
	if (scalar_is_const(&r->s))
		return refuse(v, STACK_UNINIT_INDIRECT, -EACCES, regno, min, byte, size);
	return refuse(v, STACK_UNINIT_VARIABLE, -EACCES, regno, tnum_text(r->s.var, text), byte, size);
}

/* Nothing that was written, or an address. */
static bool is_hidden(const struct verifier *v, const struct slot *slot, u32 byte) {
	if (slot->kind[byte] == STACK_INVALID)
		return !v->allow_uninit_stack;
	return !v->allow_ptr_leaks && slot->kind[byte] == STACK_SPILL && slot->reg.type != SCALAR_VALUE;
}

/* Is [ptr+off, +size) there for a helper (or for a load at a variable offset)? With a raw call the range is only noted:
 * the helper fills it. What a helper may write to is unknown afterwards. */
int check_stack_range(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok, bool write,
                      struct helper_call *call) {
	const struct reg *r = &cur_regs(v)[regno];
	struct frame *f = frame_of(v, r);
	s32 min, max;
	char text[48];
	u64 slots = 0;
	int err;
	if (!size && !zero_ok)
		return refuse(v, ZERO_SIZED_READ, -EACCES);
	err = check_stack_bounds(v, regno, off, size, write);
	if (err)
		return err;
	if (scalar_is_const(&r->s)) {
		min = max = (s32)r->s.var.value + off;
	} else {
		if (!v->bypass_spec)
			return refuse(v, STACK_VARIABLE_UNPRIV, -EACCES, regno, tnum_text(r->s.var, text));
		min = (s32)r->s.r.smin + off;
		max = (s32)r->s.r.smax + off;
		if (call && call->raw)
			call = NULL; /* which bytes will be written is not known: they must all be readable */
	}
	if (call && call->raw) {
		for (s32 i = min; i < max + size; i++) {
			if (f->slots[slot_of(i)].kind[7] != STACK_DYNPTR)
				continue;
			say(v, "off", "%d", i);
			return refuse(v, DYNPTR_WRITE, -EACCES, i);
		}
		call->raw_size = (u32)size;
		call->raw_reg = regno;
		return 0;
	}
	for (s32 i = min; i < max + size; i++) {
		u32 at = slot_of(i);
		struct slot *slot = &f->slots[at];
		slots |= (u64)1 << at;
		ASSERT(at < f->slots_n);
		if (slot_is_object(slot) || is_hidden(v, slot, (u32)(-i - 1) % 8))
			return refuse_object_read(v, regno, min, i - min, size);
		if (!write)
			continue;
		if (slot_is_spill(slot))
			scrub(slot);
		else if (slot->kind[(u32)(-i - 1) % 8] == STACK_ZERO)
			slot->kind[(u32)(-i - 1) % 8] = STACK_MISC;
	}
	return slots ? stack_mark_read(v, f->frameno, slots) : 0;
}

/* The number of `size` bytes that lies at a fixed place on the stack, if it is known. The knowledge is relied upon. */
int stack_constant(struct verifier *v, const struct reg *ptr, u32 size, bool *known, u64 *value) {
	const struct frame *f;
	const struct slot *slot;
	s32 off = ptr->off + (s32)ptr->s.var.value;
	u32 byte = (u32)(-off - 1) % 8, zeroes = 0, spilled = 0, at;
	bool changed = false;
	*known = false;
	if (!v->bpf_capable) /* its knowledge could not be traced back */
		return 0;
	if (ptr->type != PTR_TO_STACK || !scalar_is_const(&ptr->s) || off >= 0 || off < -STACK_BYTES)
		return 0;
	f = frame_of(v, ptr);
	at = slot_of(off);
	if (at >= f->slots_n || size > byte + 1)
		return 0;
	slot = &f->slots[at];
	while (zeroes < size && slot->kind[byte - zeroes] == STACK_ZERO)
		zeroes++;
	while (spilled <= byte && slot->kind[byte - spilled] == STACK_SPILL)
		spilled++;
	if (zeroes == size) {
		*known = true;
		*value = 0;
		return 0;
	}
	if (byte != 7 || spilled != size || slot->reg.type != SCALAR_VALUE || !scalar_is_const(&slot->reg.s))
		return 0;
	*known = true;
	*value = slot->reg.s.var.value; /* more than fits counts as it is: as in the reference, such a key is not in range */
	__builtin_memset(&v->bt, 0, sizeof v->bt);
	v->bt.slots[ptr->frameno] = (u64)1 << at;
	return mark_precise_batch(v, v->cur, &changed);
}
