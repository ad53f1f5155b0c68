/* The verifier's own state while it looks at one program, and what its parts offer each other. Only files of this room
 * include it.
 *
 *   verifier.c     the order of the passes, the main loop
 *   check_cfg.c    subprograms, control flow, strongly connected components, prune points     before the walk
 *   check_btf.c    function and line records of the program;   global_args.c   contracts of global functions
 *   resolve.c ksym.c   64-bit immediates: maps, callbacks; the kernel's variables and functions
 *   liveness.c     registers (before the walk) and stack slots (during it)
 *   attach_target.c struct_ops.c   what the program is attached to by BTF
 *   step_*.c       one instruction on one state
 *   mem.c stack.c btf_access.c ctx_access.c ctx_args.c   what memory it may touch;   dynptr.c kptr.c   what is kept in it
 *   object.c       objects that the program allocates
 *   kfunc*.c section.c irq.c lock.c iter.c graph.c   calls of kernel functions, and what they hold
 *   speculation.c  paths that only the processor takes, for loaders that may not see addresses
 *   states.c       checkpoints, pruning, loops;   backtrack.c   which scalars had to be exact
 *   fastcall.c     frames without the registers that are saved around inlined calls
 *   fixup.c        rewriting and facts, after the walk
 *   log.c explain.c cause.c   the kernel's log; a sentence for people, and where the refusal comes from
 *   oracle.c       recording of states for the interpreter's checks
 *
 * Conventions. Functions that can refuse return 0 or negative errno, and have said why through refuse() by then. `at` is
 * the instruction that is being looked at; regno -1 means «no register». */
#ifndef SKEP_VERIFY_ENV_H
#define SKEP_VERIFY_ENV_H
#include "abi/abi.h"
#include "base/vec.h"
#include "btf/btf.h"
#include "abi/diag.h"
#include "verify/holes.h"
#include "verify/state.h"
#include "verify/verifier.h"
#include <errno.h>
#include <stdio.h>

#ifndef ENOTSUPP
#define ENOTSUPP 524 /* the kernel's own; user space headers do not have it */
#endif

enum { MAX_USED_MAPS = 64, MAX_SUBPROGS = 256, MAX_PENDING = 8192, LIMIT_INSNS = 1000000, UNPRIV_INSNS = 4096,
       ORACLE_INSNS = 200000 };

struct log {
	char *buf;      /* of the caller */
	u32 size;
	u32 level;
	u64 start, end; /* text positions of what the buffer holds, and of the end */
	u64 true_size;  /* the most that was ever needed */
	bool broken;
	/* where the last instruction was printed, to put its state behind it */
	u64 insn_end;
	u32 insn_width;
	const struct bpf_line_info *line; /* printed last */
	u32 scratched_regs;
	u64 scratched_slots;
};

STATIC_ASSERT(LIMIT_INSNS <= 1 << 20, "struct step has 20 bits for an instruction");

enum insn_flag {
	AUX_PRUNE = 1,        /* states are compared here */
	AUX_HISTORY = 2,      /* reached by a jump: the way must be recorded */
	AUX_CHECKPOINT = 4,   /* always make a checkpoint */
	AUX_CALLBACK = 8,     /* call that runs a callback */
	AUX_SEEN = 16,        /* reached by some path */
	AUX_ZEXT = 32,        /* fixup: somebody reads the upper half of the 32-bit result */
	AUX_JUMP_TARGET = 64,
	AUX_BACK_EDGE = 128,
	AUX_MAP_VARIES = 256, /* map call: not always the same map */
	AUX_KEY_VARIES = 512,
	AUX_KEY_SEEN = 1024,
	AUX_CALLBACK_VARIES = 2048,
	AUX_KIND_VARIES = 4096,
	AUX_PROBE = 8192,
	AUX_CONST_VARIES = 16384,
	AUX_CONST_SEEN = 32768,
};
struct insn_aux { /* small: there is one for each instruction */
	u16 flags;    /* enum insn_flag */
	u16 live;     /* registers live before the instruction */
	u16 upper;    /* registers whose upper halves are read, before the instruction */
	u16 subprog;  /* that it belongs to */
	u32 ptr_type; /* of the base of a memory access, NOT_INIT before it was seen */
	u32 scc;      /* loop it belongs to, 0 none */
	u8 kind;      /* enum ptr_kind of all accesses so far */
	u8 taken : 2; /* conditional jump: bit 0 fell through, bit 1 jumped, on some path; bpf_loop: had flags, on some */
	u8 nospec : 1, nospec_result : 1; /* a barrier before it, behind it */
	u16 callback; /* subprogram + 1 */
	u32 ctx_size; /* context access: size in bytes; 0 none */
	union {
		struct {
			const struct abi_ctx_field *field;
			s32 ctx_off;
		};
		struct {
			const struct map_ref *map;
			u64 key; /* constant key, or number of iterations */
		};
		const struct kfunc *kfunc; /* call of a kernel function: NULL for an absent one */
		struct { /* addition to a pointer by an unprivileged program */
			u32 window_state, window_limit;
		};
		struct { /* address of a kernel's variable or function */
			u32 sym_type, sym_id, sym_size; /* of the pointer, of what it points to */
		};
	};
};
STATIC_ASSERT(sizeof(struct insn_aux) == 40, "each byte here is one for each instruction");

