/* The running kernel as an engine. A case with a result is loaded with its program as a function, so that all 64 bits of
 * r0 come back through a map; one that cannot be called (packet loads, tail calls) gives the 32 bits of a test run. A
 * case with an error is loaded as it is. */
#include "../kernel/kernel.h"
#include "case.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kernel_case {
	const struct case_file *c;
	struct case_outcome *o;
	struct case_whole whole;
	int maps[CASE_MAPS + 2];
	int prog, btf;
	char *log;
};

static bool make_maps(struct kernel_case *k) {
	const struct case_file *c = k->c;
	for (u32 i = 0; i < k->whole.maps_n; i++) {
		if ((s32)i == k->whole.mem_map)
			k->maps[i] = kernel_array(c->mem.n, 1, c->mem.at);
		else if ((s32)i == k->whole.result_map)
			k->maps[i] = kernel_array(8, 1, NULL);
		else
			k->maps[i] = kernel_map(c->maps[i].type, c->maps[i].key_size, c->maps[i].value_size,
			                        c->maps[i].entries, c->maps[i].flags, c->maps[i].extra);
		if (k->maps[i] < 0) {
			case_end(k->o, CASE_BROKEN, "the kernel does not make map %u: %s", i, strerror(-k->maps[i]));
			return false;
		}
	}
	return true;
}
/* map[fd:N] names the case's map N: here it becomes a descriptor. */
static void put_descriptors(struct kernel_case *k) {
	struct bpf_insn *insns = k->whole.insns;
	for (u32 i = 0; i < k->whole.n; i += insn_slots(&insns[i])) {
		enum bpf_op op = insn_decode(&insns[i]);
		if ((op == OP_LDDW_MAP_FD || op == OP_LDDW_MAP_VALUE) && (u32)insns[i].imm < k->whole.maps_n)
			insns[i].imm = k->maps[insns[i].imm];
	}
}
static bool load(struct kernel_case *k) {
	struct case_outcome *o = k->o;
	struct kernel_prog p = {.insns = k->whole.insns, .n = k->whole.n, .type = case_prog_type(k->c->type),
	                        .maps = k->maps, .maps_n = k->whole.maps_n};
	u32 func_info[2 * CASE_FUNCS];
	if (k->whole.needs_btf) {
		u8 btf[CASE_BTF_SIZE];
		p.btf = k->btf = kernel_btf(btf, case_btf(btf));
		p.func_info = func_info;
		p.func_info_n = k->whole.funcs_n;
		for (u32 i = 0; i < k->whole.funcs_n; i++)
			func_info[2 * i] = k->whole.funcs[i], func_info[2 * i + 1] = CASE_BTF_FUNC;
	}
	k->prog = kernel_load(&p, k->log);
	if (k->prog >= 0)
		return true;
	o->end = CASE_REFUSED;
	o->error = k->prog;
	p.log_level = 1;
	int again = kernel_load(&p, k->log);
	if (again >= 0)
		close(again);
	case_first_message(k->log, o->message, sizeof o->message);
	o->log = strdup(k->log);
	return false;
}
static void run_loaded(struct kernel_case *k) {
	static const u8 nothing[64];
	const struct case_file *c = k->c;
	struct case_outcome *o = k->o;
	u32 result = 0;
	int r = c->packet.given ? kernel_run(k->prog, c->packet.at, c->packet.n, &result)
	                        : kernel_run(k->prog, nothing, sizeof nothing, &result);
	if (r < 0) {
		o->end = CASE_RAN;
		o->verdict_only = true;
		return;
	}
	o->end = CASE_RAN;
	o->r0 = result;
	o->low_half = k->whole.result_map < 0;
	if (!o->low_half && kernel_map_read(k->maps[k->whole.result_map], 0, &o->r0) < 0)
		case_end(o, CASE_BROKEN, "cannot read the result's map");
	if (c->mem.given && kernel_map_read(k->maps[k->whole.mem_map], 0, o->mem) < 0)
		case_end(o, CASE_BROKEN, "cannot read the memory's map");
}
static void attempt(const struct case_file *c, struct case_outcome *o, bool whole_r0) {
	struct kernel_case k = {.c = c, .o = o, .prog = -1, .btf = -1, .log = calloc(1, KERNEL_LOG)};
	memset(k.maps, -1, sizeof k.maps);
	if (case_whole(c, whole_r0, &k.whole))
		case_end(o, CASE_BROKEN, "out of memory");
	else if (make_maps(&k)) {
		put_descriptors(&k);
		if (load(&k))
			run_loaded(&k);
	}
	if (k.prog >= 0)
		close(k.prog);
	if (k.btf >= 0)
		close(k.btf);
	for (u32 i = 0; i < ARRAY_SIZE(k.maps); i++)
		if (k.maps[i] >= 0)
			close(k.maps[i]);
	free(k.whole.insns);
	free(k.log);
}
void case_run_bpf(const struct case_file *c, struct case_outcome *o) {
	bool whole_r0 = !c->has_error && case_is_callable(c) && !(c->lacks & CASE_BPF);
	kernel_lacks = c->lacks;
	attempt(c, o, whole_r0);
	if (o->end == CASE_REFUSED && whole_r0) { /* the message must be that of the program alone */
		free(o->log);
		memset(o, 0, sizeof *o);
		attempt(c, o, false);
	}
	kernel_lacks = 0;
}
static bool unpriv_disabled(void) {
	char value = '0';
	FILE *f = fopen("/proc/sys/kernel/unprivileged_bpf_disabled", "r");
	if (f && fread(&value, 1, 1, f) != 1)
		value = '?';
	if (f)
		fclose(f);
	return value != '0';
}
static void run(const struct case_file *c, struct case_outcome *o) {
	if (c->lacks & CASE_BPF && unpriv_disabled())
		return case_end(o, CASE_SKIPPED, "kernel.unprivileged_bpf_disabled is set");
	case_run_bpf(c, o);
}
static const char *missing(void) {
	const char *why = kernel_missing();
	return why ? why : kernel_older_than(6, 18) ? "the cases follow Linux 6.18, this kernel is older" : NULL;
}
const struct case_engine engine_kernel = {.name = "kernel", .missing = missing, .run = run};
