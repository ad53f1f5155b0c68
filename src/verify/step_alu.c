/* Arithmetic: what an ALU instruction does to numbers and to pointers.
 *
 *   number op number    scalar.c; a copy keeps a link (id) to its source, r += constant keeps it with the distance
 *   pointer + number    a known number goes into off, an unknown one into the variable offset
 *   pointer - number    likewise, but not from the frame pointer
 *   pointer - pointer   a number of which nothing is known
 *   everything else on a pointer is refused
 *
 * A link says: these registers differ by a constant. When a comparison bounds one, all are bounded (step_jmp.c). So the
 * id must go whenever the value changes in any other way. */
#include "isa/valid.h"
#include "verify/env.h"

static const char *const alu_text[16] = {
    [BPF_ADD >> 4] = "+=",  [BPF_SUB >> 4] = "-=",  [BPF_MUL >> 4] = "*=", [BPF_DIV >> 4] = "/=",
    [BPF_OR >> 4] = "|=",   [BPF_AND >> 4] = "&=",  [BPF_LSH >> 4] = "<<=", [BPF_RSH >> 4] = ">>=",
    [BPF_NEG >> 4] = "neg", [BPF_MOD >> 4] = "%=",  [BPF_XOR >> 4] = "^=", [BPF_MOV >> 4] = "=",
    [BPF_ARSH >> 4] = "s>>=", [BPF_END >> 4] = "endian"};

static void unlink_scalar(struct reg *r) {
	r->id = 0;
	r->off = 0;
}

/* Gives the source of a copy an id that the copy will share. A register that is itself at a distance starts anew. */
void link_before_copy(struct verifier *v, struct reg *r) {
	if (r->type != SCALAR_VALUE)
		return;
	if (r->id & ID_ADD_CONST)
		unlink_scalar(r);
	if (!r->id && !scalar_is_const(&r->s))
		r->id = ++v->id_gen;
}

/* Branches that cannot be taken leave contradictions behind: the ranges of such a register count as unknown. */
int check_sane_number(struct verifier *v, struct reg *r, const char *where) {
	const char *what;
	if (r->type == NOT_INIT)
		return 0;
	what = scalar_violation(&r->s);
	if (likely(!what))
		return 0;
	vlog(v, "verifier bug: REG INVARIANTS VIOLATION (%s): %s u64=[0x%llx, 0x%llx] s64=[0x%llx, 0x%llx] "
	        "u32=[0x%x, 0x%x] s32=[0x%x, 0x%x] var_off=(0x%llx, 0x%llx)\n", where, what,
	     (unsigned long long)r->s.r.umin, (unsigned long long)r->s.r.umax, (unsigned long long)r->s.r.smin,
	     (unsigned long long)r->s.r.smax, r->s.r32.umin, r->s.r32.umax, (u32)r->s.r32.smin, (u32)r->s.r32.smax,
	     (unsigned long long)r->s.var.value, (unsigned long long)r->s.var.mask);
	scalar_forget_ranges(&r->s);
	return 0;
}

static int check_sane_offset(struct verifier *v, const struct reg *r, u32 type) {
	char name[TYPE_NAME_MAX];
	s64 value = (s64)r->s.var.value, smin = r->s.r.smin;
	if (likely(smin < MAX_VAR_OFF && smin > -MAX_VAR_OFF && r->off < MAX_VAR_OFF && r->off > -MAX_VAR_OFF))
		return 0;
	reg_type_name(type, name);
	say(v, "type", "%s", name);
	say(v, "off", "%d", r->off);
	say(v, "value", "%lld", (long long)smin);
	if (smin == INT64_MIN)
		say(v, "range", "any number");
	else
		say(v, "range", "%lld or more", (long long)smin);
	if (scalar_is_const(&r->s) && (value >= MAX_VAR_OFF || value <= -MAX_VAR_OFF))
		return refuse(v, MATH_CONSTANT, -EINVAL, name, (long long)value);
	if (r->off >= MAX_VAR_OFF || r->off <= -MAX_VAR_OFF)
		return refuse(v, POINTER_OFFSET, -EINVAL, name, r->off);
	if (smin == INT64_MIN)
		return refuse(v, UNBOUNDED_MATH, -EINVAL, name);
	if (smin >= MAX_VAR_OFF || smin <= -MAX_VAR_OFF)
		return refuse(v, POINTER_OUT_OF_BOUNDS, -EINVAL, (long long)smin, name);
	return 0;
}

