/* The project's test cases: one readable file each, run by every engine that can judge it.
 *
 *     # ADD32 wraps and clears the upper half of dst          what it checks: the first line
 *     mem: u64 0xffffffff00000005 0x1111111180000000          memory that r1 points to; r2 is its length
 *     asm:
 *             r6 = *(u64 *)(r1 +0)
 *             r7 = *(u64 *)(r1 +8)
 *             w6 += w7
 *             r0 = r6
 *             exit
 *     result: 0x80000005                                      all 64 bits of r0
 *
 * Keys (a key starts a line; what continues it is indented)
 *
 *     asm:        the program, in the form of src/isa/asm.h. map[idx:0] is the first map of the case, map[fd:0] too
 *     mem:        bytes: two hexadecimal digits each, or numbers after u8 u16 u32 u64, or zero N. Without it r1 is the
 *                 program type's context and r2 is not set
 *     mem after:  the same memory when the program has ended
 *     packet:     bytes of a packet; the program runs over it as the type's context (result: 32 bits)
 *     lacks:      capabilities that the loader does not have: bpf perfmon net_admin
 *     type:       program type; socket_filter, or sched_cls with a packet
 *     map:        TYPE key=4 value=8 entries=2 [flags=0x1] [extra=0x1]; may be repeated
 *     result:     r0
 *     error:      ERRNO: first line. The verifier refuses the program so; ERRNO: - when it says nothing
 *     bare:       r0 by the instruction set alone, where the verifier refuses the program for another reason
 *     skip:       ENGINE why; may be repeated. Besides, an engine skips by itself what it does not have
 *
 * Values are put into registers by loads from mem where an instruction is to be tested: what the verifier knows it may
 * fold away. `make bless` rewrites or adds result, error and mem after from what the kernel says (without one: the
 * reference), provided that the reference agrees; people review the difference.
 *
 * Engines: reference (expands isa/sem.h, checks memory, knows no verifier), kernel, and skep's own: verify (the
 * verdict), interp, jit; and runtime: the kernel's driver over skep's bpf(2) commands, which has contexts and packets. oracle is
 * interp with every instruction's registers and stack checked against the verifier's states. */
#ifndef SKEP_TEST_CASE_H
#define SKEP_TEST_CASE_H
#include "isa/asm.h"
#include "isa/decode.h"

enum { CASE_FUNCS = 32, CASE_MAPS = 4, CASE_SKIPS = 4, CASE_BYTES = 4096, CASE_MESSAGE = 256 };

struct case_map {
	u32 type, key_size, value_size, entries, flags;
	u64 extra;
};
/* Bytes, and the words in which the file gave them, so that bless can write them alike. */
struct case_bytes {
	bool given;
	u32 n;
	u8 at[CASE_BYTES];
	char *words; /* "u64 0x5 zero 8" */
};
struct case_file {
	char *path, *name;    /* name: path below the folder without .case */
	char *text;           /* the whole file */
	char *title;
	struct asm_program program;
	struct case_bytes mem, mem_after, packet;
	struct case_map maps[CASE_MAPS];
	u32 maps_n;
	char *type;           /* program type by bpftool's name */
	u32 lacks;            /* enum case_cap */
	bool has_result, has_error, has_bare;
	u64 result, bare;
	int error;            /* negative errno */
	char *message;        /* "" for none */
	struct {
		char *engine, *why;
	} skips[CASE_SKIPS];
	u32 skips_n;
};

/* 0, or -EINVAL with a sentence in why. text is taken over. */
int case_parse(struct case_file *c, const char *path, const char *name, char *text, char *why, u32 why_size);
void case_free(struct case_file *c);

/* As enum verify_cap of skep and kernel_cap of the kernel's driver. */
enum case_cap { CASE_BPF = 1, CASE_PERFMON = 2, CASE_NET_ADMIN = 4 };

enum case_end { CASE_RAN, CASE_REFUSED, CASE_SKIPPED, CASE_BROKEN };
struct case_outcome {
	enum case_end end;
	bool low_half;             /* only the lower 32 bits of r0 are known */
	bool verdict_only;         /* RAN: accepted, not run */
	u64 r0;
	int error;                 /* REFUSED */
	char message[CASE_MESSAGE]; /* REFUSED: the log's first message; SKIPPED, BROKEN: why */
	char *log;                 /* malloc'ed, or NULL */
	u8 mem[CASE_BYTES];        /* RAN, with c->mem: afterwards */
};
struct case_engine {
	const char *name;
	const char *(*missing)(void); /* NULL: it can be used here */
	void (*run)(const struct case_file *c, struct case_outcome *o);
	bool may_crash;               /* run in a process of its own, for ten seconds at most */
};
extern const struct case_engine engine_reference, engine_kernel;
#ifdef CASE_WITH_RUNTIME
extern const struct case_engine engine_runtime;
#endif
#ifdef CASE_WITH_SKEP
extern const struct case_engine engine_verify, engine_interp, engine_oracle, engine_jit;
#endif

/* Runs a case through bpf(2) as kernel_bpf (test/kernel/kernel.h) answers it. */
void case_run_bpf(const struct case_file *c, struct case_outcome *o);

/* Sets end and message. */
void case_end(struct case_outcome *o, enum case_end end, const char *format, ...) PRINTF(3, 4);

/* The program as an engine with a verifier takes it. With mem: a prologue points r1 to the value of one more map and
 * r2 to its length. With whole_r0: the case's program is called as a function and its r0 stored in yet another map.
 * The indexes of these maps follow those of the case; -1: not used. */
struct case_whole {
	struct bpf_insn *insns;
	u32 n;
	s32 mem_map, result_map;
	u32 maps_n; /* with the added ones */
	u32 funcs[CASE_FUNCS], funcs_n; /* where functions start, ascending; 0 is the program */
	bool needs_btf;                 /* takes the address of a function: the kernel wants func_info then */
};
int case_whole(const struct case_file *c, bool whole_r0, struct case_whole *w);
/* BTF in which type CASE_BTF_FUNC is a static function that returns int; its size. */
enum { CASE_BTF_FUNC = 3, CASE_BTF_SIZE = 128 };
u32 case_btf(u8 *to);
/* Can the case's program be called as a function? */
bool case_is_callable(const struct case_file *c);

/* Helpers and kernel functions by name, for the assembler. */
extern const struct asm_names case_asm_names;
/* Number of a map type by bpftool's name, -1. */
s32 case_map_type(const char *name, u32 length);
s32 case_prog_type(const char *name);

/* New text for the file with the outcome in its expectations; NULL when nothing changes. */
char *case_bless(const struct case_file *c, const struct case_outcome *o);

/* The log's first message: the first line that is neither an instruction nor a state nor a statistic. */
void case_first_message(const char *log, char *to, u32 size);
#endif
