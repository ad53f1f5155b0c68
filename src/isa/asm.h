/* Text to instructions: everything that insn_text prints (DISASM_EXACT for every bit pattern), and conveniences for
 * people. One instruction a line:
 *
 *     ; a comment                      // another                      # a third, only as a line's first word
 *     start:  r1 = *(u64 *)(r1 +8)     a label stands alone or before an instruction
 *             if r1 > 5 goto out       targets are labels, or pc+3 as the disassembler prints them
 *             call bpf_ktime_get_ns    names go through struct asm_names; NAME#5 and a bare 5 do not need it
 *             call square              a name that nobody knows is a label: a local call
 *             r2 = subprog[square]     the address of a subprogram
 *     out:    r0 = 0                   decimal: a move with sign extension; 0x…, «ll» or too large: lddw, two slots
 *             .insn 0x07 dst=1 off=1   any bits, fields not named are 0
 *             .repeat 40000 r0 += 1            so many times
 *             exit
 *
 * A prefix "12: (b7) " is skipped, so the instruction lines of a verifier log can be given back. Registers are r0…r10 and
 * w0…w10; spaces are free where the kernel's form has one or none between signs. */
#ifndef SKEP_ISA_ASM_H
#define SKEP_ISA_ASM_H
#include "base/vec.h"
#include "isa/insn.h"

/* Number of a helper (src_reg 0) or kfunc (src_reg BPF_PSEUDO_KFUNC_CALL) by name; false: no such name. */
struct asm_names {
	bool (*call)(void *owner, const char *name, u32 length, u8 *src_reg, s32 *imm);
	void *owner;
};

struct asm_program {
	VEC(struct bpf_insn) insns;
	VEC(u32) lines; /* source line of each slot, from 1 */
};
struct asm_error {
	u32 line, column; /* from 1 */
	char message[160];
};

/* 0, -EINVAL with error filled, or -ENOMEM. names may be NULL. out is freed with asm_free in every case. */
int asm_text(const char *text, u64 length, const struct asm_names *names, struct asm_program *out,
             struct asm_error *error);
void asm_free(struct asm_program *p);
#endif
