/* Stubs.
 *
 * In place, when the number is known and there is room: the syscall instruction stays where it is, so a thread that is
 * blocked in it has its true program counter (cancellation by range, unwinding, debuggers, restarts all see the original).
 *
 *     site:  jmp 1f                          1: moved instructions        2: lea -128(%rsp),%rsp
 *            (rest of the window)               lea -128(%rsp),%rsp          push $nr
 *            syscall                            lea behind(%rip),%rcx        call *leave
 *     behind: jmp 2f, when leave is hooked      call *enter                  lea 136(%rsp),%rsp
 *            …                                  lea 128(%rsp),%rsp           moved instructions
 *                                               jmp syscall                  jmp on
 *
 * Moved, otherwise: the stub contains the syscall. Nothing of ours is on the stack while it runs, but for numbers that
 * are not known beforehand: then the number waits below the red zone, except around the calls that return elsewhere or
 * twice (their numbers are tested with lea and jrcxz, which leave flags alone).
 *
 *     moved instructions; enter as above; syscall; lea behind(%rip),%rcx; leave as above; moved instructions; jmp on
 *
 * musl's cancellation points have their enter alone. The syscall has to stay in its place, because a thread that is to be
 * cancelled is recognised by where it was interrupted; behind it there is one byte (ret), and then the place where
 * cancelled threads go on, to which the code in front branches: no room for a jump. Reports count such sites when a
 * program wants exits.
 *
 * A stub keeps every register but rcx and r11, which the syscall instruction itself destroys; after it they are what the
 * original site would have left. */
#include "hook/trampoline.h"
#include "hook/insn.h"
#include <asm/unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STUB_MAX = 512, RED_ZONE = 128 };

/* Numbers whose call must find the stack as the program left it, although nobody knew the number beforehand. */
static const u16 bare[] = {__NR_munmap, __NR_rt_sigreturn, __NR_clone, __NR_fork, __NR_vfork, __NR_clone3};

struct maker {
	const struct sites *sites;
	const struct stub_calls *calls;
	u64 segment;
	struct emit e;
	struct island *out;
};

static void below_red_zone(struct emit *e) {
	EMIT(e, 0x48, 0x8d, 0x64, 0x24, 0x80); /* lea -128(%rsp),%rsp */
}
static void raise_stack(struct emit *e, u32 by) {
	EMIT(e, 0x48, 0x8d, 0xa4, 0x24), emit_u32(e, by); /* lea by(%rsp),%rsp */
}
static void load_behind(struct emit *e, u64 behind) {
	EMIT(e, 0x48, 0x8d, 0x0d), emit_rel32(e, behind); /* lea behind(%rip),%rcx */
}
static void put_enter(struct emit *e, u64 cell, u64 behind) {
	if (!cell)
		return;
	below_red_zone(e);
	load_behind(e, behind);
	emit_call_slot(e, cell);
	raise_stack(e, RED_ZONE);
}
static void put_leave(struct emit *e, u64 cell, u32 nr) {
	if (!cell)
		return;
	below_red_zone(e);
	EMIT(e, 0x68), emit_u32(e, nr); /* push $nr */
	emit_call_slot(e, cell);
	raise_stack(e, RED_ZONE + 8);
}

/* Instructions [off, off + n) of the site's segment, as they must read here. bytes: their original. */
static int put_moved(struct maker *m, const u8 *bytes, u32 off, u32 n) {
	for (u32 i = 0; i < n;) {
		struct x86_insn in;
		u8 code[INSN_MOVED_MAX];
		if (x86_decode(bytes + i, n - i, &in) || !x86_is_straight(&in))
			return -EINVAL;
		int size = x86_move(code, emit_address(&m->e), bytes + i, m->segment + off + i, &in);
		if (size < 0)
			return size;
		emit_bytes(&m->e, code, (u32)size);
		i += in.length;
	}
	return 0;
}

static int put_patch(struct maker *m, u32 site, u32 off, u64 stub) {
	struct patch *p = &m->out->patch[m->out->patches];
	ASSERT(m->out->patches < 2 * m->sites->n);
	s64 rel = (s64)(stub - (m->segment + off + JUMP_BYTES));
	s32 narrow = (s32)rel;
	if (narrow != rel)
		return -ERANGE;
	ASSERT(!m->out->patches || p[-1].off + JUMP_BYTES <= off);
	*p = (struct patch){.off = off, .site = site, .bytes = {0xe9}};
	memcpy(p->bytes + 1, &narrow, 4);
	m->out->patches++;
	return 0;
}

static int make_in_place(struct maker *m, u32 i, u64 enter, u64 leave) {
	const struct site *s = &m->sites->at[i];
	ASSERT(!enter || s->before >= JUMP_BYTES);
	ASSERT(!leave || s->after >= JUMP_BYTES);
	u32 behind = s->off + SYSCALL_BYTES;
	int err = 0;
	if (enter) {
		err = put_patch(m, i, s->off - s->before, emit_address(&m->e));
		if (!err)
			err = put_moved(m, s->bytes, s->off - s->before, s->before);
		put_enter(&m->e, enter, m->segment + behind);
		emit_jump(&m->e, m->segment + s->off);
	}
	if (leave && !err) {
		err = put_patch(m, i, behind, emit_address(&m->e));
		put_leave(&m->e, leave, (u32)s->nr);
		if (!err)
			err = put_moved(m, s->bytes + s->before + SYSCALL_BYTES, behind, s->after);
		emit_jump(&m->e, m->segment + behind + s->after);
	}
	return err;
}