struct subprog {
	u32 start, end;
	u32 calls, calls_end;       /* of functions, made or named in it: in v->calls */
	u32 postorder_n;            /* in v->postorder, from start on */
	u32 stack;                  /* bytes used */
	u32 depth;                  /* bytes that count, after the walk */
	s32 fastcall_off;           /* fastcall.c: below it only registers are saved; 0 none */
	u32 type_id;                /* BTF function, 0 none */
	const char *name;           /* "" without BTF */
	bool global, called, verified;
	bool back_edge;             /* some jump goes to itself or backwards */
	bool has_tail_call, has_ld_abs, is_callback, is_async_callback, tail_call_reachable;
	bool changes_pkt_data, might_sleep, might_throw;
	bool fastcall_inlined, fastcall_kept;
	bool args_known, args_unreliable;
	u32 args_n;
	struct subprog_arg {
		u32 type, mem_size, btf_id;
	} args[5];
};

/* Scalars and slots whose exact value is being traced back, by frame. */
struct backtrack {
	u32 frame;
	u32 regs[MAX_FRAMES];
	u64 slots[MAX_FRAMES];
};

struct explored {
	struct explored *next;
	struct state *state;
	u32 hits, misses;
	bool dropped; /* out of the lists, kept because paths below it are unfinished */
};

struct pending {
	struct state *state;
	u32 insn, prev;
	u64 log_end;
};

/* What the program is attached to by BTF. */
struct attach_target {
	const char *name;             /* of the function or, without its prefix, of the tracepoint */
	const struct btf_type *proto; /* its prototype */
	u32 first;                    /* parameters of the prototype that are no arguments */
	const struct abi_target *row; /* what BTF does not say; NULL: nothing special */
	const struct abi_struct_ops *ops; /* struct_ops.c: of which structure it is a function */
	const struct btf_type *stub;      /* prototype with the names of its parameters, NULL: none */
};

struct id_pair {
	u32 old, cur;
};
enum { ID_PAIRS = (MAX_BPF_REG + STACK_SLOTS) * MAX_FRAMES };

struct scc_visit;
struct stack_liveness;
struct kfunc;

struct verifier {
	const struct verify_input *in;
	struct verify_output *out;
	struct arena *arena;   /* of the caller: what is returned */
	struct arena scratch;  /* of the walk */
	struct state_pool pool;
	const struct skep_abi *abi;
	const struct abi_prog_type *type;
	const struct abi_ctx *ctx;
	struct abi_caller caller;
	struct attach_target target;

	struct bpf_insn *insns; /* a copy */
	u32 n;
	struct insn_aux *aux;
	u8 *fastcall;           /* by instruction, NULL: none */
	struct subprog *subprogs;
	u32 subprogs_n;
	u32 exception_callback; /* index of the function that runs when the program throws; 0: a default one */
	u32 *postorder;         /* of functions with loops; the others are in order as they are, backwards */
	u32 *calls, calls_n;    /* instructions that call or name a function, or throw */
	u32 sccs_n;
	const struct bpf_line_info *lines;
	u32 lines_n;
	struct map_ref *maps[MAX_USED_MAPS];
	u32 maps_n;
	const struct map_facts *arena_map; /* the one arena among them */
	struct kfunc *kfuncs;   /* kernel functions that it names */
	u32 kfuncs_n;
	bool has_loops, has_calls, sleepable, strict_alignment, test_state_freq;
	bool bpf_capable;       /* loops, functions, imprecise scalars */
	bool allow_ptr_leaks;   /* addresses may be seen */
	bool allow_uninit_stack; /* so may stack that was not written: not before 6.3 */
	bool bypass_spec;       /* no speculative paths */
	bool strict_scalars;    /* numbers that differ make states differ: their windows must be found on each path */

