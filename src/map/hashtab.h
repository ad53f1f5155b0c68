/* Layout of hashes in shared memory, and the search in a bucket that all operations share. hashtab.c is the essay.
 *
 * Everything here is inlined into readers that run in a few nanoseconds: no branch that cannot be predicted, no memory
 * but the bucket's line, the element's, and the descriptor. Words are read once; what was read is checked against the
 * same word afterwards, never against a second copy of it.
 *
 * Rule for changing: processes share the layout within one version of skep only; it is nobody's ABI. */
#ifndef SKEP_MAP_HASHTAB_H
#define SKEP_MAP_HASHTAB_H
#include "map/value.h"

/* bucket: a line of eight words: control, tags, six slots
 * control word  version:21 | reach:6 | distance:6 | slot:3 | index:28       index: element on its way in, 0 = none
 * tags word     version:16 | tag of each slot:8 x 6                         of keys in slots; anything for empty slots
 * slot word     version:36 | index:28                                       index: element number from 1, 0 = empty
 * claim word    generation:32 | retired:1 | pins:15 | owner:16              of an element */
enum {
	HTAB_INDEX_BITS = 28,
	HTAB_WORDS = 8,     /* of a bucket */
	HTAB_SLOTS = 6,
	HTAB_NEAR = 4,      /* elements that each bucket takes first */
	HTAB_TAGS = 1,      /* the tags word */
	HTAB_FIRST = 2,     /* the first slot's word */
	HTAB_REACH = 63,    /* a key lies at most so many buckets behind its own */
	HTAB_HEADER = 8,    /* bytes before an element's key */
	HTAB_TRIES = 128,   /* how often a writer starts anew because others were faster */
	HTAB_CURSORS = 64,
	HTAB_CURSOR_SIZE = 64,
	HTAB_HEADER_SIZE = HTAB_CURSORS * HTAB_CURSOR_SIZE,
};
#define HTAB_INDEX ((1ull << HTAB_INDEX_BITS) - 1)
#define HTAB_SLOT_VERSION (1ull << HTAB_INDEX_BITS)
#define HTAB_TAGS_VERSION (1ull << 48)
#define CLAIM_OWNER 0xffffull
#define CLAIM_PIN (1ull << 16)
#define CLAIM_PINS (0x7fffull << 16)
#define CLAIM_RETIRED (1ull << 31)
#define CLAIM_GENERATION (1ull << 32)

struct htab_elem {
	u64 claim;
	u8 key[]; /* then the value, aligned to 8, unless per-CPU */
};

static ALWAYS_INLINE u32 htab_index(u64 word) {
	return word & HTAB_INDEX;
}
/* The next word of a slot. */
static ALWAYS_INLINE u64 htab_slot(u64 word, u32 index) {
	return (word & ~HTAB_INDEX) + HTAB_SLOT_VERSION + index;
}
static ALWAYS_INLINE u32 htab_reach(u64 control) {
	return control >> 37 & HTAB_REACH;
}
static ALWAYS_INLINE u32 htab_target(u64 control) {
	return control >> 28 & 511; /* distance * 8 + word of the bucket */
}
/* Set in a control word: not all of the bucket's keys are in its slots. */
#define HTAB_ELSEWHERE (HTAB_INDEX | (u64)HTAB_REACH << 37)
/* Announces element `index` for `target`. */
static ALWAYS_INLINE u64 htab_announce(u64 control, u32 target, u32 index) {
	u64 reach = MAX(htab_reach(control), target >> 3);
	return ((control >> 43) + 1) << 43 | reach << 37 | (u64)target << 28 | index;
}
/* The claim word of a free element after this one. */
static ALWAYS_INLINE u64 htab_claim_free(u64 claim) {
	return ((claim >> 32) + 1) << 32;
}
static ALWAYS_INLINE bool htab_is_percpu(const struct map *map) {
	return map->off[MAP_CPU_PLANE];
}
/* i from 1; the caller has checked i - 1 < max_entries. */
static ALWAYS_INLINE struct htab_elem *htab_elem(const struct map *map, u32 i) {
	return (void *)(map->area + map->off[HASH_ELEMS] + (u64)(i - 1) * map->elem_size);
}
static ALWAYS_INLINE u8 *htab_value(const struct map *map, u32 i, u32 key_size, u32 cpu) {
	if (!htab_is_percpu(map))
		return htab_elem(map, i)->key + round_up(key_size, 8);
	return map->area + map->off[MAP_VALUES] + (u64)(i - 1) * map->value_stride + cpu * map->off[MAP_CPU_PLANE];
}

/* Multiplies to 128 bits and folds the halves. */
static ALWAYS_INLINE u64 htab_mix(u64 a, u64 b) {
	unsigned __int128 p = (unsigned __int128)a * b;
	return (u64)p ^ (u64)(p >> 64);
}
static ALWAYS_INLINE u64 htab_read(const u8 *p, u32 n) {
	u64 v = 0;
	if (n == 8)
		__builtin_memcpy(&v, p, 8);
	else if (n == 4)
		__builtin_memcpy(&v, p, 4);
	else
		for (u32 i = 0; i < n; i++)
			v |= (u64)p[i] << 8 * i;
	return v;
}
#define HTAB_K1 0x9e3779b97f4a7c15ull
#define HTAB_K2 0xd1342543de82ef95ull

/* A key in registers, for the sizes most programs use; else where it lies. Programs fill keys in pieces of four bytes just
 * before the call: a wider load would wait until those stores are in the cache. */