static int check_pointer_math_allowed(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr,
                                      const struct reg *num) {
	char name[TYPE_NAME_MAX];
	bool known = scalar_is_const(&num->s);
	if (ptr->type & PTR_MAYBE_NULL) {
		say_reg(v, insn->dst_reg);
		return refuse(v, POINTER_ARITHMETIC_NULL, -EACCES, insn->dst_reg, reg_type_name(ptr->type, name));
	}
	switch (base_type(ptr->type)) {
	case PTR_TO_CTX:
	case PTR_TO_MAP_VALUE:
	case PTR_TO_MAP_KEY:
	case PTR_TO_STACK:
	case PTR_TO_PACKET_META:
	case PTR_TO_PACKET:
	case PTR_TO_TP_BUFFER:
	case PTR_TO_BTF_ID:
	case PTR_TO_MEM:
	case PTR_TO_BUF:
	case PTR_TO_FUNC:
	case CONST_PTR_TO_DYNPTR:
		return 0;
	case PTR_TO_FLOW_KEYS:
		if (known)
			return 0;
		break;
	case CONST_PTR_TO_MAP:
		if (known && num->s.r.smin == 0 && BPF_OP(insn->code) == BPF_ADD)
			return 0;
		break;
	}
	return refuse(v, POINTER_ARITHMETIC, -EACCES, insn->dst_reg, reg_type_name(ptr->type, name));
}

/* The variable offset changes by a range: bounds of 64 bits and known bits; pointers have no 32-bit view. */
static void move_by_range(struct verifier *v, struct reg *d, const struct scalar *by, bool subtract) {
	bool forget = !subtract || by->r.smin < 0;
	ASSERT(!(d->type & PTR_MAYBE_NULL));
	if (subtract) {
		struct range64 bounds = d->s.r;
		range64_sub(&d->s.r, &by->r);
		if (bounds.umin < by->r.umax) /* may wrap: the reference knows nothing then, and neither shall we */
			range64_forget_unsigned(&d->s.r);
		d->s.var = tnum_sub(d->s.var, by->var);
	} else {
		bool wraps;
		u64 sum;
		wraps = __builtin_add_overflow(d->s.r.umax, by->r.umax, &sum);
		range64_add(&d->s.r, &by->r);
		if (wraps)
			range64_forget_unsigned(&d->s.r);
		d->s.var = tnum_add(d->s.var, by->var);
	}
	if (reg_is_packet(d)) { /* another place: what was proven of the range holds no longer, except further back */
		d->id = ++v->id_gen;
		if (forget)
			d->raw[0] = d->raw[1] = 0;
	}
}

