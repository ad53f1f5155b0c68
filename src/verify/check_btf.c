/* What the program's BTF says of it: which function is which, source lines. Prototypes are global_args.c's.
 *
 *   func_info[i]   function i starts at insn_off and has type type_id          → subprog.name, .global, .type_id
 *   line_info[]    from insn_off on the source line is line_off in the file    → v->lines, for the log and diagnostics
 *
 * The records come from the loader and are checked as strictly as the kernel does; what is used later was checked here,
 * so nobody checks again. Kinds of arguments that are not understood are refused when the function is called. */
#include "verify/env.h"
#include <string.h>

enum { MIN_RECORD = 8, MAX_RECORD = 252, MIN_LINE_RECORD = 16 };

/* Records may be longer than what we know, if the rest is zero. */
static int check_tail(const u8 *record, u32 size, u32 known) {
	for (u32 i = known; i < size; i++)
		if (record[i])
			return -E2BIG;
	return 0;
}

/* A tail call or a packet load may leave the function with a value: it must return an int. */
static int check_abnormal_return(struct verifier *v) {
	for (u32 s = 1; s < v->subprogs_n; s++) {
		const char *what = v->subprogs[s].has_ld_abs ? "LD_ABS" : v->subprogs[s].has_tail_call ? "tail_call" : NULL;
		if (!what)
			continue;
		say(v, "name", "%s", what);
		return refuse(v, SUBPROG_NO_BTF, -EINVAL, what);
	}
	return 0;
}

bool returns_int(const struct btf *btf, const struct btf_type *func) {
	const struct btf_type *proto = btf_type(btf, func->type), *t = btf_skip_type(btf, proto->type);
	u32 kind = t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN;
	return kind == BTF_KIND_INT || kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64;
}

static int set_function(struct verifier *v, u32 s, u32 type_id) {
	const struct btf *btf = v->in->btf;
	const struct btf_type *t = btf_type(btf, type_id);
	struct subprog *sub = &v->subprogs[s];
	const char *what;
	ASSERT(btf && s < v->subprogs_n);
	if (!t || BTF_INFO_KIND(t->info) != BTF_KIND_FUNC)
		return refuse_text(v, FUNC_INFO, -EINVAL, "invalid type id %d in func info", type_id);
	sub->type_id = type_id;
	sub->name = btf_name(btf, t);
	sub->global = s && BTF_INFO_VLEN(t->info) == BTF_FUNC_GLOBAL;
	what = sub->has_ld_abs ? "LD_ABS" : sub->has_tail_call ? "tail_call" : NULL;
	if (s && what && !returns_int(btf, t)) {
		say(v, "name", "%s", what);
		return refuse(v, SUBPROG_RETURN_INT, -EINVAL, what);
	}
	return 0;
}

static bool func_record(const struct verify_input *in, u32 i, struct bpf_func_info *info) {
	u32 size = in->func_info_size;
	if (!in->btf || i >= in->func_info_n || size < MIN_RECORD || size > MAX_RECORD || size % 4)
		return false;
	__builtin_memcpy(info, (const u8 *)in->func_info + (u64)i * size, sizeof *info);
	return true;
}

/* Where the function begins that the program's tag names as its callback for exceptions; *start 0: there is none. The
 * records themselves are checked later. */
int find_exception_callback(struct verifier *v, u32 *start) {
	const struct btf *btf = v->in->btf;
	struct bpf_func_info info;
	const char *name, *second;
	u32 main, tag, id;
	*start = 0;
	if (!func_record(v->in, 0, &info))
		return 0;
	main = info.type_id;
	tag = btf_type(btf, main) ? btf_decl_tag_next(btf, main, -1, "exception_callback:", 0, &name) : 0;
	if (!tag)
		return 0;
	say(v, "name", "%s", name);
	if (btf_decl_tag_next(btf, main, -1, "exception_callback:", tag, &second))
		return refuse_text(v, EXCEPTION_CALLBACK, -EEXIST, "multiple exception callback tags for main subprog");
	id = btf_find(btf, name, BTF_KIND_FUNC);
	if (!id)
		return refuse_text(v, EXCEPTION_CALLBACK, -ENOENT, "exception callback '%s' could not be found in BTF", name);
	if (btf_vlen(btf_type(btf, id)) != BTF_FUNC_GLOBAL)
		return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "exception callback '%s' must have global linkage", name);
	for (u32 i = 0; func_record(v->in, i, &info); i++) {
		if (info.type_id != id)
			continue;
		*start = info.insn_off;
		if (!info.insn_off)
			return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "invalid exception callback insn_off in func_info: 0");
	}
	if (!*start)
		return refuse_text(v, EXCEPTION_CALLBACK, -EINVAL, "exception callback type id not found in func_info");
	v->values_n = 0;
	return 0;
}

