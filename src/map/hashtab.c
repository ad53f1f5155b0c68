/* Hashes: hash and per-CPU hash, without locks.
 *
 * The problem. The area is shared by processes that may be killed, stopped or interrupted by a signal at any
 * instruction, and the signal's handler may run a program that uses the same map. A lock would have to be broken when
 * its holder dies, its holder would have to be recognised when it is oneself, and readers would see half-made
 * changes. So there is none: every change becomes visible by one compare-and-swap, and what a dead writer leaves
 * unfinished the next writer finishes.
 *
 *    buckets, one cache line each                                     elements, max_entries of them, from number 1
 *   ┌─────────┬──────┬────────┬────────┬─── ─ ─┐                     ┌───────┬─────┬───────┐
 *   │ control │ tags │ slot 0 │ slot 1 │  … 5  │                     │ claim │ key │ value │
 *   └────┬────┴──┬───┴───┬────┴────────┴─── ─ ─┘                     └───────┴─────┴───────┘
 *   what is on   │       └► version, number ─────────────────────────►
 *   its way in   └► eight bits of the hash of each slot's key        per-CPU: values lie in a plane for each CPU
 *
 * A key stands in a slot of its own bucket, or, when that was full, of one of the next `reach` buckets. To look up is
 * to compare six tags at once, then one key: two cache misses, hardly a mispredicted jump. There are at least 1.5
 * slots for each element and on average no more than four keys in a bucket, so reach is 0 nearly everywhere.
 *
 * To insert takes two steps, since «the key is absent» is a fact about many words: the element is announced in the
 * control word by CAS from the value that it had before the search (this is the moment it happens: of two writers who
 * both found the key absent only one succeeds); then it is brought into the slot that was announced with it, the
 * slot's tag is set, and the control word is cleared. Writers first finish what they find announced (htab_help);
 * lookups look into the slots, then at what was announced when they began. Whoever sets a tag has read the tags
 * before he saw that the key in the slot is still announced: so the tag cannot be late and hide the slot's next key.
 * To delete is to empty the slot by one CAS. Slots carry a version, so a word that was read is known to be the same.
 *
 * Claims. Elements are reused at once, as in the kernel's preallocated hashes. The claim word says who is responsible
 * for an element: nobody (owner 0: free), or a participant: who inserted it, later who deletes it. A deleter takes
 * over the claim before it empties the slot and gives the element back afterwards; if the claim is taken over from
 * him meanwhile, he lets go. Whoever copies into or out of an existing element pins it first; a pinned element that
 * has left its slot is retired, and the last one to unpin frees it. Values that programs reach by pointer are not
 * pinned: like in the kernel, a program that goes on using a deleted element's value may find another key's there.
 * Who looks up and deletes at once may miss a replacement or an addition that is under way at that moment. An
 * insertion that is under way holds its element: at the last free one, another is told -E2BIG even if the first comes
 * to nothing.
 *
 * Free elements: each bucket has four of its own, which lookups fetch while they wait for the bucket, so that the two
 * cache misses overlap; when these are taken, others are found through a bitmap (set = used) with a summary, and
 * cursors that remember where something was free. These are hints: only the CAS of the claim takes an element. A lost
 * hint hides an element until the check.
 *
 * Reading never waits. What a kill can leave: an element that nobody reaches with a dead owner, a bit that is wrong, a
 * pin; hashtab_syscall.c (check) finds and repairs these, nothing else needs repair, and no operation fails for them.
 *
 * Hostile areas: element numbers are compared with max_entries before use, the search is bounded by HTAB_REACH,
 * repetitions by HTAB_TRIES; whatever the words hold, accesses stay in the area. More than some 380 keys with the
 * same hash (possible with BPF_F_ZERO_SEED only) are refused with -E2BIG.
 *
 * Rules for changing: publish by one word; write an element's key only between claiming it and announcing it; read
 * the control word before the slots; free only what is in no slot, and only by CAS from one's own claim; never wait
 * for another. test/unit/map_crash.c kills every operation at every instruction, map_interrupt.c interrupts it there.
 *
 * Sources: Michael, «Hazard pointers», 2004; Fraser, «Practical lock-freedom», 2004 (helping); the kernel's hashtab.c
 * for what the operations return. */
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

