/* Values of maps: copies that leave the lock in a value alone, spin locks, atomic words. */
#ifndef SKEP_MAP_VALUE_H
#define SKEP_MAP_VALUE_H
#include "abi/dataplane.h"
#include "map/map.h"
#include <linux/errno.h>

/* Who is at work: the run's process, or without a run the map's. */
static inline u32 map_participant(const struct map *map, const struct skep_run *run) {
	u32 p = run && run->env ? run->env->participant : map->participant;
	return p && p <= PARTICIPANT_ANY ? p : PARTICIPANT_ANY;
}

static ALWAYS_INLINE bool cas(u64 *word, u64 was, u64 to) {
	return __atomic_compare_exchange_n(word, &was, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Copies words where it can: a reader of an aligned eight-byte value sees the old one or the new one. */
static ALWAYS_INLINE void copy_words(u8 *to, const u8 *from, u32 size) {
	u64 word;
	while (size >= 8) {
		__builtin_memcpy(&word, from, 8);
		__builtin_memcpy(to, &word, 8);
		to += 8, from += 8, size -= 8;
	}
	if (size & 4) {
		u32 half;
		__builtin_memcpy(&half, from, 4);
		__builtin_memcpy(to, &half, 4);
		to += 4, from += 4;
	}
	for (u32 i = 0; i < (size & 3); i++)
		to[i] = from[i];
}
/* Value to value, but for the lock in it. */
static inline void copy_value(const struct map *map, u8 *to, const u8 *from) {
	if (likely(map->spin_lock < 0)) {
		copy_words(to, from, map->value_size);
		return;
	}
	u32 at = map->spin_lock, after = at + 4;
	copy_words(to, from, at);
	copy_words(to + after, from + after, map->value_size - after);
}
static inline void zero_words(u8 *to, u32 size) {
	u64 zero = 0;
	for (; size >= 8; to += 8, size -= 8)
		__builtin_memcpy(to, &zero, 8);
	for (u32 i = 0; i < size; i++)
		to[i] = 0;
}

/* A bpf_spin_lock in a value: 0 free, else participant | LOCK_HELD. Bounded: false when it stayed taken. */
bool value_lock(u32 *lock, u32 participant);
void value_unlock(u32 *lock);
static inline u32 *value_lock_of(const struct map *map, u8 *value) {
	return (u32 *)(value + map->spin_lock);
}
/* With the value's lock held: 0, or -EBUSY when it stayed taken. */
int copy_value_locked(const struct map *map, u8 *to, const u8 *from, u8 *locked, u32 participant);
#endif
