/* Hashes: hash and per-CPU hash, without locks.
 *
 * The problem. The area is shared by processes that may be killed, stopped or interrupted by a signal at any
 * instruction, and the signal's handler may run a program that uses the same map. A lock would have to be broken when its
 * holder dies, its holder would have to be recognised when it is oneself, and readers would see half-made changes. So
 * there is none: every change becomes visible by one compare-and-swap, and what a dead writer leaves unfinished the next
 * writer finishes.
 *
 *    buckets                      elements, max_entries of them, numbered from 1
 *   ┌───────────────┐            ┌──────┬───────┬─────┬───────┐
 *   │ version│first ├───────────►│ link │ claim │ key │ value │
 *   ├───────────────┤            └──┬───┴───────┴─────┴───────┘
 *   │ ...           │               └──► next element of the chain
 *   └───────────────┘            per-CPU: values lie in planes of their own, one a CPU
 *
 * Chains (after Harris). A new element goes to the front: CAS of the bucket word, whose version grows with every change, so
 * that of two writers who both found the key absent only one succeeds. To delete is to mark the element's own link (the
 * moment it happens), then to swing the word before it past it; a marked link never changes, so a walk may pass over it.
 * Links carry a tag that grows with every change, so a word that was read is known to be the same, not merely equal.
 *
 * Claims. Elements are reused at once, as in the kernel's preallocated hashes. The claim word says who is responsible
 * for an element: nobody (owner 0: free), or a participant: who inserted it, later who unlinks it. A writer that meets a
 * marked element takes over the claim, unlinks it, and frees it; if the claim is taken over from him meanwhile, he lets
 * go. Whoever copies into or out of an existing element pins it first; a pinned element that has been unlinked is
 * retired, and the last one to unpin frees it. Values that programs reach by pointer are not pinned: like in the kernel, a
 * program that goes on using a deleted element's value may find another key's there. Who looks up and deletes at once may
 * miss a replacement or an addition that is under way at that moment. An insertion that is under way holds its element: at
 * the last free one, another is told -E2BIG even if the first comes to nothing.
 *
 * Free elements are found through a bitmap (set = used) with a summary, and cursors that remember where something was
 * free. These are hints: only the CAS of the claim takes an element. A lost hint hides an element until the check.
 *
 * Reading never waits: a walk verifies after each element that the way to it is still there (hashtab.h) and begins again
 * if not, HTAB_TRIES times. What a kill can leave: an element that nobody reaches with a dead owner, a bit that is wrong, a
 * pin; hashtab_syscall.c (check) finds and repairs these, nothing else needs repair, and no operation fails for them.
 *
 * Hostile areas: element numbers are compared with max_entries before use, chains are bounded by HTAB_CHAIN, repetitions
 * by HTAB_TRIES; whatever the words hold, accesses stay in the area.
 *
 * Rules for changing: publish by one word; write an element's key only between claiming it and publishing it; free only
 * what is unlinked, and only by CAS from one's own claim; never wait for another. test/unit/map_crash.c kills every
 * operation at every instruction, and lets others go on without a repair.
 *
 * Sources: Harris, «A pragmatic implementation of non-blocking linked lists», 2001; Michael, «Hazard pointers», 2004 (the
 * verification of the way); the kernel's hashtab.c for what the operations return. */
#include "map/hashtab.h"

/* == Free elements == */

static u64 *used_word(const struct map *map, u32 word) {
	return (u64 *)(map->area + map->off[HASH_USED]) + word;
}
static u64 *summary_word(const struct map *map, u32 word) {
	return (u64 *)(map->area + map->off[HASH_SUMMARY]) + word;
}
static u32 *cursor_of(const struct map *map, u32 cpu) {
	return (u32 *)(map->area + map->off[HASH_HEADER] + (cpu % HTAB_CURSORS) * HTAB_CURSOR_SIZE);
}

static u64 *high_water(const struct map *map) {
	return (u64 *)(map->area + map->off[HASH_HEADER] + HTAB_CURSORS * HTAB_CURSOR_SIZE);
}

