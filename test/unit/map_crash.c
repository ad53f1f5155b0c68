/* Crash safety: a writer may be killed at any instruction.
 *
 * A child works on shared memory and is single-stepped. What a kill leaves is what the memory holds at that moment, so
 * each state that differs from the one before is copied and given to another participant, as if the child had been
 * killed there; some children are really killed, to keep the argument honest. The other participant must
 *   without any repair   find every key with its value before or after the operation, and succeed in every operation of
 *                        its own (a leaked element may cost capacity);
 *   after ops->check     find a sound structure and the full capacity.
 * map_interrupt.c lets the child go on instead. */
#include "map_step.h"

/* The state in the copy is what a killed child left. */
static void verify_copy(const struct map *map, const struct model *before, const struct model *after, const struct op *op) {
	const struct map_ops *ops = map_ops_of(map->type);
	bool was_before = same_as(map, before), is_after = same_as(map, after);
	EXPECT(was_before || is_after);
	struct model m = is_after ? *after : *before;
	/* Everybody can work without a repair. */
	u8 *saved = malloc(map->area_size);
	memcpy(saved, map->area, map->area_size);
	for (u32 k = 0; k < KEYS; k++) {
		struct op drop = {"", DELETE, k, 0, 0}, put = {"", INSERT, k, 500 + k, 0};
		EXPECT_EQ(perform(map, &drop, OTHER), m.there[k] ? 0 : -ENOENT);
		m.there[k] = false;
		EXPECT_EQ(perform(map, &put, OTHER), 0);
		m.there[k] = true, m.value[k] = 500 + k;
		EXPECT(same_as(map, &m));
		EXPECT_EQ(perform(map, &drop, OTHER), 0);
		m.there[k] = false;
	}
	memcpy(map->area, saved, map->area_size);
	free(saved);
	/* Repair while others live, and when none does; then exact capacity. */
	const char *why = NULL;
	EXPECT_EQ(ops->check(map, child_and_others, &why), 0);
	EXPECT(same_as(map, is_after ? after : before));
	EXPECT_EQ(ops->check(map, only_child_dead, &why), 0);
	if (why)
		printf("# %s: %s\n", op->name, why);
	m = is_after ? *after : *before;
	EXPECT(same_as(map, &m));
	EXPECT_EQ(ops->check(map, only_child_dead, &why), 0);
	for (u32 round = 0; round < 2; round++) {
		for (u32 k = 0; k < KEYS; k++) {
			struct op put = {"", INSERT, k, 600 + k, 0};
			EXPECT_EQ(perform(map, &put, OTHER), model_perform(&m, &put));
		}
		EXPECT(same_as(map, &m));
		EXPECT_EQ(ops->count(map), ENTRIES);
		for (u32 k = 0; k < KEYS; k++) {
			struct op drop = {"", DELETE, k, 0, 0};
			EXPECT_EQ(perform(map, &drop, OTHER), model_perform(&m, &drop));
		}
	}
	EXPECT_EQ(ops->count(map), 0);
}
static void kill_everywhere(u32 type, u32 present, const struct op *op) {
	struct fixture f;
	struct model before, after;
	make(&f, type, present, &before);
	after = before;
	s64 want = model_perform(&after, op);
	struct map copy = f.map;
	copy.area = fixture_memory(copy.area_size);
	u8 *last = malloc(copy.area_size), *first = malloc(copy.area_size);
	memcpy(first, f.map.area, copy.area_size);
	memset(last, 0xff, copy.area_size);
	int pid = start(&f.map, op);
	u32 steps = 0, states = 0;
	u32 kill_at[64];
	do {
		if (!memcmp(last, f.map.area, copy.area_size))
			continue;
		memcpy(last, f.map.area, copy.area_size);
		memcpy(copy.area, last, copy.area_size);
		verify_copy(&copy, &before, &after, op);
		kill_at[states++ % 64] = steps;
		states_seen++;
	} while (++steps < STEPS_MAX && !test_bad && step(pid));
	EXPECT(control->done);
	EXPECT_EQ(control->result, want);
	end(pid);
	/* The same with real kills, at each of these moments. */
	for (u32 i = 0; i < MIN(states, 64u) && !test_bad; i++) {
		memcpy(f.map.area, first, copy.area_size);
		pid = start(&f.map, op);
		for (u32 n = 0; n < kill_at[i]; n++)
			step(pid);
		end(pid);
		memcpy(copy.area, f.map.area, copy.area_size);
		verify_copy(&copy, &before, &after, op);
	}
	if (test_bad)
		printf("# %s with %u keys, type %u, step %u\n", op->name, present, type, steps);
	free(last);
	free(first);
	fixture_unmap(copy.area, copy.area_size);
	fixture_free(&f);
}
static const struct op ops_to_kill[] = {
    {"insert a new key", INSERT, 8, 7, 0},
    {"insert into another bucket", INSERT, KEYS - 1, 7, 0},
    {"insert only if absent", INSERT, 8, 7, BPF_NOEXIST},
    {"replace a value", INSERT, 1, 7, 0},
    {"replace only if there", INSERT, 1, 7, BPF_EXIST},
    {"refuse to insert", INSERT, 1, 7, BPF_NOEXIST},
    {"delete the first", DELETE, 0, 0, 0},
    {"delete the last", DELETE, 7, 0, 0},
    {"delete what is not there", DELETE, 9, 0, 0},
    {"take a value out", TAKE, 2, 0, 0},
    {"look up", LOOKUP, 2, 0, 0},
};
/* With seven keys in a crowded bucket the next one goes beyond it. */
static void killed_hash(u32 type) {
	static const u32 present[] = {6, 7, 8};
	for (u32 n = 0; n < 4; n++) {
		crowded = n > 0;
		for (u32 i = 0; i < ARRAY_SIZE(ops_to_kill) && !test_bad; i++)
			kill_everywhere(type, present[n ? n - 1 : 1], &ops_to_kill[i]);
	}
	struct op full = {"insert into a full map", INSERT, KEYS - 1, 7, 0};
	kill_everywhere(type, ENTRIES, &full);
}
static void killed_hash_plain(void) {
	killed_hash(BPF_MAP_TYPE_HASH);
}
static void killed_hash_percpu(void) {
	killed_hash(BPF_MAP_TYPE_PERCPU_HASH);
}

