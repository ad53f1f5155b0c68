/* The registry: Linux's rows and a host's, found by the same functions.
 *
 *      number          0 … __MAX          ABI_HOST_x …
 *                      │                  │
 *      rows            constant tables    vectors of pointers in struct skep_abi
 *                      table_*.c          abi_add_*
 *
 * Lookups by number are an index in either half. Lookups by name scan: they serve loaders and people, and the tables have
 * a few hundred rows. abi_linux() is one constant, empty registry for everybody who adds nothing.
 *
 * Invariants: row i of a host has the number ABI_HOST_x + i, so numbers are dense and never reused; names are unique over
 * both halves; a row that was added stays where the host put it until the registry is destroyed. abi_add_* check what the
 * verifier relies on (sizes of fixed memory, fields inside their context), since a host's row is no less trusted code than
 * ours but written by somebody who has not read the verifier.
 *
 * Two lookups are more than an index. abi_helper_for picks the prototype for a caller: variants of a helper first, then its
 * main row, keeping the best reason for a refusal. abi_field decides a context access: fields that cover the offset are
 * asked for direction, program type, attach type and width, in this order, so that the reason given is the one that a
 * person can act on.
 *
 * Sources: bpf_base_func_proto and the per-type func_proto and is_valid_access functions of Linux, whose decisions the
 * tables restate; test/kernel/abi_*.c asks a running kernel the same questions. */
#include "abi/abi.h"
#include "abi/registry.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct skep_abi linux_only;

const struct skep_abi *abi_linux(void) {
	return &linux_only;
}
struct skep_abi *abi_create(void) {
	return calloc(1, sizeof(struct skep_abi));
}
void abi_destroy(struct skep_abi *abi) {
	if (!abi)
		return;
	ASSERT(abi != &linux_only);
	vec_free(&abi->helpers);
	vec_free(&abi->ctxs);
	vec_free(&abi->progs);
	free(abi);
}

static const struct {
	const char *clause;
	bool kernel;
} refusals[] = {
#define REFUSAL(NAME, kernel, clause) [REFUSE_##NAME] = {clause, kernel},
#include "abi/refusals.def"
#undef REFUSAL
};
const char *abi_refusal(u32 engine, bool *kernel) {
	if (engine == ENGINE_RUNS || engine >= ENGINE_STATES)
		return NULL;
	if (kernel)
		*kernel = refusals[engine].kernel;
	return refusals[engine].clause;
}

/* == Helpers == */

const struct abi_helper *abi_helper(const struct skep_abi *abi, u32 id) {
	if (id < ABI_HOST_HELPER)
		return linux_helper(id);
	id -= ABI_HOST_HELPER;
	return id < abi->helpers.n ? abi->helpers.at[id] : NULL;
}
const struct abi_helper *abi_helper_by_name(const struct skep_abi *abi, const char *name) {
	if (!strncmp(name, "bpf_", 4))
		name += 4;
	for (u32 id = 1; id < __BPF_FUNC_MAX_ID; id++)
		if (!strcmp(linux_helper(id)->name, name))
			return linux_helper(id);
	for (u32 i = 0; i < abi->helpers.n; i++)
		if (!strcmp(abi->helpers.at[i]->name, name))
			return abi->helpers.at[i];
	return NULL;
}

