/* Finding the system call instructions of an image.
 *
 * The bytes 0f 05 occur in data and inside other instructions, so each hit must be shown to be an instruction. A bare
 * linear sweep corrupts constants (libcrypto's tables lie in .text; libLLVM has 212 false sites), local
 * resynchronisation loses a tenth of the true ones. The way here:
 *
 *   1. byte search in executable sections (sub-millisecond; most libraries have no hit and are done)
 *   2. the function around a hit, from symbols and unwind entries, is decoded from its start; it must decode completely
 *   3. hits outside known functions (assembly has often neither) count only where everything decodes from the last known
 *      function to the next, or the whole section, and every known function of it starts at an instruction boundary
 *   4. windows: instructions around the syscall that a jump may overwrite
 *
 * A window is overwritten by a 5-byte jump, so no branch may go into it. Short branches come from near: functions close
 * to a hit are decoded too. Long ones (compilers move cold parts away) are found without decoding everything: a scan for
 * e9/e8/0f 8x whose 32-bit displacement would lead into a window. What looks like one is taken for one.
 * Jump tables are not seen; compilers do not put a label between the load of a number and its syscall.
 *
 *      text    … mov %edi,%esi │ mov $39,%eax │ syscall │ cmp $-4096,%rax │ ja …
 *      site                    └── before ────┘         └── after ────────┘
 *
 * Left alone: (a) a munmap that is followed within 16 bytes by an exit, and that exit: musl's detached threads unmap the
 * stack that both hooks would run on. (b) sites without five bytes.
 * Marked: the place in musl whose interrupted program counter decides about cancellation; its syscall must stay there. */
#include "hook/sites.h"
#include "hook/insn.h"
#include <asm/unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR = 160,            /* bytes around a hit in which short branches can start */
       SWEEP_MAX = 64 << 20, FUNCTION_MAX = 1 << 22, GAP_MAX = 1 << 18 };

struct finder {
	const struct elf *elf;
	u64 base, size;      /* addresses as in the file */
	u8 *text;
	u8 *length;          /* of the instruction that starts at a byte; 0: none known to */
	u8 *target;          /* a branch goes to this byte */
	struct elf_spans functions, sections;
	struct sites *out;
};

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

/* Decodes [from, to) and marks boundaries and branch targets; false at the first byte that is no instruction, with
 * nothing marked. */
static bool decode_range(struct finder *f, u64 from, u64 to) {
	struct x86_insn in;
	ASSERT(from <= to && to <= f->size && f->length && f->target);
	for (u64 p = from; p < to; p += in.length)
		if (x86_decode(f->text + p, to - p, &in)) {
			memset(f->length + from, 0, p - from);
			return false;
		} else {
			f->length[p] = in.length;
			if (in.kind >= INSN_JUMP && in.kind <= INSN_CALL && p + (u64)in.target < f->size)
				f->target[p + (u64)in.target] = 1;
		}
	return true;
}

