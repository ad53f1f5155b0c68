/* Calls of helpers.
 *
 *   allowed?     program type, attach type, licence, rights, sleeping            abi/
 *   arguments    call_args.c
 *   effects      memory that the helper fills; references taken and given back; packet pointers that die; callbacks
 *   result       r0 by the prototype's return type; r1 … r5 are gone
 *
 * What a call leaves in the instruction's facts (which map, which key, which callback) must hold on all paths: values
 * that differ between visits are marked as varying. */
#include "verify/env.h"
#include <unistd.h>

/* == Who may call == */

static const char *why_not(enum abi_why why) {
	switch (why) {
	case ABI_WRONG_ATTACH: return "not with this attach type";
	case ABI_NO_CAPABILITY: return "it needs a capability that the loader does not have";
	default: return "it is not available to this type";
	}
}

static int check_allowed(struct verifier *v, u32 id, const struct abi_helper **out) {
	const struct abi_helper *any = abi_helper(v->abi, id), *h;
	enum abi_why why = ABI_OK;
	char name[80];
	if (!any && !id) { /* it has a name: bpf_unspec */
		say(v, "name", "bpf_unspec");
		say(v, "prog", "%s", v->type->name);
		say(v, "why", "no helper has the number 0");
		return refuse(v, HELPER_NOT_ALLOWED, -EINVAL, "bpf_unspec", id);
	}
	if (!any) {
		say(v, "id", "%u", id);
		return refuse(v, INVALID_FUNC, -EINVAL, "unknown", id);
	}
	h = abi_helper_for(v->abi, id, &v->caller, &why);
	if (h && !target_offers(v, id))
		h = NULL, why = ABI_WRONG_TYPE;
	if (likely(h && (!(h->flags & HELPER_GPL) || v->in->gpl_compatible) &&
	           (!(h->flags & HELPER_MIGHT_SLEEP) || v->cur->in_sleepable) && target_allows(v, id))) {
		*out = h;
		snprintf(name, sizeof name, "bpf_%s", h->name);
		return h->flags & HELPER_MIGHT_SLEEP ? check_helper_section(v, name, id) : 0;
	}
	snprintf(name, sizeof name, "bpf_%s", any->name);
	say(v, "name", "%s", name);
	say(v, "prog", "%s", v->type->name);
	if (!h) {
		say(v, "why", "%s", why_not(why));
		return refuse(v, HELPER_NOT_ALLOWED, -EINVAL, name, id);
	}
	say(v, "license", "%s", v->in->license ? v->in->license : "nothing");
	if (h->flags & HELPER_GPL && !v->in->gpl_compatible)
		return refuse(v, GPL_HELPER, -EINVAL);
	if (!target_allows(v, id)) {
		say(v, "why", "not in %s", v->target.name);
		return refuse(v, PROBE_HELPER, -EINVAL);
	}
	return refuse(v, MIGHT_SLEEP, -EINVAL);
}

/* Could its index be speculated about by somebody who must not? */
bool tail_call_is_unpriv(const struct verifier *v, u32 at) {
	const struct map_ref *map = v->aux[at].map;
	return !v->bypass_spec || (map && map->facts->unpriv);
}

/* Which array a tail call uses must be certain where the index could be speculated about. */
int check_tail_calls(struct verifier *v) {
	for (u32 i = 0; i < v->n; i++) {
		const struct insn_aux *aux = &v->aux[i];
		if (!insn_is_helper_call(&v->insns[i]) || v->insns[i].imm != BPF_FUNC_tail_call || !(aux->flags & AUX_SEEN))
			continue;
		if (aux->flags & AUX_MAP_VARIES && tail_call_is_unpriv(v, i)) {
			v->at = i;
			return refuse(v, TAIL_CALL_MAP, -EINVAL);
		}
	}
	return 0;
}