struct htab_key {
	u64 word[2];
	const u8 *at;
	u32 size;
};
static ALWAYS_INLINE u32 htab_load4(const u8 *at) {
	return *(const volatile u32_anywhere *)at;
}
static ALWAYS_INLINE u64 htab_load(const u8 *at) {
	u64 low = htab_load4(at);
	return low | (u64)htab_load4(at + 4) << 32;
}
static ALWAYS_INLINE struct htab_key htab_key(const u8 *at, u32 size) {
	struct htab_key k = {{0, 0}, at, size};
	if (size == 4)
		k.word[0] = htab_load4(at);
	if (size == 8 || size == 16)
		k.word[0] = htab_load(at);
	if (size == 16)
		k.word[1] = htab_load(at + 8);
	return k;
}
/* Depends on the key's bytes and the seed only. With a constant size all branches fold. */
static ALWAYS_INLINE u64 htab_hash(const struct htab_key *k, u64 seed) {
	u64 second = (seed << 32 | seed >> 32) ^ HTAB_K2;
	if (k->size == 4 || k->size == 8)
		return htab_mix(k->word[0] ^ seed, HTAB_K1);
	if (k->size == 16)
		return htab_mix(k->word[0] ^ seed, k->word[1] ^ second);
	const u8 *at = k->at;
	u32 size = k->size;
	u64 h = seed ^ size;
	while (size > 16) {
		h = htab_mix(htab_load(at) ^ h, htab_load(at + 8) ^ second);
		at += 16, size -= 16;
	}
	u32 low = MIN(size, 8);
	return htab_mix(htab_read(at, low) ^ h ^ HTAB_K1, htab_read(at + low, size - low) ^ second);
}
static ALWAYS_INLINE bool htab_key_equal(const struct htab_key *k, const u8 *other) {
	if (k->size == 4)
		return htab_read(other, 4) == k->word[0];
	if (k->size == 8)
		return htab_read(other, 8) == k->word[0];
	if (k->size == 16)
		return !((htab_read(other, 8) ^ k->word[0]) | (htab_read(other + 8, 8) ^ k->word[1]));
	const u8 *at = k->at;
	u32 size = k->size;
	for (; size >= 8; at += 8, other += 8, size -= 8)
		if (htab_load(at) != htab_read(other, 8))
			return false;
	return htab_read(at, size) == htab_read(other, size);
}
static ALWAYS_INLINE u8 htab_tag(u64 hash) {
	return hash >> 56;
}
/* The bucket `distance` behind the one of this hash. */
static ALWAYS_INLINE u64 *htab_bucket(const struct map *map, u64 hash, u32 distance) {
	return (u64 *)(map->area + HTAB_HEADER_SIZE + ((hash + distance) & map->index_mask) * HTAB_WORDS * sizeof(u64));
}
/* The first of the elements that this hash's bucket takes before others. Only a hint: it may be beyond max_entries. */
static ALWAYS_INLINE u32 htab_near(const struct map *map, u64 hash) {
	return ((u32)hash & map->index_mask) * HTAB_NEAR + 1;
}
/* Slots that may hold a key of this hash: bit 8 s + 7 for slot s. No branches: which slot it is cannot be predicted. */
static ALWAYS_INLINE u64 htab_match(u64 tags, u64 hash) {
	u64 differ = tags ^ htab_tag(hash) * 0x010101010101ull;
	return (differ - 0x010101010101ull) & ~differ & 0x808080808080ull;
}
static ALWAYS_INLINE u64 *htab_matched(u64 *bucket, u64 match) {
	u64 bit = (u32)__builtin_ctzll(match); /* 8 s + 7, and a slot has eight bytes */
	return (u64 *)((u8 *)bucket + (HTAB_FIRST * sizeof(u64) - 7) + bit);
}

/* Where a key is. */
struct htab_place {
	u64 *slot, word; /* holds the element; the word is the one under which its key was read */
	u32 i;           /* the element */
};
/* Does this slot hold the key? */
static ALWAYS_INLINE bool htab_is_at(const struct map *map, const struct htab_key *key, u64 *slot,
                                     struct htab_place *place) {
	u64 word = load_acquire(slot);
	u32 i = htab_index(word);
	if (unlikely(i - 1 >= map->max_entries) || unlikely(!htab_key_equal(key, htab_elem(map, i)->key)))
		return false;
	/* The same word before and after the key was read: it is this element's. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (unlikely(READ_ONCE(*slot) != word))
		return false;
	*place = (struct htab_place){slot, word, i};
	return true;
}

/* hashtab.c */
bool htab_find(const struct map *map, const struct htab_key *key, u64 hash, struct htab_place *place);
struct htab_key htab_key_of(const struct map *map, const u8 *key);
u64 htab_hash_of(const struct map *map, const struct htab_key *key);
int htab_lookup(const struct map *map, const u8 *key, struct htab_place *place); /* 0, -ENOENT */
int htab_update(const struct map *map, const u8 *key, const u8 *value, u64 flags, u32 participant, s64 cpu);
int htab_delete(const struct map *map, const u8 *key, u8 *value, u32 participant);
bool htab_pin(const struct map *map, const struct htab_place *place);
void htab_unpin(const struct map *map, u32 i);
void htab_help(const struct map *map, u64 hash, u64 control);
void htab_correct_bit(const struct map *map, u32 i);
void htab_copy_out(const struct map *map, u32 i, u8 *value);
u32 htab_next_live(const struct map *map, u32 after);
enum { HTAB_ALL_CPUS = -1 };
#endif