/* dst = ptr op num. ptr may be dst itself or, for scalar += pointer, the source. */
static int pointer_math(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr, const struct reg *num) {
	u8 op = BPF_OP(insn->code);
	u32 dst = insn->dst_reg, type = ptr->type;
	struct reg *d = &cur_regs(v)[dst];
	bool known = scalar_is_const(&num->s), from_pointer = d == ptr;
	s64 by = num->s.r.smin, sum;
	struct window window = {0};
	bool moves = op == BPF_ADD || op == BPF_SUB;
	int err;
	ASSERT(num->type == SCALAR_VALUE && base_type(type) > SCALAR_VALUE);
	ASSERT(dst != BPF_REG_FP);
	if ((known && (num->s.r.smin != num->s.r.smax || num->s.r.umin != num->s.r.umax)) ||
	    range64_is_empty(&num->s.r)) {
		reg_set_unknown(d);
		return 0;
	}
	if (BPF_CLASS(insn->code) != BPF_ALU64) {
		if (op != BPF_SUB || !v->allow_ptr_leaks)
			return refuse(v, POINTER_ALU32, -EACCES, dst);
		reg_set_unknown(d);
		return 0;
	}
	err = check_pointer_math_allowed(v, insn, ptr, num);
	if (err)
		return err;
	if (!from_pointer)
		*d = *ptr;
	if (base_type(type) == PTR_TO_MEM && type & PTR_UNTRUSTED) /* any address is as good as another */
		return 0;
	err = check_sane_offset(v, num, type);
	if (!err)
		err = check_sane_offset(v, ptr, type);
	if (err)
		return err;
	if (from_pointer)
		d->s.r32 = range32_full();
	if (moves)
		err = speculate_pointer(v, insn, ptr, num, from_pointer, &window);
	if (err)
		return err;
	d->s.r32 = range32_full();
	switch (op) {
	case BPF_ADD:
	case BPF_SUB:
		if (op == BPF_SUB && !from_pointer)
			return refuse(v, POINTER_FROM_SCALAR, -EACCES, dst);
		if (op == BPF_SUB && type == PTR_TO_STACK)
			return refuse(v, POINTER_STACK_SUBTRACT, -EACCES, dst);
		sum = op == BPF_ADD ? (s64)d->off + by : (s64)d->off - by;
		if (known && sum == (s32)sum)
			d->off = (s32)sum;
		else
			move_by_range(v, d, &num->s, op == BPF_SUB);
		break;
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return refuse(v, POINTER_BITWISE, -EACCES, dst, alu_text[op >> 4]);
	default:
		return refuse(v, POINTER_OPERATOR, -EACCES, dst, alu_text[op >> 4]);
	}
	err = check_sane_offset(v, d, type);
	if (err)
		return err;
	scalar_sync(&d->s);
	err = check_pointer_inside(v, dst);
	return err ? err : speculate_moved(v, insn, d, from_pointer, &window);
}

/* A register that is 0 or -1, all bits alike, and goes into & or |: the compiler's branchless selection. Looking at both
 * cases apart keeps what they mean. */
static int fork_sign_mask(struct verifier *v, const struct bpf_insn *insn, struct reg *d) {
	bool whole = d->s.r.smin == -1 && d->s.r.smax == 0, half = d->s.r32.smin == -1 && d->s.r32.smax == 0;
	struct state *other;
	struct reg *zero;
	int err;
	if (!whole && !half)
		return 0;
	err = push_pending(v, v->at, (s32)v->at, &other);
	if (err)
		return err;
	zero = &state_regs(other)[insn->dst_reg];
	if (whole) {
		zero->s = scalar_const(0);
		d->s = scalar_const(~(u64)0);
	} else {
		scalar_set_half(&zero->s, 0);
		scalar_set_half(&d->s, ~0u);
	}
	return 0;
}

/* The distance that r + x or r - x puts between a register and its links; false: none that can be kept. A 32-bit sum
 * is the linked register's only where that one has no upper half. */
static bool link_distance(u8 op, bool is64, const struct reg *d, const struct scalar *by, s32 *distance) {
	s64 x = is64 ? (s64)by->var.value : (s32)by->var.value;
	if ((op != BPF_ADD && op != BPF_SUB) || !d->id || d->id & ID_ADD_CONST)
		return false;
	if (!(is64 ? scalar_is_const(by) : scalar_is_const32(by)) || x != (s32)x || (op == BPF_SUB && x == INT32_MIN))
		return false;
	*distance = op == BPF_SUB ? -(s32)x : (s32)x;
	return is64 || d->s.r.umax <= UINT32_MAX;
}

