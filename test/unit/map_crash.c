/* Crash safety: a writer may be killed at any instruction, or interrupted there by another who uses the same map.
 *
 * A child works on shared memory and is single-stepped. What a kill leaves is what the memory holds at that moment, so
 * each state that differs from the one before is copied and given to another participant, as if the child had been
 * killed there; some children are really killed, to keep the argument honest. The other participant must
 *   without any repair   find every key with its value before or after the operation, and succeed in every operation of
 *                        its own (a leaked element may cost capacity);
 *   after ops->check     find a sound structure and the full capacity.
 * Interrupted: at each instruction of an operation A another operation B is carried out whole, then A goes on: results and
 * contents must be those of A before B or of B before A. (At the last free element this does not hold: an insertion that is
 * under way has it, and another one is told -E2BIG.) */
#include "map_fixture.h"
#include "map/hashtab.h"
#include "map/ringbuf.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD = 2, OTHER = 3, KEYS = 12, ENTRIES = 10, STEPS_MAX = 20000 };

/* Keys are numbers; with crowded all but the last share a bucket, which has room for seven. */
static u32 key_of[KEYS];
static bool crowded;
static u64 states_seen, steps_seen, kills_seen;

struct control {
	volatile u32 done;
	volatile s64 result;
};
static struct control *control;

struct op {
	const char *name;
	u32 kind, key;
	u64 value, flags;
};
enum { INSERT, DELETE, LOOKUP, TAKE };

static bool only_child_dead(u32 owner) {
	return owner != CHILD && owner != 0;
}
static bool child_and_others(u32 owner) {
	return owner != CHILD;
}

static s64 perform(const struct map *map, const struct op *op, u32 participant) {
	struct map mine = *map;
	mine.participant = participant;
	const struct map_ops *ops = map_ops_of(map->type);
	u64 value[4] = {op->value, op->value, op->value, op->value};
	const void *key = &key_of[op->key];
	switch (op->kind) {
	case INSERT:
		return ops->update(&mine, key, value, op->flags);
	case DELETE:
		return ops->delete(&mine, key);
	case TAKE: {
		int error = ops->lookup_and_delete(&mine, key, value, 0);
		return error ? error : (s64)value[0];
	}
	default: {
		int error = ops->lookup(&mine, key, value, 0);
		return error ? error : (s64)value[0];
	}
	}
}

/* == The child == */

static int start(const struct map *map, const struct op *op) {
	control->done = 0;
	int pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		control->result = perform(map, op, CHILD);
		control->done = 1;
		for (;;)
			pause();
	}
	int status;
	waitpid(pid, &status, 0);
	return pid;
}
static bool step(int pid) {
	int status;
	steps_seen++;
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	return !control->done;
}
static void end(int pid) {
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	kills_seen++;
}

/* == A plain model == */

struct model {
	bool there[KEYS];
	u64 value[KEYS];
};
static s64 model_perform(struct model *m, const struct op *op) {
	u32 k = op->key, n = 0;
	for (u32 i = 0; i < KEYS; i++)
		n += m->there[i];
	bool there = m->there[k];
	if (op->kind == INSERT) {
		if (there && op->flags == BPF_NOEXIST)
			return -EEXIST;
		if (!there && op->flags == BPF_EXIST)
			return -ENOENT;
		if (!there && n == ENTRIES)
			return -E2BIG;
		m->there[k] = true;
		m->value[k] = op->value;
		return 0;
	}
	if (!there)
		return -ENOENT;
	if (op->kind == DELETE || op->kind == TAKE)
		m->there[k] = false;
	return op->kind == DELETE ? 0 : (s64)m->value[k];
}
static bool same_as(const struct map *map, const struct model *m) {
	for (u32 k = 0; k < KEYS; k++) {
		struct op look = {"", LOOKUP, k, 0, 0};
		s64 got = perform(map, &look, OTHER);
		if (got != (m->there[k] ? (s64)m->value[k] : -ENOENT))
			return false;
	}
	return true;
}

/* == Hash maps == */

static void make(struct fixture *f, u32 type, u32 present, struct model *m) {
	EXPECT_EQ(fixture_make(f, type, 4, 8, ENTRIES, 0, type == BPF_MAP_TYPE_HASH ? 1 : 2), 0);
	f->map.seed = 12345;
	for (u32 k = 0, candidate = 1; k < KEYS; candidate++) {
		struct htab_key key = htab_key((u8 *)&candidate, 4);
		if (!crowded || k == KEYS - 1 || htab_hash(&key, f->map.seed) % f->map.buckets == 0)
			key_of[k++] = candidate;
	}
	memset(m, 0, sizeof *m);
	for (u32 k = 0; k < present; k++) {
		struct op put = {"", INSERT, k, 100 + k, 0};
		EXPECT_EQ(perform(&f->map, &put, OTHER), 0);
		model_perform(m, &put);
	}
}
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

