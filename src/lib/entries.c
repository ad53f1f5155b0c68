/* Functions of the BCC dialect that take the probed function's arguments as their own:
 *
 *	int syscall__openat(struct pt_regs *ctx, int dfd, const char *filename)
 *	int kprobe__vfs_read(struct pt_regs *ctx, struct file *file, char *buf)
 *
 * bcc rewrites their source. Here each gets an entry program, written below as instructions, that fetches the arguments
 *and calls the function, which becomes a static subprogram:
 *
 *	plain probe         r2 … r5 = ctx->di, si, dx, cx
 *	system call         inner = ctx->di;  r2 … r5 = inner->di, si, dx, r10, read by bpf_probe_read_kernel
 *
 * bytecode passes five arguments, so there can be four besides ctx. The function's type says static linkage, so that
 *the verifier follows the call instead of judging the function by its parameters' types; the entry gets a type of its
 *own. */
#include "btf/builder.h"
#include "lib/object.h"
#include <errno.h>
#include <string.h>

enum { ARGUMENTS_MAX = 4, SLOT = 8 };
enum { REGS_R10 = 56, REGS_CX = 88, REGS_DX = 96, REGS_SI = 104, REGS_DI = 112 }; /* struct pt_regs of x86-64 */
static const s16 plain_registers[ARGUMENTS_MAX] = {REGS_DI, REGS_SI, REGS_DX, REGS_CX};
static const s16 syscall_registers[ARGUMENTS_MAX] = {REGS_DI, REGS_SI, REGS_DX, REGS_R10};

