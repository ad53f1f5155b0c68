/* Abstract states recorded for the interpreter's checks: at every instruction that a program runs, the concrete
 * registers and stack must lie inside one of the states that the verifier saw there, under the same chain of calls.
 *
 *   verify(in.oracle = o)  ──records──►  o: by (frame, original instruction): list of states
 *   interpreter, before each instruction: ASSERT(oracle_check(o, frame, insn, regs, &memory))
 *
 * `frame` is the depth of local calls and callbacks below the program's own function. States are keyed by it and by the
 * instruction as loaded; call sites are compared as far as the caller gives them. Pointers in concrete registers are
 * classified by where they point: oracle_memory says where the run's context, stack frames, packet and map values are.
 *
 * Pruning. A state may end because an old one is safe with any value of a scalar that nobody relied on. The states below
 * the old one then hold its value, not ours, and a concrete run would leave them although nothing is wrong. So the
 * states are recorded in a second walk, in which a state ends only inside an old one in every register and slot. What
 * was pruned in the first walk is explored in the second: when that refuses a path, pruning has hidden it, and every
 * check of such a program fails and says so. Registers that are dead at an instruction are not compared, there or here.
 *
 * Accesses. A check also looks at what the instruction is about to touch, itself or through a helper's arguments: bytes
 * of the stack frame, the packet or the map value that its state says. So an access that the verifier forgot to bound is
 * found although the pointer is what it was said to be, and although the memory around is mapped. */
#ifndef SKEP_VERIFY_ORACLE_H
#define SKEP_VERIFY_ORACLE_H
#include "base/base.h"
#include "verify/verifier.h"

struct oracle;

/* Where things are in this run. Zeroes and NULL: not there, and pointers of that kind are not looked at. */
struct oracle_memory {
	const void *ctx;
	const u8 *stack_top[8];         /* r10 of each frame */
	u32 frames;                     /* frames that are active: 1 … 8 */
	const u8 *packet, *packet_end;
	/* Is p inside the value of map maps[index] of the xlated program? Sets the offset from the start of the value. NULL:
	 * map values are taken on trust. */
	bool (*map_value)(void *owner, u32 index, u64 p, u64 *off);
	void *owner;
};

struct oracle *oracle_create(u64 memory_limit); /* NULL: out of memory; 0 = 256 MiB */
void oracle_destroy(struct oracle *o);
/* Do the registers at the original instruction `insn` in that frame lie inside some recorded state, with which its access
 * is inside as well? True as well when recording stopped for lack of memory or time. */
bool oracle_check(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where);
/* After a failed check: the nearest state and what does not fit, as text for people. Returns the length. */
u32 oracle_explain(const struct oracle *o, u32 frame, u32 insn, const u64 regs[11], const struct oracle_memory *where,
                   char *to, u32 size);
u64 oracle_states(const struct oracle *o); /* recorded */
bool oracle_complete(const struct oracle *o); /* false: memory or the limit of instructions ran out: checks say nothing */
#endif
