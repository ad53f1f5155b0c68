/* Calls of helpers: which function a call becomes, and which need none.
 *
 * A helper with a data plane symbol helper_NAME is called through it; when the map of the call is known, the function of
 * its type is called instead, without the dispatch. Lookups in arrays of fixed geometry become an index check and an
 * address; with a constant key just an address. The current CPU is a field of the run. */
#include "exec/jit/build.h"
#include "abi/dataplane.h"
#include "abi/map_facts.h"
#include <errno.h>

s32 dp_of_call(const struct xlated *x, u32 i) {
	u32 helper = (u32)x->insns[i].imm;
	if (helper == BPF_FUNC_get_smp_processor_id)
		return 0; /* needs none */
	return dp_of_helper(helper);
}

void build_helper(struct jit *j, u32 i) {
	const struct bpf_insn *insn = &j->x->insns[i];
	const struct insn_facts *facts = &j->x->facts[i];
	struct jop op = jop_at(j, J_CALL, i);
	op.d = 0;
	if (insn->imm == BPF_FUNC_tail_call) {
		op.code = J_TAIL;
	} else if (insn->imm == BPF_FUNC_get_smp_processor_id) {
		op.code = J_CPU;
	} else {
		s32 symbol = dp_of_call(j->x, i);
		if (symbol < 0) {
			j->error = -EOPNOTSUPP;
			return;
		}
		op.imm = (u32)insn->imm, op.disp = symbol;
		op.flags = facts->may_abort || facts->callback || facts->back_edge ? JF_ABORT : 0;
	}
	fold_emit(j, &op);
}