static bool has_sockets(u32 map_type) {
	return map_type == BPF_MAP_TYPE_SOCKMAP || map_type == BPF_MAP_TYPE_SOCKHASH;
}

static int check_map_and_helper(struct verifier *v, const struct helper_call *call) {
	u32 id = call->helper->id;
	char name[80];
	if (call->map && has_sockets(call->map->facts->type) &&
	    (id == BPF_FUNC_map_update_elem || id == BPF_FUNC_map_delete_elem)) {
		if (abi_sockmap_update(v->in->prog_type, v->in->expected_attach_type, id == BPF_FUNC_map_delete_elem))
			return 0;
		vlog(v, "cannot update sockmap in this context\n");
	}
	if (!call->map || abi_map_helper(v->abi, call->map->facts->type, call->helper->id))
		return 0;
	snprintf(name, sizeof name, "bpf_%s", call->helper->name);
	say(v, "type", "%u", call->map->facts->type);
	say(v, "name", "%s", name);
	return refuse(v, MAP_FUNC, -EINVAL, call->map->facts->type, name, call->helper->id);
}

/* == Facts == */

static void note_map(struct insn_aux *aux, const struct map_ref *map) {
	if (!map || map->index == NO_MAP || (aux->map && aux->map != map))
		aux->flags |= AUX_MAP_VARIES;
	else
		aux->map = map;
}
static void note_constant(struct insn_aux *aux, bool known, u64 value) {
	if (!known || (aux->flags & AUX_KEY_SEEN && aux->key != value))
		aux->flags |= AUX_KEY_VARIES;
	aux->flags |= AUX_KEY_SEEN;
	aux->key = value;
}
static void note_callback(struct insn_aux *aux, s32 subprog) {
	if (aux->callback && aux->callback != subprog + 1)
		aux->flags |= AUX_CALLBACK_VARIES;
	aux->callback = (u16)(subprog + 1);
}

static bool changes_map(u32 id) {
	return id == BPF_FUNC_map_update_elem || id == BPF_FUNC_map_delete_elem || id == BPF_FUNC_map_push_elem ||
	       id == BPF_FUNC_map_pop_elem;
}

static int note_call(struct verifier *v, struct helper_call *call) {
	struct insn_aux *aux = &v->aux[v->at];
	const struct reg *regs = cur_regs(v);
	u32 id = call->helper->id;
	bool known;
	if (call->map) {
		note_map(aux, call->map);
		if (changes_map(id) && call->map->facts->map_flags & BPF_F_RDONLY_PROG) {
			say(v, "name", "%.16s", call->map->facts->name);
			return refuse_text(v, MAP_WRITE_FORBIDDEN, -EACCES, "write into map forbidden");
		}
	}
	if (call->callback >= 0)
		note_callback(aux, call->callback);
	if (id == BPF_FUNC_tail_call) {
		known = reg_is_const(&regs[BPF_REG_3]) && regs[BPF_REG_3].s.var.value < call->map->facts->max_entries;
		note_constant(aux, known, regs[BPF_REG_3].s.var.value);
		return known ? mark_precise(v, BPF_REG_3) : 0;
	}
	if (id == BPF_FUNC_loop)
		note_constant(aux, reg_is_const(&regs[BPF_REG_1]), regs[BPF_REG_1].s.var.value);
	else
		note_constant(aux, call->key_known, call->key);
	return 0;
}

/* == References and pointers that die == */

u32 acquire_reference(struct verifier *v, u32 insn) {
	u32 id = ++v->id_gen;
	return state_add_ref(&v->pool, v->cur, (struct ref){.kind = REF_PTR, .id = id, .insn = insn}) ? id : 0;
}

/* What the register held is gone. Its bits are a number; who may not see addresses may not see them. */
void reg_lose(const struct verifier *v, struct reg *r) {
	if (v->allow_ptr_leaks)
		reg_set_unknown(r);
	else
		reg_clear(r);
}