/* Index of the last span that starts at or below address, or -1. */
static s64 span_at(const struct elf_spans *v, u64 address) {
	u32 low = 0, high = v->n;
	while (low < high) {
		u32 middle = low + (high - low) / 2;
		if (v->at[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return (s64)low - 1;
}

static bool span_holds(const struct elf_spans *v, s64 i, u64 address) {
	return i >= 0 && address < v->at[i].end;
}

/* Decodes function i once; true when it is code from end to end. */
static bool decode_function(struct finder *f, s64 i, u8 *state) {
	enum { UNKNOWN, GOOD, BAD };
	if (state[i] == UNKNOWN) {
		struct elf_span s = f->functions.at[i];
		bool inside = s.start >= f->base && s.end <= f->base + f->size && s.end - s.start < FUNCTION_MAX;
		state[i] = inside && decode_range(f, s.start - f->base, s.end - f->base) ? GOOD : BAD;
	}
	return state[i] == GOOD;
}

/* Functions that begin or end within NEAR bytes of p: their short branches can reach it. */
static void decode_neighbours(struct finder *f, u64 p, u8 *state) {
	u64 address = f->base + p;
	s64 i = span_at(&f->functions, address + NEAR);
	for (int k = 0; k < 8 && i >= 0 && f->functions.at[i].end + NEAR > address; k++, i--)
		decode_function(f, i, state);
}

/* A sweep of [from, to) that stands for nothing unless it is code from end to end and agrees with all known functions. */
static bool sweep(struct finder *f, u64 from, u64 to) {
	ASSERT(from <= to && to <= f->size);
	u64 n = to - from;
	u8 *before = n < SWEEP_MAX ? malloc(n + 1) : NULL; /* what functions have marked already */
	if (!before)
		return false;
	memcpy(before, f->length + from, n);
	bool good = decode_range(f, from, to);
	for (s64 k = span_at(&f->functions, f->base + to - 1); good && k >= 0 && f->functions.at[k].start >= f->base + from;
		 k--)
		good = f->length[f->functions.at[k].start - f->base] != 0;
	if (!good)
		memcpy(f->length + from, before, n);
	free(before);
	return good;
}

/* Code between two known functions: decoded from the start of the first, it must end where the second begins. Assembly
 * often lies so: glibc ends the unwind entry of clone before its syscall. */
static bool sweep_gap(struct finder *f, s64 function, struct elf_span section) {
	u64 from = f->functions.at[function].start, to = section.end;
	if ((u32)function + 1 < f->functions.n)
		to = MIN(to, f->functions.at[function + 1].start);
	return from >= section.start && to - from < GAP_MAX && sweep(f, from - f->base, to - f->base);
}

static bool decode_unknown(struct finder *f, u64 p, s64 function, s64 section, u8 *state) {
	enum { UNKNOWN, GOOD, BAD };
	struct elf_span s = f->sections.at[section];
	if (f->length[p])
		return true; /* by an earlier sweep */
	if (function >= 0 && f->functions.at[function].start >= s.start)
		return sweep_gap(f, function, s) && f->length[p];
	if (state[section] == UNKNOWN) /* nothing is known before it */
		state[section] = sweep(f, s.start - f->base, s.end - f->base) ? GOOD : BAD;
	return state[section] == GOOD && f->length[p];
}

static bool is_hit(const struct finder *f, u64 p) {
	return f->text[p] == 0x0f && f->text[p + 1] == 0x05;
}

/* The return from a signal handler: mov $15,%rax; syscall. Debuggers and unwinders know it by these very bytes. It often
 * has neither symbol nor plain unwind entry. */
static bool decode_sigreturn(struct finder *f, u64 p) {
	static const u8 load[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0};
	if (p < sizeof load || memcmp(f->text + p - sizeof load, load, sizeof load))
		return false;
	f->length[p - sizeof load] = sizeof load, f->length[p] = SYSCALL_BYTES;
	return true;
}

/* Marks boundaries around every hit that is an instruction. */
static int decode_hits(struct finder *f) {
	u8 *functions = calloc(f->functions.n + 1u, 1), *sections = calloc(f->sections.n + 1u, 1);
	if (!functions || !sections) {
		free(functions), free(sections);
		return -ENOMEM;
	}
	for (u64 p = 0; p + 1 < f->size; p++) {
		const u8 *next = memchr(f->text + p, 0x0f, f->size - 1 - p);
		if (!next)
			break;
		p = (u64)(next - f->text);
		if (!is_hit(f, p))
			continue;
		s64 section = span_at(&f->sections, f->base + p), function = span_at(&f->functions, f->base + p);
		if (!span_holds(&f->sections, section, f->base + p) || decode_sigreturn(f, p))
			continue;
		if (span_holds(&f->functions, function, f->base + p) ? decode_function(f, function, functions)
		                                                     : decode_unknown(f, p, function, section, sections))
			decode_neighbours(f, p, functions);
		else
			f->out->skipped++;
	}
	free(functions), free(sections);
	return 0;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

static bool decode_at(const struct finder *f, u64 p, struct x86_insn *in) {
	return f->length[p] && !x86_decode(f->text + p, f->size - p, in);
}

/* Start of the instruction that ends at p, or p itself when none is known. */
static u64 previous(const struct finder *f, u64 p) {
	for (u64 k = 1; k <= INSN_MAX && k <= p; k++)
		if (f->length[p - k])
			return f->length[p - k] == k ? p - k : p;
	return p;
}

/* Bytes before the syscall at p that may be overwritten; the window starts at or above floor. */
static u8 bytes_before(const struct finder *f, u64 p, u64 floor) {
	u64 start = p;
	struct x86_insn in;
	while (p - start < JUMP_BYTES && !f->target[start]) {
		u64 q = previous(f, start);
		if (q == start || q < floor || p - q > SITE_SIDE_MAX || !decode_at(f, q, &in) || !x86_is_straight(&in))
			break;
		start = q;
	}
	return (u8)(p - start);
}

/* Bytes behind the syscall; the first may be a branch target, the others not. */
static u8 bytes_after(const struct finder *f, u64 p) {
	u64 from = p + SYSCALL_BYTES, end = from;
	ASSERT(f->length[p] == SYSCALL_BYTES);
	struct x86_insn in;
	while (end - from < JUMP_BYTES && end < f->size && (end == from || !f->target[end]) && decode_at(f, end, &in) &&
	       x86_is_straight(&in) && end + in.length - from <= SITE_SIDE_MAX && end + in.length <= f->size)
		end += in.length;
	return (u8)(end - from);
}

/* The number in rax, from the straight line of instructions that leads to the syscall. */
static s16 number_at(const struct finder *f, u64 p) {
	struct x86_insn in;
	for (int k = 0; k < 24; k++) {
		if (f->target[p])
			return -1;
		u64 q = previous(f, p);
		if (q == p || !decode_at(f, q, &in) || !x86_is_straight(&in))
			return -1;
		x86_rax(f->text + q, f->size - q, &in);
		if (in.sets_rax)
			return in.rax_constant && in.constant >= 0 && in.constant < 4096 ? (s16)in.constant : -1;
		p = q;
	}
	return -1;
}

/* musl: mov (%rdi),%eax; test %eax,%eax; jnz; … mov %r11,8(%rsp); syscall; ret. A thread that is cancelled is
 * recognised by a program counter between the first of these and the ret. */
static bool is_cancel_point(const struct finder *f, u64 p) {
	static const u8 head[] = {0x8b, 0x07, 0x85, 0xc0}, tail[] = {0x4c, 0x89, 0x5c, 0x24, 0x08};
	if (p < 64 || p + 3 > f->size || memcmp(f->text + p - sizeof tail, tail, sizeof tail) || f->text[p + 2] != 0xc3)
		return false;
	for (u64 k = 30; k < 64; k++)
		if (!memcmp(f->text + p - k, head, sizeof head))
			return true;
	return false;
}

/* Long branches into windows, from anywhere in the segment. */
static void mark_long_branches(struct finder *f, const u8 *window) {
	for (u64 q = 1; q + 4 <= f->size; q++) {
		u8 b = f->text[q - 1];
		if ((b & 0xfe) != 0xe8 && ((b & 0xf0) != 0x80 || q < 2 || f->text[q - 2] != 0x0f))
			continue;
		s32 rel;
		memcpy(&rel, f->text + q, 4);
		u64 to = q + 4 + (u64)(s64)rel;
		if (to < f->size && window[to])
			f->target[to] = 1;
	}
}

static int mark_windows(struct finder *f) {
	u8 *window = calloc(f->size, 1);
	if (!window)
		return -ENOMEM;
	bool any = false;
	for (u64 p = 0; p + 1 < f->size; p++) {
		const u8 *next = memchr(f->text + p, 0x0f, f->size - 1 - p);
		if (!next)
			break;
		p = (u64)(next - f->text);
		if (is_hit(f, p) && f->length[p] == SYSCALL_BYTES) {
			u64 from = p < SITE_SIDE_MAX ? 0 : p - SITE_SIDE_MAX, to = MIN(p + 2 + SITE_SIDE_MAX, f->size);
			memset(window + from, 1, to - from);
			any = true;
		}
	}
	if (any)
		mark_long_branches(f, window);
	free(window);
	return 0;
}

static int add_site(struct finder *f, u64 p) {
	struct sites *out = f->out;
	ASSERT(is_hit(f, p));
	struct site *last = out->n ? &out->at[out->n - 1] : NULL;
	u64 floor = last ? last->off + SYSCALL_BYTES : 0;
	struct site s = {.off = (u32)p, .nr = number_at(f, p), .before = bytes_before(f, p, floor), .after = bytes_after(f, p)};
	s.flags = (f->target[p] ? SITE_TARGET : 0) | (p + 2 < f->size && f->target[p + 2] ? SITE_AFTER_TARGET : 0) |
	          (is_cancel_point(f, p) ? SITE_CANCEL : 0);
	if (last && last->off + SYSCALL_BYTES + last->after > p - s.before) { /* whole instructions only: take all or none */
		if (last->before + SYSCALL_BYTES >= JUMP_BYTES)
			last->after = 0;
		else
			s.before = 0;
	}
	if (s.before + SYSCALL_BYTES + s.after < JUMP_BYTES) {
		out->skipped++;
		return 0;
	}
	if (last && last->nr == __NR_munmap && s.nr == __NR_exit && p - last->off < 16)
		last->flags |= SITE_ALONE, s.flags |= SITE_ALONE;
	memcpy(s.bytes, f->text + p - s.before, s.before + SYSCALL_BYTES + s.after);
	struct site *to = vec_push(out);
	if (!to)
		return -ENOMEM;
	*to = s;
	return 0;
}

static int find_sections(struct finder *f) {
	const struct elf *e = f->elf;
	for (u32 i = 0; i < e->sections; i++) {
		const Elf64_Shdr *s = &e->section[i];
		if (s->sh_type != SHT_PROGBITS || !(s->sh_flags & SHF_EXECINSTR) || s->sh_addr < f->base ||
		    s->sh_size > f->size || s->sh_addr - f->base > f->size - s->sh_size || !s->sh_size)
			continue;
		struct elf_span *span = vec_push(&f->sections);
		if (!span)
			return -ENOMEM;
		*span = (struct elf_span){s->sh_addr, s->sh_addr + s->sh_size};
		if (f->sections.n > 1 && span[-1].end > span->start)
			f->sections.n--; /* overlapping or unordered: no linker makes that */
	}
	if (!e->sections) {
		struct elf_span *span = vec_push(&f->sections);
		if (!span)
			return -ENOMEM;
		*span = (struct elf_span){f->base, f->base + f->size};
	}
	return 0;
}

static bool any_hit(const struct finder *f) {
	return memmem(f->text, f->size, "\x0f\x05", 2) != NULL;
}

static int find(struct finder *f) {
	int err = find_sections(f);
	if (!err)
		err = elf_functions(f->elf, &f->functions);
	f->length = calloc(f->size + 1, 1), f->target = calloc(f->size + 1, 1);
	if (!err && (!f->length || !f->target))
		err = -ENOMEM;
	for (u32 i = 0; !err && i < f->functions.n; i++) /* calls through pointers go there */
		if (f->functions.at[i].start - f->base < f->size)
			f->target[f->functions.at[i].start - f->base] = 1;
	if (!err)
		err = decode_hits(f);
	if (!err)
		err = mark_windows(f);
	for (u64 p = 0; !err && p + 1 < f->size; p++)
		if (is_hit(f, p) && f->length[p] == SYSCALL_BYTES)
			err = add_site(f, p);
	return err;
}

int sites_find(const struct elf *e, u32 segment, struct sites *out) {
	ASSERT(segment < e->segments);
	const Elf64_Phdr *s = &e->segment[segment];
	*out = (struct sites){.address = s->p_vaddr, .size = s->p_filesz, .is_go = e->is_go};
	if (s->p_type != PT_LOAD || !(s->p_flags & PF_X) || s->p_filesz > UINT32_MAX || s->p_filesz > e->size)
		return -ENOEXEC;
	struct finder f = {.elf = e, .base = s->p_vaddr, .size = s->p_filesz, .out = out};
	f.text = malloc(f.size + 1);
	int err = f.text ? elf_read(e, s->p_offset, f.size, f.text) : -ENOMEM;
	if (!err && f.size >= 2 && any_hit(&f))
		err = find(&f);
	free(f.text), free(f.length), free(f.target), vec_free(&f.functions), vec_free(&f.sections);
	if (err)
		sites_free(out);
	ASSERT(err || sites_valid(out));
	return err;
}

void sites_free(struct sites *s) {
	vec_free(s);
	*s = (struct sites){0};
}

bool sites_valid(const struct sites *s) {
	u64 free_from = 0;
	for (u32 i = 0; i < s->n; i++) {
		const struct site *t = &s->at[i];
		if (t->before > SITE_SIDE_MAX || t->after > SITE_SIDE_MAX || t->before + SYSCALL_BYTES + t->after < JUMP_BYTES ||
		    t->off < t->before || t->off - t->before < free_from ||
		    (u64)t->off + SYSCALL_BYTES + t->after > s->size || t->nr < -1 || t->nr >= 4096 ||
		    t->flags & ~(SITE_TARGET | SITE_AFTER_TARGET | SITE_CANCEL | SITE_ALONE) ||
		    t->bytes[t->before] != 0x0f || t->bytes[t->before + 1] != 0x05)
			return false;
		free_from = (u64)t->off + SYSCALL_BYTES + t->after;
	}
	return true;
}