	struct state *cur;
	u32 at;
	s32 prev;               /* instruction before, on this path */
	struct step *cur_step;  /* the step recorded for this instruction */
	VEC(struct pending) pending;
	struct explored **explored; /* n heads */
	u64 processed, jumps, prev_processed, prev_jumps;
	u64 total_states, states, peak_states, max_states_per_insn;
	u64 limit, look; /* instructions; when to look at the limits next */
	u32 id_gen, async_gen;
	struct { /* which instruction made an id, for messages: the newest ones */
		u32 id, insn;
	} origins[1024];
	u32 packet_cleared; /* insn + 1 of the call that last moved the packet */
	struct id_pair *ids;
	u32 ids_n, ids_tmp;
	struct backtrack bt;
	struct scc_visit **sccs;
	u32 backedges_n;
	struct stack_liveness *stack_live;
	struct reg fake[2];     /* operands that are no registers */
	u32 max_ctx_off, max_pkt_off, max_depth;
	u32 ctx_words; /* as in struct xlated */
	bool buffered_slices; /* some slice of a dynptr may lie in a buffer on a stack */
	bool seen_direct_write, tail_call_reachable, reads_map_fields, depths_known;
	bool recording; /* the second walk of oracle.c: nothing is forgotten, states end only inside others in full */

	struct diag_value values[12]; /* for the sentence of a refusal */
	u32 values_n;
	u32 said_reg;  /* + 1: the register that it is about, 0 none */
	bool tolerant; /* what is refused now is only logged */
	struct log log;
	struct btf_access walk; /* scratch of BTF accesses */
	struct object_type {    /* special fields of the last types that were asked for */
		const struct btf *btf;
		u32 id;
		struct btf_fields fields;
	} objects[8];
	u32 objects_next;
	u64 clock_start;
};

/* log.c */
void log_init(struct verifier *v);
int log_finish(struct verifier *v);
void vlog(struct verifier *v, const char *fmt, ...) PRINTF(2, 3);
void log_reset_to(struct verifier *v, u64 end);
void log_insn(struct verifier *v, u32 insn);
void log_line(struct verifier *v, u32 insn, const char *prefix);
void log_state(struct verifier *v, const struct state *s, u32 frame, bool all);
void log_insn_state(struct verifier *v);
void log_reg(struct verifier *v, const struct frame *f, const struct reg *r);
const char *tnum_text(struct tnum t, char to[48]);
/* One instruction as the log shows it, without newline. */
void log_insn_text(struct verifier *v, const struct bpf_insn *insn, char *to, u32 size);
static inline bool logging(const struct verifier *v) {
	return v->log.level & (LOG_LEVEL1 | LOG_LEVEL2);
}
static inline bool logging2(const struct verifier *v) {
	return v->log.level & LOG_LEVEL2;
}
static inline void scratch_reg(struct verifier *v, u32 reg) {
	v->log.scratched_regs |= 1u << reg;
}
static inline void scratch_slot(struct verifier *v, u32 slot) {
	v->log.scratched_slots |= (u64)1 << slot;
}
/* Refuses: the log gets the kernel's line, the diagnostic the row of diag.def, unless there is one already. Returns err.
 * refuse_text is for rows with more than one wording. */
#define refuse(v, NAME, err, ...) refuse_as(v, DIAG_##NAME, err, DIAG_WORDING_##NAME, ##__VA_ARGS__)
#define refuse_text(v, NAME, err, ...) refuse_as(v, DIAG_##NAME, err, __VA_ARGS__)
int refuse_as(struct verifier *v, u32 diag, int err, const char *fmt, ...) PRINTF(4, 5);
/* What insn_valid found. */
int refuse_insn(struct verifier *v, const char *message);
/* A value for the {name} of the sentence; just before refuse(). */
void say(struct verifier *v, const char *name, const char *fmt, ...) PRINTF(3, 4);
void say_reg(struct verifier *v, u32 regno);
void say_insn(struct verifier *v, u32 insn); /* {line} {name}: a call */
void note_origin(struct verifier *v, u32 id);
bool origin_of(const struct verifier *v, u32 id, u32 *insn);
void explain_finish(struct verifier *v);

