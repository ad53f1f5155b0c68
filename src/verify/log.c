/* The kernel's log.
 *
 * Its text is an interface: libbpf, bpftrace, cilium/ebpf and veristat parse it, people know it by heart. So formats here
 * are the kernel's to the last blank (Linux 6.18), and the buffer behaves as bpf(2)'s does:
 *
 *   rotating (default)   the buffer keeps the last `size` bytes of the text, its NUL included; text position p lies at
 *                        buf[p % size]; log_finish turns it so that it starts at buf[0]
 *   fixed (LOG_FIXED)    the buffer keeps the first bytes
 *   log_reset_to         takes back what was written after a position: paths that succeeded, at level 1
 *
 * In both modes true_size is the size that would have held every state of the text, and -ENOSPC says that it did not fit.
 *
 * Levels. 1: instructions and states of the path that fails. 2: of all paths, and what pruning and precision did.
 * 4: statistics. Every function returns at once when nobody listens; callers that would compute something ask logging().
 *
 * State lines show only what the instruction touched (scratched_*), behind the instruction, from column 40 on. */
#include "isa/disasm.h"
#include "verify/env.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 1024 }; /* the longest text that one call writes */

void log_init(struct verifier *v) {
	struct log *log = &v->log;
	__builtin_memset(log, 0, sizeof *log);
	log->level = v->in->log_level;
	log->buf = v->in->log;
	log->size = v->in->log ? v->in->log_size : 0;
}

static void need(struct log *log, u64 size) {
	log->true_size = MAX(log->true_size, MIN(size, (u64)UINT32_MAX));
}

/* text has n bytes and a NUL. */
static void log_write(struct log *log, const char *text, u32 n) {
	u64 from = log->end, to = log->end + n + 1;
	ASSERT(n < PIECE && log->start <= log->end);
	need(log, to);
	if (log->level & LOG_FIXED) {
		if (log->buf && from < log->size) {
			u32 fits = (u32)MIN((u64)n + 1, log->size - from);
			__builtin_memcpy(log->buf + from, text, fits - 1);
			log->buf[from + fits - 1] = 0;
		}
		log->end += n;
		return;
	}
	log->end = to - 1;
	if (!log->buf) /* only the size is asked for */
		return;
	if (to - log->start >= log->size)
		log->start = to - log->size;
	if (n + 1 > log->size)
		from = to - log->size;
	for (u64 p = from; p < to;) {
		u32 at = (u32)(p % log->size), chunk = (u32)MIN(to - p, (u64)log->size - at);
		__builtin_memcpy(log->buf + at, text + (n + 1 - (to - p)), chunk);
		p += chunk;
	}
}

static void vlog_va(struct verifier *v, const char *fmt, va_list args) {
	char piece[PIECE];
	int n = vsnprintf(piece, sizeof piece, fmt, args);
	if (n < 0)
		return;
	log_write(&v->log, piece, MIN((u32)n, (u32)PIECE - 1));
}

void vlog(struct verifier *v, const char *fmt, ...) {
	va_list args;
	if (!v->log.level)
		return;
	va_start(args, fmt);
	vlog_va(v, fmt, args);
	va_end(args);
}

void log_reset_to(struct verifier *v, u64 end) {
	struct log *log = &v->log;
	if (!log->level)
		return;
	ASSERT(end <= log->end);
	log->end = end;
	log->start = MIN(log->start, end);
	if (log->buf && log->level & LOG_FIXED && end + 1 < log->size)
		log->buf[end] = 0;
	else if (log->buf && !(log->level & LOG_FIXED))
		log->buf[end % log->size] = 0;
}

static void reverse(char *at, u32 from, u32 to) {
	while (from + 1 < to) {
		char c = at[from];
		at[from++] = at[--to];
		at[to] = c;
	}
}

/* Turns a rotated buffer; -ENOSPC when the text did not fit. */
int log_finish(struct verifier *v) {
	struct log *log = &v->log;
	v->out->stats.log_true_size = (u32)log->true_size;
	if (!log->level || !log->buf)
		return 0;
	if (log->start && !(log->level & LOG_FIXED)) {
		u32 by = (u32)(log->start % log->size);
		reverse(log->buf, 0, by);
		reverse(log->buf, by, log->size);
		reverse(log->buf, 0, log->size);
	}
	return log->true_size > log->size ? -ENOSPC : 0;
}

/* == Source lines == */

