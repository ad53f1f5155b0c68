/* The kernel's rules for each type alone: sizes, flags, names, the order of members.
 *
 * The walk goes over the type section once, before anything is indexed, and writes the log exactly as the kernel's
 * btf_check_all_metas does: a line per type, then one per member, enumerator or entry; the first thing that is wrong ends
 * its line and the walk. wrong() says what is wrong with the fixed part of a type, in the kernel's words, or NULL.
 *
 * Rules for changing: the order of the tests within a kind decides which message wins, and test/kernel/btf_load.c compares
 * verdict and log with the running kernel on mutated types; run it. Sources: Linux 6.12 kernel/bpf/btf.c, 6.18 by test. */
#include "btf/parse.h"
#include <errno.h>
#include <stdio.h>

enum { KSYM_NAME_LEN = 512, BITS_PER_U128 = 128 };
#define BTF_INFO_MASK 0x9f00ffffu
#define BTF_INT_MASK 0x0fffffffu

static bool name_char(char c, bool first) {
	/* The kernel's isalpha is Latin-1's. */
	u8 u = (u8)c, letter = u | 0x20;
	return (letter >= 'a' && letter <= 'z') || u == '_' || u == '.' || (!first && u >= '0' && u <= '9') ||
	       (u >= 0xc0 && u != 0xd7 && u != 0xf7);
}
bool btf_name_is_identifier(const struct btf *btf, u32 off) {
	const char *s = off ? btf_string(btf, off) : NULL;
	if (!s || !name_char(*s, true))
		return false;
	u32 n = 1;
	while (s[n] && n < KSYM_NAME_LEN)
		if (!name_char(s[n++], false))
			return false;
	return !s[n];
}
static bool valid_section(const struct btf *btf, u32 off) {
	const char *s = off ? btf_string(btf, off) : NULL;
	if (!s || !*s)
		return false;
	u32 n = 0;
	for (; s[n] && n < KSYM_NAME_LEN; n++) {
		u8 c = (u8)s[n];
		/* The kernel's isprint is Latin-1's. */
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return !s[n];
}
static bool name_inside(const struct btf *btf, u32 off) {
	return off <= BTF_MAX_NAME_OFFSET && btf_string(btf, off);
}

bool btf_int_is_regular(const struct btf_type *t) {
	u32 bits = BTF_INT_BITS(btf_int_data(t));
	return !BTF_INT_OFFSET(btf_int_data(t)) && (bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128);
}

/* A refusal on its way to the log. plain: the kernel leaves out the details of this one. */
struct refusal {
	int err;
	bool plain;
	char text[64];
};

static const char *wrong_int(const struct btf_type *t, struct refusal *r) {
	u32 data = btf_int_data(t), bits = BTF_INT_BITS(data) + BTF_INT_OFFSET(data), encoding = BTF_INT_ENCODING(data);
	if (btf_vlen(t))
		return "vlen != 0";
	if (btf_kflag(t))
		return "Invalid btf_info kind_flag";
	if (data & ~BTF_INT_MASK) {
		r->plain = true;
		snprintf(r->text, sizeof r->text, "Invalid int_data:%x", data);
		return r->text;
	}
	if (bits > BITS_PER_U128)
		return "nr_bits exceeds 128";
	if ((bits + 7) / 8 > t->size)
		return "nr_bits exceeds type_size";
	if (encoding && encoding != BTF_INT_SIGNED && encoding != BTF_INT_CHAR && encoding != BTF_INT_BOOL)
		return r->err = -ENOTSUPP, "Unsupported encoding";
	return NULL;
}

/* What is wrong with the fixed part of a type, before its line is logged. */
static const char *wrong(const struct btf *btf, const struct btf_type *t, struct refusal *r) {
	u32 kind = btf_kind(t);
	const char *name = btf_string(btf, t->name_off);
	bool named = t->name_off, identifier = btf_name_is_identifier(btf, t->name_off);
	switch (kind) {
	case BTF_KIND_INT:
		return wrong_int(t, r);
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		if (btf_vlen(t))
			return "vlen != 0";
		if (btf_kflag(t) && kind != BTF_KIND_TYPE_TAG)
			return "Invalid btf_info kind_flag";
		if (t->type > BTF_MAX_TYPE)
			return "Invalid type_id";
		if (kind == BTF_KIND_TYPEDEF ? !identifier : kind == BTF_KIND_TYPE_TAG ? !name || !*name : named)
			return "Invalid name";
		return NULL;
	case BTF_KIND_FWD:
		return btf_vlen(t) ? "vlen != 0" : t->type ? "type != 0" : !identifier ? "Invalid name" : NULL;
	case BTF_KIND_ARRAY:
		if (named)
			return "Invalid name";
		if (btf_vlen(t))
			return "vlen != 0";
		if (btf_kflag(t))
			return "Invalid btf_info kind_flag";
		if (t->size)
			return "size != 0";
		if (!btf_array(t)->type || btf_array(t)->type > BTF_MAX_TYPE)
			return "Invalid elem";
		if (!btf_array(t)->index_type || btf_array(t)->index_type > BTF_MAX_TYPE)
			return "Invalid index";
		return NULL;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return named && !identifier ? "Invalid name" : NULL;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		if (t->size > 8 || !is_power_of_two(t->size))
			return "Unexpected size";
		return named && !identifier ? "Invalid name" : NULL;
	case BTF_KIND_FUNC_PROTO:
		return named ? "Invalid name" : btf_kflag(t) ? "Invalid btf_info kind_flag" : NULL;
	case BTF_KIND_FUNC:
		if (!identifier)
			return "Invalid name";
		if (btf_vlen(t) > BTF_FUNC_GLOBAL)
			return "Invalid func linkage";
		return btf_kflag(t) ? "Invalid btf_info kind_flag" : NULL;
	case BTF_KIND_VAR:
		if (btf_vlen(t))
			return "vlen != 0";
		if (btf_kflag(t))
			return "Invalid btf_info kind_flag";
		if (!identifier)
			return "Invalid name";
		if (!t->type || t->type > BTF_MAX_TYPE)
			return "Invalid type_id";
		if (btf_var(t)->linkage != BTF_VAR_STATIC && btf_var(t)->linkage != BTF_VAR_GLOBAL_ALLOCATED)
			return "Linkage not supported";
		return NULL;
	case BTF_KIND_DATASEC:
		if (!t->size)
			return "size == 0";
		if (btf_kflag(t))
			return "Invalid btf_info kind_flag";
		return valid_section(btf, t->name_off) ? NULL : "Invalid name";
	case BTF_KIND_FLOAT:
		if (btf_vlen(t))
			return "vlen != 0";
		if (btf_kflag(t))
			return "Invalid btf_info kind_flag";
		return t->size == 2 || t->size == 4 || t->size == 8 || t->size == 12 || t->size == 16
			   ? NULL
			   : "Invalid type_size";
	case BTF_KIND_DECL_TAG:
		if (!name || !*name)
			return "Invalid value";
		if (btf_vlen(t))
			return "vlen != 0";
		return btf_decl_tag(t)->component_idx < -1 ? "Invalid component_idx" : NULL;
	}
	return "Invalid kind";
}

static int check_members(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t) {
	u32 last = 0;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		u32 off = btf_member_bit_offset(t, i);
		char text[64];
		const char *error = NULL;
		if (!name_inside(btf, m->name_off)) {
			snprintf(text, sizeof text, "Invalid member name_offset:%u", m->name_off);
			error = text;
		} else if (m->name_off && !btf_name_is_identifier(btf, m->name_off)) {
			error = "Invalid name";
		} else if (!m->type || m->type > BTF_MAX_TYPE) {
			error = "Invalid type_id";
		} else if ((btf_kind(t) == BTF_KIND_UNION && off) || last > off) {
			error = "Invalid member bits_offset";
		} else if (off / 8 + !!(off % 8) > t->size) { /* equal: the last member may be char a[0] */
			error = "Member bits_offset exceeds its struct size";
		}
		btf_log_member(btf, log, id, t, i, m->type, error);
		if (error)
			return -EINVAL;
		last = off;
	}
	return 0;
}