/* A is interrupted at step n, if it has so many; true if it had. */
static bool interrupt_at(struct fixture *f, const u8 *first, const struct model *before, const struct op *a,
                         const struct op *b, u32 n) {
	memcpy(f->map.area, first, f->map.area_size);
	int pid = start(&f->map, a);
	bool running = true;
	for (u32 i = 0; i < n && running; i++)
		running = step(pid);
	s64 got_b = perform(&f->map, b, n % 2 ? CHILD : OTHER); /* a signal handler, or somebody else */
	int status;
	if (running) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		for (u32 i = 0; i < 10000000 && !control->done; i++)
			sched_yield();
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	kills_seen++;
	struct model ab = *before, ba = *before;
	s64 a_first = model_perform(&ab, a), b_second = model_perform(&ab, b);
	s64 b_first = model_perform(&ba, b), a_second = model_perform(&ba, a);
	s64 got_a = control->result;
	/* Who takes a value out may miss a replacement that is under way. */
	bool missed = b->kind == TAKE && got_a == 0 && got_b == (s64)before->value[b->key] && same_as(&f->map, &ab);
	bool fits = missed || (got_a == a_first && got_b == b_second && same_as(&f->map, &ab)) ||
	            (got_a == a_second && got_b == b_first && same_as(&f->map, &ba));
	EXPECT(control->done && fits);
	const char *why = NULL;
	EXPECT_EQ(map_ops_of(f->map.type)->check(&f->map, only_child_dead, &why), 0);
	if (!fits || why)
		printf("# %s, interrupted at %u by %s: %lld and %lld %s\n", a->name, n, b->name, (long long)got_a,
		       (long long)got_b, why ? why : "");
	return running;
}
static void interrupted_hash(void) {
	static const struct op pairs[][2] = {
	    {{"insert", INSERT, 8, 7, 0}, {"insert the same", INSERT, 8, 8, 0}},
	    {{"insert", INSERT, 8, 7, 0}, {"insert beside", INSERT, 9, 8, 0}},
	    {{"insert", INSERT, 8, 7, 0}, {"insert elsewhere", INSERT, KEYS - 1, 8, 0}},
	    {{"insert", INSERT, 8, 7, 0}, {"delete beside", DELETE, 4, 0, 0}},
	    {{"insert if absent", INSERT, 8, 7, BPF_NOEXIST}, {"insert if absent", INSERT, 8, 8, BPF_NOEXIST}},
	    {{"insert", INSERT, 8, 7, 0}, {"delete the same", DELETE, 8, 0, 0}},
	    {{"insert", INSERT, 8, 7, 0}, {"take the same", TAKE, 8, 0, 0}},
	    {{"replace", INSERT, 2, 7, 0}, {"delete the same", DELETE, 2, 0, 0}},
	    {{"replace", INSERT, 2, 7, 0}, {"replace the same", INSERT, 2, 8, 0}},
	    {{"replace if there", INSERT, 2, 7, BPF_EXIST}, {"take", TAKE, 2, 0, 0}},
	    {{"delete", DELETE, 2, 0, 0}, {"delete the same", DELETE, 2, 0, 0}},
	    {{"delete", DELETE, 2, 0, 0}, {"delete another", DELETE, 1, 0, 0}},
	    {{"delete", DELETE, 4, 0, 0}, {"insert beside", INSERT, 8, 8, 0}},
	    {{"delete", DELETE, 2, 0, 0}, {"replace the same", INSERT, 2, 8, 0}},
	    {{"take", TAKE, 2, 0, 0}, {"insert the same", INSERT, 2, 8, 0}},
	    {{"look up", LOOKUP, 2, 0, 0}, {"delete", DELETE, 3, 0, 0}},
	    {{"look up", LOOKUP, 0, 0, 0}, {"delete the same", DELETE, 0, 0, 0}},
	    {{"look up", LOOKUP, 8, 0, 0}, {"insert the same", INSERT, 8, 3, 0}},
	};
	/* With SKEP_TEST_ALL at every instruction, else at every thirteenth, others in each pair. */
	u32 stride = getenv("SKEP_TEST_ALL") ? 1 : 13;
	for (u32 p = 0; p < ARRAY_SIZE(pairs) && !test_bad; p++) {
		struct fixture f;
		struct model before;
		crowded = true;
		make(&f, BPF_MAP_TYPE_HASH, 7 + p % 2, &before);
		u8 *first = malloc(f.map.area_size);
		memcpy(first, f.map.area, f.map.area_size);
		for (u32 n = p % stride; n < STEPS_MAX; n += stride)
			if (!interrupt_at(&f, first, &before, &pairs[p][0], &pairs[p][1], n) || test_bad)
				break;
		free(first);
		fixture_free(&f);
	}
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
	control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int probe = fork(), status;
	if (probe == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) ? 1 : 0);
	waitpid(probe, &status, 0);
	if (status) {
		SKIP("all", "ptrace is not allowed here");
		return test_end();
	}
	RUN(killed_hash_plain);
	RUN(killed_hash_percpu);
	RUN(interrupted_hash);
	RUN(killed_ring);
	RUN(killed_arrays);
	RUN(killed_with_a_lock);
	printf("# %llu instructions stepped, %llu states given to another, %llu kills\n", (unsigned long long)steps_seen,
	       (unsigned long long)states_seen, (unsigned long long)kills_seen);
	return test_end();
}