/* Both orders of «set» and «clear» end with the summary's bit clear when the word has room. */
static void summarise(const struct map *map, u32 word) {
	u64 bit = 1ull << (word % 64);
	__atomic_fetch_or(summary_word(map, word / 64), bit, __ATOMIC_SEQ_CST);
	if (~__atomic_load_n(used_word(map, word), __ATOMIC_SEQ_CST))
		__atomic_fetch_and(summary_word(map, word / 64), ~bit, __ATOMIC_SEQ_CST);
}
static void set_used_bit(const struct map *map, u32 i) {
	u32 word = (i - 1) / 64;
	u64 bit = 1ull << ((i - 1) % 64);
	if (!~(__atomic_fetch_or(used_word(map, word), bit, __ATOMIC_SEQ_CST) | bit))
		summarise(map, word);
}
void htab_free_bit(const struct map *map, u32 i) {
	ASSERT(i - 1 < map->max_entries);
	u32 word = (i - 1) / 64;
	u64 bit = 1ull << ((i - 1) % 64);
	if (!~__atomic_fetch_and(used_word(map, word), ~bit, __ATOMIC_SEQ_CST))
		__atomic_fetch_and(summary_word(map, word / 64), ~(1ull << (word % 64)), __ATOMIC_SEQ_CST);
}

/* An element that is free becomes mine. */
static bool try_claim(const struct map *map, u32 i, u32 participant, u64 *mine) {
	if (unlikely(i - 1 >= map->max_entries))
		return false;
	struct htab_elem *e = htab_elem(map, i);
	u64 claim = READ_ONCE(e->claim);
	if (likely(!(u32)claim)) {
		*mine = claim + CLAIM_GENERATION + participant;
		if (cas(&e->claim, claim, *mine)) {
			set_used_bit(map, i);
			return true;
		}
	}
	/* The hint was wrong: somebody is between claim and bit, or died there. */
	set_used_bit(map, i);
	if (!(u32)__atomic_load_n(&e->claim, __ATOMIC_SEQ_CST))
		htab_free_bit(map, i);
	return false;
}
static u32 claim_in_word(const struct map *map, u32 word, u32 participant, u64 *mine) {
	for (u64 room = ~READ_ONCE(*used_word(map, word)); room; room &= room - 1) {
		u32 i = word * 64 + __builtin_ctzll(room) + 1;
		if (try_claim(map, i, participant, mine))
			return i;
	}
	return 0;
}
/* Claims a free element: its number and the claim word, or 0 when there is none. */
static u32 claim_free(const struct map *map, u32 participant, u32 cpu, u64 *mine) {
	u32 words = (map->max_entries + 63) / 64, summaries = (words + 63) / 64;
	u32 *cursor = cursor_of(map, cpu);
	u32 word = READ_ONCE(*cursor);
	if (unlikely(word >= words))
		word = 0;
	u32 i = claim_in_word(map, word, participant, mine);
	for (u32 n = 0, s = word / 64; !i && n < summaries; n++, s = s + 1 < summaries ? s + 1 : 0) {
		u64 full = READ_ONCE(*summary_word(map, s));
		while (!i && ~full) {
			word = s * 64 + __builtin_ctzll(~full);
			if (word >= words)
				break;
			full |= 1ull << (word % 64);
			i = claim_in_word(map, word, participant, mine);
		}
	}
	if (!i)
		return 0;
	WRITE_ONCE(*cursor, word);
	u64 *high = high_water(map), was = READ_ONCE(*high);
	for (u32 tries = 0; was < i && tries < HTAB_TRIES && !cas(high, was, i); tries++)
		was = READ_ONCE(*high);
	return i;
}

/* Ends my responsibility for an element that is in no chain. It is free at once, or when the last pin goes. */
static void release(const struct map *map, u32 i, u64 mine) {
	struct htab_elem *e = htab_elem(map, i);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = READ_ONCE(e->claim);
		if ((claim ^ mine) & ~CLAIM_PINS)
			return; /* taken over: no longer mine */
		if (claim & CLAIM_PINS) {
			if (cas(&e->claim, claim, claim | CLAIM_RETIRED))
				return;
		} else if (cas(&e->claim, claim, htab_claim_free(claim))) {
			htab_free_bit(map, i);
			return;
		}
	}
}
/* The responsibility for a marked element becomes mine. */
static bool take_over(struct htab_elem *e, u64 link, u32 participant, u64 *mine) {
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = load_acquire(&e->claim);
		if (READ_ONCE(e->link) != link || !(claim & CLAIM_OWNER) || claim & CLAIM_RETIRED)
			return false;
		*mine = htab_claim_free(claim) | participant;
		if (cas(&e->claim, claim, *mine | (claim & CLAIM_PINS)))
			return true;
	}
	return false;
}

/* == Pins == */

