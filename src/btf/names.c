/* Types by name.
 *
 * The index is a hash over names without their flavour suffix (`___x`), chained by ascending id: bucket[] holds the first
 * type with a hash, next[] the following one. It is built when somebody first asks, since most BTFs are never asked, and
 * published with one compare-and-swap; a loser of that race drops its copy. CO-RE looks for candidates in it, everyone
 * else for exact names. Each BTF indexes its own types only; lookups go through the bases, the first base first, so that a
 * split BTF finds what its base has under the id that everybody knows. */
#include "btf/parse.h"
#include <stdlib.h>
#include <string.h>

struct btf_names {
	u32 mask;
	u32 *bucket; /* id + 1 - start of the first type with this hash; 0 = none */
	u32 *next;   /* by id - start; ascending ids */
};

u32 btf_essential_len(const char *name) {
	u32 n = (u32)strlen(name);
	/* The last `___` that stands between two other characters. */
	for (u32 i = n < 5 ? 0 : n - 4; i >= 1; i--)
		if (name[i] == '_' && name[i + 1] == '_' && name[i + 2] == '_' && name[i - 1] != '_' &&
		    name[i + 3] != '_')
			return i;
	return n;
}

static u32 hash_name(const char *name, u32 len) {
	u64 h = len;
	for (u32 i = 0; i < len; i++)
		h = (h ^ (u8)name[i]) * 0x9e3779b97f4a7c15;
	return (u32)(h >> 32);
}

static struct btf_names *build(const struct btf *btf) {
	u32 n = btf->end - btf->start, size = 16;
	while (size < n)
		size *= 2;
	struct btf_names *names = calloc(1, sizeof *names);
	if (!names)
		return NULL;
	names->mask = size - 1, names->bucket = calloc(size, sizeof(u32)),
	names->next = calloc((u64)n + 1, sizeof(u32));
	if (!names->bucket || !names->next) {
		btf_names_free(names);
		return NULL;
	}
	for (u32 i = n; i--;) {
		const char *name = btf_name(btf, btf_type(btf, btf->start + i));
		if (!*name)
			continue;
		u32 *bucket = &names->bucket[hash_name(name, btf_essential_len(name)) & names->mask];
		names->next[i] = *bucket;
		*bucket = i + 1;
	}
	return names;
}
void btf_names_free(struct btf_names *names) {
	if (names)
		free(names->bucket), free(names->next), free(names);
}