int check_btf_func(struct verifier *v) {
	const struct verify_input *in = v->in;
	u32 size = in->func_info_size, before = 0;
	if (!in->func_info_n)
		return check_abnormal_return(v);
	if (!in->btf)
		return -EINVAL;
	if (size < MIN_RECORD || size > MAX_RECORD || size % 4) {
		say(v, "why", "records of %u bytes", size);
		return refuse(v, FUNC_INFO, -EINVAL, size);
	}
	say(v, "why", "it does not fit the functions of the program");
	for (u32 i = 0; i < in->func_info_n; i++) {
		const u8 *record = (const u8 *)in->func_info + (u64)i * size;
		struct bpf_func_info info;
		int err;
		if (check_tail(record, size, sizeof info))
			return refuse_text(v, FUNC_INFO, -E2BIG, "nonzero tailing record in func info");
		__builtin_memcpy(&info, record, sizeof info);
		if (!i && info.insn_off)
			return refuse_text(v, FUNC_INFO, -EINVAL, "nonzero insn_off %u for the first func info record", info.insn_off);
		if (i && info.insn_off <= before)
			return refuse_text(v, FUNC_INFO, -EINVAL,
							   "same or smaller insn offset (%u) than previous func info record (%u)", info.insn_off,
							   before);
		if (i >= v->subprogs_n || in->func_info_n != v->subprogs_n)
			return refuse_text(v, FUNC_INFO, -EINVAL,
			                   "number of funcs in func_info doesn't match number of subprogs");
		if (v->subprogs[i].start != info.insn_off)
			return refuse_text(v, FUNC_INFO, -EINVAL,
			                   "func_info BTF section doesn't match subprog layout in BPF program");
		err = set_function(v, i, info.type_id);
		if (err)
			return err;
		before = info.insn_off;
	}
	v->values_n = 0;
	return 0;
}

static int check_line(struct verifier *v, const struct bpf_line_info *line, u32 i, u32 before) {
	if ((i && line->insn_off <= before) || line->insn_off >= v->n)
		return refuse(v, LINE_INFO, -EINVAL, i, line->insn_off, before, v->n);
	if (!v->insns[line->insn_off].code)
		return refuse_text(v, LINE_INFO, -EINVAL, "Invalid insn code at line_info[%u].insn_off", i);
	if (!btf_string(v->in->btf, line->line_off) || !btf_string(v->in->btf, line->file_name_off))
		return refuse_text(v, LINE_INFO, -EINVAL, "Invalid line_info[%u].line_off or .file_name_off", i);
	return 0;
}

int check_btf_line(struct verifier *v) {
	const struct verify_input *in = v->in;
	u32 size = in->line_info_size, before = 0, s = 0;
	struct bpf_line_info *lines;
	if (!in->line_info_n)
		return 0;
	if (!in->btf || size < MIN_LINE_RECORD || size > MAX_RECORD || size % 4)
		return -EINVAL;
	lines = arena_array(&v->scratch, struct bpf_line_info, in->line_info_n);
	if (!lines)
		return -ENOMEM;
	say(v, "why", "it does not fit the instructions");
	for (u32 i = 0; i < in->line_info_n; i++) {
		const u8 *record = (const u8 *)in->line_info + (u64)i * size;
		int err;
		if (check_tail(record, size, sizeof lines[i]))
			return refuse_text(v, LINE_INFO, -E2BIG, "nonzero tailing record in line_info");
		__builtin_memcpy(&lines[i], record, sizeof lines[i]);
		err = check_line(v, &lines[i], i, before);
		if (err)
			return err;
		before = lines[i].insn_off;
		if (s == v->subprogs_n)
			continue;
		if (before == v->subprogs[s].start)
			s++;
		else if (before > v->subprogs[s].start)
			return refuse_text(v, LINE_INFO, -EINVAL, "missing bpf_line_info for func#%u", s);
	}
	if (s != v->subprogs_n)
		return refuse_text(v, LINE_INFO, -EINVAL, "missing bpf_line_info for %u funcs starting from func#%u",
		                   v->subprogs_n - s, s);
	v->values_n = 0;
	v->lines = lines;
	v->lines_n = in->line_info_n;
	return 0;
}