struct code {
	struct bpf_insn at[64];
	u32 n, call; /* index of the call of the function */
};
static void emit(struct code *c, u8 code, u8 dst, u8 src, s16 off, s32 imm) {
	ASSERT(c->n < ARRAY_SIZE(c->at));
	c->at[c->n++] = (struct bpf_insn){code, dst, src, off, imm};
}
static void emit_call(struct code *c) {
	c->call = c->n;
	emit(c, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -1);
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void plain_entry(struct code *c, u32 arguments) {
	for (u32 i = 0; i < arguments; i++)
		emit(c, BPF_LDX | BPF_MEM | BPF_DW, (u8)(BPF_REG_2 + i), BPF_REG_1, plain_registers[i], 0);
	emit_call(c);
}

static void syscall_entry(struct code *c, u32 arguments) {
	emit(c, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
	emit(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_1, REGS_DI, 0);
	for (u32 i = 0; i < arguments; i++) {
		s16 slot = (s16)(-SLOT * (s32)(i + 1));
		emit(c, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_10, 0, 0);
		emit(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, slot);
		emit(c, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, SLOT);
		emit(c, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_7, 0, 0);
		emit(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, syscall_registers[i]);
		emit(c, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel);
	}
	for (u32 i = 0; i < arguments; i++)
		emit(c, BPF_LDX | BPF_MEM | BPF_DW, (u8)(BPF_REG_2 + i), BPF_REG_10, (s16)(-SLOT * (s32)(i + 1)), 0);
	emit(c, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
	emit_call(c);
}

/* Parameters besides the context, for programs whose function's name or a hand decides where they are attached. */
static u32 arguments_of(const struct skep_object *o, const struct skep_program *p) {
	const struct function *f = &o->functions.at[p->function];
	if (strcmp(o->sections.at[f->section].name, ".text") || !f->btf_id || p->type != BPF_PROG_TYPE_KPROBE)
		return 0;
	const struct btf_type *proto = btf_type(o->btf, btf_type(o->btf, f->btf_id)->type);
	u32 n = btf_vlen(proto);
	return n && btf_kind(btf_skip_type(o->btf, btf_params(proto)[0].type)) == BTF_KIND_PTR ? n - 1 : 0;
}

static int add_entry(struct skep_object *o, struct skep_program *p, u32 arguments, u32 func_id) {
	struct code c = {0};
	struct function *last = &o->functions.at[o->functions.n - 1];
	u32 start = last->section == NONE ? last->start + last->n : 0, callee = p->function;
	if (strncmp(p->section, "ksyscall/", 9) && strncmp(p->name, "syscall__", 9))
		plain_entry(&c, arguments);
	else
		syscall_entry(&c, arguments);
	struct function *f = vec_push(&o->functions);
	if (!f)
		return out_of_memory(o);
	/* Behind all real sections: searches by place stay right. */
	struct function *of = &o->functions.at[callee];
	*f = (struct function){.name = p->name,
						   .section = NONE,
						   .start = start,
						   .n = c.n,
						   .symbol = of->symbol,
						   .global = true,
						   .btf_id = func_id,
						   .program = of->program};
	of->program = NONE, of->referenced = true;
	p->function = o->functions.n - 1;
	f->insns = arena_copy(&o->arena, c.at, c.n * sizeof *c.at);
	struct ref *r = vec_push(&f->refs);
	struct bpf_func_info *info = vec_push(&f->func_info);
	struct bpf_line_info *line = of->line_info.n ? vec_push(&f->line_info) : NULL;
	if (!f->insns || !r || !info || (of->line_info.n && !line))
		return out_of_memory(o);
	*r = (struct ref){.insn = c.call, .kind = REF_CALL, .index = callee};
	*info = (struct bpf_func_info){0, func_id};
	if (line) {
		*line = of->line_info.at[0];
		line->insn_off = 0;
	}
	return 0;
}

/* Types: the functions become static, each entry is «int name(void *ctx)» of its own. */
static int make_types(struct skep_object *o, const u32 *arguments, u32 *func_ids) {
	struct btf_builder b;
	struct btf_log log = {0};
	struct btf *fresh = NULL;
	btf_builder_copy(&b, o->btf);
	for (u32 i = 0; i < o->programs.n && !b.failed; i++) {
		u32 id = o->functions.at[o->programs.at[i]->function].btf_id;
		if (!arguments[i])
			continue;
		const struct btf_type *func = btf_type(o->btf, id), *proto = btf_type(o->btf, func->type);
		((struct btf_type *)(b.types.at + o->btf->type_at[id - o->btf->start]))->info &= ~0xffffu;
		u32 own = btf_builder_type(&b, NULL, BTF_KIND_FUNC_PROTO, 1, proto->type, 2, btf_builder_string(&b, "ctx"),
								   btf_params(proto)[0].type);
		func_ids[i] = btf_builder_type(&b, btf_name(o->btf, func), BTF_KIND_FUNC, BTF_FUNC_GLOBAL, own, 0);
	}
	const void *data;
	u32 size;
	int err = btf_builder_blob(&b, &data, &size) || btf_parse(data, size, NULL, 0, &log, &fresh) ? out_of_memory(o) : 0;
	btf_builder_free(&b);
	if (err)
		return err;
	btf_put(o->btf);
	o->btf = fresh;
	return 0;
}

int object_make_entries(struct skep_object *o) {
	u32 *arguments = arena_array(&o->arena, u32, o->programs.n), *func_ids = arena_array(&o->arena, u32, o->programs.n),
		any = 0;
	if (!arguments || !func_ids)
		return out_of_memory(o);
	for (u32 i = 0; i < o->programs.n && o->btf; i++) {
		arguments[i] = arguments_of(o, o->programs.at[i]);
		any += arguments[i] != 0;
		if (arguments[i] > ARGUMENTS_MAX)
			return object_error(o, -ENOTSUP, "Take the others from ctx: PT_REGS_PARM5(ctx) …",
								"%s: function «%s» has %u arguments besides ctx; four can be passed", o->path,
								o->programs.at[i]->name, arguments[i]);
	}
	int err = any ? make_types(o, arguments, func_ids) : 0;
	for (u32 i = 0; i < o->programs.n && !err && any; i++)
		if (arguments[i])
			err = add_entry(o, o->programs.at[i], arguments[i], func_ids[i]);
	return err;
}