const struct bpf_line_info *line_of(const struct verifier *v, u32 insn) {
	u32 low = 0, high = v->lines_n;
	if (!v->lines_n || insn >= v->n)
		return NULL;
	while (high - low > 1) { /* lines[low] starts at or before insn, lines[high] behind it */
		u32 middle = low + (high - low) / 2;
		if (v->lines[middle].insn_off <= insn)
			low = middle;
		else
			high = middle;
	}
	return &v->lines[low];
}

static bool same_line(const struct bpf_line_info *a, const struct bpf_line_info *b) {
	return a->file_name_off == b->file_name_off &&
	       BPF_LINE_INFO_LINE_NUM(a->line_col) == BPF_LINE_INFO_LINE_NUM(b->line_col);
}

void log_line(struct verifier *v, u32 insn, const char *prefix) {
	const struct bpf_line_info *line, *last = v->log.line;
	const char *text, *file, *slash;
	if (!v->log.level)
		return;
	line = line_of(v, insn);
	if (!line || line == last || (last && same_line(line, last)))
		return;
	vlog(v, "%s", prefix);
	text = btf_string(v->in->btf, line->line_off);
	while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
		text++;
	vlog(v, "%s", text);
	file = btf_string(v->in->btf, line->file_name_off);
	slash = strrchr(file, '/');
	vlog(v, " @ %s:%u\n", slash ? slash + 1 : file, BPF_LINE_INFO_LINE_NUM(line->line_col));
	v->log.line = line;
}

/* == Values == */

static void log_unsigned(struct verifier *v, u64 x) {
	if (x <= UINT16_MAX)
		vlog(v, "%llu", (unsigned long long)x);
	else
		vlog(v, "%#llx", (unsigned long long)x);
}

static void log_signed(struct verifier *v, s64 x) {
	if (x >= INT16_MIN && x <= INT16_MAX)
		vlog(v, "%lld", (long long)x);
	else
		vlog(v, "%#llx", (unsigned long long)x);
}

const char *tnum_text(struct tnum t, char to[48]) {
	if (t.mask)
		snprintf(to, 48, "(0x%llx; 0x%llx)", (unsigned long long)t.value, (unsigned long long)t.mask);
	else if (t.value <= UINT16_MAX)
		snprintf(to, 48, "%llu", (unsigned long long)t.value);
	else
		snprintf(to, 48, "%#llx", (unsigned long long)t.value);
	return to;
}

static u64 shown32(s32 x) {
	return x >= INT16_MIN && x <= INT16_MAX ? (u64)(s64)x : (u64)(u32)x;
}

/* Bounds with equal values are merged: smin=smin32=0,umax=umax32=7. Minima and maxima alternate in the list, so equal
 * ones of a kind are two apart; a signed negative number is equal to no unsigned one. */
static void log_ranges(struct verifier *v, const struct scalar *s, const char **sep) {
	struct bound {
		const char *name;
		u64 value;
		bool is_signed, skip;
	} bounds[] = {
	    {"smin", (u64)s->r.smin, true, s->r.smin == INT64_MIN},
	    {"smax", (u64)s->r.smax, true, s->r.smax == INT64_MAX},
	    {"umin", s->r.umin, false, s->r.umin == 0},
	    {"umax", s->r.umax, false, s->r.umax == UINT64_MAX},
	    {"smin32", shown32(s->r32.smin), true, s->r32.smin == INT32_MIN},
	    {"smax32", shown32(s->r32.smax), true, s->r32.smax == INT32_MAX},
	    {"umin32", s->r32.umin, false, s->r32.umin == 0},
	    {"umax32", s->r32.umax, false, s->r32.umax == UINT32_MAX},
	};
	for (u32 i = 0; i < ARRAY_SIZE(bounds); i++) {
		bool negative = bounds[i].is_signed && (s64)bounds[i].value < 0;
		if (bounds[i].skip)
			continue;
		vlog(v, "%s%s=", *sep, bounds[i].name);
		*sep = ",";
		for (u32 j = i + 2; j < ARRAY_SIZE(bounds); j += 2) {
			bool negative2 = bounds[j].is_signed && (s64)bounds[j].value < 0;
			if (bounds[j].skip || bounds[j].value != bounds[i].value || negative != negative2)
				continue;
			bounds[j].skip = true;
			vlog(v, "%s=", bounds[j].name);
		}
		if (bounds[i].is_signed)
			log_signed(v, (s64)bounds[i].value);
		else
			log_unsigned(v, bounds[i].value);
	}
}