/* Both orders of «set» and «clear» end with the summary's bit clear when the word has room. */
static void summarise(const struct map *map, u32 word) {
	u64 bit = 1ull << (word % 64);
	__atomic_fetch_or(summary_word(map, word / 64), bit, __ATOMIC_SEQ_CST);
	if (~__atomic_load_n(used_word(map, word), __ATOMIC_SEQ_CST))
		__atomic_fetch_and(summary_word(map, word / 64), ~bit, __ATOMIC_SEQ_CST);
}
static void used_bit(const struct map *map, u32 i) {
	u32 word = (i - 1) / 64;
	u64 bit = 1ull << ((i - 1) % 64);
	if (!~(__atomic_fetch_or(used_word(map, word), bit, __ATOMIC_SEQ_CST) | bit))
		summarise(map, word);
}
static void free_bit(const struct map *map, u32 i) {
	ASSERT(i - 1 < map->max_entries);
	u32 word = (i - 1) / 64;
	u64 bit = 1ull << ((i - 1) % 64);
	if (!~__atomic_fetch_and(used_word(map, word), ~bit, __ATOMIC_SEQ_CST))
		__atomic_fetch_and(summary_word(map, word / 64), ~(1ull << (word % 64)), __ATOMIC_SEQ_CST);
}

/* An element that is free becomes mine. */
static bool try_claim(const struct map *map, u32 i, u32 participant, u64 *mine) {
	struct htab_elem *e = htab_elem(map, i);
	u64 claim = READ_ONCE(e->claim);
	if ((u32)claim)
		return false;
	*mine = claim + CLAIM_GENERATION + participant;
	if (!cas(&e->claim, claim, *mine))
		return false;
	used_bit(map, i);
	return true;
}
/* Bit and claim differ: somebody is between the two, or died there. Of the claim's last change and this, whoever is
 * later makes the bit right. */
static void correct_used(const struct map *map, u32 i) {
	used_bit(map, i);
	if (!(u32)__atomic_load_n(&htab_elem(map, i)->claim, __ATOMIC_SEQ_CST))
		free_bit(map, i);
}
static void correct_free(const struct map *map, u32 i) {
	free_bit(map, i);
	if ((u32)__atomic_load_n(&htab_elem(map, i)->claim, __ATOMIC_SEQ_CST))
		used_bit(map, i);
}
void htab_correct_bit(const struct map *map, u32 i) {
	ASSERT(i - 1 < map->max_entries);
	if ((u32)READ_ONCE(htab_elem(map, i)->claim))
		correct_used(map, i);
	else
		correct_free(map, i);
}
static u32 claim_in_word(const struct map *map, u32 word, u32 participant, u64 *mine) {
	for (u64 room = ~READ_ONCE(*used_word(map, word)); room; room &= room - 1) {
		u32 i = word * 64 + __builtin_ctzll(room) + 1;
		if (unlikely(i > map->max_entries))
			break;
		if (try_claim(map, i, participant, mine))
			return i;
		correct_used(map, i);
	}
	return 0;
}
/* Claims a free element: its number and the claim word, or 0 when there is none. Each bucket has four elements that
 * it takes first: lookups fetch them while they wait for the bucket. */
static u32 claim_free(const struct map *map, u64 hash, u32 participant, u32 cpu, u64 *mine) {
	for (u32 k = 0, near = htab_near(map, hash); k < HTAB_NEAR; k++)
		if (near + k <= map->max_entries && try_claim(map, near + k, participant, mine))
			return near + k;
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
	if (i)
		WRITE_ONCE(*cursor, word);
	return i;
}

/* Ends my responsibility for an element that is in no chain. It is free at once, or when the last pin goes. */
static void release(const struct map *map, u32 i, u64 mine) {
	ASSERT(i - 1 < map->max_entries && mine & CLAIM_OWNER && !(mine & CLAIM_PINS));
	struct htab_elem *e = htab_elem(map, i);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = READ_ONCE(e->claim);
		if ((claim ^ mine) & ~CLAIM_PINS)
			return; /* taken over: no longer mine */
		if (claim & CLAIM_PINS) {
			if (cas(&e->claim, claim, claim | CLAIM_RETIRED))
				return;
		} else if (cas(&e->claim, claim, htab_claim_free(claim))) {
			correct_free(map, i);
			return;
		}
	}
}
/* The responsibility for an element that stands in a slot becomes mine. */
static bool take_over(struct htab_elem *e, const struct htab_place *place, u32 participant, u64 *mine) {
	ASSERT(participant && participant <= PARTICIPANT_ANY && place->slot);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = load_acquire(&e->claim);
		if (READ_ONCE(*place->slot) != place->word || !(claim & CLAIM_OWNER) || claim & CLAIM_RETIRED)
			return false;
		*mine = htab_claim_free(claim) | participant;
		if (cas(&e->claim, claim, *mine | (claim & CLAIM_PINS)))
			return true;
	}
	return false;
}