/* All copies of what was released are lost. */
int release_reference(struct verifier *v, u32 id) {
	ASSERT(id);
	if (!state_drop_ref(v->cur, id))
		return -EINVAL;
	for (struct reg_walk w = {.state = v->cur}; reg_next(&w);)
		if (w.reg->ref == id)
			reg_lose(v, w.reg);
	return 0;
}

void clear_packet_pointers(struct verifier *v) {
	if (HOLE(PACKET_KEPT_OVER_CALL))
		return;
	v->packet_cleared = v->at + 1;
	for (struct reg_walk w = {.state = v->cur}; reg_next(&w);)
		if (reg_is_packet_or_end(w.reg) || reg_is_packet_slice(w.reg)) {
			reg_lose(v, w.reg);
			w.reg->was_packet = v->allow_ptr_leaks;
		}
}

int check_references(struct verifier *v, const char *what) {
	struct state *s = v->cur;
	bool any = false;
	for (u32 i = 0; i < s->refs_n; i++) {
		if (s->refs[i].kind != REF_PTR)
			continue;
		if (!any)
			say_insn(v, s->refs[i].insn);
		refuse(v, UNRELEASED_REFERENCE, -EINVAL, s->refs[i].id, s->refs[i].insn);
		any = true;
	}
	if (any)
		return refuse_text(v, EXIT_LEAK, -EINVAL, "%s would lead to reference leak", what);
	for (u32 i = 0; s->active_locks && i < s->refs_n; i++)
		if (s->refs[i].kind != REF_PTR && s->refs[i].kind != REF_IRQ)
			say_insn(v, s->refs[i].insn);
	if (s->active_locks)
		return refuse_text(v, LOCK_AT_EXIT, -EINVAL, "%s cannot be used inside bpf_spin_lock-ed region", what);
	return check_sections_closed(v, what);
}

static int release_argument(struct verifier *v, const struct helper_call *call) {
	char name[80];
	int err = 0;
	if (!call->release_reg)
		return 0;
	if (base_type(call->helper->arg[call->release_reg - 1]) == ARG_PTR_TO_DYNPTR)
		err = dynptr_release(v, call->release_reg);
	else if (call->ref_obj)
		err = release_reference(v, call->ref_obj);
	else if (!reg_is_zero(&cur_regs(v)[call->release_reg]))
		err = -EINVAL;
	if (!err)
		return 0;
	snprintf(name, sizeof name, "bpf_%s", call->helper->name);
	say(v, "name", "%s", name);
	return refuse(v, REFERENCE_NOT_ACQUIRED, err, name, call->helper->id);
}

/* == The result == */

static int set_btf_result(struct verifier *v, const struct abi_helper *h, struct reg *r) {
	const struct btf *btf = v->in->kernel_btf;
	u32 id = btf && h->ret_btf ? btf_find(btf, h->ret_btf, BTF_KIND_STRUCT) : 0;
	if (!id)
		return refuse_not_yet(v, "a result that points to a kernel object whose type is not known here");
	reg_set_pointer(r, PTR_TO_BTF_ID | type_flag(h->ret));
	r->btf = btf;
	r->btf_id = id;
	return 0;
}

/* The instance for one processor of what the argument points to. */
static int set_percpu_result(struct verifier *v, const struct helper_call *call, struct reg *r) {
	const struct btf_type *t = btf_skip_type(call->ret_btf, call->ret_btf_id);
	u32 flags = type_flag(call->helper->ret), kind = BTF_INFO_KIND(t->info);
	s64 size = btf_size(call->ret_btf, call->ret_btf_id);
	if (call->percpu_object) {
		reg_set_pointer(r, PTR_TO_BTF_ID | MEM_ALLOC | MEM_RCU);
		r->btf = call->ret_btf;
		r->btf_id = call->ret_btf_id;
		return 0;
	}
	if (kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION) {
		reg_set_pointer(r, PTR_TO_BTF_ID | (flags & ~(u32)MEM_RDONLY));
		r->btf = call->ret_btf;
		r->btf_id = call->ret_btf_id;
		return 0;
	}
	if (size < 0 || size > INT32_MAX)
		return refuse_text(v, ARG_BTF_TYPE, -EINVAL, "unable to resolve the size of type '%s': %ld",
		                   btf_name(call->ret_btf, t), (long)size);
	reg_set_pointer(r, PTR_TO_MEM | flags);
	r->mem_size = (u32)size;
	return 0;
}