static int scalar_math(struct verifier *v, const struct bpf_insn *insn, struct reg *d, const struct reg *s) {
	u8 op = BPF_OP(insn->code);
	bool is64 = BPF_CLASS(insn->code) == BPF_ALU64, same = BPF_SRC(insn->code) == BPF_X && insn->src_reg == insn->dst_reg;
	struct scalar copy;
	const struct scalar *by = &s->s;
	s32 distance;
	bool linked = !same && v->bpf_capable && link_distance(op, is64, d, by, &distance);
	if (same) {
		copy = s->s;
		by = &copy;
	}
	if (unlikely(!v->bypass_spec) && (op == BPF_ADD || op == BPF_SUB)) {
		int err = speculate_number(v, insn);
		if (err)
			return err;
	}
	if ((op == BPF_AND || op == BPF_OR) && scalar_is_const(by)) {
		int err = fork_sign_mask(v, insn, d);
		if (err)
			return err;
	}
	scalar_alu(&d->s, by, op, is64);
	if (linked) {
		d->id |= is64 ? ID_ADD_CONST64 : ID_ADD_CONST32;
		d->off = distance;
	} else if (!HOLE(LINKED_STALE)) {
		unlink_scalar(d);
	}
	return 0;
}

/* Whatever is done to a pointer into the arena, it stays one: its low 32 bits are an offset that every access adds to where
 * the arena lies. */
static void arena_math(struct reg *d, const struct reg *s) {
	ASSERT(d->type == PTR_TO_ARENA || (s && s->type == PTR_TO_ARENA));
	if (d->type != PTR_TO_ARENA)
		*d = *s;
}

static int step_binary(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *regs = cur_regs(v), *d = &regs[insn->dst_reg], *s, num;
	int err;
	if (BPF_SRC(insn->code) == BPF_X) {
		s = &regs[insn->src_reg];
		if (unlikely(d->type == PTR_TO_ARENA || s->type == PTR_TO_ARENA)) {
			arena_math(d, s);
			return 0;
		}
		if (s->type != SCALAR_VALUE) {
			if (d->type == SCALAR_VALUE) { /* number + pointer */
				err = mark_precise(v, insn->dst_reg);
				num = *d;
				return err ? err : pointer_math(v, insn, s, &num);
			}
			if (BPF_OP(insn->code) != BPF_SUB || !v->allow_ptr_leaks)
				return refuse(v, POINTER_POINTER, -EACCES, insn->dst_reg, alu_text[BPF_OP(insn->code) >> 4]);
			reg_set_unknown(d);
			return 0;
		}
		if (d->type != SCALAR_VALUE) {
			err = mark_precise(v, insn->src_reg);
			return err ? err : pointer_math(v, insn, d, s);
		}
		if (d->precise) {
			err = mark_precise(v, insn->src_reg);
			if (err)
				return err;
		}
		return scalar_math(v, insn, d, s);
	}
	if (d->type == SCALAR_VALUE && d->precise == false) { /* the common case, without building a whole register */
		num.s = scalar_const((u64)(s64)insn->imm);
		return scalar_math(v, insn, d, &num);
	}
	reg_set_const(&num, (u64)(s64)insn->imm);
	if (d->type == PTR_TO_ARENA) {
		arena_math(d, NULL);
		return 0;
	}
	return d->type == SCALAR_VALUE ? scalar_math(v, insn, d, &num) : pointer_math(v, insn, d, &num);
}

/* dst = src, whole, its low half, or a part sign-extended. The link survives where the value does. */
static int step_mov_reg(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *regs = cur_regs(v), *d = &regs[insn->dst_reg], *s = &regs[insn->src_reg];
	bool is64 = BPF_CLASS(insn->code) == BPF_ALU64, kept;
	if (is64 && !insn->off) {
		link_before_copy(v, s);
		*d = *s;
		return 0;
	}
	if (is_secret(v, s)) {
		say_reg(v, insn->src_reg);
		return is64 ? refuse(v, POINTER_SIGN_EXTEND, -EACCES, insn->src_reg)
		            : refuse(v, POINTER_PARTIAL_COPY, -EACCES, insn->src_reg);
	}
	if (s->type != SCALAR_VALUE) { /* part of a pointer */
		reg_set_unknown(d);
		if (!is64)
			scalar_zext32(&d->s);
		return 0;
	}
	kept = insn->off ? s->s.r.umax < (u64)1 << (insn->off - 1) : s->s.r.umax <= UINT32_MAX;
	if (kept)
		link_before_copy(v, s);
	*d = *s;
	if (!kept)
		unlink_scalar(d);
	if (!insn->off)
		scalar_zext32(&d->s);
	else if (HOLE(SEXT_AS_ZEXT))
		scalar_zext(&d->s, (u32)insn->off / 8);
	else if (is64)
		scalar_sext64(&d->s, (u32)insn->off / 8);
	else
		scalar_sext32(&d->s, (u32)insn->off / 8);
	return 0;
}