/* Keeps the element that was found under this link from being reused; false: it may be another by now. */
bool htab_pin(const struct map *map, u32 i, u64 link) {
	struct htab_elem *e = htab_elem(map, i);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = READ_ONCE(e->claim);
		if (!(claim & CLAIM_OWNER) || claim & CLAIM_RETIRED || (claim & CLAIM_PINS) == CLAIM_PINS)
			return false;
		if (!cas(&e->claim, claim, claim + CLAIM_PIN))
			continue;
		if (likely(load_acquire(&e->link) == link))
			return true;
		htab_unpin(map, i);
		return false;
	}
	return false;
}
void htab_unpin(const struct map *map, u32 i) {
	struct htab_elem *e = htab_elem(map, i);
	u64 claim = __atomic_sub_fetch(&e->claim, CLAIM_PIN, __ATOMIC_SEQ_CST);
	if (likely(!(claim & CLAIM_RETIRED)) || claim & CLAIM_PINS)
		return;
	if (cas(&e->claim, claim, htab_claim_free(claim)))
		htab_free_bit(map, i);
}

/* == Taking marked elements out of a chain == */

enum { HELD_MAX = 8 };
struct cleaning {
	u32 n;
	struct {
		u32 i;
		bool seen;
		u64 mine;
	} at[HELD_MAX]; /* marked elements that are mine and perhaps still in the chain */
	u32 first;      /* one of them that stands directly behind a live word, 0 = none */
	u64 first_link, *before, before_word;
};
static bool clean_hold(const struct map *map, struct cleaning *c, u32 i, u64 link, u32 participant) {
	u32 k = 0;
	while (k < c->n && c->at[k].i != i)
		k++;
	if (k == HELD_MAX)
		return true; /* in a later pass */
	if (k == c->n) {
		if (!take_over(htab_elem(map, i), link, participant, &c->at[k].mine))
			return false;
		c->at[k].i = i;
		c->n++;
	}
	c->at[k].seen = true;
	return true;
}
static void clean_drop(const struct map *map, struct cleaning *c, u32 k) {
	ASSERT(k < c->n);
	release(map, c->at[k].i, c->at[k].mine);
	c->at[k] = c->at[--c->n];
}
/* Looks at the whole chain; HTAB_LOST: begin again. */
static enum htab_found clean_pass(const struct map *map, u64 *bucket, struct cleaning *c, u32 participant) {
	u64 *at = bucket, at_word = load_acquire(bucket), word = at_word;
	c->first = 0;
	for (u32 k = 0; k < c->n; k++)
		c->at[k].seen = false;
	for (u32 n = 0; n < HTAB_CHAIN; n++) {
		u32 i = htab_next(word);
		if (i - 1 >= map->max_entries)
			return i ? HTAB_DAMAGED : HTAB_ABSENT;
		struct htab_elem *e = htab_elem(map, i);
		u64 link = load_acquire(&e->link);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (READ_ONCE(*at) != at_word)
			return HTAB_LOST;
		if (htab_state(link) == HTAB_LIVE) {
			at = &e->link, at_word = link;
		} else if (htab_state(link) == HTAB_MARKED) {
			if (!clean_hold(map, c, i, link, participant))
				return HTAB_LOST;
			if (!c->first && htab_next(at_word) == i)
				c->first = i, c->first_link = link, c->before = at, c->before_word = at_word;
		} else {
			return HTAB_DAMAGED;
		}
		word = link;
	}
	return HTAB_DAMAGED;
}
/* The word that leads past the element behind `before`. */
static bool unlink_behind(u64 *before, u64 before_word, u64 link, const u64 *bucket) {
	u64 to = before == bucket ? htab_head(before_word, htab_next(link))
	                          : htab_link(before_word, HTAB_LIVE, htab_next(link));
	return cas(before, before_word, to);
}
static void clean(const struct map *map, u64 *bucket, struct cleaning *c, u32 participant) {
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		enum htab_found found = clean_pass(map, bucket, c, participant);
		if (found == HTAB_LOST)
			continue;
		if (found == HTAB_DAMAGED)
			return;
		for (u32 k = c->n; k-- > 0;)
			if (!c->at[k].seen)
				clean_drop(map, c, k); /* another unlinked it */
		if (!c->n)
			return;
		if (!c->first || !unlink_behind(c->before, c->before_word, c->first_link, bucket))
			continue;
		for (u32 k = c->n; k-- > 0;)
			if (c->at[k].i == c->first)
				clean_drop(map, c, k);
	}
}
void htab_clean(const struct map *map, u64 *bucket, u32 participant) {
	struct cleaning c;
	c.n = 0;
	clean(map, bucket, &c, participant);
}

/* == The operations == */