/* == Pins == */

/* Keeps the element from being reused; false: it is no longer at its place. */
bool htab_pin(const struct map *map, const struct htab_place *place) {
	struct htab_elem *e = htab_elem(map, place->i);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 claim = READ_ONCE(e->claim);
		if (!(claim & CLAIM_OWNER) || claim & CLAIM_RETIRED || (claim & CLAIM_PINS) == CLAIM_PINS)
			return false;
		if (!cas(&e->claim, claim, claim + CLAIM_PIN))
			continue;
		if (likely(load_acquire(place->slot) == place->word))
			return true;
		htab_unpin(map, place->i);
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
		correct_free(map, i);
}

/* == Keys in slots == */

struct htab_key htab_key_of(const struct map *map, const u8 *key) {
	return map->key_size == 4   ? htab_key(key, 4)
	       : map->key_size == 8 ? htab_key(key, 8)
	                            : htab_key(key, map->key_size);
}
u64 htab_hash_of(const struct map *map, const struct htab_key *key) {
	return htab_hash(key, map->seed);
}

/* The nearest empty slot as distance * 8 + word, or 0. */
static u32 find_room(const struct map *map, u64 hash) {
	u32 buckets = MIN(map->index_mask, HTAB_REACH) + 1;
	for (u32 distance = 0; distance < buckets; distance++) {
		const u64 *bucket = htab_bucket(map, hash, distance);
		for (u32 s = HTAB_FIRST; s < HTAB_WORDS; s++)
			if (!htab_index(READ_ONCE(bucket[s])))
				return distance * HTAB_WORDS + s;
	}
	return 0;
}
/* The tag of slot word s, with the element in the slot and still announced: true when it is right. */
static bool set_tag(u64 *bucket, u32 s, u8 tag, const u64 *home, u64 control) {
	u32 shift = 8 * (s - HTAB_FIRST);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 tags = load_acquire(&bucket[HTAB_TAGS]);
		if (load_acquire(home) != control)
			return false;
		if ((u8)(tags >> shift) == tag ||
		    cas(&bucket[HTAB_TAGS], tags, (tags & ~(0xffull << shift)) + HTAB_TAGS_VERSION + ((u64)tag << shift)))
			return true;
	}
	return false;
}
/* Brings the announced element into its slot. */
static void bring_in(const struct map *map, u64 hash, u8 tag, u64 control) {
	u64 *home = htab_bucket(map, hash, 0);
	u32 i = htab_index(control);
	ASSERT(i - 1 < map->max_entries);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u32 target = htab_target(control), s = target % HTAB_WORDS;
		u64 *bucket = htab_bucket(map, hash, target / HTAB_WORDS), word = load_acquire(&bucket[s]);
		/* Still announced: then the slot's word from before is the one to replace. */
		if (load_acquire(home) != control || s < HTAB_FIRST)
			return;
		if (!htab_index(word)) {
			u64 filled = htab_slot(word, i);
			if (!cas(&bucket[s], word, filled))
				continue;
			word = filled;
		}
		if (htab_index(word) == i) {
			if (set_tag(bucket, s, tag, home, control))
				cas(home, control, control & ~HTAB_INDEX);
			return;
		}
		target = find_room(map, hash); /* another bucket's key was faster */
		u64 other = htab_announce(control, target, i);
		if (!target || !cas(home, control, other))
			return;
		control = other;
	}
}
/* The same for what another announced. Of the hash only the bucket's number is right. */
void htab_help(const struct map *map, u64 hash, u64 control) {
	u32 i = htab_index(control);
	if (i - 1 >= map->max_entries)
		return;
	struct htab_key key = htab_key_of(map, htab_elem(map, i)->key);
	bring_in(map, hash, htab_tag(htab_hash_of(map, &key)), control);
}
/* For writers: nothing is on its way in when this returns true. */
static ALWAYS_INLINE bool settled(const struct map *map, u64 hash, u64 *control) {
	*control = load_acquire(htab_bucket(map, hash, 0));
	if (likely(!htab_index(*control)))
		return true;
	htab_help(map, hash, *control);
	return false;
}
/* Looks through the slots that the control word knows of. */
static ALWAYS_INLINE bool find_slot(const struct map *map, const struct htab_key *key, u64 hash, u64 control,
                                    struct htab_place *place) {
	u32 distance = 0;
	do {
		u64 *bucket = htab_bucket(map, hash, distance);
		u64 match = htab_match(load_acquire(&bucket[HTAB_TAGS]), hash);
		for (; match; match &= match - 1)
			if (htab_is_at(map, key, htab_matched(bucket, match), place))
				return true;
	} while (unlikely(distance++ < htab_reach(control)));
	return false;
}
/* The whole search of a reader. Wait-free but for one case: what was announced when it began, and has moved, is
 * looked for again. */