static bool in_set(u64 set, u32 bit) {
	return bit < 64 && set >> bit & 1;
}
static bool may(const struct abi_caller *who, u32 need) {
	if (who->sys_admin)
		return true;
	switch (need) {
	case NEED_BPF:
		return who->bpf;
	case NEED_PERFMON:
		return who->bpf && who->perfmon;
	case NEED_NET_ADMIN:
		return who->net_admin;
	case NEED_SYS_ADMIN:
		return false;
	}
	return true;
}
static enum abi_why row_fits(const struct abi_helper *row, const struct abi_caller *who) {
	if (!in_set(row->types, who->prog_type))
		return ABI_WRONG_TYPE;
	if (row->attach && !in_set(row->attach, who->attach_type))
		return ABI_WRONG_ATTACH;
	return may(who, row->need) ? ABI_OK : ABI_NO_CAPABILITY;
}
static const struct abi_helper *linux_helper_for(u32 id, const struct abi_caller *who, enum abi_why *why) {
	const struct abi_helper *row;
	for (u32 i = 0; (row = linux_variant(i)); i++) {
		if (row->id != id)
			continue;
		enum abi_why w = row_fits(row, who);
		if (w == ABI_OK || w == ABI_NO_CAPABILITY) {
			*why = w;
			return w == ABI_OK ? row : NULL;
		}
		*why = MAX(*why, w);
	}
	row = linux_helper(id);
	enum abi_why w = row_fits(row, who);
	*why = w == ABI_OK ? ABI_OK : MAX(*why, w);
	return w == ABI_OK ? row : NULL;
}
const struct abi_helper *abi_helper_for(const struct skep_abi *abi, u32 id, const struct abi_caller *who,
                                        enum abi_why *why) {
	enum abi_why ignored, *w = why ? why : &ignored;
	const struct abi_helper *row = abi_helper(abi, id);
	*w = ABI_UNKNOWN;
	if (!row)
		return NULL;
	struct abi_caller as = *who;
	if (who->prog_type >= ABI_HOST_PROG_TYPE) {
		const struct abi_prog_type *type = abi_prog_type(abi, who->prog_type);
		if (!type)
			return NULL;
		*w = ABI_OK;
		for (u32 i = 0; i < type->helpers_n; i++)
			if (type->helpers[i] == id)
				return row;
		as.prog_type = type->like;
	}
	*w = ABI_WRONG_TYPE;
	if (row->flags & HELPER_HOST) {
		*w = row_fits(row, &as);
		return *w == ABI_OK ? row : NULL;
	}
	return linux_helper_for(id, &as, w);
}

/* == Program types, contexts == */

const struct abi_prog_type *abi_prog_type(const struct skep_abi *abi, u32 id) {
	if (id < ABI_HOST_PROG_TYPE)
		return linux_prog_type(id);
	id -= ABI_HOST_PROG_TYPE;
	return id < abi->progs.n ? abi->progs.at[id] : NULL;
}
const struct abi_prog_type *abi_prog_type_by_name(const struct skep_abi *abi, const char *name) {
	for (u32 i = 1; i < __MAX_BPF_PROG_TYPE; i++)
		if (!strcmp(linux_prog_type(i)->name, name))
			return linux_prog_type(i);
	for (u32 i = 0; i < abi->progs.n; i++)
		if (!strcmp(abi->progs.at[i]->name, name))
			return abi->progs.at[i];
	return NULL;
}
const struct abi_return *abi_return(const struct skep_abi *abi, u32 prog_type, u32 attach_type) {
	if (prog_type < ABI_HOST_PROG_TYPE)
		return linux_return(prog_type, attach_type);
	const struct abi_prog_type *type = abi_prog_type(abi, prog_type);
	for (u32 i = 0; type && i < type->returns_n; i++)
		if (!type->returns[i].attach || in_set(type->returns[i].attach, attach_type))
			return &type->returns[i];
	return NULL;
}
const struct abi_ctx *abi_ctx(const struct skep_abi *abi, u32 id) {
	if (id < ABI_HOST_CTX)
		return linux_ctx(id);
	id -= ABI_HOST_CTX;
	return id < abi->ctxs.n ? abi->ctxs.at[id] : NULL;
}
const struct abi_ctx *abi_ctx_by_name(const struct skep_abi *abi, const char *name) {
	for (u32 i = 1; i < CTX_IDS; i++)
		if (!strcmp(linux_ctx(i)->name, name))
			return linux_ctx(i);
	for (u32 i = 0; i < abi->ctxs.n; i++)
		if (!strcmp(abi->ctxs.at[i]->name, name))
			return abi->ctxs.at[i];
	return NULL;
}