static enum htab_found walk(const struct map *map, const u8 *key, u64 hash, struct htab_walk *w) {
	switch (map->key_size) {
	case 4:
		return htab_walk(map, key, 4, hash, true, w);
	case 8:
		return htab_walk(map, key, 8, hash, true, w);
	default:
		return htab_walk(map, key, map->key_size, hash, true, w);
	}
}
static u64 hash_of(const struct map *map, const u8 *key) {
	switch (map->key_size) {
	case 4:
		return htab_hash(key, 4, map->seed);
	case 8:
		return htab_hash(key, 8, map->seed);
	default:
		return htab_hash(key, map->key_size, map->seed);
	}
}
int htab_lookup(const struct map *map, const u8 *key, struct htab_walk *w) {
	u64 hash = hash_of(map, key);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		enum htab_found found = walk(map, key, hash, w);
		if (found != HTAB_LOST)
			return found == HTAB_FOUND ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static void fill_value(const struct map *map, u32 i, const u8 *value, s64 cpu) {
	for (u32 c = 0; c < map->nr_cpus; c++) {
		u8 *to = htab_value(map, i, map->key_size, c);
		if (!htab_is_percpu(map) || c == cpu)
			copy_value(map, to, value);
		else if (cpu == HTAB_ALL_CPUS)
			copy_words(to, value + (u64)c * map->value_stride, map->value_stride);
		else
			zero_words(to, map->value_stride);
		if (map->spin_lock >= 0)
			WRITE_ONCE(*value_lock_of(map, to), 0);
	}
}
static int replace_value(const struct map *map, u32 i, const u8 *value, u64 flags, u32 participant, s64 cpu) {
	if (!htab_is_percpu(map)) {
		u8 *to = htab_value(map, i, map->key_size, 0);
		if (flags & BPF_F_LOCK)
			return copy_value_locked(map, to, value, to, participant);
		copy_value(map, to, value);
	} else if (cpu >= 0) {
		copy_value(map, htab_value(map, i, map->key_size, cpu), value);
	} else {
		for (u32 c = 0; c < map->nr_cpus; c++)
			copy_words(htab_value(map, i, map->key_size, c), value + (u64)c * map->value_stride,
			           map->value_stride);
	}
	return 0;
}

/* cpu: of the copy to write in a per-CPU hash, or HTAB_ALL_CPUS: value is nr_cpus copies. */
int htab_update(const struct map *map, const u8 *key, const u8 *value, u64 flags, u32 participant, s64 cpu) {
	if (unlikely((flags & ~(htab_is_percpu(map) ? 0ull : BPF_F_LOCK)) > BPF_EXIST) ||
	    unlikely(flags & BPF_F_LOCK && map->spin_lock < 0))
		return -EINVAL;
	ASSERT(cpu < (s64)map->nr_cpus);
	u64 hash = hash_of(map, key), mine = 0;
	u32 fresh = 0;
	int result = -EBUSY;
	bool cleaned = false;
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_walk w;
		enum htab_found found = walk(map, key, hash, &w);
		if (found == HTAB_LOST)
			continue;
		if (found == HTAB_DAMAGED)
			break;
		if (found == HTAB_FOUND) {
			result = -EEXIST;
			if ((flags & 3) == BPF_NOEXIST)
				break;
			result = -EBUSY;
			if (!htab_pin(map, w.i, w.link))
				continue;
			result = replace_value(map, w.i, value, flags, participant, cpu);
			htab_unpin(map, w.i);
			break;
		}
		result = -ENOENT;
		if ((flags & 3) == BPF_EXIST)
			break;
		result = -EBUSY;
		if (unlikely(w.marked) && !cleaned) {
			htab_clean(map, w.bucket, participant);
			cleaned = true;
			continue;
		}
		if (!fresh) {
			fresh = claim_free(map, participant, MAX(cpu, 0), &mine);
			if (!fresh && load_acquire(w.bucket) != w.bucket_word)
				continue; /* perhaps the key has come meanwhile */
			if (!fresh)
				return -E2BIG;
			copy_words(htab_elem(map, fresh)->key, key, map->key_size);
			fill_value(map, fresh, value, cpu);
		}
		struct htab_elem *e = htab_elem(map, fresh);
		store_release(&e->link, htab_link(e->link, HTAB_LIVE, htab_next(w.bucket_word)));
		if (cas(w.bucket, w.bucket_word, htab_head(w.bucket_word, fresh)))
			return 0;
	}
	if (fresh)
		release(map, fresh, mine);
	return result;
}