/* == Ring buffers == */

struct ring_got {
	u32 n;
	u64 value[16];
};
static int ring_take(void *owner, const void *data, u32 size) {
	struct ring_got *g = owner;
	memcpy(&g->value[g->n++ % 16], data, 8);
	EXPECT_EQ(size, 16);
	return 0;
}
static bool ring_send(const struct map *map, u64 value, u32 participant) {
	u8 *r = ring_reserve(map, 16, participant);
	if (!r)
		return false;
	memcpy(r, &value, 8);
	ring_commit(r, false);
	return true;
}
/* One record was there; the child was sending a second one. */
static void verify_ring(const struct map *map) {
	const struct map_ops *ops = map_ops_of(map->type);
	const char *why = NULL;
	EXPECT(ring_send(map, 3, OTHER));
	EXPECT_EQ(ops->check(map, only_child_dead, &why), 0);
	if (why)
		printf("# ring: %s\n", why);
	struct ring_got g = {0};
	ringbuf_map_consume(map, ring_take, &g);
	EXPECT(g.n == 2 || (g.n == 3 && g.value[1] == 2));
	EXPECT(g.value[0] == 1 && g.value[g.n - 1] == 3);
	EXPECT_EQ(ringbuf_map_pending(map), 0);
	/* The whole ring, twice. */
	for (u32 n = 0; n < 2; n++) {
		u32 sent = 0;
		while (ring_send(map, sent, OTHER))
			sent++;
		EXPECT_EQ(sent, 4095 / 24);
		memset(&g, 0, sizeof g);
		EXPECT_EQ(ringbuf_map_consume(map, ring_take, &g), sent);
	}
	EXPECT_EQ(ops->check(map, only_child_dead, &why), 0);
}
static void killed_ring(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	struct map copy = f.map;
	copy.area = fixture_memory(copy.area_size);
	copy.data = fixture_memory(copy.data_size);
	/* Old records lie in the ring already, so stale headers are met. */
	struct ring_got g = {0};
	for (u32 n = 0; n < 4096 / 24 * 3; n++) {
		EXPECT(ring_send(&f.map, n, OTHER));
		ringbuf_map_consume(&f.map, ring_take, &g);
	}
	EXPECT(ring_send(&f.map, 1, OTHER));
	u8 *last = malloc(copy.data_size), *last_area = malloc(copy.area_size);
	memset(last, 0xff, copy.data_size);
	control->done = 0;
	int pid = fork(), status;
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		control->result = ring_send(&f.map, 2, CHILD);
		control->done = 1;
		for (;;)
			pause();
	}
	waitpid(pid, &status, 0);
	u32 steps = 0;
	do {
		if (!memcmp(last, f.map.data, copy.data_size) && !memcmp(last_area, f.map.area, copy.area_size))
			continue;
		memcpy(last, f.map.data, copy.data_size);
		memcpy(last_area, f.map.area, copy.area_size);
		memcpy(copy.data, last, copy.data_size);
		memcpy(copy.area, last_area, copy.area_size);
		verify_ring(&copy);
		states_seen++;
	} while (++steps < STEPS_MAX && !test_bad && step(pid));
	EXPECT(control->done && control->result);
	end(pid);
	free(last);
	free(last_area);
	fixture_free(&f);
}