static enum abi_ctx_why size_fits(const struct abi_ctx_field *f, u32 off, u32 size, bool write) {
	u32 unit = f->unit ? f->unit : f->size;
	if (off + size > f->off + f->size)
		return f->flags & CTX_FOUR && size == 4 && off == f->off && !write ? CTX_OK : CTX_ACROSS;
	if (size > unit)
		return size == 8 && f->flags & (write ? CTX_WIDE_WRITE : CTX_WIDE) ? CTX_OK : CTX_BAD_SIZE;
	if (size == unit)
		return CTX_OK;
	if (!(f->flags & (write ? CTX_NARROW_WRITE : CTX_NARROW)) || (f->flags & CTX_NARROW_START && off != f->off) ||
	    (f->flags & CTX_NARROW_HALF && size < 2))
		return CTX_BAD_SIZE;
	return CTX_OK;
}
static enum abi_ctx_why field_fits(const struct abi_ctx_field *f, u32 prog_type, u32 attach_type, u32 off, u32 size,
                                   bool write) {
	u64 types = write ? f->write : f->read, attach = write ? f->write_attach : f->read_attach;
	if (!(f->flags & (write ? CTX_WRITE : CTX_READ)))
		return write ? CTX_READ_ONLY : CTX_WRITE_ONLY;
	if (types && !in_set(types, prog_type))
		return write && (!f->read || in_set(f->read, prog_type)) ? CTX_READ_ONLY : CTX_WRONG_TYPE;
	if (attach && !in_set(attach, attach_type))
		return CTX_WRONG_ATTACH;
	return size_fits(f, off, size, write);
}
static const struct abi_ctx_field *no(enum abi_ctx_why *why, enum abi_ctx_why reason) {
	*why = reason;
	return NULL;
}

const struct abi_ctx_field *abi_field(const struct abi_ctx *ctx, u32 prog_type, u32 attach_type, s64 off, u32 size,
                                      bool write, enum abi_ctx_why *why) {
	static const struct abi_ctx_field anything = {.flags = CTX_READ};
	enum abi_ctx_why ignored, found = CTX_NO_FIELD;
	why = why ? why : &ignored;
	if (off < 0 || off >= ctx->size || !is_power_of_two(size) || size > 8)
		return no(why, CTX_NO_FIELD);
	if (off % size)
		return no(why, CTX_MISALIGNED);
	for (u32 i = 0; i < ctx->fields_n; i++) {
		const struct abi_ctx_field *f = &ctx->fields[i];
		if (off < f->off || off >= f->off + f->size || (f->flags & CTX_START_ONLY && off != f->off))
			continue;
		found = field_fits(f, prog_type, attach_type, off, size, write);
		*why = found;
		if (found == CTX_OK)
			return f;
		if (found != CTX_WRONG_TYPE && ctx->kind != CTX_FIELDS)
			return NULL;
	}
	if (ctx->kind == CTX_FIELDS)
		return no(why, found);
	if (write && !ctx->writable)
		return no(why, CTX_READ_ONLY);
	if (off < ctx->first)
		return no(why, CTX_NO_FIELD);
	if (off + size > ctx->size)
		return no(why, CTX_ACROSS);
	*why = CTX_OK;
	return &anything;
}
const struct abi_ctx_field *abi_ctx_field(const struct skep_abi *abi, u32 prog_type, u32 attach_type, s64 off, u32 size,
                                          bool write, enum abi_ctx_why *why) {
	const struct abi_prog_type *type = abi_prog_type(abi, prog_type);
	const struct abi_ctx *ctx = type ? abi_ctx(abi, type->ctx) : NULL;
	enum abi_ctx_why ignored;
	if (!ctx || ctx->kind == CTX_NONE)
		return no(why ? why : &ignored, CTX_NO_FIELD);
	return abi_field(ctx, prog_type, attach_type, off, size, write, why);
}

/* == Map types, attach types, commands, kernel functions == */