bool htab_find(const struct map *map, const struct htab_key *key, u64 hash, struct htab_place *place) {
	u64 *home = htab_bucket(map, hash, 0);
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		u64 control = load_acquire(home); /* first: what leaves it then is in a slot by then */
		if (find_slot(map, key, hash, control, place))
			return true;
		u32 i = htab_index(control);
		if (likely(!i))
			return false;
		if (i - 1 >= map->max_entries || !htab_key_equal(key, htab_elem(map, i)->key))
			return false;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (READ_ONCE(*home) == control) {
			*place = (struct htab_place){home, control, i};
			return true;
		}
	}
	return false;
}

/* == The operations == */

int htab_lookup(const struct map *map, const u8 *at, struct htab_place *place) {
	struct htab_key key = htab_key_of(map, at);
	return htab_find(map, &key, htab_hash_of(map, &key), place) ? 0 : -ENOENT;
}

static void fill_value(const struct map *map, u32 i, const u8 *value, s64 cpu) {
	ASSERT(i - 1 < map->max_entries && map->nr_cpus >= 1);
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
	ASSERT(i - 1 < map->max_entries);
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

/* What is to be inserted: claimed and filled when the first attempt needs it, given back if it is not used. */
struct insertion {
	u32 i;
	u64 mine;
};
/* The key is absent as of `control`: 0 inserted, -EAGAIN begin again, or an error. */
static int insert(const struct map *map, const struct htab_key *key, u64 hash, u64 control, const u8 *value,
                  u32 participant, s64 cpu, struct insertion *new) {
	u64 *home = htab_bucket(map, hash, 0);
	if (!new->i) {
		new->i = claim_free(map, hash, participant, MAX(cpu, 0), &new->mine);
		if (!new->i) /* perhaps the key has come meanwhile */
			return load_acquire(home) == control ? -E2BIG : -EAGAIN;
		copy_words(htab_elem(map, new->i)->key, key->at, map->key_size);
		fill_value(map, new->i, value, cpu);
	}
	u32 target = find_room(map, hash);
	if (unlikely(!target))
		return -E2BIG;
	u64 announced = htab_announce(control, target, new->i);
	if (!cas(home, control, announced))
		return -EAGAIN;
	bring_in(map, hash, htab_tag(hash), announced);
	return 0;
}
/* cpu: of the copy to write in a per-CPU hash, or HTAB_ALL_CPUS: value is nr_cpus copies. */
int htab_update(const struct map *map, const u8 *at, const u8 *value, u64 flags, u32 participant, s64 cpu) {
	if (unlikely((flags & ~(htab_is_percpu(map) ? 0ull : BPF_F_LOCK)) > BPF_EXIST) ||
	    unlikely(flags & BPF_F_LOCK && map->spin_lock < 0))
		return -EINVAL;
	ASSERT(cpu < (s64)map->nr_cpus);
	struct htab_key key = htab_key_of(map, at);
	u64 hash = htab_hash_of(map, &key), control;
	struct insertion new = {0, 0};
	int result = -EBUSY;
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_place place;
		if (unlikely(!settled(map, hash, &control)))
			continue;
		if (find_slot(map, &key, hash, control, &place)) {
			result = -EEXIST;
			if ((flags & 3) == BPF_NOEXIST)
				break;
			result = -EBUSY;
			if (!htab_pin(map, &place))
				continue;
			result = replace_value(map, place.i, value, flags, participant, cpu);
			htab_unpin(map, place.i);
			break;
		}
		result = -ENOENT;
		if ((flags & 3) == BPF_EXIST)
			break;
		result = insert(map, &key, hash, control, value, participant, cpu, &new);
		if (result == 0)
			return 0;
		if (result != -EAGAIN)
			break;
		result = -EBUSY;
	}
	if (new.i)
		release(map, new.i, new.mine);
	return result;
}

