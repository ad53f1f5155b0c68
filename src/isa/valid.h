/* The checks that Linux 6.18 makes of one instruction's own bits, with its messages, each in the phase in which the
 * kernel makes it. What a program needs beyond that (readable registers, targets, memory) is the verifier's.
 *
 * The phases, in the order in which a refusal can appear in the kernel's log
 *
 *   VALID_OPCODES    one pass over all slots, reachable or not (resolve_pseudo_ldimm64), after jump ranges and before the
 *                    control flow graph: "BPF_LDX uses reserved fields", "invalid bpf_ld_imm64 insn",
 *                    "unrecognized bpf_ld_imm64 insn", "unknown opcode %02x". It walks by insn_slots.
 *   VALID_FIELDS     when a path reaches the instruction, before it looks at any register: all other "… uses reserved
 *                    fields", atomics, may_goto, address space casts. For LD_ABS and LD_IND the kernel asks before this
 *                    whether the program type may use them at all.
 *   VALID_AFTER_DST  conditional jumps only, which look at dst first: "BPF_JMP/JMP32 uses reserved fields".
 *   VALID_OPERANDS   arithmetic only, when src and dst (in this order) have been found readable: "div by zero",
 *                    "invalid shift %d".
 *   VALID_ALL        all of them in this order, and "R%d is invalid" where the kernel's register checks stand. For
 *                    callers that have no verifier behind them.
 *
 * The phases are asked in this order: a later one relies on what an earlier one has let through.
 *
 * 0, or -EINVAL with the kernel's line (without newline) in message, which has VALID_MESSAGE bytes or is NULL. i and n
 * are the instruction's index and the length of the program: an lddw needs its second slot. */
#ifndef SKEP_ISA_VALID_H
#define SKEP_ISA_VALID_H
#include "isa/insn.h"

enum valid_phase { VALID_OPCODES, VALID_FIELDS, VALID_AFTER_DST, VALID_OPERANDS, VALID_ALL };
enum { VALID_MESSAGE = 96 };

int insn_valid(enum valid_phase phase, const struct bpf_insn *insns, u32 i, u32 n, char *message);
#endif