static int check_enumerators(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t) {
	bool wide = btf_kind(t) == BTF_KIND_ENUM64;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		u32 name_off = wide ? btf_enums64(t)[i].name_off : btf_enums(t)[i].name_off;
		if (!name_inside(btf, name_off))
			return btf_errorf(log, "\tInvalid name_offset:%u", name_off), -EINVAL;
		if (!btf_name_is_identifier(btf, name_off)) {
			btf_log_type(btf, log, id, t, true, "Invalid name");
			return -EINVAL;
		}
		const char *name = btf_string(btf, name_off);
		if (wide)
			btf_logf(log, btf_kflag(t) ? "\t%s val=%lld\n" : "\t%s val=%llu\n", name,
				 (unsigned long long)btf_enum64_value(&btf_enums64(t)[i]));
		else
			btf_logf(log, btf_kflag(t) ? "\t%s val=%d\n" : "\t%s val=%u\n", name, btf_enums(t)[i].val);
	}
	return 0;
}

static int check_entries(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t) {
	u64 end = 0, sum = 0;
	for (u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(t)[i];
		const char *error = NULL;
		if (!v->type || v->type > BTF_MAX_TYPE)
			error = "Invalid type_id";
		else if (v->offset < end || v->offset >= t->size)
			error = "Invalid offset";
		else if (!v->size || v->size > t->size)
			error = "Invalid size";
		/* The kernel adds in 32 bits: both are at most 2^32-1, and offset < size. */
		else if ((end = v->offset + v->size) > t->size)
			error = "Invalid offset+size";
		btf_log_secinfo(log, id, v, error);
		if (error)
			return -EINVAL;
		sum += v->size;
	}
	if (t->size < sum) {
		btf_log_type(btf, log, id, t, true, "Invalid btf_info size");
		return -EINVAL;
	}
	return 0;
}