static int set_result_type(struct verifier *v, const struct helper_call *call, struct reg *r) {
	const struct abi_helper *h = call->helper;
	u32 flags = type_flag(h->ret);
	ASSERT(r == &cur_regs(v)[BPF_REG_0]);
	switch (base_type(h->ret)) {
	case RET_INTEGER:
		reg_set_unknown(r);
		return 0;
	case RET_VOID:
		reg_clear(r);
		return 0;
	case RET_PTR_TO_MAP_VALUE:
		ASSERT(call->map);
		if (h->id == BPF_FUNC_map_lookup_elem && call->key_known && call->key < call->map->facts->max_entries)
			flags &= ~(u32)PTR_MAYBE_NULL;
		if (HOLE(NULL_CHECK_SKIPPED))
			flags &= ~(u32)PTR_MAYBE_NULL;
		reg_set_pointer(r, PTR_TO_MAP_VALUE | flags);
		r->map = call->map;
		r->map_uid = call->map_uid;
		if (!(flags & PTR_MAYBE_NULL) && map_has_lock(call->map->facts))
			r->id = ++v->id_gen;
		return 0;
	case RET_PTR_TO_SOCKET:
		reg_set_pointer(r, PTR_TO_SOCKET | flags);
		return 0;
	case RET_PTR_TO_SOCK_COMMON:
		reg_set_pointer(r, PTR_TO_SOCK_COMMON | flags);
		return 0;
	case RET_PTR_TO_TCP_SOCK:
		reg_set_pointer(r, PTR_TO_TCP_SOCK | flags);
		return 0;
	case RET_PTR_TO_MEM:
		reg_set_pointer(r, PTR_TO_MEM | flags);
		r->mem_size = (u32)call->mem_size; /* of more nothing is given out */
		r->dynptr = call->dynptr;
		return 0;
	case RET_PTR_TO_MEM_OR_BTF_ID:
		return set_percpu_result(v, call, r);
	case RET_PTR_TO_BTF_ID:
		return call->kptr ? set_kptr_result(v, call, r) : set_btf_result(v, h, r);
	}
	return refuse_not_yet(v, "a result of this kind");
}

/* What is known of numbers that some helpers return. */
static void refine_result(struct verifier *v, const struct helper_call *call, struct reg *r) {
	s64 max;
	switch (call->helper->id) {
	case BPF_FUNC_get_stack:
	case BPF_FUNC_get_task_stack:
	case BPF_FUNC_probe_read_str:
	case BPF_FUNC_probe_read_kernel_str:
	case BPF_FUNC_probe_read_user_str:
		r->s.r.smax = (s64)call->max_value;
		r->s.r32.smax = (s32)call->max_value;
		r->s.r.smin = r->s.r32.smin = -4095;
		break;
	case BPF_FUNC_get_smp_processor_id:
		max = sysconf(_SC_NPROCESSORS_CONF) - 1;
		r->s.r.smin = r->s.r32.smin = 0;
		r->s.r.umax = (u64)max;
		r->s.r.smax = max;
		r->s.r32.umax = (u32)max;
		r->s.r32.smax = (s32)max;
		break;
	default:
		return;
	}
	scalar_sync(&r->s);
	check_sane_number(v, r, "retval");
}

