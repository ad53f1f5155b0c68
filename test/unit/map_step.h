/* A child that works on a map in shared memory and is single-stepped; operations, and a plain model of what they do. */
#ifndef MAP_STEP_H
#define MAP_STEP_H
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
	u32 other; /* SWAP: deletes key, inserts this one */
};
enum { INSERT, DELETE, LOOKUP, TAKE, SWAP };

static inline bool only_child_dead(u32 owner) {
	return owner != CHILD && owner != 0;
}
static inline bool child_and_others(u32 owner) {
	return owner != CHILD;
}

static inline s64 perform(const struct map *map, const struct op *op, u32 participant) {
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
	case SWAP: {
		int error = ops->delete(&mine, key);
		return error ? error : ops->update(&mine, &key_of[op->other], value, BPF_NOEXIST);
	}
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

static inline int start(const struct map *map, const struct op *op) {
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
static inline bool step(int pid) {
	int status;
	steps_seen++;
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	return !control->done;
}
static inline void end(int pid) {
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	kills_seen++;
}

/* == A plain model == */

struct model {
	bool there[KEYS];
	u64 value[KEYS];
};
static inline s64 model_perform(struct model *m, const struct op *op) {
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
	if (op->kind == SWAP) {
		struct op put = {"", INSERT, op->other, op->value, BPF_NOEXIST};
		m->there[k] = false;
		return model_perform(m, &put);
	}
	if (op->kind == DELETE || op->kind == TAKE)
		m->there[k] = false;
	return op->kind == DELETE ? 0 : (s64)m->value[k];
}
static inline bool same_as(const struct map *map, const struct model *m) {
	for (u32 k = 0; k < KEYS; k++) {
		struct op look = {"", LOOKUP, k, 0, 0};
		s64 got = perform(map, &look, OTHER);
		if (got != (m->there[k] ? (s64)m->value[k] : -ENOENT))
			return false;
	}
	return true;
}
/* As many as get_next_key gives, each once. */
static inline u32 iterate(const struct map *map) {
	const struct map_ops *ops = map_ops_of(map->type);
	u32 key, n = 0, *last = NULL;
	while (n <= ENTRIES && ops->get_next_key(map, last, &key) == 0) {
		last = &key;
		n++;
	}
	return n;
}
static inline bool can_step(void) {
	control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int probe = fork(), status;
	if (probe == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) ? 1 : 0);
	waitpid(probe, &status, 0);
	return status == 0;
}
static inline void report(void) {
	printf("# %llu instructions stepped, %llu states given to another, %llu kills\n", (unsigned long long)steps_seen,
	       (unsigned long long)states_seen, (unsigned long long)kills_seen);
}

static inline void make(struct fixture *f, u32 type, u32 present, struct model *m) {
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
#endif
