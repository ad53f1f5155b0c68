/* Interruptions: at an instruction of an operation A, another operation B is carried out whole, by another process or by
 * a signal handler of the same one; then A goes on. Results and contents must be those of A before B or of B before A,
 * nothing may leak, and the structure must be sound, without a repair.
 *
 * Exempt: who takes a value out may miss a replacement that is under way; at the last free element an insertion that is
 * under way has it, and another one is told -E2BIG (the tests leave room).
 *
 * SKEP_TEST_STRIDE=1 in the environment makes it every instruction, which takes ten minutes; else it is every 41st, others
 * in each pair. */
#include "map_step.h"

static u32 stride = 41;

static void run_on(int pid) {
	ptrace(PTRACE_CONT, pid, 0, 0);
	for (u32 i = 0; i < 10000000 && !control->done; i++)
		sched_yield();
}
/* Nothing leaked: the map can be filled to the last element. */
static bool fills(const struct map *map, struct model m) {
	for (u32 k = 0; k < KEYS; k++) {
		struct op put = {"", INSERT, k, 900 + k, 0};
		if (perform(map, &put, OTHER) != model_perform(&m, &put))
			return false;
	}
	return same_as(map, &m);
}
/* A is interrupted at step n, if it has so many; true if it had. */
static bool interrupt_at(struct fixture *f, const u8 *first, const struct model *before, const struct op *a,
                         const struct op *b, u32 n) {
	memcpy(f->map.area, first, f->map.area_size);
	int pid = start(&f->map, a);
	bool running = true;
	for (u32 i = 0; i < n && running; i++)
		running = step(pid);
	s64 got_b = perform(&f->map, b, n % 2 ? CHILD : OTHER);
	if (running)
		run_on(pid);
	end(pid);
	struct model ab = *before, ba = *before;
	s64 a_first = model_perform(&ab, a), b_second = model_perform(&ab, b);
	s64 b_first = model_perform(&ba, b), a_second = model_perform(&ba, a);
	s64 got_a = control->result;
	bool missed = b->kind == TAKE && got_a == 0 && got_b == (s64)before->value[b->key] && same_as(&f->map, &ab);
	bool is_ab = missed || (got_a == a_first && got_b == b_second && same_as(&f->map, &ab));
	bool is_ba = got_a == a_second && got_b == b_first && same_as(&f->map, &ba);
	const struct model *after = is_ab ? &ab : &ba;
	u32 there = 0;
	for (u32 k = 0; k < KEYS; k++)
		there += after->there[k];
	EXPECT(control->done && (is_ab || is_ba));
	EXPECT_EQ(iterate(&f->map), there);
	EXPECT(fills(&f->map, *after));
	const char *why = NULL;
	EXPECT_EQ(f->ops->check(&f->map, only_child_dead, &why), 0);
	if (test_bad)
		printf("# %s, interrupted at %u by %s: %lld and %lld %s\n", a->name, n, b->name, (long long)got_a,
		       (long long)got_b, why ? why : "");
	return running;
}
static void pairs_from(struct fixture *f, const struct model *before, const struct op (*pairs)[2], u32 n) {
	u8 *first = malloc(f->map.area_size);
	memcpy(first, f->map.area, f->map.area_size);
	for (u32 p = 0; p < n && !test_bad; p++)
		for (u32 at = p % stride; at < STEPS_MAX; at += stride)
			if (!interrupt_at(f, first, before, &pairs[p][0], &pairs[p][1], at) || test_bad)
				break;
	free(first);
}
static const struct op pairs[][2] = {
    {{"insert", INSERT, 8, 7, 0}, {"insert the same", INSERT, 8, 8, 0}},
    {{"insert", INSERT, 8, 7, 0}, {"insert beside", INSERT, 9, 8, 0}},
    {{"insert", INSERT, 8, 7, 0}, {"insert elsewhere", INSERT, KEYS - 1, 8, 0}},
    {{"insert", INSERT, 8, 7, 0}, {"delete beside", DELETE, 4, 0, 0}},
    {{"insert if absent", INSERT, 8, 7, BPF_NOEXIST}, {"insert if absent", INSERT, 8, 8, BPF_NOEXIST}},
    {{"insert", INSERT, 8, 7, 0}, {"delete the same", DELETE, 8, 0, 0}},
    {{"insert", INSERT, 8, 7, 0}, {"delete the same, insert beside", SWAP, 8, 9, 0, 9}},
    {{"insert", INSERT, 8, 7, 0}, {"take the same", TAKE, 8, 0, 0}},
    {{"replace", INSERT, 2, 7, 0}, {"delete the same", DELETE, 2, 0, 0}},
    {{"replace", INSERT, 2, 7, 0}, {"delete the same, insert beside", SWAP, 2, 9, 0, 9}},
    {{"replace", INSERT, 2, 7, 0}, {"replace the same", INSERT, 2, 8, 0}},
    {{"replace if there", INSERT, 2, 7, BPF_EXIST}, {"take", TAKE, 2, 0, 0}},
    {{"delete", DELETE, 2, 0, 0}, {"delete the same", DELETE, 2, 0, 0}},
    {{"delete", DELETE, 2, 0, 0}, {"delete the same, insert beside", SWAP, 2, 9, 0, 9}},
    {{"delete", DELETE, 2, 0, 0}, {"delete another", DELETE, 1, 0, 0}},
    {{"delete", DELETE, 4, 0, 0}, {"insert beside", INSERT, 9, 8, 0}},
    {{"delete", DELETE, 2, 0, 0}, {"replace the same", INSERT, 2, 8, 0}},
    {{"take", TAKE, 2, 0, 0}, {"insert the same", INSERT, 2, 8, 0}},
    {{"take", TAKE, 2, 0, 0}, {"delete the same, insert beside", SWAP, 2, 9, 0, 9}},
    {{"look up", LOOKUP, 2, 0, 0}, {"delete", DELETE, 3, 0, 0}},
    {{"look up", LOOKUP, 0, 0, 0}, {"delete the same", DELETE, 0, 0, 0}},
    {{"look up", LOOKUP, 2, 0, 0}, {"delete the same, insert beside", SWAP, 2, 9, 0, 9}},
    {{"look up", LOOKUP, 8, 0, 0}, {"insert the same", INSERT, 8, 3, 0}},
};
static void interrupted_hash(void) {
	for (u32 present = 5; present <= 7; present++) {
		struct fixture f;
		struct model before;
		crowded = true;
		make(&f, BPF_MAP_TYPE_HASH, present, &before);
		pairs_from(&f, &before, pairs, ARRAY_SIZE(pairs));
		fixture_free(&f);
	}
}
/* Where a writer died with key 8 announced and not yet in its slot. */
static void after_a_death(void) {
	static const struct op late[][2] = {
	    {{"look up", LOOKUP, 8, 0, 0}, {"insert beside", INSERT, 9, 8, 0}},
	    {{"look up", LOOKUP, 8, 0, 0}, {"delete the same", DELETE, 8, 0, 0}},
	    {{"look up", LOOKUP, 8, 0, 0}, {"delete the same, insert beside", SWAP, 8, 9, 0, 9}},
	    {{"insert beside", INSERT, 9, 7, 0}, {"delete the same", DELETE, 8, 0, 0}},
	    {{"insert beside", INSERT, 9, 7, 0}, {"delete the same, insert beside", SWAP, 8, 9, 0, 7}},
	    {{"delete", DELETE, 8, 0, 0}, {"delete the same, insert beside", SWAP, 8, 9, 0, 9}},
	    {{"replace", INSERT, 8, 9, 0}, {"delete", DELETE, 8, 0, 0}},
	    {{"delete beside", DELETE, 1, 0, 0}, {"replace", INSERT, 8, 9, 0}},
	};
	for (u32 present = 5; present <= 6; present++) {
		struct fixture f;
		struct model before;
		crowded = true;
		make(&f, BPF_MAP_TYPE_HASH, present, &before);
		struct op insert = {"", INSERT, 8, 77, 0};
		struct htab_key key = htab_key((u8 *)&key_of[8], 4);
		u64 *home = htab_bucket(&f.map, htab_hash(&key, f.map.seed), 0);
		int pid = start(&f.map, &insert);
		while (!htab_index(*home) && step(pid))
			;
		end(pid);
		EXPECT(htab_index(*home) != 0);
		model_perform(&before, &insert);
		pairs_from(&f, &before, late, ARRAY_SIZE(late));
		fixture_free(&f);
	}
}

