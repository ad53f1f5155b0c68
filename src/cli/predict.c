/* skep verify --kernel 5.4,6.1: would an older kernel take the program?
 *
 * Two things are asked: this file, which goes through the program and compares what it uses with the first kernel that has
 * it (helpers, kernel functions, map types, program and attach types by their rows' `since`; instructions, loops, global
 * variables, sizes by features.def), and the verifier with that kernel's rules as far as they are known (members of
 * contexts, reads of stack that was never written). Everything else is judged as 6.18 does, whose verifier proves more than
 * older ones do. So «failure» is nearly certain, and «success» is what nothing speaks against: both are
 * marked «predicted».
 *
 * Rules for changing: a fact goes into a table of abi/, with its source; here is only how a program uses it. */
#include "abi/diag.h"
#include "cli/verify.h"
#include "lib/object.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prediction {
	const struct skep_program *p;
	u16 kernel;
	json_t *problems;
	bool said[ABI_FEATURES];
};

static void version_text(u16 version, char to[16]) {
	snprintf(to, 16, "%u.%u", version >> 8, version & 0xff);
}

static const struct bpf_line_info *line_at(const struct skep_program *p, s64 insn) {
	const struct bpf_line_info *best = NULL;
	for (u32 i = 0; insn >= 0 && i < p->line_info_n; i++)
		if (p->line_info[i].insn_off <= (u32)insn)
			best = &p->line_info[i];
	return best;
}

/* "bpf_loop exists since Linux 5.17" */
static void too_new(struct prediction *t, s64 insn, const char *what, u16 since, const char *source) {
	char version[16], kernel[16], number[16], sentence[400];
	json_t *problem;
	if (since <= t->kernel)
		return;
	version_text(since, version), version_text(t->kernel, kernel);
	const struct diag_row *row = diag_row(DIAG_NOT_IN_KERNEL);
	diag_format(row->sentence, (struct diag_value[]){{"name", what}, {"value", version}, {"kernel", kernel}}, 3, sentence,
	            sizeof sentence);
	snprintf(number, sizeof number, "SK%04u", row->code);
	json_t *o;
	size_t i;
	json_array_foreach(t->problems, i, o)
		if (!strcmp(json_string_value(json_object_get(o, "sentence")), sentence))
			return;
	problem = json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:i}", "code", number, "family", diag_family_name(row->family), "sentence",
	                    sentence, "suggestion", row->suggestion, "source", source, "insn", (int)insn);
	const struct bpf_line_info *line = line_at(t->p, insn);
	if (line) {
		json_object_set_new(problem, "file",
							json_string(cli_shown_path(btf_string(t->p->object->btf, line->file_name_off))));
		json_object_set_new(problem, "line", json_integer(BPF_LINE_INFO_LINE_NUM(line->line_col)));
		json_object_set_new(problem, "column", json_integer(BPF_LINE_INFO_LINE_COL(line->line_col)));
		json_object_set_new(problem, "line_text", json_string(btf_string(t->p->object->btf, line->line_off)));
	}
	json_array_append_new(t->problems, problem);
}

static void uses(struct prediction *t, s64 insn, u32 feature) {
	const struct abi_feature *f = abi_feature(feature);
	if (t->said[feature])
		return;
	t->said[feature] = true;
	too_new(t, insn, f->what, f->since, f->source);
}

/* == Instructions == */

static void check_alu(struct prediction *t, u32 at, const struct bpf_insn *insn) {
	u8 op = BPF_OP(insn->code);
	if (op == BPF_MOV && insn->off == BPF_ADDR_SPACE_CAST && insn->imm)
		uses(t, at, FEATURE_ADDR_SPACE);
	else if (op == BPF_MOV && insn->off)
		uses(t, at, FEATURE_MOVSX);
	if ((op == BPF_DIV || op == BPF_MOD) && insn->off)
		uses(t, at, FEATURE_SDIV);
	if (op == BPF_END && BPF_CLASS(insn->code) == BPF_ALU64)
		uses(t, at, FEATURE_BSWAP);
}

static void check_call(struct prediction *t, u32 at, const struct bpf_insn *insn) {
	char what[160];
	if (insn_is_pseudo_call(insn)) {
		uses(t, at, FEATURE_CALLS);
	} else if (insn_is_kfunc_call(insn)) {
		const struct btf *types = object_ids_btf(t->p->object);
		const char *name = types ? btf_name_of(types, (u32)insn->imm) : "";
		const struct abi_kfunc *f = abi_kfunc(abi_linux(), name);
		uses(t, at, FEATURE_KFUNC);
		snprintf(what, sizeof what, "kernel function %s", name);
		too_new(t, at, what, f ? f->since : 0, NULL);
	} else {
		const struct abi_helper *h = abi_helper(abi_linux(), (u32)insn->imm);
		snprintf(what, sizeof what, "helper bpf_%s", h ? h->name : "?");
		too_new(t, at, what, h ? h->since : 0, NULL);
	}
}