#define LOG_NEXT(fmt, ...)                                                                                             \
	do {                                                                                                           \
		vlog(v, "%s" fmt, sep, ##__VA_ARGS__);                                                                 \
		sep = ",";                                                                                             \
	} while (0)

static void log_reg_attributes(struct verifier *v, const struct reg *r) {
	const char *sep = "";
	u32 base = base_type(r->type);
	if (r->id)
		LOG_NEXT("id=%d", r->id & ~ID_ADD_CONST);
	if (r->id & ID_ADD_CONST)
		vlog(v, "%+d", r->off);
	if (r->ref)
		LOG_NEXT("ref_obj_id=%d", r->ref);
	if (r->type & NON_OWN_REF)
		LOG_NEXT("non_own_ref");
	if (base == CONST_PTR_TO_MAP || base == PTR_TO_MAP_VALUE || base == PTR_TO_MAP_KEY) {
		const struct map_facts *map = r->map->facts;
		if (map->name[0] && r->map->index != NO_MAP) /* what stands for inner maps has no name */
			LOG_NEXT("map=%.16s", map->name);
		LOG_NEXT("ks=%d,vs=%d", map->key_size, map->value_size);
	}
	if (r->type != SCALAR_VALUE && r->off) {
		LOG_NEXT("off=");
		log_signed(v, r->off);
	}
	if (reg_is_packet(r)) {
		LOG_NEXT("r=");
		log_unsigned(v, (u64)(s64)r->range);
	}
	if (base == PTR_TO_MEM) {
		LOG_NEXT("sz=");
		log_unsigned(v, r->mem_size);
	}
	if (base == CONST_PTR_TO_DYNPTR)
		LOG_NEXT("type=%s", dynptr_type_name(r->dynptr_type));
	if (tnum_is_const(r->s.var)) {
		if (r->s.var.value) {
			LOG_NEXT("imm=");
			log_signed(v, (s64)r->s.var.value);
		}
		return;
	}
	log_ranges(v, &r->s, &sep);
	if (!tnum_is_unknown(r->s.var)) {
		char text[48];
		LOG_NEXT("var_off=%s", tnum_text(r->s.var, text));
	}
}

void log_reg(struct verifier *v, const struct frame *f, const struct reg *r) {
	char name[TYPE_NAME_MAX];
	if (r->type == SCALAR_VALUE && (r->precise || !v->bpf_capable))
		vlog(v, "P");
	if (r->type == SCALAR_VALUE && scalar_is_const(&r->s)) {
		log_signed(v, (s64)r->s.var.value);
		return;
	}
	vlog(v, "%s", reg_type_name(r->type, name));
	if (r->type == PTR_TO_ARENA)
		return;
	if (r->type == PTR_TO_STACK) {
		if (f->frameno != r->frameno)
			vlog(v, "[%d]", r->frameno);
		if (tnum_is_const(r->s.var)) {
			log_signed(v, (s64)r->s.var.value + r->off);
			return;
		}
	}
	if (base_type(r->type) == PTR_TO_BTF_ID)
		vlog(v, "%s", btf_name_of(r->btf, r->btf_id));
	vlog(v, "(");
	log_reg_attributes(v, r);
	vlog(v, ")");
}

static void log_dynptr(struct verifier *v, u32 i, const struct reg *r) {
	vlog(v, " fp%d=dynptr_%s(id=%d", -(s32)(i + 1) * 8, dynptr_type_name(r->dynptr_type), r->id);
	if (r->ref)
		vlog(v, ",ref_id=%d", r->ref);
	vlog(v, ",dynptr_id=1)"); /* as the reference has it, in which «first» lies in the same place */
}

/* Returns how many slots behind it the line is for as well. */
static u32 log_slot(struct verifier *v, const struct frame *f, u32 i) {
	static const char kinds[] = {'?', 'r', 'm', '0', 'd', 'i', 'f'};
	const struct slot *slot = &f->slots[i];
	char text[9] = "";
	bool any = false;
	ASSERT(i < f->slots_n);
	for (u32 j = 0; j < 8; j++) {
		any |= slot->kind[j] != STACK_INVALID;
		text[j] = kinds[slot->kind[j]];
	}
	if (!any)
		return 0;
	if (slot->kind[7] == STACK_DYNPTR) {
		u32 second = !slot->reg.dynptr_first;
		log_dynptr(v, i + second, &slot->reg);
		return second;
	}
	if (slot->kind[7] == STACK_ITER) {
		log_iter(v, &slot->reg, -(s32)(i + 1) * 8);
		return 0;
	}
	if (slot_is_spill(slot)) /* what lies above a spill of fewer than 8 bytes */
		text[strcspn(text, "r")] = 0;
	vlog(v, " fp%d=%s", -(s32)(i + 1) * 8, text);
	if (slot_is_spill(slot))
		log_reg(v, f, &slot->reg);
	return 0;
}

static void log_refs(struct verifier *v, const struct state *s) {
	const char *sep = " refs=";
	for (u32 i = 0; i < s->refs_n; i++) {
		if (!s->refs[i].id) /* the lock of a map's only value */
			continue;
		vlog(v, "%s%d", sep, s->refs[i].id);
		sep = ",";
	}
}

void log_state(struct verifier *v, const struct state *s, u32 frame, bool all) {
	const struct frame *f = s->frames[frame];
	ASSERT(f && f->frameno == frame);
	if (f->frameno)
		vlog(v, " frame%d:", f->frameno);
	for (u32 i = 0; i < MAX_BPF_REG; i++) {
		if (f->regs[i].type == NOT_INIT || !(all || v->log.scratched_regs >> i & 1))
			continue;
		vlog(v, " R%d=", i);
		log_reg(v, f, &f->regs[i]);
	}
	for (u32 i = 0; i < f->slots_n; i++)
		if (all || v->log.scratched_slots >> i & 1)
			i += log_slot(v, f, i);
	if (s->refs_n && s->refs[0].id)
		log_refs(v, s);
	if (f->in_callback)
		vlog(v, " cb");
	if (f->in_async_callback)
		vlog(v, " async_cb");
	vlog(v, "\n");
	if (!all) {
		v->log.scratched_regs = 0;
		v->log.scratched_slots = 0;
	}
}

/* The column where a state stands behind an instruction of that width. */
static u32 padding(u32 width) {
	u32 column = MAX(width + 4, 40);
	return (u32)round_up(column, 8) - width - 1;
}

void log_insn_state(struct verifier *v) {
	if (v->log.insn_end && v->log.insn_end == v->log.end) {
		log_reset_to(v, v->log.insn_end - 1); /* takes the newline back */
		vlog(v, "%*c;", padding(v->log.insn_width), ' ');
	} else {
		vlog(v, "%d:", v->at);
	}
	log_state(v, v->cur, v->cur->curframe, false);
}

static const char *helper_name(void *owner, const struct bpf_insn *insn, char *buffer, u32 size) {
	const struct verifier *v = owner;
	const struct abi_helper *helper;
	if (insn_is_kfunc_call(insn))
		return kfunc_name(v, insn);
	if (!insn_is_helper_call(insn))
		return NULL;
	helper = abi_helper(v->abi, (u32)insn->imm);
	if (!insn->imm) /* no function, but it has a name */
		return "bpf_unspec";
	if (!helper)
		return NULL;
	snprintf(buffer, size, "bpf_%s", helper->name);
	return buffer;
}

void log_insn_text(struct verifier *v, const struct bpf_insn *insn, char *to, u32 size) {
	struct disasm_names names = {.name = helper_name, .owner = v};
	struct bpf_insn hidden[2];
	ASSERT(insn >= v->insns && insn < v->insns + v->n);
	if (!v->allow_ptr_leaks && insn_is_ldimm64(insn) && insn->src_reg) { /* the reference shows no address: 0 */
		hidden[0] = *insn;
		hidden[1] = insn[1];
		hidden[0].src_reg = 0;
		hidden[0].imm = hidden[1].imm = 0;
		insn_text(hidden, 2, DISASM_OPCODE | DISASM_KERNEL, &names, to, size);
		return;
	}
	insn_text(insn, (u32)(v->insns + v->n - insn), DISASM_OPCODE | DISASM_KERNEL, &names, to, size);
}

void log_insn(struct verifier *v, u32 insn) {
	char text[160];
	u64 start;
	ASSERT(insn < v->n);
	log_line(v, insn, "; ");
	start = v->log.end;
	log_insn_text(v, &v->insns[insn], text, sizeof text);
	vlog(v, "%d: ", insn);
	vlog(v, "%s\n", text);
	v->log.insn_width = (u32)(v->log.end - start);
	v->log.insn_end = v->log.end;
}