static const struct btf_names *names_of(const struct btf *btf) {
	struct btf_names **slot = &((struct btf *)btf)->names, *names = load_acquire(slot), *expected = NULL;
	if (names)
		return names;
	names = build(btf);
	if (names && !__atomic_compare_exchange_n(slot, &expected, names, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		btf_names_free(names);
		return expected;
	}
	return names;
}

static u32 next_in(const struct btf *btf, const char *name, u32 len, u32 after) {
	const struct btf_names *names = names_of(btf);
	if (!names)
		return 0; /* out of memory: as if nothing had the name */
	u32 at = after ? names->next[after - btf->start] : names->bucket[hash_name(name, len) & names->mask];
	for (; at; at = names->next[at - 1]) {
		const char *have = btf_name_of(btf, btf->start + at - 1);
		if (!strncmp(have, name, len) && btf_essential_len(have) == len)
			return btf->start + at - 1;
	}
	return 0;
}

/* The cursor: in the upper half how many BTFs, counted from the first base, are done; below the last id found. */
u32 btf_next_named(const struct btf *btf, const char *name, u32 len, u64 *cursor) {
	u32 depth = 0;
	for (const struct btf *b = btf->base; b; b = b->base)
		depth++;
	for (u32 layer = (u32)(*cursor >> 32), after = (u32)*cursor; layer <= depth; layer++, after = 0) {
		const struct btf *b = btf;
		for (u32 i = layer; i < depth; i++)
			b = b->base;
		u32 id = next_in(b, name, len, after);
		*cursor = (u64)layer << 32 | id;
		if (id)
			return id;
	}
	*cursor = (u64)(depth + 1) << 32;
	return 0;
}

u32 btf_find(const struct btf *btf, const char *name, u32 kind) {
	u64 cursor = 0;
	u32 len = btf_essential_len(name);
	for (u32 id; (id = btf_next_named(btf, name, len, &cursor));) {
		const struct btf_type *t = btf_type(btf, id);
		if ((kind == BTF_KIND_UNKN || btf_kind(t) == kind) && !strcmp(btf_name(btf, t), name))
			return id;
	}
	return 0;
}

u32 btf_name_distance(const char *a, const char *b, u32 limit) {
	enum { LEN = 64 };
	u32 an = (u32)strnlen(a, LEN + 1), bn = (u32)strnlen(b, LEN + 1), row[LEN + 1];
	if (an > LEN || bn > LEN || (an > bn ? an - bn : bn - an) > limit)
		return limit + 1;
	for (u32 j = 0; j <= bn; j++)
		row[j] = j;
	for (u32 i = 1; i <= an; i++) {
		u32 diagonal = row[0], best = row[0] = i;
		for (u32 j = 1; j <= bn; j++) {
			u32 cost = MIN(diagonal + (a[i - 1] != b[j - 1]), MIN(row[j], row[j - 1]) + 1);
			diagonal = row[j], row[j] = cost, best = MIN(best, cost);
		}
		if (best > limit)
			return limit + 1;
	}
	return MIN(row[bn], limit + 1);
}
const char *btf_nearest_name(const struct btf *btf, const char *name, u32 kind) {
	u32 len = (u32)strlen(name), limit = len < 4 ? 1 : MIN(len / 4, 4u);
	const char *best = NULL;
	for (u32 id = 1; id < btf->end && limit; id++) {
		const struct btf_type *t = btf_type(btf, id);
		const char *have = btf_name(btf, t);
		if (!*have || (kind != BTF_KIND_UNKN && btf_kind(t) != kind))
			continue;
		u32 d = btf_name_distance(name, have, limit);
		if (d && d <= limit)
			best = have, limit = d - 1;
	}
	return best;
}

u32 btf_decl_tag_next(const struct btf *btf, u32 target, s32 component, const char *prefix, u32 after,
		      const char **rest) {
	/* A type can only be tagged from its own BTF or one that continues it. */
	u32 best = 0;
	u64 n = strlen(prefix);
	for (; btf && (target < btf->end); btf = btf->base) {
		u32 low = 0, high = btf->decl_tags_n;
		while (low < high) {
			u32 middle = (low + high) / 2;
			if (btf_type(btf, btf->decl_tags[middle])->type < target)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < btf->decl_tags_n; low++) {
			u32 id = btf->decl_tags[low];
			const struct btf_type *t = btf_type(btf, id);
			if (t->type != target)
				break;
			const char *text = btf_name(btf, t);
			if (id <= after || btf_decl_tag(t)->component_idx != component || strncmp(text, prefix, n))
				continue;
			if (!best || id < best) {
				best = id;
				if (rest)
					*rest = text + n;
			}
			break;
		}
	}
	return best;
}

s32 btf_member_index(const struct btf *btf, const struct btf_type *t, const char *name) {
	for (u32 i = 0; btf_is_composite(t) && i < btf_vlen(t); i++)
		if (!strcmp(btf_string(btf, btf_members(t)[i].name_off), name))
			return (s32)i;
	return -1;
}

/* ENUM values are 32 bits: signed ones are extended. */
static u64 value_at(const struct btf_type *t, u32 i) {
	if (btf_kind(t) == BTF_KIND_ENUM64)
		return btf_enum64_value(&btf_enums64(t)[i]);
	return btf_kflag(t) ? (u64)(s64)btf_enums(t)[i].val : (u32)btf_enums(t)[i].val;
}
static const char *name_at(const struct btf *btf, const struct btf_type *t, u32 i) {
	return btf_string(btf, btf_kind(t) == BTF_KIND_ENUM64 ? btf_enums64(t)[i].name_off : btf_enums(t)[i].name_off);
}
bool btf_enum_value(const struct btf *btf, const struct btf_type *t, const char *name, u64 *value) {
	for (u32 i = 0; btf_is_any_enum(t) && i < btf_vlen(t); i++)
		if (!strcmp(name_at(btf, t, i), name))
			return *value = value_at(t, i), true;
	return false;
}
const char *btf_enum_name(const struct btf *btf, const struct btf_type *t, u64 value) {
	for (u32 i = 0; btf_is_any_enum(t) && i < btf_vlen(t); i++)
		if (value_at(t, i) == value)
			return name_at(btf, t, i);
	return NULL;
}
