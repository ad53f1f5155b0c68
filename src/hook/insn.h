/* Machine instructions of the target: lengths, operands that depend on where the instruction stands, and moving one to
 * another address. Zydis decodes; nothing here allocates. */
#ifndef SKEP_HOOK_INSN_H
#define SKEP_HOOK_INSN_H
#include "base/base.h"

enum x86_kind {
	INSN_PLAIN,
	INSN_JUMP,     /* jmp rel */
	INSN_BRANCH,   /* jcc rel */
	INSN_LOOP,     /* loop, loope, loopne, jrcxz: 8-bit displacement only */
	INSN_CALL,     /* call rel */
	INSN_INDIRECT, /* jmp or call through a register or memory */
	INSN_RETURN,
	INSN_SYSCALL,
	INSN_TRAP,     /* int, int3, ud, hlt, iret, sysenter, xbegin, … : never moved */
};
enum { INSN_MAX = 15, INSN_MOVED_MAX = 25 };

struct x86_insn {
	u8 length;
	u8 kind;
	u8 disp_at;   /* offset of a rip-relative 32-bit displacement in the instruction, 0 = none */
	u8 condition; /* INSN_BRANCH: low 4 bits of the opcode; INSN_LOOP: the opcode */
	bool sets_rax;      /* after x86_rax: writes any part of rax */
	bool rax_constant;  /* and the value is constant: */
	s32 constant;
	s64 target;   /* branches and calls: relative to the start of the instruction */
	s64 disp;     /* of disp_at: relative to the start of the next instruction */
};

/* Decodes the instruction at text, of which n bytes are readable. 0 or -EINVAL. */
int x86_decode(const u8 *text, u64 n, struct x86_insn *out);

/* Fills in what the decoded instruction does to rax. */
void x86_rax(const u8 *text, u64 n, struct x86_insn *out);

/* Writes to `to` code that does at address `at` what the instruction at text does at address `from`. Branches become
 * their 32-bit forms; a call pushes the original return address. Returns the number of bytes (at most INSN_MOVED_MAX),
 * -ERANGE when an operand is out of reach, or -EINVAL for what cannot be moved. */
int x86_move(u8 *to, u64 at, const u8 *text, u64 from, const struct x86_insn *in);

/* May stand in the window of a system call site: no control flow. */
static inline bool x86_is_straight(const struct x86_insn *in) {
	return in->kind == INSN_PLAIN;
}
#endif
