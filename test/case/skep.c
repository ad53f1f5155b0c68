/* skep's own engines: verify (the verdict), interp, oracle and jit (the verdict, then a run). The program is the same as the
 * kernel's (whole.c), its maps are arrays of the map room in this process.
 *
 *     case_whole ──verify──► xlated ──image_build──► interp_run
 *                 └─ without a verifier: plain() makes an xlated whose facts promise nothing
 *                                          └──image_relocate──► machine code in a memfd, mapped twice ──► entry
 *
 * Contexts of packets and program types belong to the runtime; cases that need them are skipped here. */
#include "abi/abi.h"
#include "abi/dataplane.h"
#include "case.h"
#include "exec/exec.h"
#include "helper/helper.h"
#include "map/ops.h"
#include "verify/oracle.h"
#include "verify/verifier.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, LOG = 1 << 24, MAPS = CASE_MAPS + 2 };

struct skep_case {
	const struct case_file *c;
	struct case_outcome *o;
	struct case_whole whole;
	struct map maps[MAPS];
	struct map_facts facts[MAPS];
	const struct map_facts *fact_list[MAPS];
	struct xlated plain, *x;
	struct xlated_subprog subprogs[CASE_FUNCS];
	struct arena arena;
	struct image *image;
	struct interp_env env;
	u8 *code_rw, *code_rx;
	u64 result;
	struct oracle *oracle;
	bool no_function; /* a relocation without an address here */
};

/* == Maps == */

static void *pages(u64 size) {
	void *at = aligned_alloc(PAGE, round_up(size, PAGE) + PAGE);
	return at ? memset(at, 0, round_up(size, PAGE) + PAGE) : NULL;
}
static bool make_map(struct skep_case *s, u32 i, struct case_map shape) {
	struct map *m = &s->maps[i];
	const struct map_ops *ops = map_ops_of(shape.type);
	if (!ops)
		return case_end(s->o, CASE_SKIPPED, "map type %u does not run", shape.type), false;
	*m = (struct map){.type = shape.type, .key_size = shape.key_size, .value_size = shape.value_size,
	                  .max_entries = shape.entries, .map_flags = shape.flags, .id = i + 1, .spin_lock = -1, .nr_cpus = 1};
	if (ops->geometry(m))
		return case_end(s->o, CASE_BROKEN, "map %u cannot be made", i), false;
	m->area = m->area_size ? pages(m->area_size) : NULL;
	m->data = m->data_size ? pages(m->data_size) : NULL;
	if (ops->init(m))
		return case_end(s->o, CASE_BROKEN, "map %u cannot be initialised", i), false;
	s->facts[i] = (struct map_facts){.id = i + 1, .type = shape.type, .key_size = shape.key_size,
	                                 .value_size = shape.value_size, .max_entries = shape.entries,
	                                 .map_flags = shape.flags, .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1},
	                                 .owner = m};
	return true;
}
static bool make_maps(struct skep_case *s) {
	for (u32 i = 0; i < s->whole.maps_n; i++) {
		struct case_map shape = {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .entries = 1};
		if (i < s->c->maps_n)
			shape = s->c->maps[i];
		else if ((s32)i == s->whole.mem_map)
			shape.value_size = s->c->mem.n;
		if (!make_map(s, i, shape))
			return false;
		s->fact_list[i] = &s->facts[i];
	}
	if (s->whole.mem_map >= 0)
		memcpy(map_values(&s->maps[s->whole.mem_map]), s->c->mem.at, s->c->mem.n);
	return true;
}

/* == Verdict == */

