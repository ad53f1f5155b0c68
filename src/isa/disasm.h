/* One instruction as text, in the form in which the kernel's verifier log and bpftool print it. Every bit pattern has a
 * text. Adds no newline. Returns the length that the whole text has, as snprintf does; to holds a string if size > 0. */
#ifndef SKEP_ISA_DISASM_H
#define SKEP_ISA_DISASM_H
#include "isa/insn.h"

enum {
	DISASM_OPCODE = 1, /* "(b7) " before the text, as in the verifier log; the kernel's BUG_… forms never have it */
	DISASM_KERNEL = 2, /* an lddw is its 64-bit number whatever src says: what the log shows after resolution */
	DISASM_EXACT = 4,  /* text that assembles to the same bytes: .insn for what no row describes wholly */
};

/* Names for numbers; may be NULL, as may what it returns. A helper's or kfunc's name is asked for the part before '#';
 * for a local call the part after "pc" ("+3"); for an lddw all that stands right of the equals sign. */
struct disasm_names {
	const char *(*name)(void *owner, const struct bpf_insn *insn, char *buffer, u32 size);
	void *owner;
};
enum { DISASM_NAME = 128 }; /* size of the buffer that name gets */

/* insn has `left` slots up to the end of the program, at least 1. */
u32 insn_text(const struct bpf_insn *insn, u32 left, u32 flags, const struct disasm_names *names, char *to, u32 size);
#endif
