/* A verified program on its way to execution: what verify/ hands to exec/ and exec/ to runtime/ and hook/.
 *
 *   verify/ ──struct xlated──► exec/ ──struct image──► runtime/ (runs it here), hook/ (copies it into targets)
 *
 * xlated is kernel-like rewritten bytecode: helper calls carry the helper id in imm, 64-bit immediates that name a map
 * carry its index in maps[], calls and function addresses are relative, context accesses have internal offsets, dead
 * code is gone. Interpreter, JIT and `prog dump xlated` share it. One struct insn_facts stands beside every instruction.
 *
 * An image's machine code is position independent except for its relocations: each is a 64-bit absolute field whose
 * value differs between address spaces (helper entry points, map descriptors, map values, the image's own functions). */
#ifndef SKEP_ABI_IMAGE_H
#define SKEP_ABI_IMAGE_H
#include "isa/insn.h"

struct map_facts;
struct btf;

/* What the verifier proved of one instruction, on all paths to it. */
enum { NO_MAP = 0xffff };
struct insn_facts {
	u8 ptr;          /* memory access: enum ptr_kind of the base; 0 = none or more than one kind */
	u8 zext : 1;     /* writes a 32-bit subregister whose upper half somebody reads */
	u8 prune : 1;    /* the verifier could merge states here: jump targets and such */
	u8 back_edge : 1; /* a jump that goes backwards, or an iterator or callback call: meter here */
	u8 may_abort : 1; /* a call after which run->status must be tested */
	u8 const_key : 1; /* map call: the key on the stack is the constant const_arg */
	u8 probe : 1;    /* a load from memory that may be absent: must go through probe_read */
	u8 nospec : 1;   /* a barrier against speculation before it */
	u8 nospec_result : 1; /* and behind it; a tail call has it before its target, and takes all 64 bits of its index */
	u16 map;         /* map call or map immediate: index into maps[] when always the same, else NO_MAP */
	u16 callback;    /* call: subprogram index + 1 of a callback that is always the same, else 0 */
	u32 orig;        /* index of the instruction in the program as loaded: line information and messages */
	u64 const_arg;   /* const_key: its value; bpf_loop: the number of iterations */
};
enum ptr_kind { PTR_NONE, PTR_CTX, PTR_STACK, PTR_MAP_VALUE, PTR_PACKET, PTR_MEM, PTR_BTF, PTR_ARENA };

struct xlated_subprog {
	u32 start, end;   /* instructions [start, end) */
	u32 stack;        /* bytes of the frame, multiple of 8, at most 512 */
	bool is_callback; /* entered from a helper */
	bool has_tail_call;
	const char *name; /* from BTF, or NULL; lives as long as the xlated */
};

struct xlated {
	struct bpf_insn *insns;
	struct insn_facts *facts;
	u32 n;
	struct xlated_subprog *subprogs; /* [0] is the program */
	u32 subprogs_n;
	const struct map_facts **maps;
	u32 maps_n;
	u32 prog_type, attach_type;
	u32 max_stack;       /* deepest chain of frames, bytes */
	bool uses_run_task;  /* calls a helper that reads run->task */
	bool uses_cpu;       /* reads run->cpu: per-CPU maps, smp_processor_id */
	bool has_tail_call, has_loops, has_calls, has_helpers;
	bool reads_map_fields; /* follows a map's own address, where only the kernel has what its types say */
	u32 max_pkt_offset;
	u32 max_ctx_offset;  /* contexts of plain bytes: end of the furthest access */
	u32 ctx_words;       /* bit i: some instruction accesses the word at 8 * i of the context; 31: that or a later one */
};

/* A relocation: the 8 bytes at code[off] are the address of something plus addend. */
enum reloc_kind {
	RELOC_DP,        /* index: enum dp_symbol, an entry point of the data plane */
	RELOC_MAP,       /* index into maps[]: the map's trusted descriptor, struct map */
	RELOC_MAP_VALUE, /* index into maps[]: first value of an array map, plus addend */
	RELOC_CODE,      /* addend: offset in this image's code */
	RELOC_CONST,     /* index: enum image_const, a value fixed per address space */
};
enum image_const { CONST_NR_CPUS, CONST_IMAGE_ID };
struct reloc {
	u32 off;
	u16 kind, index;
	u64 addend;
};

struct line_at {
	u32 code_off; /* first byte of machine code */
	u32 insn;     /* xlated index */
};

enum { IMAGE_METERED = 1, IMAGE_HOST_CONTEXT = 2, IMAGE_LINES = 4 /* make lines at once */ };
struct image {
	u32 id;         /* program id; also its identity in tables of other processes */
	u32 generation;
	u32 flags;
	u64 tag;        /* of the program as loaded */
	struct xlated *xlated;
	u8 *code;       /* machine code as made by the JIT, relocations zero; NULL: interpreter only */
	u32 code_size;
	u32 entry;      /* offset of the C-callable entry */
	u32 tail_entry; /* offset at which a tail call enters: frame of the caller is gone, run in place */
	struct reloc *relocs;
	u32 relocs_n;
	struct line_at *lines; /* NULL until somebody asks (exec.h: image_lines) */
	u32 lines_n;
	void *decoded;  /* interpreter's form, owned by exec/ */
};
#endif