/* Helpers whose result is another view of the socket that they were given. */
static bool is_view(u32 id) {
	switch (id) {
	case BPF_FUNC_tcp_sock:
	case BPF_FUNC_sk_fullsock:
	case BPF_FUNC_skc_to_tcp_sock:
	case BPF_FUNC_skc_to_tcp6_sock:
	case BPF_FUNC_skc_to_udp6_sock:
	case BPF_FUNC_skc_to_mptcp_sock:
	case BPF_FUNC_skc_to_tcp_timewait_sock:
	case BPF_FUNC_skc_to_tcp_request_sock:
		return true;
	}
	return false;
}

int set_helper_result(struct verifier *v, struct helper_call *call) {
	const struct abi_helper *h = call->helper;
	struct reg *r = &cur_regs(v)[BPF_REG_0];
	int err;
	clear_caller_saved(v, cur_frame(v));
	err = set_result_type(v, call, r);
	if (err)
		return err;
	if (r->type & PTR_MAYBE_NULL) {
		r->id = ++v->id_gen;
		note_origin(v, r->id);
	}
	if (h->flags & HELPER_ACQUIRES || (h->id == BPF_FUNC_map_lookup_elem && has_sockets(call->map->facts->type))) {
		u32 id = acquire_reference(v, v->at);
		if (!id)
			return -ENOMEM;
		r->id = r->ref = id;
		note_origin(v, id);
	} else if (is_view(h->id) || h->flags & HELPER_DYNPTR_REF) {
		r->ref = call->ref_obj;
	}
	if (h->ret == RET_INTEGER)
		refine_result(v, call, r);
	return 0;
}

/* == The call == */

static int check_tail_call(struct verifier *v) {
	return check_references(v, "tail_call");
}

static int step_loop(struct verifier *v, struct helper_call *call) {
	const struct reg *count = &cur_regs(v)[BPF_REG_1], *flags = &cur_regs(v)[BPF_REG_4];
	int err = reg_is_zero(flags) ? mark_precise(v, BPF_REG_4) : 0; /* it could be inlined then */
	note_taken(v, !reg_is_zero(flags));
	if (err)
		return err;
	if (count->type != SCALAR_VALUE) {
		say_reg(v, BPF_REG_1);
		return refuse_text(v, NOT_A_SCALAR, -EFAULT, "verifier bug: backtracking misuse");
	}
	err = mark_precise(v, BPF_REG_1);
	if (err)
		return err;
	if (cur_frame(v)->callback_depth < count->s.r.umax)
		return push_callback(v, call);
	cur_frame(v)->callback_depth = 0;
	if (logging2(v))
		vlog(v, "frame%d bpf_loop iteration limit reached\n", v->cur->curframe);
	return 0;
}

/* The memory of a dynptr must stay where it is. */
static int check_dynptr_memory(struct verifier *v) {
	char name[TYPE_NAME_MAX];
	u32 type = cur_regs(v)[BPF_REG_1].type;
	if (type == PTR_TO_MAP_VALUE)
		return 0;
	say_reg(v, BPF_REG_1);
	say(v, "arg", "1");
	say(v, "name", "bpf_dynptr_from_mem");
	say(v, "expected", "map_value");
	return refuse_text(v, ARG_TYPE, -EACCES, "Unsupported reg type %s for bpf_dynptr_from_mem data",
	                   reg_type_name(type, name));
}

/* The call uses a dynptr: its slice is what the result is, or its packet is what may move. */
static void note_dynptr(struct verifier *v, struct helper_call *call) {
	const struct abi_helper *h = call->helper;
	const struct reg *d;
	u32 i = 0;
	while (base_type(h->arg[i]) != ARG_PTR_TO_DYNPTR)
		i++;
	ASSERT(i < 5 && !call->ref_obj);
	d = dynptr_of(v, &cur_regs(v)[i + 1]);
	if (h->flags & HELPER_DYNPTR_REF) {
		call->dynptr = d->id;
		call->ref_obj = d->ref;
	} else {
		call->changes_pkt = d->dynptr_type == BPF_DYNPTR_TYPE_SKB || d->dynptr_type == BPF_DYNPTR_TYPE_SKB_META;
	}
}