/* value: NULL, or where the deleted value goes (per-CPU: all copies). */
int htab_delete(const struct map *map, const u8 *at, u8 *value, u32 participant) {
	struct htab_key key = htab_key_of(map, at);
	u64 hash = htab_hash_of(map, &key), control, mine;
	for (u32 tries = 0; tries < HTAB_TRIES; tries++) {
		struct htab_place place;
		if (unlikely(!settled(map, hash, &control)))
			continue;
		if (!find_slot(map, &key, hash, control, &place))
			return -ENOENT;
		if (value && !htab_pin(map, &place))
			continue;
		/* Whoever holds the claim gives the element back, also if another empties the slot. */
		bool held = take_over(htab_elem(map, place.i), &place, participant, &mine);
		bool deleted = held && cas(place.slot, place.word, htab_slot(place.word, 0));
		if (value && deleted)
			htab_copy_out(map, place.i, value);
		if (value)
			htab_unpin(map, place.i);
		if (held)
			release(map, place.i, mine);
		if (deleted)
			return 0;
	}
	return -EBUSY;
}

/* What bpf(2) reads: the value, or all copies. The element is pinned or the value may be torn. */
void htab_copy_out(const struct map *map, u32 i, u8 *value) {
	ASSERT(i - 1 < map->max_entries);
	if (!htab_is_percpu(map)) {
		copy_words(value, htab_value(map, i, map->key_size, 0), map->value_size);
		return;
	}
	for (u32 c = 0; c < map->nr_cpus; c++)
		copy_words(value + (u64)c * map->value_stride, htab_value(map, i, map->key_size, c), map->value_stride);
}

/* The first element after number `after` (0: from the start) that its key leads to, or 0. Goes by the bitmap, so that a
 * sparse map stays sparse. */
u32 htab_next_live(const struct map *map, u32 after) {
	u32 words = (map->max_entries + 63) / 64;
	u64 first = ~0ull << (after % 64);
	for (u32 word = after / 64; word < words; word++, first = ~0ull) {
		for (u64 used = READ_ONCE(*used_word(map, word)) & first; used; used &= used - 1) {
			u32 i = word * 64 + __builtin_ctzll(used) + 1;
			struct htab_place place;
			if (i > map->max_entries)
				return 0;
			if (htab_lookup(map, htab_elem(map, i)->key, &place) == 0 && place.i == i)
				return i;
		}
	}
	return 0;
}

/* == Entry points == */

static NOINLINE bool find_slowly(const struct map *map, const u8 *at, struct htab_place *place) {
	struct htab_key key = htab_key_of(map, at);
	return htab_find(map, &key, htab_hash_of(map, &key), place);
}
/* Keys in their own bucket, and absent ones when all of this bucket's keys are there: nearly always. */
static ALWAYS_INLINE bool find_fast(const struct map *map, const u8 *at, u32 key_size, struct htab_place *place) {
	struct htab_key key = htab_key(at, key_size);
	u64 hash = htab_hash(&key, map->seed), *bucket = htab_bucket(map, hash, 0);
	const u8 *near = (const u8 *)htab_elem(map, htab_near(map, hash));
	__builtin_prefetch(near);
	__builtin_prefetch(near + 64);
	u64 control = load_acquire(bucket);
	u64 match = htab_match(load_acquire(&bucket[HTAB_TAGS]), hash);
	if (likely(match) && likely(htab_is_at(map, &key, htab_matched(bucket, match), place)))
		return true;
	if (likely(!(match & (match - 1))) && likely(!(control & HTAB_ELSEWHERE)))
		return false;
	return find_slowly(map, at, place);
}
static ALWAYS_INLINE u32 lookup(const struct map *map, const u8 *at, u32 key_size) {
	struct htab_place place;
	return find_fast(map, at, key_size, &place) ? place.i : 0;
}
/* Replaces the value of a key that is there; false: the long way. */
static ALWAYS_INLINE bool replace_fast(const struct map *map, const u8 *at, u32 key_size, const u8 *value, u32 cpu) {
	struct htab_place place;
	if (!find_fast(map, at, key_size, &place) || !htab_pin(map, &place))
		return false;
	copy_value(map, htab_value(map, place.i, key_size, cpu), value);
	htab_unpin(map, place.i);
	return true;
}
static ALWAYS_INLINE bool replace(const struct map *map, const u8 *at, const u8 *value, u64 flags, u32 cpu) {
	if (unlikely(flags != BPF_ANY && flags != BPF_EXIST))
		return false;
	return map->key_size == 4   ? replace_fast(map, at, 4, value, cpu)
	       : map->key_size == 8 ? replace_fast(map, at, 8, value, cpu)
	                            : replace_fast(map, at, map->key_size, value, cpu);
}
static NOINLINE u64 lookup_slowly(const struct map *map, const u8 *at) {
	struct htab_place place;
	return find_slowly(map, at, &place) ? (u64)htab_value(map, place.i, map->key_size, 0) : 0;
}
/* The same search as in find_fast, for the commonest of all calls. A lookup in a large map is two cache misses, which
 * overlap, and those of the following lookups overlap with them if they are near enough: so what counts is how few
 * instructions there are, and that none waits. Everything rare is a tail call, so there is no frame. */
