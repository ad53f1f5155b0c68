/* Context accesses: which field an offset means, who may touch it how, and what a load gives.
 *
 * The tables are abi/'s: the layout that programs see, and our internal one. Here a field is looked up and remembered;
 * fixup.c rewrites the instruction to the internal layout after the walk. The contexts of programs that are attached by
 * BTF are ctx_args.c's. */
#include "verify/env.h"

static const char *why_text(enum abi_ctx_why why) {
	switch (why) {
	case CTX_BAD_SIZE: return "the field has another size";
	case CTX_MISALIGNED: return "the offset is not aligned";
	case CTX_READ_ONLY: return "it can only be read";
	case CTX_WRITE_ONLY: return "it can only be written";
	case CTX_WRONG_TYPE: return "programs of this type may not";
	case CTX_WRONG_ATTACH: return "programs with this attach type may not";
	case CTX_TOO_NEW: return "that kernel does not have it yet";
	case CTX_ACROSS: return "the access crosses the border of fields";
	default: return "there is no such field";
	}
}

static int refuse_ctx(struct verifier *v, s32 off, u32 size, bool write, enum abi_ctx_why why) {
	const struct abi_ctx_field *at = NULL;
	for (u32 i = 0; v->ctx && i < v->ctx->fields_n; i++)
		if (v->ctx->fields[i].off <= off && off < v->ctx->fields[i].off + v->ctx->fields[i].size)
			at = &v->ctx->fields[i];
	say(v, "name", "%s", at && at->name ? at->name : "nothing");
	say(v, "off", "%d", off);
	say(v, "size", "%u", size);
	say(v, "verb", "%s", write ? "written" : "read");
	say(v, "prog", "%s", v->type->name);
	say(v, "why", "%s", why_text(why));
	return refuse(v, CTX_ACCESS, -EACCES, off, size);
}

/* The register that a load of a field gives. */
static int load_field(struct verifier *v, const struct abi_ctx_field *field, struct reg *to) {
	u32 base = base_type(field->reg);
	if (!base || base == SCALAR_VALUE) {
		reg_set_unknown(to);
		return 0;
	}
	reg_set_pointer(to, field->reg);
	if (field->reg & PTR_MAYBE_NULL)
		to->id = ++v->id_gen;
	if (base != PTR_TO_BTF_ID)
		return 0;
	to->btf = v->in->kernel_btf;
	to->btf_id = to->btf && field->btf ? btf_find(to->btf, field->btf, BTF_KIND_STRUCT) : 0;
	return to->btf_id ? 0 : refuse_not_yet(v, "a pointer into the context whose type is not known here");
}

/* A second access by the same instruction must mean the same field. */
static int note_field(struct verifier *v, const struct abi_ctx_field *field, s32 off, u32 size) {
	struct insn_aux *aux = &v->aux[v->at];
	v->max_ctx_off = MAX(v->max_ctx_off, (u32)off + size);
	for (u32 word = (u32)off / 8; word <= ((u32)off + size - 1) / 8; word++)
		v->ctx_words |= 1u << MIN(word, 31u);
	if (BPF_CLASS(v->insns[v->at].code) == BPF_JMP) /* an argument: read in place */
		return 0;
	ASSERT(!aux->ctx_size || (aux->field == field && aux->ctx_off == off && aux->ctx_size == size));
	aux->field = field;
	aux->ctx_off = off;
	aux->ctx_size = size;
	return 0;
}

int check_ctx_access(struct verifier *v, s32 off, u32 size, bool write, bool sext, struct reg *loaded) {
	enum abi_ctx_why why = CTX_OK;
	const struct abi_ctx_field *field;
	int err;
	ASSERT(is_power_of_two(size) && size <= 8);
	field = abi_ctx_field(v->abi, v->in->prog_type, v->in->expected_attach_type, off, size, write, &why);
	if (field && field->flags & CTX_CAP_BPF && v->in->prog_type == BPF_PROG_TYPE_CGROUP_SKB && !v->bpf_capable &&
	    (write || field->reg)) {
		field = NULL;
		why = CTX_WRONG_TYPE;
	}
	if (!field)
		return refuse_ctx(v, off, size, write, why);
	if (v->in->kernel && abi_field_since(v->ctx->name, field->name) > v->in->kernel)
		return refuse_ctx(v, off, size, write, CTX_TOO_NEW);
	if (sext && field->reg && base_type(field->reg) != SCALAR_VALUE) /* a pointer cannot be sign-extended */
		return refuse_ctx(v, off, size, write, CTX_BAD_SIZE);
	if (v->type->ctx == CTX_BTF_ARGS) {
		err = write ? -EACCES : load_argument(v, off, size, loaded);
		if (err)
			return refuse_ctx(v, off, size, write, CTX_NO_FIELD);
		return note_field(v, field, off, size);
	}
	err = write ? 0 : load_field(v, field, loaded);
	return err ? err : note_field(v, field, off, size);
}

/* Objects that pointers in contexts and helpers' results point to: sockets. They keep the visible layout. */
int check_object_access(struct verifier *v, u32 regno, u32 ctx_id, s32 off, u32 size, bool write) {
	const struct reg *r = &cur_regs(v)[regno];
	const struct abi_ctx *object = abi_ctx(v->abi, ctx_id);
	enum abi_ctx_why why;
	char name[TYPE_NAME_MAX];
	if (r->s.r.smin < 0) {
		say_reg(v, regno);
		return refuse(v, MIN_NEGATIVE, -EACCES, regno);
	}
	if (object && scalar_equals(&r->s, 0) &&
	    abi_field(object, v->in->prog_type, v->in->expected_attach_type, off, size, write, &why))
		return 0;
	say_reg(v, regno);
	say(v, "size", "%u", size);
	return refuse(v, DIRECT_ACCESS, -EACCES, regno, reg_type_name(r->type, name), off, size);
}
