/* Tier 1: the driver's data, and what a machine must provide. The way of a compilation is told in jit.c. */
#ifndef SKEP_JIT_H
#define SKEP_JIT_H
#include "abi/dataplane.h"
#include "abi/image.h"
#include "exec/jit/code.h"
#include "exec/jit/jop.h"

enum { NO_BLOCK = 0xffffffff, WINDOW = 192, SLOTS_MAX = JREGS - JREG_SLOT, BLOCK_MAX = 1024 /* instructions */ };

/* A basic block: instructions [start, end). */
struct jblock {
	u32 start, end;
	u32 taken, fall; /* successor blocks, jump-only blocks already followed through; NO_BLOCK: none */
	u32 preds;       /* edges into it, the function's entry counted */
	u16 live_in, uses, defs;
	bool loop_head, done;
	u8 visits; /* of the search for loops */
};

/* What a function needs of the machine, found by the scan. */
struct jfunc {
	u32 start, end;   /* xlated instructions */
	u32 index;        /* subprogram */
	u32 stack;        /* bytes of the BPF frame */
	u16 regs;         /* BPF registers and slots mentioned */
	bool is_entry, calls_helper, calls_local, tail_calls, uses_run, fetch_loops, frame_escapes, probes, may_goto;
	u8 slots;         /* promoted */
	s16 slot_off[SLOTS_MAX];
	u8 slot_size[SLOTS_MAX];
	struct jblock *blocks;
	u32 blocks_n, blocks_room;
	u32 scan_next;    /* blocks before this one have been emitted */
	u32 first_label;  /* of block 0; then EXIT_LABELS more */
};

/* What the scan knows of 64 instructions, a bit each. */
struct insn_bits {
	u64 leaders;      /* a block starts here */
	u64 back_targets; /* of a backward jump */
	u64 frame;        /* loads or stores relative to r10, backward jumps: what choose_slots looks at, targets too */
	u32 blocks;       /* the block of a leader is this plus the leaders before it in the word */
};

struct jit_machine;
struct jit {
	const struct xlated *x;
	const struct jit_machine *m;
	u32 flags;    /* IMAGE_… */
	u32 features; /* of the machine: what it may emit beyond its base */
	struct scratch scratch;
	struct code code;
	struct jfunc f;
	struct insn_bits *bits;
	u8 *may_abort;  /* by subprogram: a call of it needs a test of the status */
	u32 sub_labels; /* two labels a subprogram: its body, its C-callable entry */
	u16 *subs;      /* subprograms by their start */
	u8 home[JREGS]; /* machine registers */
	u32 frame;      /* machine's frame below the saved registers: [fp + off] is [sp + frame + off] */
	u16 saved;      /* machine registers saved by the prologue */
	bool aborts, exhausts; /* somebody goes to the exits of a run that is over */
	/* the window */
	u32 n;
	u16 def[JREGS];     /* the definition that each register holds */
	u16 read_at[JREGS]; /* the last operation that reads the register */
	u16 memory; /* last operation that may have written memory */
	u16 live_now; /* registers live after the last instruction built */
	int error;
	u32 live_from;        /* live[0] is of this instruction */
	u16 live[BLOCK_MAX];  /* registers live after each instruction of a block; not zeroed, nor is what follows */
	struct jop ops[WINDOW + 1]; /* [0] stands for every value that is older than the window */
};
/* A machine: registers, function frames, one operation to code. */
struct jit_machine {
	const char *name;
	const struct code_machine *code;
	u32 (*features)(void);
	/* Homes for the registers of this function; returns how many slots it can take. Sets home, saved, frame. */
	u32 (*slots)(const struct jit *j);
	void (*begin)(struct jit *j);
	void (*lower)(struct jit *j, const struct jop *op);
	void (*end)(struct jit *j);
	void (*callback_entry)(struct jit *j, u32 subprog);
};
extern const struct jit_machine jit_x64;

/* scan.c */
int scan_function(struct jit *j, u32 subprog);
/* Fills j->live for the instructions of a block. */
void scan_live(struct jit *j, u32 block);
static inline u16 live_after(const struct jit *j, u32 i) {
	ASSERT(i - j->live_from < BLOCK_MAX);
	return j->live[i - j->live_from];
}
/* The subprogram that starts at instruction t, or -1. */
s32 sub_at(const struct jit *j, s64 t);
/* The second slot of a 64-bit immediate. */
static inline bool insn_is_second(const struct bpf_insn *insn) {
	return !insn->code;
}
/* Index of the last instruction of a block. */
u32 block_last(const struct jit *j, const struct jblock *b);
static inline bool insn_is_goto(const struct bpf_insn *insn) {
	return insn->code == (BPF_JMP | BPF_JA) || insn->code == (BPF_JMP32 | BPF_JA);
}
/* The slot register that this load or store means, or JREG_NONE. */
static inline u8 slot_of(const struct jit *j, const struct bpf_insn *insn) {
	u8 mode = BPF_MODE(insn->code), base = BPF_CLASS(insn->code) == BPF_LDX ? insn->src_reg : insn->dst_reg;
	if (base == JREG_FP && (mode == BPF_MEM || mode == BPF_MEMSX))
		for (u32 i = 0; i < j->f.slots; i++)
			if (j->f.slot_off[i] == insn->off)
				return (u8)(JREG_SLOT + i);
	return JREG_NONE;
}
/* build.c: translates one block into the window; returns the block to emit next, NO_BLOCK at the end. */
u32 build_block(struct jit *j, u32 block, bool follows);
/* window.c: everything in the window becomes machine code. live: registers read afterwards. */
void build_flush(struct jit *j, u16 live);
/* call.c */
/* The entry point for the helper call at i, that of the map's type when the map is known; -1: there is none. */
s32 dp_of_call(const struct xlated *x, u32 i);
void build_helper(struct jit *j, u32 i);
enum call_needs { CALL_NEEDS_NOTHING, CALL_NEEDS_RUN, CALL_NEEDS_CALL };
enum call_needs call_needs(const struct xlated *x, u32 i);

/* Instructions that a metered edge or call at i costs (run.h: Budget). The interpreter uses the same. */
u32 meter_cost(const struct xlated *x, u32 i);
/* Registers read and written by the instruction, as bits; shared by the scan and its tests. */
void insn_regs(const struct bpf_insn *insn, u16 *reads, u16 *writes);

/* Compiles into image: code, relocs, entry, tail_entry; lines when its flags say IMAGE_LINES. 0, -ENOMEM, -E2BIG,
 * -EOPNOTSUPP. */
int jit_compile(struct image *image, const struct jit_machine *m, u32 features);
#endif