/* cause.c */
void find_causes(struct verifier *v);
void note(struct verifier *v, u32 insn, const char *fmt, ...) PRINTF(3, 4);

const struct bpf_line_info *line_of(const struct verifier *v, u32 insn);

/* check_cfg.c */
int check_subprogs(struct verifier *v);
int check_cfg(struct verifier *v);
int find_loops(struct verifier *v);
int check_max_stack_depth(struct verifier *v);
int subprog_at(const struct verifier *v, u32 start); /* index, or -1 */

/* check_btf.c */
int find_exception_callback(struct verifier *v, u32 *start);
int check_btf_func(struct verifier *v);
int check_btf_line(struct verifier *v);
bool returns_int(const struct btf *btf, const struct btf_type *func);

/* global_args.c */
int prepare_subprog_args(struct verifier *v, u32 subprog);
int check_global_args(struct verifier *v, u32 subprog);
void log_static_args(struct verifier *v, u32 subprog);
int set_global_args(struct verifier *v, u32 subprog);

/* resolve.c */
int resolve_immediates(struct verifier *v);
int check_map_allowed(struct verifier *v, const struct map_facts *map);

/* ksym.c */
int resolve_kernel_symbol(struct verifier *v, u32 at);
void set_kernel_symbol(struct verifier *v, struct reg *r);

/* liveness.c */
int find_live_registers(struct verifier *v);
int stack_live_init(struct verifier *v);
int stack_mark_read(struct verifier *v, u32 frame, u64 slots);
void stack_mark_write(struct verifier *v, u32 frame, u64 slots);

int stack_step_end(struct verifier *v, struct stack_instance *at, u32 insn);
int stack_instance_of(struct verifier *v, struct state *s, u32 frame);
void stack_live_free(struct verifier *v);
int stack_live_query(struct verifier *v, struct state *s, u64 live[MAX_FRAMES]);

/* states.c */
int push_pending(struct verifier *v, u32 insn, s32 prev, struct state **out);
int push_speculative(struct verifier *v, u32 insn, s32 prev, struct state **out);
int push_pending_fresh(struct verifier *v, u32 insn, s32 prev, struct state **out);
int pop_pending(struct verifier *v);
int state_visited(struct verifier *v);
int state_finished(struct verifier *v, struct state *s);
void widen_from_loop(struct verifier *v, u32 insn, u32 depth, struct state *s);
void forget_states(struct verifier *v);

/* speculation.c */
struct window {
	u32 state, limit;
	bool to_left;
};
int speculate_number(struct verifier *v, const struct bpf_insn *insn);
int speculate_pointer(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr, const struct reg *num,
                      bool from_dst, struct window *w);
int speculate_moved(struct verifier *v, const struct bpf_insn *insn, const struct reg *ptr, bool from_dst,
                    const struct window *w);
int check_pointer_inside(struct verifier *v, u32 regno);
int speculate_branch(struct verifier *v, const struct bpf_insn *insn, u32 to);
bool has_window(const struct verifier *v, u32 at);
bool stopped_by_barrier(struct verifier *v, u32 at, int err);

/* backtrack.c */
int mark_precise(struct verifier *v, s32 reg);
s64 insn_before(const struct state *s, u32 at, u32 *n);
int mark_precise_batch(struct verifier *v, struct state *from, bool *changed);
int record_step(struct verifier *v, u32 flags, u64 linked);
void forget_precision(struct state *s);
void all_precise(struct verifier *v, struct state *s);

/* fastcall.c */
int find_fastcalls(struct verifier *v);
void fastcall_access(struct verifier *v, const struct frame *f, s32 off);
int count_stack(struct verifier *v);
int count_inlined_loops(struct verifier *v);

/* stack.c */
int check_stack_bounds(struct verifier *v, u32 regno, s32 off, s32 size, bool write);
int stack_read(struct verifier *v, u32 regno, s32 off, u32 size, s32 to);
int stack_write(struct verifier *v, u32 regno, s32 off, u32 size, s32 value);
struct helper_call;
int check_stack_range(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok, bool write, struct helper_call *call);
int stack_constant(struct verifier *v, const struct reg *ptr, u32 size, bool *known, u64 *value);
/* The slot at the lowest address of an object of that many slots, or -EINVAL with a line in the log, or -ERANGE: the
 * frame does not reach so far. */