static void put_syscall(struct emit *e, u64 behind) {
	EMIT(e, 0x0f, 0x05);
	load_behind(e, behind);
}

/* The syscall of a site whose number is in eax: known to be one of `bare`, or not. */
static void put_unknown(struct maker *m, u64 behind) {
	struct emit *e = &m->e;
	u32 hop[ARRAY_SIZE(bare)], out[ARRAY_SIZE(bare) + 1];
	put_enter(e, m->calls->dispatch_enter, behind);
	for (u32 i = 0; i < ARRAY_SIZE(bare); i++) {
		EMIT(e, 0x8d, 0x88), emit_u32(e, -(u32)bare[i]); /* lea -nr(%rax),%ecx */
		EMIT(e, 0x67, 0xe3);                             /* jecxz */
		hop[i] = emit_hop(e);
	}
	below_red_zone(e);
	EMIT(e, 0x50, 0x0f, 0x05); /* push %rax; syscall */
	load_behind(e, behind);
	emit_call_slot(e, m->calls->dispatch_leave);
	raise_stack(e, RED_ZONE + 8);
	EMIT(e, 0xe9), out[ARRAY_SIZE(bare)] = e->n, emit_u32(e, 0);
	/* The hops reach 127 bytes: they lead to jumps. */
	u32 far[ARRAY_SIZE(bare)];
	for (u32 i = 0; i < ARRAY_SIZE(bare); i++) {
		emit_land(e, hop[i]);
		EMIT(e, 0xe9), far[i] = e->n, emit_u32(e, 0);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bare); i++) {
		u32 here = e->n - (far[i] + 4);
		if (!e->full)
			memcpy(e->code + far[i], &here, 4);
		put_syscall(e, behind);
		put_leave(e, m->calls->leave[bare[i]], bare[i]);
		EMIT(e, 0xe9), out[i] = e->n, emit_u32(e, 0);
	}
	for (u32 i = 0; i <= ARRAY_SIZE(bare) && !e->full; i++) {
		u32 rel = e->n - (out[i] + 4);
		memcpy(e->code + out[i], &rel, 4);
	}
}

static int make_moved(struct maker *m, u32 i, u64 enter, u64 leave) {
	const struct site *s = &m->sites->at[i];
	u32 after = s->before + SYSCALL_BYTES >= JUMP_BYTES ? 0 : s->after, behind = s->off + SYSCALL_BYTES;
	int err = put_patch(m, i, s->off - s->before, emit_address(&m->e));
	if (!err)
		err = put_moved(m, s->bytes, s->off - s->before, s->before);
	if (s->nr < 0)
		put_unknown(m, m->segment + behind);
	else {
		put_enter(&m->e, enter, m->segment + behind);
		put_syscall(&m->e, m->segment + behind);
		put_leave(&m->e, leave, (u32)s->nr);
	}
	if (!err)
		err = put_moved(m, s->bytes + s->before + SYSCALL_BYTES, behind, after);
	emit_jump(&m->e, m->segment + behind + after);
	return err;
}

static int make_stub(struct maker *m, u32 i) {
	const struct site *s = &m->sites->at[i];
	if (s->flags & SITE_ALONE)
		return 0;
	u64 enter = m->calls->dispatch_enter, leave = m->calls->dispatch_leave;
	if (s->nr >= 0) {
		u32 nr = MIN((u32)s->nr, (u32)NR_LIMIT);
		enter = m->calls->enter[nr], leave = m->calls->leave[nr];
	}
	if (!enter && !leave)
		return 0;
	if (s->flags & SITE_CANCEL) {
		m->out->enter_only += s->before >= JUMP_BYTES && leave;
		return s->before >= JUMP_BYTES ? make_in_place(m, i, enter, 0) : -ENOSPC;
	}
	bool room =
		(!enter || s->before >= JUMP_BYTES) && (!leave || (s->after >= JUMP_BYTES && !(s->flags & SITE_AFTER_TARGET)));
	return s->nr >= 0 && room ? make_in_place(m, i, enter, leave) : make_moved(m, i, enter, leave);
}

int island_make(const struct sites *sites, u64 segment, u64 at, const struct stub_calls *calls, struct island *out) {
	ASSERT(sites_valid(sites));
	*out = (struct island){0};
	u64 room = (u64)sites->n * STUB_MAX + 16;
	struct maker m = {.sites = sites, .calls = calls, .segment = segment, .out = out};
	out->code = malloc(room);
	out->patch = calloc(2 * (u64)sites->n + 1, sizeof *out->patch);
	if (!out->code || !out->patch || room > UINT32_MAX) {
		island_free(out);
		return -ENOMEM;
	}
	m.e = (struct emit){.code = out->code, .room = (u32)room, .at = at};
	for (u32 i = 0; i < sites->n; i++) {
		u32 code = m.e.n, patches = out->patches;
		if (make_stub(&m, i) || m.e.full) {
			m.e.n = code, out->patches = patches, out->skipped++;
			m.e.full = false;
		}
	}
	ASSERT(m.e.n <= room && out->patches <= 2 * sites->n);
	out->size = m.e.n;
	return 0;
}

void island_free(struct island *island) {
	free(island->code), free(island->patch);
	*island = (struct island){0};
}
