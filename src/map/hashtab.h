/* Layout of hashes in shared memory, and the walk along a chain that all operations share. hashtab.c is the essay. */
#ifndef SKEP_MAP_HASHTAB_H
#define SKEP_MAP_HASHTAB_H
#include "map/value.h"

/* bucket word   version:36 | first:28          first, next: element number from 1, 0 = end of the chain
 * link word     tag:34 | state:2 | next:28     of an element
 * claim word    generation:32 | retired:1 | pins:15 | owner:16 */
enum {
	HTAB_INDEX_BITS = 28,
	HTAB_STATE_SHIFT = HTAB_INDEX_BITS,
	HTAB_VERSION_SHIFT = HTAB_INDEX_BITS,
	HTAB_TAG_SHIFT = HTAB_INDEX_BITS + 2,
	HTAB_HEADER = 16,   /* bytes before an element's key */
	HTAB_CHAIN = 1024,  /* longest chain: beyond it a key is not found and cannot be inserted */
	HTAB_TRIES = 128,   /* how often an operation starts anew because others were faster */
	HTAB_CURSORS = 64,
	HTAB_CURSOR_SIZE = 64,
	HTAB_HEADER_SIZE = (HTAB_CURSORS + 1) * HTAB_CURSOR_SIZE,
};
#define HTAB_INDEX ((1ull << HTAB_INDEX_BITS) - 1)
enum htab_state { HTAB_LIVE = 1, HTAB_MARKED = 2 }; /* 0 before the first use */
#define CLAIM_OWNER 0xffffull
#define CLAIM_PIN (1ull << 16)
#define CLAIM_PINS (0x7fffull << 16)
#define CLAIM_RETIRED (1ull << 31)
#define CLAIM_GENERATION (1ull << 32)

struct htab_elem {
	u64 link, claim;
	u8 key[]; /* then the value, aligned to 8, unless per-CPU */
};

static ALWAYS_INLINE u32 htab_next(u64 link) {
	return link & HTAB_INDEX;
}
static ALWAYS_INLINE u32 htab_state(u64 link) {
	return link >> HTAB_STATE_SHIFT & 3;
}
/* The word after `link`: next tag, given state and successor. */
static ALWAYS_INLINE u64 htab_link(u64 link, u32 state, u32 next) {
	return ((link >> HTAB_TAG_SHIFT) + 1) << HTAB_TAG_SHIFT | (u64)state << HTAB_STATE_SHIFT | next;
}
static ALWAYS_INLINE u64 htab_head(u64 head, u32 first) {
	return ((head >> HTAB_VERSION_SHIFT) + 1) << HTAB_VERSION_SHIFT | first;
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
/* Depends on the key's bytes and the seed only. With a constant size all branches fold. */
static ALWAYS_INLINE u64 htab_hash(const u8 *key, u32 size, u64 seed) {
	if (size <= 8)
		return htab_mix(htab_read(key, size) ^ seed, HTAB_K1);
	u64 second = (seed << 32 | seed >> 32) ^ HTAB_K2;
	if (size == 16)
		return htab_mix(htab_read(key, 8) ^ seed, htab_read(key + 8, 8) ^ second);
	u64 h = seed ^ size;
	while (size > 16) {
		h = htab_mix(htab_read(key, 8) ^ h, htab_read(key + 8, 8) ^ second);
		key += 16, size -= 16;
	}
	u32 low = MIN(size, 8);
	return htab_mix(htab_read(key, low) ^ h ^ HTAB_K1, htab_read(key + low, size - low) ^ second);
}
static ALWAYS_INLINE bool htab_key_equal(const u8 *a, const u8 *b, u32 size) {
	while (size >= 8) {
		if (htab_read(a, 8) != htab_read(b, 8))
			return false;
		a += 8, b += 8, size -= 8;
	}
	return htab_read(a, size) == htab_read(b, size);
}

/* A walk along the chain of a key. Between walk.at and the element stand only marked ones. */
struct htab_walk {
	u64 *bucket, bucket_word;  /* as it was when the walk began */
	u64 *at, at_word;          /* the last word that leads on: the bucket's, or the link of a live element */
	u32 i;                     /* HTAB_FOUND: the element */
	u64 link;                  /* its link word, live */
	u32 marked;                /* first marked element that stood behind a live one; 0 = none */
	u64 marked_link;
	u64 *marked_at, marked_at_word;
};
enum htab_found { HTAB_FOUND, HTAB_ABSENT, HTAB_LOST, HTAB_DAMAGED };

/* One pass. HTAB_LOST: the chain changed under the walk, begin again. HTAB_DAMAGED: somebody scribbled in the area. */
static ALWAYS_INLINE enum htab_found htab_walk(const struct map *map, const u8 *key, u32 key_size, u64 hash,
                                               bool writer, struct htab_walk *w) {
	w->bucket = (u64 *)(map->area + map->off[HASH_BUCKETS]) + (hash & (map->buckets - 1));
	u64 word = load_acquire(w->bucket);
	w->at = w->bucket;
	w->at_word = w->bucket_word = word;
	w->marked = 0;
	for (u32 n = 0; n < HTAB_CHAIN; n++) {
		u32 i = htab_next(word);
		if (unlikely(i - 1 >= map->max_entries))
			return i ? HTAB_DAMAGED : HTAB_ABSENT;
		struct htab_elem *e = htab_elem(map, i);
		u64 link = load_acquire(&e->link);
		if (htab_key_equal(e->key, key, key_size) && htab_state(link) == HTAB_LIVE) {
			/* The same life before and after the key was read: it is this element's. */
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (unlikely(READ_ONCE(e->link) != link))
				return HTAB_LOST;
			w->i = i, w->link = link;
			return HTAB_FOUND;
		}
		/* The way here still leads here, so the element was in this chain when its link was read. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (unlikely(READ_ONCE(*w->at) != w->at_word))
			return HTAB_LOST;
		if (likely(htab_state(link) == HTAB_LIVE)) {
			w->at = &e->link, w->at_word = link;
		} else if (htab_state(link) != HTAB_MARKED) {
			return HTAB_DAMAGED;
		} else if (writer && !w->marked) {
			w->marked = i, w->marked_link = link;
			w->marked_at = w->at, w->marked_at_word = w->at_word;
		}
		word = link;
	}
	return HTAB_DAMAGED;
}

/* hashtab.c */
int htab_lookup(const struct map *map, const u8 *key, struct htab_walk *w); /* 0, -ENOENT */
int htab_update(const struct map *map, const u8 *key, const u8 *value, u64 flags, u32 participant, s64 cpu);
int htab_delete(const struct map *map, const u8 *key, u8 *value, u32 participant);
bool htab_pin(const struct map *map, u32 i, u64 link);
void htab_unpin(const struct map *map, u32 i);
void htab_clean(const struct map *map, u64 *bucket, u32 participant);
void htab_free_bit(const struct map *map, u32 i);
void htab_copy_out(const struct map *map, u32 i, u8 *value);
u32 htab_next_live(const struct map *map, u32 after);
enum { HTAB_ALL_CPUS = -1 };
#endif