static int special_call(struct verifier *v, struct helper_call *call) {
	switch (call->helper->id) {
	case BPF_FUNC_tail_call:
		return check_tail_call(v);
	case BPF_FUNC_loop:
		return step_loop(v, call);
	case BPF_FUNC_for_each_map_elem:
		return push_callback(v, call);
	case BPF_FUNC_get_local_storage:
		if (!reg_is_zero(&cur_regs(v)[BPF_REG_2]))
			return refuse_text(v, NOT_A_CONSTANT, -EINVAL, "get_local_storage() doesn't support non-zero flags");
		return mark_precise(v, BPF_REG_2);
	case BPF_FUNC_find_vma:
	case BPF_FUNC_user_ringbuf_drain:
		return push_callback(v, call);
	case BPF_FUNC_dynptr_from_mem:
		return check_dynptr_memory(v);
	case BPF_FUNC_dynptr_data:
	case BPF_FUNC_dynptr_write:
		note_dynptr(v, call);
		return 0;
	case BPF_FUNC_timer_set_callback:
		return push_async_callback(v, &(struct async_callback){
		                                  .subprog = (u32)call->callback, .map = call->map, .map_uid = call->map_uid});
	case BPF_FUNC_snprintf:
		return check_format(v);
	}
	if (call->helper->flags & (HELPER_CALLBACK | HELPER_ASYNC_CALLBACK))
		return refuse_not_yet(v, call->helper->name);
	return 0;
}

/* The bytes of a buffer that the helper filled. */
static int write_raw(struct verifier *v, const struct helper_call *call) {
	ASSERT(!call->raw_size || cur_regs(v)[call->raw_reg].type == PTR_TO_STACK);
	for (u32 i = 0; i < call->raw_size; i++) {
		int err = check_mem(v, call->raw_reg, (s32)i, 1, true, -1, false, false);
		if (err)
			return err;
	}
	return 0;
}

static int step_helper_call(struct verifier *v, const struct bpf_insn *insn) {
	struct helper_call call = {.callback = -1};
	int err = check_allowed(v, (u32)insn->imm, &call.helper);
	if (err)
		return err;
	call.pkt_access = call.helper->flags & HELPER_PKT_ACCESS;
	err = check_helper_args(v, &call);
	if (!err)
		err = note_call(v, &call);
	if (!err)
		err = write_raw(v, &call);
	if (!err)
		err = release_argument(v, &call);
	if (!err)
		err = special_call(v, &call);
	if (!err)
		err = set_helper_result(v, &call);
	if (!err)
		err = check_map_and_helper(v, &call);
	if (err)
		return err;
	if (call.helper->flags & HELPER_CHANGES_PKT || call.changes_pkt)
		clear_packet_pointers(v);
	scratch_reg(v, BPF_REG_0);
	if (call.helper->id == BPF_FUNC_tail_call && v->cur->curframe)
		return leave_early(v, false);
	v->at++;
	return 0;
}

static bool allowed_under_lock(const struct verifier *v, const struct bpf_insn *insn) {
	if (insn_is_helper_call(insn))
		return insn->imm == BPF_FUNC_spin_unlock;
	return !insn_is_kfunc_call(insn) || kfunc_under_lock_at(v, v->at);
}

int step_call(struct verifier *v, const struct bpf_insn *insn) {
	if (v->cur->active_locks && !allowed_under_lock(v, insn))
		return refuse(v, LOCK_CALL, -EINVAL);
	if (insn_is_pseudo_call(insn))
		return step_local_call(v, insn);
	if (insn_is_kfunc_call(insn))
		return step_kfunc_call(v);
	return step_helper_call(v, insn);
}