static void check_jump(struct prediction *t, u32 at, const struct bpf_insn *insn) {
	u8 op = BPF_OP(insn->code);
	bool half = BPF_CLASS(insn->code) == BPF_JMP32;
	if (op == BPF_CALL && !half) {
		check_call(t, at, insn);
		return;
	}
	if (op == BPF_EXIT)
		return;
	if (op == BPF_JCOND)
		uses(t, at, FEATURE_MAY_GOTO);
	else if (op == BPF_JA && half)
		uses(t, at, FEATURE_GOTOL);
	else if (half)
		uses(t, at, FEATURE_JMP32);
	if (op == BPF_JLT || op == BPF_JLE || op == BPF_JSLT || op == BPF_JSLE)
		uses(t, at, FEATURE_JLT);
	if ((half && op == BPF_JA ? insn->imm : insn->off) < 0)
		uses(t, at, FEATURE_LOOPS);
}

static void check_insn(struct prediction *t, u32 at, const struct bpf_insn *insn) {
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		check_alu(t, at, insn);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		check_jump(t, at, insn);
		break;
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEMSX)
			uses(t, at, FEATURE_LDSX);
		break;
	case BPF_STX:
		if (BPF_MODE(insn->code) != BPF_ATOMIC)
			break;
		if (insn->imm == BPF_LOAD_ACQ || insn->imm == BPF_STORE_REL)
			uses(t, at, FEATURE_LOAD_ACQUIRE);
		else if (insn->imm != BPF_ADD)
			uses(t, at, FEATURE_ATOMICS);
		break;
	case BPF_LD:
		if (!insn_is_ldimm64(insn))
			break;
		if (insn->src_reg == BPF_PSEUDO_MAP_VALUE || insn->src_reg == BPF_PSEUDO_MAP_IDX_VALUE)
			uses(t, at, FEATURE_GLOBAL_DATA);
		else if (insn->src_reg == BPF_PSEUDO_BTF_ID)
			uses(t, at, FEATURE_KSYM_ADDRESS);
		else if (insn->src_reg == BPF_PSEUDO_FUNC)
			uses(t, at, FEATURE_CALLBACK);
		break;
	}
}

/* == What is not an instruction == */

static void check_kind(struct prediction *t) {
	const struct skep_program *p = t->p;
	const struct abi_prog_type *type = abi_prog_type(abi_linux(), p->type);
	const struct abi_attach *attach = p->attach_type ? abi_attach(abi_linux(), p->attach_type) : NULL;
	u32 flags = p->def ? p->def->flags : 0;
	char what[160];
	snprintf(what, sizeof what, "program type %s", type ? type->name : "?");
	too_new(t, -1, what, type ? type->since : 0, NULL);
	snprintf(what, sizeof what, "attach type %s", attach ? attach->name : "?");
	too_new(t, -1, what, attach && !(flags & SECTION_EXP_OPT) ? attach->since : 0, NULL);
	if (flags & SECTION_SLEEPABLE && p->type != BPF_PROG_TYPE_SYSCALL)
		uses(t, -1, FEATURE_SLEEPABLE);
	if (flags & SECTION_FRAGS)
		uses(t, -1, FEATURE_FRAGS);
	if (p->n > 4096)
		uses(t, -1, FEATURE_SIZE);
}

/* Maps are made for the whole object: one that cannot be made keeps every program of it from loading. */
static void check_maps(struct prediction *t, const struct skep_object *o) {
	for (struct skep_map *m = NULL; (m = skep_object__next_map(o, m));) {
		const struct abi_map_type *type = abi_map_type(abi_linux(), skep_map__type(m));
		char what[160];
		snprintf(what, sizeof what, "map %s of type %s", skep_map__name(m), type ? type->name : "?");
		too_new(t, -1, what, type ? type->since : 0, NULL);
	}
}

json_t *verify_predict(struct cli *cli, const struct skep_object *o, const struct skep_program *p, u16 kernel) {
	struct prediction t = {.p = p, .kernel = kernel, .problems = json_array()};
	bool tail_calls = false, calls = false;
	(void)cli;
	check_kind(&t);
	check_maps(&t, o);
	for (u32 i = 0; i < p->n; i++) {
		check_insn(&t, i, &p->insns[i]);
		tail_calls |= insn_is_helper_call(&p->insns[i]) && p->insns[i].imm == BPF_FUNC_tail_call;
		calls |= insn_is_pseudo_call(&p->insns[i]);
		i += insn_is_ldimm64(&p->insns[i]);
	}
	if (tail_calls && calls)
		uses(&t, -1, FEATURE_TAIL_CALL_MIXED);
	return t.problems;
}

/* == The list == */

static void unknown_kernel(struct cli *cli, const char *word) {
	char names[256] = "";
	size_t n = 0;
	for (u32 i = 0; abi_profile_at(i); i++)
		n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", abi_profile_at(i)->name);
	cli_error(cli, names, "--kernel: nothing is known of a kernel '%s'", word);
}

const struct abi_profile **verify_kernels(struct cli *cli, const char *list) {
	const struct abi_profile **out = calloc(strlen(list) + 2, sizeof *out);
	u32 n = 0;
	for (char word[32]; out && *list; list += *list == ',') {
		size_t length = strcspn(list, ",");
		snprintf(word, sizeof word, "%.*s", (int)MIN(length, sizeof word - 1), list);
		list += length;
		const struct abi_profile *p = abi_profile(word);
		if (!p) {
			unknown_kernel(cli, word);
			free(out);
			return NULL;
		}
		out[n++] = p;
	}
	if (out && !n) {
		unknown_kernel(cli, "");
		free(out);
		return NULL;
	}
	return out;
}