static ALWAYS_INLINE u64 lookup_plain(u64 r1, u64 r2, u32 key_size) {
	const struct map *map = (const struct map *)r1;
	struct htab_key key = htab_key((const u8 *)r2, key_size);
	u64 hash = htab_hash(&key, map->seed), home = hash & map->index_mask, elem_size = map->elem_size;
	u64 *bucket = (u64 *)(map->area + home * (HTAB_WORDS * sizeof(u64)) + HTAB_HEADER_SIZE);
	u8 *elems = map->area + map->off[HASH_ELEMS], *near = elems + home * elem_size * HTAB_NEAR;
	__builtin_prefetch(near);
	__builtin_prefetch(near + 64);
	u64 control = load_acquire(bucket); /* first: what leaves it then is in a slot by then */
	u64 match = htab_match(load_acquire(&bucket[HTAB_TAGS]), hash);
	if (likely(match)) {
		u64 *slot = htab_matched(bucket, match), word = load_acquire(slot);
		u32 i = htab_index(word) - 1;
		u8 *elem = elems + i * elem_size;
		if (likely(i < map->max_entries) && likely(htab_key_equal(&key, elem + HTAB_HEADER))) {
			__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the same word before and after: it was this element's key */
			if (likely(READ_ONCE(*slot) == word))
				return (u64)elem + HTAB_HEADER + round_up(key_size, 8);
		}
	}
	if (likely(!(match & (match - 1))) && likely(!(control & HTAB_ELSEWHERE)))
		return 0;
	return lookup_slowly(map, (const u8 *)r2);
}
u64 htab_map_lookup_elem(DP_ARGS) {
	return lookup_plain(r1, r2, ((const struct map *)r1)->key_size);
}
u64 htab_map_lookup_elem_4(DP_ARGS) {
	return lookup_plain(r1, r2, 4);
}
u64 htab_map_lookup_elem_8(DP_ARGS) {
	return lookup_plain(r1, r2, 8);
}
u64 htab_map_lookup_elem_16(DP_ARGS) {
	return lookup_plain(r1, r2, 16);
}
u64 htab_percpu_map_lookup_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	const u8 *key = (const u8 *)r2;
	if (unlikely(run->cpu >= map->nr_cpus))
		return 0;
	u32 i = map->key_size == 4   ? lookup(map, key, 4)
	        : map->key_size == 8 ? lookup(map, key, 8)
	                             : lookup(map, key, map->key_size);
	return i ? (u64)htab_value(map, i, map->key_size, run->cpu) : 0;
}
u64 htab_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (likely(replace(map, (const u8 *)r2, (const u8 *)r3, r4, 0)))
		return 0;
	return htab_update(map, (const u8 *)r2, (const u8 *)r3, r4, map_participant(map, run), 0);
}
u64 htab_percpu_map_update_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	if (unlikely(run->cpu >= map->nr_cpus))
		return -EBUSY;
	if (likely(replace(map, (const u8 *)r2, (const u8 *)r3, r4, run->cpu)))
		return 0;
	return htab_update(map, (const u8 *)r2, (const u8 *)r3, r4, map_participant(map, run), run->cpu);
}
u64 htab_map_delete_elem(DP_ARGS) {
	const struct map *map = (const struct map *)r1;
	return htab_delete(map, (const u8 *)r2, NULL, map_participant(map, run));
}