/* == Ring: one producer stands still while a second, interrupted too, completes what the first has begun == */

static bool send_one(const struct map *map, u64 value, u32 participant) {
	u8 *r = ring_reserve(map, 16, participant);
	if (!r)
		return false;
	memcpy(r, &value, 8);
	ring_commit(r, false);
	return true;
}
static int send_stepped(const struct map *map, u64 value, volatile u32 *done) {
	*done = 0;
	int pid = fork(), status;
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		send_one(map, value, CHILD);
		*done = 1;
		for (;;)
			pause();
	}
	waitpid(pid, &status, 0);
	return pid;
}
static void go_on(int pid, volatile u32 *done) {
	ptrace(PTRACE_CONT, pid, 0, 0);
	for (u32 i = 0; i < 10000000 && !*done; i++)
		sched_yield();
	end(pid);
}
static bool one_step(int pid, volatile u32 *done) {
	int status;
	steps_seen++;
	return !ptrace(PTRACE_SINGLESTEP, pid, 0, 0) && waitpid(pid, &status, 0) == pid && !*done;
}
static u64 ring_sum, ring_n;
static int ring_take(void *owner, const void *data, u32 size) {
	u64 value;
	memcpy(&value, data, 8);
	ring_sum += value;
	ring_n++;
	return 0;
}
static void interrupted_ring(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	volatile u32 *done = (volatile u32 *)control + 16;
	u8 *data = malloc(f.map.data_size), *area = malloc(f.map.area_size);
	/* Of equal records, so that an old header lies where a new one will be. */
	for (u32 n = 0; n < 4096 / 24 * 3; n++) {
		EXPECT(send_one(&f.map, n, OTHER));
		ringbuf_map_consume(&f.map, ring_take, NULL);
	}
	memcpy(data, f.map.data, f.map.data_size);
	memcpy(area, f.map.area, f.map.area_size);
	u64 base = *ring_producer(&f.map);
	bool first_running = true;
	for (u32 stop = 0, changes = 0; first_running && !test_bad; stop++) {
		/* The first stands still at each change of the shared words, the last being its commit. */
		bool second_running = true;
		for (u32 at = changes; second_running && !test_bad; at += stride) {
			memcpy(f.map.data, data, f.map.data_size);
			memcpy(f.map.area, area, f.map.area_size);
			int first = send_stepped(&f.map, 1000, &done[0]);
			u64 words[3] = {0};
			u32 seen = 0;
			first_running = true;
			while (first_running && seen <= stop) {
				u64 now[3] = {ring_last(&f.map)->pos, *ring_producer(&f.map), *ring_header(&f.map, base)};
				if (memcmp(now, words, sizeof now)) {
					memcpy(words, now, sizeof now);
					if (seen++ == stop)
						break;
				}
				first_running = one_step(first, &done[0]);
			}
			int second = send_stepped(&f.map, 2000, &done[1]);
			second_running = true;
			for (u32 i = 0; i < at && second_running; i++)
				second_running = one_step(second, &done[1]);
			go_on(first, &done[0]);
			go_on(second, &done[1]);
			ring_sum = ring_n = 0;
			EXPECT_EQ(ringbuf_map_consume(&f.map, ring_take, NULL), 2);
			EXPECT_EQ(ring_sum, 3000);
			EXPECT_EQ(ringbuf_map_pending(&f.map), 0);
			if (test_bad)
				printf("# ring: first at change %u, second at step %u\n", stop, at);
		}
		changes = (changes + 1) % stride;
	}
	free(data);
	free(area);
	fixture_free(&f);
}
int main(void) {
	if (getenv("SKEP_TEST_STRIDE"))
		stride = MAX(strtoul(getenv("SKEP_TEST_STRIDE"), NULL, 10), 1ul);
	if (!can_step()) {
		SKIP("all", "ptrace is not allowed here");
		return test_end();
	}
	RUN(interrupted_hash);
	RUN(after_a_death);
	RUN(interrupted_ring);
	report();
	return test_end();
}