s32 stack_object_slot(struct verifier *v, const struct reg *r, const char *what, u32 slots);
void link_before_copy(struct verifier *v, struct reg *r);

/* dynptr.c */
const char *dynptr_type_name(u32 type);
u32 dynptr_type_flag(u32 type);
void dynptr_set_const(struct verifier *v, struct reg *r, u32 type);
int dynptr_destroy(struct verifier *v, struct frame *f, u32 at);
int dynptr_release(struct verifier *v, u32 regno);
const struct reg *dynptr_of(struct verifier *v, const struct reg *r);
int check_dynptr_arg(struct verifier *v, u32 regno, u32 arg, u32 clone_ref);
int check_dynptr_release(struct verifier *v, u32 regno);

/* object.c */
const struct btf_fields *fields_of(struct verifier *v, const struct reg *r);
const struct btf_fields *object_fields(struct verifier *v, const struct btf *btf, u32 id);
int check_object_fields(struct verifier *v, const struct reg *r, s32 off, u32 size);
bool may_hold_lock(struct verifier *v, const struct reg *r);
bool is_lock_held(struct verifier *v, const struct reg *r);
void forget_borrowed(struct verifier *v);
bool in_tree_callback(const struct verifier *v);
void set_node(struct reg *r, const struct btf *btf, const struct btf_field *root);
int set_borrowed(struct verifier *v, struct reg *r);

/* kptr.c */
int check_map_fields(struct verifier *v, const struct reg *r, s32 off, s32 size, bool helper);
const struct btf_field *kptr_at(const struct btf_fields *fields, s64 off);
int access_kptr(struct verifier *v, const struct btf *btf, const struct btf_field *f, s32 value);
int check_kptr_field(struct verifier *v, u32 regno, struct helper_call *call);
int check_kptr_value(struct verifier *v, const struct btf *btf, const struct btf_field *f, u32 regno);
int set_kptr_result(struct verifier *v, const struct helper_call *call, struct reg *r);

/* step_*.c: the instruction `at` on the state `cur` */
int step_alu(struct verifier *v, const struct bpf_insn *insn);
int step_jmp(struct verifier *v, const struct bpf_insn *insn);
int step_load(struct verifier *v, const struct bpf_insn *insn);
int step_store(struct verifier *v, const struct bpf_insn *insn);
int step_atomic(struct verifier *v, const struct bpf_insn *insn);
int step_imm64(struct verifier *v, const struct bpf_insn *insn);
int step_packet_load(struct verifier *v, const struct bpf_insn *insn);
int step_call(struct verifier *v, const struct bpf_insn *insn);
int step_exit(struct verifier *v, bool *finished);
int check_tail_calls(struct verifier *v);
bool tail_call_is_unpriv(const struct verifier *v, u32 at);
int check_sane_number(struct verifier *v, struct reg *r, const char *where);

/* mem.c */
int check_mem(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value, bool strict, bool sext);
int check_alignment(struct verifier *v, const struct reg *r, s32 off, u32 size, bool strict);
int check_region(struct verifier *v, u32 regno, s32 off, s32 size, u32 room, bool zero_ok);
int check_map_value(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok, bool helper);
int check_map_rights(struct verifier *v, u32 regno, s32 off, s32 size, bool write);
int check_packet(struct verifier *v, u32 regno, s32 off, s32 size, bool zero_ok);
int check_fixed_offset(struct verifier *v, const struct reg *r, u32 regno, bool zero_only);
int note_access(struct verifier *v, u32 type, bool trust_may_differ);
bool may_access_packet(struct verifier *v, bool write, const struct helper_call *call);

/* btf_access.c */
int check_btf_pointer(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value);
int check_map_pointer(struct verifier *v, u32 regno, s32 off, u32 size, bool write, s32 value);
int check_buffer(struct verifier *v, u32 regno, s32 off, s32 size, bool write);
/* itself: the object as a whole, not one inside it. */
bool btf_object_at(struct verifier *v, const struct btf *btf, u32 id, s32 off, const char *want, bool itself);

/* attach_target.c */
int check_attach(struct verifier *v);
bool hook_return_range(const struct verifier *v, struct return_range *range);
bool target_offers(const struct verifier *v, u32 helper);
bool target_allows(const struct verifier *v, u32 helper);

/* struct_ops.c */
int check_struct_ops(struct verifier *v);
bool ops_arg_has_suffix(const struct verifier *v, u32 arg, const char *suffix);
u32 ops_arg_type(const struct verifier *v, u32 id);
bool ops_offer(const struct verifier *v, u32 helper);
int check_ops_write(struct verifier *v, const struct reg *r, s32 off, u32 size);