/* == Arrays: a value of 24 bytes changes by words, a slot at once, a lock opens == */

static void killed_arrays(void) {
	static const u32 types[] = {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PROG_ARRAY,
	                            BPF_MAP_TYPE_ARRAY_OF_MAPS};
	key_of[0] = 1;
	for (u32 t = 0; t < ARRAY_SIZE(types); t++) {
		struct fixture f;
		u32 cpus = types[t] == BPF_MAP_TYPE_PERCPU_ARRAY ? 2 : 1;
		EXPECT_EQ(fixture_make(&f, types[t], 4, t < 2 ? 8 : 4, 3, 0, cpus), 0);
		struct op old = {"", INSERT, 0, 1ull << 32 | 1, 0}, new = {"", INSERT, 0, 2ull << 32 | 2, 0};
		EXPECT_EQ(perform(&f.map, &old, OTHER), 0);
		int pid = start(&f.map, &new);
		do {
			u64 got[2] = {0};
			const char *why = NULL;
			EXPECT_EQ(f.ops->check(&f.map, only_child_dead, &why), 0);
			EXPECT_EQ(f.ops->lookup(&f.map, &key_of[0], got, 0), 0);
			EXPECT(got[0] == old.value || got[0] == new.value);
			states_seen++;
		} while (!test_bad && step(pid));
		EXPECT(control->done && control->result == 0);
		end(pid);
		fixture_free(&f);
	}
}
static void killed_with_a_lock(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_ARRAY, 4, 24, 3, 0, 1), 0);
	f.map.spin_lock = 8;
	key_of[0] = 1;
	struct op locked = {"", INSERT, 0, 7, BPF_F_LOCK};
	struct map copy = f.map;
	copy.area = fixture_memory(copy.area_size);
	int pid = start(&f.map, &locked);
	do {
		if (!memcmp(copy.area, f.map.area, copy.area_size) && states_seen)
			continue;
		const char *why = NULL;
		memcpy(copy.area, f.map.area, copy.area_size);
		EXPECT_EQ(f.ops->check(&copy, only_child_dead, &why), 0);
		EXPECT_EQ(perform(&copy, &locked, OTHER), 0);
		memcpy(copy.area, f.map.area, copy.area_size);
		states_seen++;
	} while (!test_bad && step(pid));
	EXPECT(control->done && control->result == 0);
	end(pid);
	fixture_free(&f);
}
int main(void) {
	if (!can_step()) {
		SKIP("all", "ptrace is not allowed here");
		return test_end();
	}
	RUN(killed_hash_plain);
	RUN(killed_hash_percpu);
	RUN(killed_ring);
	RUN(killed_arrays);
	RUN(killed_with_a_lock);
	report();
	return test_end();
}