/* value: NULL, or where the deleted value goes (per-CPU: all copies). */
int htab_delete(const struct map *map, const u8 *key, u8 *value, u32 participant) {
	u64 hash = hash_of(map, key);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_walk w;
		enum htab_found found = walk(map, key, hash, &w);
		if (found == HTAB_LOST)
			continue;
		if (found != HTAB_FOUND)
			return found == HTAB_ABSENT ? -ENOENT : -EBUSY;
		struct htab_elem *e = htab_elem(map, w.i);
		if (value && !htab_pin(map, w.i, w.link))
			continue;
		u64 marked = htab_link(w.link, HTAB_MARKED, htab_next(w.link));
		bool done = cas(&e->link, w.link, marked);
		if (value && done)
			htab_copy_out(map, w.i, value);
		if (value)
			htab_unpin(map, w.i);
		if (!done)
			continue;
		struct cleaning c;
		c.n = 0;
		if (likely(htab_next(w.at_word) == w.i) && take_over(e, marked, participant, &c.at[0].mine)) {
			if (likely(unlink_behind(w.at, w.at_word, marked, w.bucket))) {
				release(map, w.i, c.at[0].mine);
				return 0;
			}
			c.at[0].i = w.i;
			c.n = 1;
		}
		clean(map, w.bucket, &c, participant);
		return 0;
	}
	return -EBUSY;
}

/* What bpf(2) reads: the value, or all copies. The element is pinned or the value may be torn. */
void htab_copy_out(const struct map *map, u32 i, u8 *value) {
	if (!htab_is_percpu(map)) {
		copy_words(value, htab_value(map, i, map->key_size, 0), map->value_size);
		return;
	}
	for (u32 c = 0; c < map->nr_cpus; c++)
		copy_words(value + (u64)c * map->value_stride, htab_value(map, i, map->key_size, c), map->value_stride);
}

/* The first element after number `after` (0: from the start) that its key leads to, or 0. */
u32 htab_next_live(const struct map *map, u32 after) {
	u32 high = MIN(READ_ONCE(*high_water(map)), map->max_entries);
	for (u32 i = after + 1; i && i <= high; i++) {
		struct htab_elem *e = htab_elem(map, i);
		struct htab_walk w;
		if (htab_state(READ_ONCE(e->link)) != HTAB_LIVE || !(READ_ONCE(e->claim) & CLAIM_OWNER))
			continue;
		if (htab_lookup(map, e->key, &w) == 0 && w.i == i)
			return i;
	}
	return 0;
}

/* == Entry points == */

static ALWAYS_INLINE u8 *lookup(const struct map *map, const u8 *key, u32 key_size, u32 cpu) {
	u64 hash = htab_hash(key, key_size, map->seed);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_walk w;
		enum htab_found found = htab_walk(map, key, key_size, hash, false, &w);
		if (likely(found == HTAB_FOUND))
			return htab_value(map, w.i, key_size, cpu);
		if (found != HTAB_LOST)
			return NULL;
	}
	return NULL;
}
u64 htab_map_lookup_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	return (u64)lookup(map, (const u8 *)r2, map->key_size, 0);
}
u64 htab_map_lookup_elem_4(DP_ARGS) {
	return (u64)lookup((const struct map *)r1, (const u8 *)r2, 4, 0);
}
u64 htab_map_lookup_elem_8(DP_ARGS) {
	return (u64)lookup((const struct map *)r1, (const u8 *)r2, 8, 0);
}
u64 htab_map_lookup_elem_16(DP_ARGS) {
	return (u64)lookup((const struct map *)r1, (const u8 *)r2, 16, 0);
}
u64 htab_percpu_map_lookup_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (unlikely(run->cpu >= map->nr_cpus))
		return 0;
	switch (map->key_size) {
	case 4:
		return (u64)lookup(map, (const u8 *)r2, 4, run->cpu);
	case 8:
		return (u64)lookup(map, (const u8 *)r2, 8, run->cpu);
	default:
		return (u64)lookup(map, (const u8 *)r2, map->key_size, run->cpu);
	}
}
u64 htab_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	return htab_update(map, (const u8 *)r2, (const u8 *)r3, r4, map_participant(map, run), 0);
}
u64 htab_percpu_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (unlikely(run->cpu >= map->nr_cpus))
		return -EBUSY;
	return htab_update(map, (const u8 *)r2, (const u8 *)r3, r4, map_participant(map, run), run->cpu);
}
u64 htab_map_delete_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	return htab_delete(map, (const u8 *)r2, NULL, map_participant(map, run));
}
