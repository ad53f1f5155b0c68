/* Writing machine code into a buffer: the few forms that stubs and hook routines use. A buffer that overflows stays
 * full; whoever is done asks once. */
#ifndef SKEP_HOOK_EMIT_H
#define SKEP_HOOK_EMIT_H
#include "base/base.h"

enum reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct emit {
	u8 *code;
	u32 n, room;
	u64 at; /* address at which code[0] will run */
	bool full;
};

static inline u64 emit_address(const struct emit *e) {
	return e->at + e->n;
}
static inline void emit_bytes(struct emit *e, const void *bytes, u32 n) {
	if (e->room - e->n < n) {
		e->full = true;
		return;
	}
	__builtin_memcpy(e->code + e->n, bytes, n);
	e->n += n;
}
#define EMIT(e, ...) emit_bytes(e, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
static inline void emit_u32(struct emit *e, u32 v) {
	emit_bytes(e, &v, 4);
}
static inline void emit_u64(struct emit *e, u64 v) {
	emit_bytes(e, &v, 8);
}
/* The displacement of a branch or rip-relative operand that ends the instruction. */
static inline void emit_rel32(struct emit *e, u64 target) {
	s64 rel = (s64)(target - (emit_address(e) + 4));
	if ((s32)rel != rel)
		e->full = true;
	emit_u32(e, (u32)rel);
}
static inline void emit_jump(struct emit *e, u64 target) {
	EMIT(e, 0xe9), emit_rel32(e, target);
}
static inline void emit_call(struct emit *e, u64 target) {
	EMIT(e, 0xe8), emit_rel32(e, target);
}
/* call *slot, an address below 2 GiB */
static inline void emit_call_slot(struct emit *e, u64 slot) {
	ASSERT(slot < 1u << 31);
	EMIT(e, 0xff, 0x14, 0x25), emit_u32(e, (u32)slot);
}
static inline void emit_rsp_operand(struct emit *e, u8 reg, s32 off) {
	if (off == (s8)off)
		EMIT(e, 0x44 | (reg & 7) << 3, 0x24, (u8)off);
	else
		EMIT(e, 0x84 | (reg & 7) << 3, 0x24), emit_u32(e, (u32)off);
}
static inline void emit_store(struct emit *e, s32 off, enum reg r) { /* mov %r,off(%rsp) */
	EMIT(e, 0x48 | (r >= R8) << 2, 0x89), emit_rsp_operand(e, r, off);
}
static inline void emit_load(struct emit *e, enum reg r, s32 off) { /* mov off(%rsp),%r */
	EMIT(e, 0x48 | (r >= R8) << 2, 0x8b), emit_rsp_operand(e, r, off);
}
static inline void emit_lea(struct emit *e, enum reg r, s32 off) { /* lea off(%rsp),%r: leaves flags alone */
	EMIT(e, 0x48 | (r >= R8) << 2, 0x8d), emit_rsp_operand(e, r, off);
}
/* A short jump forward whose opcode was just written: its place, and the place where it leads. */
static inline u32 emit_hop(struct emit *e) {
	EMIT(e, 0);
	return e->n;
}
static inline void emit_land(struct emit *e, u32 hop) {
	ASSERT(e->full || e->n - hop < 128);
	if (!e->full)
		e->code[hop - 1] = (u8)(e->n - hop);
}
static inline void emit_move_stack(struct emit *e, s32 by) {
	emit_lea(e, RSP, by);
}
static inline void emit_store_imm(struct emit *e, s32 off, s32 imm) { /* movq $imm,off(%rsp) */
	EMIT(e, 0x48, 0xc7), emit_rsp_operand(e, 0, off), emit_u32(e, (u32)imm);
}
static inline void emit_imm64(struct emit *e, enum reg r, u64 imm) {
	if (imm == (u32)imm)
		r >= R8 ? (void)EMIT(e, 0x41) : (void)0, EMIT(e, 0xb8 | (r & 7)), emit_u32(e, (u32)imm);
	else
		EMIT(e, 0x48 | (r >= R8), 0xb8 | (r & 7)), emit_u64(e, imm);
}
#endif