#ifndef CASE_WITH_VERIFY
static u32 subprog_end(const struct case_whole *w, u32 i) {
	return i + 1 < w->funcs_n ? w->funcs[i + 1] : w->n;
}
/* What a verifier would hand on, with facts that promise nothing. */
static bool plain(struct skep_case *s) {
	struct case_whole *w = &s->whole;
	s->plain = (struct xlated){.insns = w->insns, .n = w->n, .subprogs = s->subprogs, .subprogs_n = w->funcs_n,
	                           .maps = s->fact_list, .maps_n = w->maps_n, .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
	                           .max_stack = 4096, .uses_run_task = true, .uses_cpu = true, .has_loops = true,
	                           .has_calls = true, .has_helpers = true};
	s->plain.facts = arena_array(&s->arena, struct insn_facts, w->n);
	for (u32 i = 0; i < w->n; i++) {
		const struct bpf_insn *insn = &w->insns[i];
		u8 shape = op_rows[insn_decode(insn)].shape;
		s32 off = insn->code == (BPF_JMP32 | BPF_JA) ? insn->imm : insn->off;
		s->plain.facts[i] = (struct insn_facts){.zext = 1, .map = NO_MAP, .orig = i};
		s->plain.facts[i].back_edge = (shape == SHAPE_JCC || shape == SHAPE_JUMP) && off < 0;
		i += insn_is_ldimm64(insn);
	}
	for (u32 i = 0; i < w->funcs_n; i++)
		s->subprogs[i] = (struct xlated_subprog){.start = w->funcs[i], .end = subprog_end(w, i), .stack = 512};
	for (u32 i = 0; i < w->n; i++)
		for (u32 k = 0; insn_decode(&w->insns[i]) == OP_LDDW_FUNC && k < w->funcs_n; k++)
			s->subprogs[k].is_callback |= w->funcs[k] == i + 1 + w->insns[i].imm;
	s->x = &s->plain;
	return true;
}
static bool judge(struct skep_case *s) {
	if (s->c->has_error)
		return case_end(s->o, CASE_SKIPPED, "the verifier is not built"), false;
	return plain(s);
}
#else
#include "btf/btf.h"
static struct map_facts *by_index(void *owner, u32 i, int *error) {
	struct skep_case *s = owner;
	*error = i < s->whole.maps_n ? 0 : -EFAULT;
	return i < s->whole.maps_n ? &s->facts[i] : NULL;
}
static struct map_facts *by_fd(void *owner, s32 fd) {
	int error;
	return fd < 0 ? NULL : by_index(owner, fd, &error);
}
static bool judge(struct skep_case *s) {
	u8 blob[CASE_BTF_SIZE];
	u32 func_info[2 * CASE_FUNCS];
	struct btf *btf = NULL;
	struct verify_output out = {0};
	char *log = calloc(1, LOG);
	struct verify_input in = {.abi = abi_linux(), .insns = s->whole.insns, .insns_n = s->whole.n,
	                          .prog_type = case_prog_type(s->c->type), .license = "GPL", .gpl_compatible = true,
	                          .caps = (VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN) & ~s->c->lacks, .map_by_fd = by_fd,
	                          .map_by_index = by_index, .owner = s, .log_level = LOG_LEVEL1, .log = log,
	                          .log_size = LOG, .oracle = s->oracle};
	if (s->whole.needs_btf && !btf_parse(blob, case_btf(blob), NULL, 0, NULL, &btf)) {
		in.btf = btf;
		in.func_info = func_info;
		in.func_info_n = s->whole.funcs_n;
		in.func_info_size = 8;
		for (u32 i = 0; i < s->whole.funcs_n; i++)
			func_info[2 * i] = s->whole.funcs[i], func_info[2 * i + 1] = CASE_BTF_FUNC;
	}
	int r = verify(&in, &s->arena, &out);
	s->x = out.xlated;
	if (r) {
		s->o->end = CASE_REFUSED;
		s->o->error = r;
		case_first_message(log, s->o->message, sizeof s->o->message);
		s->o->log = strdup(log);
	}
	free(log);
	return !r;
}
#endif

/* == Runs == */