static int step_mov(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *d = &cur_regs(v)[insn->dst_reg];
	int err;
	if (BPF_SRC(insn->code) == BPF_X) {
		bool cast = BPF_CLASS(insn->code) == BPF_ALU64 && insn->off == BPF_ADDR_SPACE_CAST;
		if (cast && !v->arena_map)
			return refuse_text(v, ARENA, -EINVAL,
			                   "addr_space_cast insn can only be used in a program that has an associated arena");
		err = check_reg_read(v, insn->src_reg);
		if (!err)
			err = check_reg_write(v, insn->dst_reg);
		if (err || !cast)
			return err ? err : step_mov_reg(v, insn);
		reg_set_unknown(d);
		if (insn->imm == 1) /* from the user's address to the program's */
			d->type = PTR_TO_ARENA;
		return 0;
	}
	err = check_reg_write(v, insn->dst_reg);
	if (err)
		return err;
	reg_set_const(d, BPF_CLASS(insn->code) == BPF_ALU64 ? (u64)(s64)insn->imm : (u32)insn->imm);
	return 0;
}

/* Of a number. To the order of bytes that it has is a zero extension; of 64 bits, nothing at all. */
static void step_byte_order(struct reg *d, const struct bpf_insn *insn) {
	bool swap = BPF_CLASS(insn->code) == BPF_ALU64 || BPF_SRC(insn->code) == BPF_TO_BE;
	if (swap)
		scalar_swap(&d->s, (u32)insn->imm);
	else if (insn->imm < 64)
		scalar_zext(&d->s, (u32)insn->imm / 8);
	if (swap || insn->imm < 64)
		unlink_scalar(d);
}

static int step_unary(struct verifier *v, const struct bpf_insn *insn) {
	struct reg *d = &cur_regs(v)[insn->dst_reg];
	bool is64 = BPF_CLASS(insn->code) == BPF_ALU64;
	int err = check_reg_read(v, insn->dst_reg);
	if (!err && is_secret(v, d)) {
		say_reg(v, insn->dst_reg);
		return refuse(v, POINTER_MATH_PROHIBITED, -EACCES, insn->dst_reg);
	}
	if (!err)
		err = check_reg_write(v, insn->dst_reg);
	if (err)
		return err;
	if (d->type == SCALAR_VALUE && BPF_OP(insn->code) == BPF_NEG) {
		scalar_neg(&d->s, is64);
		unlink_scalar(d);
		return 0;
	}
	if (d->type == SCALAR_VALUE) {
		step_byte_order(d, insn);
		return 0;
	}
	reg_set_unknown(d); /* a pointer is a number now */
	return 0;
}

int step_alu(struct verifier *v, const struct bpf_insn *insn) {
	u8 op = BPF_OP(insn->code);
	char message[VALID_MESSAGE];
	int err;
	if (op == BPF_MOV) {
		err = step_mov(v, insn);
	} else if (op == BPF_NEG || op == BPF_END) {
		err = step_unary(v, insn);
	} else {
		err = BPF_SRC(insn->code) == BPF_X ? check_reg_read(v, insn->src_reg) : 0;
		if (!err)
			err = check_reg_read(v, insn->dst_reg);
		if (err)
			return err;
		if (BPF_SRC(insn->code) == BPF_K && !(v->aux[v->at].flags & AUX_SEEN) &&
		    insn_valid(VALID_OPERANDS, v->insns, v->at, v->n, message))
			return refuse_insn(v, message);
		err = check_reg_write(v, insn->dst_reg);
		if (!err)
			err = step_binary(v, insn);
	}
	return err ? err : check_sane_number(v, &cur_regs(v)[insn->dst_reg], "alu");
}