const struct abi_map_type *abi_map_type(const struct skep_abi *abi, u32 id) {
	return linux_map_type(id);
}
const struct abi_map_type *abi_map_type_by_name(const struct skep_abi *abi, const char *name) {
	for (u32 i = 1; i < __MAX_BPF_MAP_TYPE; i++)
		if (!strcmp(linux_map_type(i)->name, name))
			return linux_map_type(i);
	return NULL;
}
bool abi_map_helper(const struct skep_abi *abi, u32 map_type, u32 helper) {
	const struct abi_map_type *map = abi_map_type(abi, map_type);
	const struct abi_helper *row = abi_helper(abi, helper);
	if (!map || !row || (row->maps && !in_set(row->maps, map_type)))
		return false;
	for (u32 i = 0; i < map->helpers_n; i++)
		if (map->helpers[i] == helper)
			return true;
	return !map->helpers_n;
}
const struct abi_attach *abi_attach(const struct skep_abi *abi, u32 id) {
	return linux_attach(id);
}
const struct abi_attach *abi_attach_by_name(const struct skep_abi *abi, const char *name) {
	for (u32 i = 0; i < __MAX_BPF_ATTACH_TYPE; i++)
		if (!strcmp(linux_attach(i)->name, name))
			return linux_attach(i);
	return NULL;
}
const struct abi_link_type *abi_link_type(const struct skep_abi *abi, u32 id) {
	return linux_link_type(id);
}
const struct abi_cmd *abi_cmd(const struct skep_abi *abi, u32 id) {
	return linux_cmd(id);
}
const struct abi_kfunc *abi_kfunc(const struct skep_abi *abi, const char *name) {
	const struct abi_kfunc *row;
	for (u32 i = 0; (row = linux_kfunc(i)); i++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

/* == What a host adds == */

int abi_add_ctx(struct skep_abi *abi, const struct abi_ctx *ctx) {
	if (!ctx->name || !ctx->size || ctx->kind == CTX_NONE || ctx->id != ABI_HOST_CTX + abi->ctxs.n)
		return -EINVAL;
	for (u32 i = 0; i < ctx->fields_n; i++) {
		const struct abi_ctx_field *f = &ctx->fields[i];
		u32 unit = f->unit ? f->unit : f->size;
		if (!f->size || f->off + f->size > ctx->size || !is_power_of_two(unit) || unit > 8 || f->off % unit ||
		    f->in_size > 8 || f->in_off + f->in_size > (ctx->in_size ? ctx->in_size : ctx->size))
			return -EINVAL;
	}
	if (abi_ctx_by_name(abi, ctx->name))
		return -EEXIST;
	const struct abi_ctx **at = vec_push(&abi->ctxs);
	if (!at)
		return -ENOMEM;
	*at = ctx;
	return 0;
}
int abi_add_helper(struct skep_abi *abi, const struct abi_helper *helper) {
	if (!helper->name || !helper->fn || !(helper->flags & HELPER_HOST) || helper->engine != ENGINE_RUNS ||
	    helper->id != ABI_HOST_HELPER + abi->helpers.n)
		return -EINVAL;
	for (u32 i = 0, ended = 0; i < 5; i++) {
		u32 base = base_type(helper->arg[i]);
		if (base >= __BPF_ARG_TYPE_MAX || (ended && base != ARG_DONTCARE) ||
		    (helper->arg[i] & MEM_FIXED_SIZE && !helper->size[i]))
			return -EINVAL;
		ended |= base == ARG_DONTCARE;
	}
	if (base_type(helper->ret) >= __BPF_RET_TYPE_MAX)
		return -EINVAL;
	if (abi_helper_by_name(abi, helper->name))
		return -EEXIST;
	const struct abi_helper **at = vec_push(&abi->helpers);
	if (!at)
		return -ENOMEM;
	*at = helper;
	return 0;
}
int abi_add_prog_type(struct skep_abi *abi, const struct abi_prog_type *type) {
	if (!type->name || !(type->flags & PROG_HOST) || type->engine != ENGINE_RUNS ||
	    type->id != ABI_HOST_PROG_TYPE + abi->progs.n || !abi_ctx(abi, type->ctx) ||
	    type->like >= __MAX_BPF_PROG_TYPE)
		return -EINVAL;
	for (u32 i = 0; i < type->returns_n; i++)
		if (type->returns[i].min > type->returns[i].max)
			return -EINVAL;
	for (u32 i = 0; i < type->helpers_n; i++)
		if (!abi_helper(abi, type->helpers[i]))
			return -EINVAL;
	if (abi_prog_type_by_name(abi, type->name))
		return -EEXIST;
	const struct abi_prog_type **at = vec_push(&abi->progs);
	if (!at)
		return -ENOMEM;
	*at = type;
	return 0;
}
