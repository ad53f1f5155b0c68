/* The spin lock in values. The word is private to us (programs cannot touch it, bpf(2) shows zeros): participant of the
 * holder, 0 when free. A holder that died is found by map_ops.check; who waits for it gives up after LOCK_SPINS. */
#include "map/value.h"

/* About 10 ms: a pause is 40 to 140 cycles on the machines of the last ten years. */
enum { LOCK_SPINS = 300000 };

static ALWAYS_INLINE void pause_cpu(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

bool value_lock(u32 *lock, u32 participant) {
	ASSERT(participant);
	for (u32 n = 0; n < LOCK_SPINS; n++) {
		u32 free = 0;
		if (!READ_ONCE(*lock) && __atomic_compare_exchange_n(lock, &free, participant, false, __ATOMIC_ACQUIRE,
		                                                     __ATOMIC_RELAXED))
			return true;
		pause_cpu();
	}
	return false;
}
void value_unlock(u32 *lock) {
	store_release(lock, 0);
}
int copy_value_locked(const struct map *map, u8 *to, const u8 *from, u8 *locked, u32 participant) {
	ASSERT(map->spin_lock >= 0 && map->spin_lock + 4 <= map->value_size);
	if (!value_lock(value_lock_of(map, locked), participant))
		return -EBUSY;
	copy_value(map, to, from);
	value_unlock(value_lock_of(map, locked));
	return 0;
}