static int check_one(const struct btf *btf, struct btf_log *log, u32 id, const struct btf_type *t, u32 left) {
	if (left < sizeof *t)
		return btf_errorf(log, "[%u] meta_left:%u meta_needed:%zu", id, left, sizeof *t), -EINVAL;
	left -= (u32)sizeof *t;
	if (t->info & ~BTF_INFO_MASK)
		return btf_errorf(log, "[%u] Invalid btf_info:%x", id, t->info), -EINVAL;
	if (btf_kind(t) == BTF_KIND_UNKN || btf_kind(t) > BTF_KIND_MAX)
		return btf_errorf(log, "[%u] Invalid kind:%u", id, btf_kind(t)), -EINVAL;
	if (!name_inside(btf, t->name_off))
		return btf_errorf(log, "[%u] Invalid name_offset:%u", id, t->name_off), -EINVAL;
	struct refusal r = {.err = -EINVAL};
	const char *error;
	if (left < btf_type_extra(t)) {
		snprintf(r.text, sizeof r.text, "meta_left:%u meta_needed:%u", left, btf_type_extra(t));
		r.plain = true, error = r.text;
	} else {
		error = wrong(btf, t, &r);
	}
	btf_log_type(btf, log, id, t, !r.plain, error);
	if (error)
		return r.err;
	switch (btf_kind(t)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return check_members(btf, log, id, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return check_enumerators(btf, log, id, t);
	case BTF_KIND_DATASEC:
		return check_entries(btf, log, id, t);
	}
	return 0;
}

int btf_check_meta(const struct btf *btf, struct btf_log *log) {
	for (u32 off = 0, id = btf->start; off < btf->types_size; id++) {
		const struct btf_type *t = (const struct btf_type *)(btf->types + off);
		int err = check_one(btf, log, id, t, btf->types_size - off);
		if (err)
			return err;
		off += (u32)sizeof *t + btf_type_extra(t);
	}
	return 0;
}