static u64 resolve(void *owner, u16 kind, u16 index, u64 addend) {
	struct skep_case *s = owner;
	dataplane_fn *fn;
	switch ((enum reloc_kind)kind) {
	case RELOC_DP:
		fn = dataplane_function(index);
		s->no_function |= !fn;
		return (u64)(uintptr_t)fn + addend;
	case RELOC_MAP:
	case RELOC_MAP_VALUE:
		ASSERT(index < s->x->maps_n);
		struct map *m = s->x->maps[index]->owner;
		return kind == RELOC_MAP ? (u64)(uintptr_t)m : (u64)(uintptr_t)map_values(m) + addend;
	case RELOC_CODE:
		return (u64)(uintptr_t)s->code_rx + addend;
	case RELOC_CONST:
		return index == CONST_NR_CPUS ? 1 : 1 + addend;
	}
	return 0;
}
static bool place_code(struct skep_case *s) {
	u64 size = round_up(s->image->code_size, PAGE);
	int fd = memfd_create("case", 0);
	if (fd < 0 || ftruncate(fd, size))
		return case_end(s->o, CASE_BROKEN, "no memory for code"), false;
	s->code_rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	s->code_rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	if (s->code_rw == MAP_FAILED || s->code_rx == MAP_FAILED)
		return case_end(s->o, CASE_BROKEN, "no memory for code"), false;
	image_relocate(s->image, s->code_rw, (u64)(uintptr_t)s->code_rx, resolve, s);
	return true;
}
static void oracle_says(void *owner, const char *text) {
	struct skep_case *s = owner;
	if (!s->o->log)
		s->o->log = strdup(text);
}
static void run_image(struct skep_case *s, bool jit) {
	static const struct run_env run_env = {.nr_cpus = 1};
	struct skep_run run = {.env = &run_env, .budget = 1ll << 40, .image = s->image};
	struct case_outcome *o = s->o;
	int r = image_build(s->x, 0, jit, &s->image);
	if (r)
		return case_end(o, CASE_BROKEN, "image_build: %s", strerror(-r));
	if (jit && !s->image->code)
		return case_end(o, CASE_SKIPPED, "no machine code on this machine");
	if (jit && !place_code(s))
		return;
	s->env = (struct interp_env){.resolve = resolve, .owner = s, .oracle = s->oracle, .oracle_report = oracle_says};
	u8 ctx[64] = {0};
	if (jit && s->no_function)
		return case_end(o, CASE_SKIPPED, "a helper that is not there yet");
	typedef u64 entry(void *, struct skep_run *);
	o->r0 = jit ? ((entry *)(s->code_rx + s->image->entry))(ctx, &run) : interp_run(s->image, &s->env, ctx, &run);
	if (s->oracle && run.status == RUN_ORACLE)
		return case_end(o, CASE_BROKEN, "the oracle: %.200s", o->log ? o->log : "");
	if (run.status)
		return case_end(o, CASE_BROKEN, "the run was aborted: status %u", run.status);
	o->end = CASE_RAN;
	if (s->whole.result_map >= 0)
		memcpy(&o->r0, map_values(&s->maps[s->whole.result_map]), 8);
	if (s->c->mem.given)
		memcpy(o->mem, map_values(&s->maps[s->whole.mem_map]), s->c->mem.n);
}
enum skep_engine_kind { VERIFY, INTERP, ORACLE, JIT };
static void attempt(const struct case_file *c, struct case_outcome *o, enum skep_engine_kind kind, bool whole_r0) {
	struct skep_case *s = calloc(1, sizeof *s);
	s->c = c;
	s->o = o;
	arena_init(&s->arena, 0);
	s->oracle = kind == ORACLE ? oracle_create(0) : NULL;
	if (case_whole(c, whole_r0, &s->whole))
		case_end(o, CASE_BROKEN, "out of memory");
	else if (make_maps(s) && judge(s)) {
		if (kind == VERIFY)
			o->end = CASE_RAN, o->verdict_only = true;
		else if (!case_is_callable(c))
			case_end(o, CASE_SKIPPED, "contexts belong to the runtime");
		else
			run_image(s, kind == JIT);
	}
	image_free(s->image);
	if (s->oracle)
		oracle_destroy(s->oracle);
	arena_free(&s->arena);
	for (u32 i = 0; i < MAPS; i++)
		free(s->maps[i].area), free(s->maps[i].data);
	free(s->whole.insns);
	free(s);
}
static void run(const struct case_file *c, struct case_outcome *o, enum skep_engine_kind kind) {
	bool whole_r0 = !c->has_error && case_is_callable(c) && !(c->lacks & CASE_BPF);
#ifndef CASE_WITH_VERIFY
	if (!whole_r0)
		return case_end(o, CASE_SKIPPED, "the verifier is not built");
#endif
	if (c->has_error && kind != VERIFY)
		return case_end(o, CASE_SKIPPED, "only a verifier can judge this");
	attempt(c, o, kind, whole_r0);
	if (o->end == CASE_REFUSED && whole_r0) { /* the message must be that of the program alone */
		free(o->log);
		memset(o, 0, sizeof *o);
		attempt(c, o, kind, false);
	}
}
static void run_verify(const struct case_file *c, struct case_outcome *o) {
	run(c, o, VERIFY);
}
static void run_interp(const struct case_file *c, struct case_outcome *o) {
	run(c, o, INTERP);
}
static void run_oracle(const struct case_file *c, struct case_outcome *o) {
	run(c, o, ORACLE);
}
static void run_jit(const struct case_file *c, struct case_outcome *o) {
	run(c, o, JIT);
}
static const char *here(void) {
	return NULL;
}
static const char *verify_here(void) {
#ifdef CASE_WITH_VERIFY
	return NULL;
#else
	return "the verifier is not built";
#endif
}
const struct case_engine engine_verify = {.name = "verify", .missing = verify_here, .run = run_verify, .may_crash = true};
const struct case_engine engine_interp = {.name = "interp", .missing = here, .run = run_interp, .may_crash = true};
const struct case_engine engine_oracle = {
    .name = "oracle", .missing = verify_here, .run = run_oracle, .may_crash = true};
const struct case_engine engine_jit = {.name = "jit", .missing = here, .run = run_jit, .may_crash = true};