/* ctx_args.c */
int load_argument(struct verifier *v, s32 off, u32 size, struct reg *to);

/* ctx_access.c */
int check_ctx_access(struct verifier *v, s32 off, u32 size, bool write, bool sext, struct reg *loaded);
int check_object_access(struct verifier *v, u32 regno, u32 ctx_id, s32 off, u32 size, bool write);

/* helper calls: step_call.c, call_args.c, call_return.c, callback.c */
struct helper_call {
	const struct abi_helper *helper;
	const struct map_ref *map;
	u32 map_uid;
	bool raw;             /* the memory argument need not be initialised */
	u32 raw_reg, raw_size;
	bool pkt_access;
	u32 release_reg;      /* 0 none */
	u32 ref_obj;          /* id of the reference among the arguments */
	u32 dynptr;           /* id of the dynptr of which the result is a slice */
	bool changes_pkt;
	const struct btf *kptr_btf;
	const struct btf_field *kptr; /* in kptr_btf: the pointer that is exchanged; without helper: the root added to */
	bool key_known;       /* the key is this number */
	u64 key;
	u64 mem_size;
	bool mem_size_known;
	u64 max_value;        /* of the size argument */
	s32 callback;         /* subprogram, -1 none */
	const struct btf *ret_btf;
	u32 ret_btf_id;
	bool percpu_object;   /* it was read out of a map */
};
/* A callback that runs later, for the element of a map. */
struct async_callback {
	u32 subprog;
	const struct map_ref *map;
	u32 map_uid;
	bool sleepable;
	struct return_range range;
};
int check_helper_args(struct verifier *v, struct helper_call *call);
/* Does the register hold what an argument of that kind wants? want: name of the structure, NULL none. */
int check_arg_type(struct verifier *v, u32 regno, u32 arg, const char *want, const struct helper_call *call);
int check_format(struct verifier *v);
int check_arg_offset(struct verifier *v, u32 regno, u32 arg);
int set_helper_result(struct verifier *v, struct helper_call *call);
int check_helper_mem(struct verifier *v, u32 regno, s32 size, bool write, bool zero_ok, struct helper_call *call);
int check_mem_size_pair(struct verifier *v, u32 size_reg, bool write, bool zero_ok, struct helper_call *call);
int check_lock(struct verifier *v, u32 regno, u32 kind, bool lock);
int check_map_field(struct verifier *v, u32 regno, const char *field);
int check_const_str(struct verifier *v, u32 regno, const struct helper_call *call);
int check_mem_arg(struct verifier *v, u32 regno, u32 size);
int step_local_call(struct verifier *v, const struct bpf_insn *insn);
int push_callback(struct verifier *v, const struct helper_call *call);
int push_async_callback(struct verifier *v, const struct async_callback *call);
int leave_subprog(struct verifier *v);
int leave_early(struct verifier *v, bool zero);
int check_references(struct verifier *v, const char *what);
int check_program_return(struct verifier *v, u32 regno);
int step_throw(struct verifier *v);
void clear_caller_saved(struct verifier *v, struct frame *f);
void clear_packet_pointers(struct verifier *v);
int release_reference(struct verifier *v, u32 id);
void reg_lose(const struct verifier *v, struct reg *r);
u32 acquire_reference(struct verifier *v, u32 insn);
void mark_known_not_null(struct verifier *v, struct reg *r);

/* kfunc.c */
int kfunc_find(struct verifier *v, u32 at);
const struct kfunc *kfunc_at(const struct verifier *v, u32 at);
u32 kfunc_flags_at(const struct verifier *v, u32 at); /* enum abi_kfunc_flag, 0 for what cannot be called */
bool kfunc_under_lock_at(const struct verifier *v, u32 at);
bool kfunc_calls_later(const struct verifier *v, u32 at); /* a callback */
bool kfunc_throws_at(const struct verifier *v, u32 at);
u32 kfunc_args_n(const struct verifier *v, u32 at);
bool kfunc_calls_back(const struct verifier *v, u32 at); /* a function of the program's, during the call */
const char *kfunc_name(const struct verifier *v, const struct bpf_insn *insn); /* NULL: nothing of that number */
int check_kfuncs_left(struct verifier *v);
int step_kfunc_call(struct verifier *v);

