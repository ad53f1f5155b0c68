/* How the kernel words its BTF log: a line per type, per member, per section entry, with an error behind it. */
#include "btf/parse.h"

static const char *name_or(const struct btf *btf, u32 off) {
	const char *name = off ? btf_string(btf, off) : "(anon)";
	return name ? name : "(invalid-name-offset)";
}

static const char *encoding_name(u32 encoding) {
	switch (encoding) {
	case 0:
		return "(none)";
	case BTF_INT_SIGNED:
		return "SIGNED";
	case BTF_INT_CHAR:
		return "CHAR";
	case BTF_INT_BOOL:
		return "BOOL";
	}
	return "UNKN";
}

static void log_proto(const struct btf *btf, struct btf_log *log, const struct btf_type *t) {
	const struct btf_param *p = btf_params(t);
	u32 n = btf_vlen(t);
	btf_logf(log, "return=%u args=(", t->type);
	if (!n)
		btf_logf(log, "void");
	for (u32 i = 0; i < n; i++) {
		/* Only the last parameter can be the dots; the kernel prints an earlier type 0 as a number. */
		if (i == n - 1 && !p[i].type)
			btf_logf(log, i ? ", vararg" : "vararg");
		else
			btf_logf(log, i ? ", %u %s" : "%u %s", p[i].type, name_or(btf, p[i].name_off));
	}
	btf_logf(log, ")");
}

static void log_details(const struct btf *btf, struct btf_log *log, const struct btf_type *t) {
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		btf_logf(log, "size=%u bits_offset=%u nr_bits=%u encoding=%s", t->size, BTF_INT_OFFSET(btf_int_data(t)),
			 BTF_INT_BITS(btf_int_data(t)), encoding_name(BTF_INT_ENCODING(btf_int_data(t))));
		break;
	case BTF_KIND_ARRAY:
		btf_logf(log, "type_id=%u index_type_id=%u nr_elems=%u", btf_array(t)->type, btf_array(t)->index_type,
			 btf_array(t)->nelems);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_DATASEC:
		btf_logf(log, "size=%u vlen=%u", t->size, btf_vlen(t));
		break;
	case BTF_KIND_FWD:
		btf_logf(log, "%s", btf_kflag(t) ? "union" : "struct");
		break;
	case BTF_KIND_FUNC_PROTO:
		log_proto(btf, log, t);
		break;
	case BTF_KIND_VAR:
		btf_logf(log, "type_id=%u linkage=%u", t->type, btf_var(t)->linkage);
		break;
	case BTF_KIND_FLOAT:
		btf_logf(log, "size=%u", t->size);
		break;
	case BTF_KIND_DECL_TAG:
		btf_logf(log, "type=%u component_idx=%d", t->type, btf_decl_tag(t)->component_idx);
		break;
	default:
		btf_logf(log, "type_id=%u", t->type);
	}
}

/* Nothing is formatted unless somebody reads it: this runs for every type of every BTF_LOAD. */
static bool unread(const struct btf_log *log, const char *error) {
	return !log || (!error && !(log->write && log->level));
}

static void end_line(struct btf_log *log, const char *where, u32 id, const char *name, const char *error) {
	if (error) {
		/* The log has the head of the line already; the error line for people is whole. */
		struct btf_log whole = {0};
		btf_errorf(&whole, "[%u] %s %s %s", id, where, name, error);
		__builtin_memcpy(log->error, whole.error, sizeof log->error);
		btf_logf(log, " %s", error);
	}
	btf_logf(log, "\n");
}

void btf_log_type(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t, bool details,
		  const char *error) {
	if (unread(log, error))
		return;
	btf_logf(log, "[%u] %s %s%s", id, btf_kind_name(btf_kind(t)), name_or(btf, t->name_off), details ? " " : "");
	if (details)
		log_details(btf, log, t);
	end_line(log, btf_kind_name(btf_kind(t)), id, name_or(btf, t->name_off), error);
}

void btf_log_member(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t, u32 i, u32 type,
                    const char *error) {
	if (unread(log, error))
		return;
	const struct btf_member *m = &btf_members(t)[i];
	btf_logf(log, "\t%s type_id=%u ", name_or(btf, m->name_off), type);
	if (btf_kflag(t))
		btf_logf(log, "bitfield_size=%u ", BTF_MEMBER_BITFIELD_SIZE(m->offset));
	btf_logf(log, "bits_offset=%u", btf_member_bit_offset(t, i));
	end_line(log, "member", id, name_or(btf, m->name_off), error);
}

void btf_log_secinfo(struct btf_log *log, u32 id, const struct btf_var_secinfo *v, const char *error) {
	if (unread(log, error))
		return;
	btf_logf(log, "\t type_id=%u offset=%u size=%u", v->type, v->offset, v->size);
	end_line(log, "DATASEC", id, "entry", error);
}