/* section.c */
int check_helper_section(struct verifier *v, const char *name, u32 id);
int check_sections_closed(struct verifier *v, const char *what);

/* iter.c */
bool iter_is_active(const struct verifier *v);
bool iter_slots_equal(const struct reg *old, const struct reg *cur);
bool iter_depths_differ(const struct state *old, const struct state *cur);
void log_iter(struct verifier *v, const struct reg *r, s32 off);

/* verifier.c */
int refuse_uninit(struct verifier *v, u32 reg);
int refuse_fp_write(struct verifier *v);
int refuse_not_yet(struct verifier *v, const char *what);

/* fixup.c */
int fixup(struct verifier *v);

/* oracle.c */
int oracle_record(struct verifier *v);
void oracle_begin(struct verifier *v);
void oracle_refused(struct oracle *o, int err, const struct verify_diag *diag);

/* Where a jump goes: inside its function, once check_subprogs has passed. */
static inline s64 jump_target(const struct bpf_insn *insn, u32 at) {
	return (s64)at + 1 + (insn->code == (BPF_JMP32 | BPF_JA) ? insn->imm : insn->off);
}
static inline bool insn_may_jump(const struct bpf_insn *insn) {
	u8 class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}
/* Within the function: a call goes on behind itself. */
static inline u32 insn_successors(const struct verifier *v, u32 at, u32 next[2]) {
	const struct bpf_insn *insn = &v->insns[at];
	ASSERT_DEBUG(at < v->n);
	next[0] = at + (insn_is_ldimm64(insn) ? 2 : 1);
	if (insn_may_jump(insn)) {
		next[BPF_OP(insn->code) != BPF_JA] = (u32)jump_target(insn, at);
		return 1 + (BPF_OP(insn->code) != BPF_JA);
	}
	return insn->code != (BPF_JMP | BPF_EXIT);
}
/* The instructions of a function, n = postorder_n of them: those that come next before those that lead there, as far as
 * loops allow. Second slots of wide instructions are among them where there are no loops. */
static inline u32 postorder_at(const struct verifier *v, const struct subprog *sub, u32 i) {
	return sub->back_edge ? v->postorder[sub->start + i] : sub->end - 1 - i;
}
static inline struct frame *cur_frame(const struct verifier *v) {
	return v->cur->frames[v->cur->curframe];
}
static inline struct reg *cur_regs(const struct verifier *v) {
	return v->cur->frames[v->cur->curframe]->regs;
}
/* Registers as operands. */
static inline int check_reg_read(struct verifier *v, u32 reg) {
	ASSERT(reg < MAX_BPF_REG);
	scratch_reg(v, reg);
	return likely(cur_regs(v)[reg].type != NOT_INIT) ? 0 : refuse_uninit(v, reg);
}
static inline int check_reg_write(struct verifier *v, u32 reg) {
	ASSERT(reg < MAX_BPF_REG);
	if (unlikely(reg == BPF_REG_FP))
		return refuse_fp_write(v);
	scratch_reg(v, reg);
	return 0;
}
/* Something that this loader may not see. */
static inline bool is_secret(const struct verifier *v, const struct reg *r) {
	return unlikely(!v->allow_ptr_leaks) && r->type != SCALAR_VALUE;
}
/* The way that a jump (or bpf_loop) takes on a path that is real. */
static inline void note_taken(struct verifier *v, u32 ways) {
	if (likely(!v->cur->speculative))
		v->aux[v->at].taken |= ways & 3;
}
static inline struct frame *frame_of(const struct verifier *v, const struct reg *stack_ptr) {
	ASSERT(stack_ptr->frameno <= v->cur->curframe);
	return v->cur->frames[stack_ptr->frameno];
}
/* As the kernel's messages have it. */
static inline const char *btf_shown_name(const struct btf *btf, u32 id) {
	const char *name = btf_name_of(btf, id);
	return *name ? name : "(anon)";
}
/* Values with a lock are told apart by the ids of the pointers to them. */
static inline bool fields_have_lock(const struct btf_fields *fields) {
	return fields->spin_lock >= 0 || btf_field_off(fields, "bpf_res_spin_lock") >= 0;
}
static inline bool map_has_lock(const struct map_facts *map) {
	return fields_have_lock(&map->fields);
}
static inline bool is_callback_call(const struct verifier *v, u32 insn) {
	return v->aux[insn].flags & AUX_CALLBACK;
}
#endif
