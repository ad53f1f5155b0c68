/* Helpers over maps: dispatch by type, callbacks and their end, what a run holds and gives back, spin locks that abort. */
#include "map_fixture.h"
#include "helper/helper.h"
#include "map/ringbuf.h"

static u64 seen, sum, stop_at;
/* Stands for a program's function: fn 0 is for_each's callback(map, key, value, ctx), 1 is loop's callback(index, ctx). */
static u64 callback(struct skep_run *run, u64 fn, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
	seen++;
	sum += fn == 0 ? *(u64 *)r3 : r1;
	EXPECT_EQ(fn == 0 ? r4 : r2, 77);
	if (fn == 2)
		run->status = RUN_BUDGET;
	return seen == stop_at;
}
static void each_element(void) {
	static const u32 types[] = {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH};
	for (u32 t = 0; t < ARRAY_SIZE(types); t++) {
		struct fixture f;
		EXPECT_EQ(fixture_make(&f, types[t], 4, 8, 20, 0, 2), 0);
		f.run.callback = callback;
		f.run.cpu = t % 2;
		u64 m = (u64)&f.map, want = 0;
		for (u32 k = 0; k < 20; k++) {
			u64 v = k * k + 1, at;
			want += v;
			EXPECT_EQ(helper_map_update_elem(m, (u64)&k, (u64)&v, 0, 0, &f.run), 0);
			at = helper_map_lookup_elem(m, (u64)&k, 0, 0, 0, &f.run);
			EXPECT(at && *(u64 *)at == v);
			EXPECT_EQ(helper_map_lookup_percpu_elem(m, (u64)&k, f.run.cpu, 0, 0, &f.run), t % 2 ? at : 0);
			EXPECT_EQ(helper_map_lookup_percpu_elem(m, (u64)&k, 2, 0, 0, &f.run), 0);
		}
		seen = sum = stop_at = 0;
		EXPECT_EQ(helper_for_each_map_elem(m, 0, 77, 0, 0, &f.run), 20);
		EXPECT(seen == 20 && sum == want);
		seen = 0, stop_at = 7;
		EXPECT_EQ(helper_for_each_map_elem(m, 0, 77, 0, 0, &f.run), 7);
		EXPECT_EQ(helper_for_each_map_elem(m, 0, 77, 1, 0, &f.run), -EINVAL);
		u32 k = 3;
		EXPECT_EQ(helper_map_delete_elem(m, (u64)&k, 0, 0, 0, &f.run), t < 2 ? -EINVAL : 0);
		EXPECT_EQ(helper_map_delete_elem(m, (u64)&k, 0, 0, 0, &f.run), t < 2 ? -EINVAL : -ENOENT);
		fixture_free(&f);
	}
}
static void loops(void) {
	struct run_env env = {0};
	struct skep_run run = {.env = &env, .callback = callback};
	seen = sum = stop_at = 0;
	EXPECT_EQ(helper_loop(1000, 1, 77, 0, 0, &run), 1000);
	EXPECT(seen == 1000 && sum == 999 * 500);
	seen = 0, stop_at = 5;
	EXPECT_EQ(helper_loop(1000, 1, 77, 0, 0, &run), 5);
	EXPECT_EQ(helper_loop(1000, 1, 77, 1, 0, &run), -EINVAL);
	EXPECT_EQ(helper_loop((8 << 20) + 1, 1, 77, 0, 0, &run), -E2BIG);
	/* A callback that ends the run ends the loop. */
	seen = stop_at = 0;
	helper_loop(1000, 2, 77, 0, 0, &run);
	EXPECT(seen == 1 && run.status == RUN_BUDGET);
}
static int count(void *owner, const void *data, u32 size) {
	(*(u32 *)owner)++;
	return 0;
}
static void records_held(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	u64 counters[RUN_COUNTERS] = {0}, m = (u64)&f.map, r[RUN_HELD_MAX];
	f.env.counters = counters;
	EXPECT_EQ(helper_ringbuf_reserve(m, 8, 1, 0, 0, &f.run), 0);
	for (u32 i = 0; i < RUN_HELD_MAX; i++) {
		r[i] = helper_ringbuf_reserve(m, 8, 0, 0, 0, &f.run);
		EXPECT(r[i] != 0);
	}
	EXPECT_EQ(helper_ringbuf_reserve(m, 8, 0, 0, 0, &f.run), 0); /* no more can be held */
	helper_ringbuf_submit(r[2], 0, 0, 0, 0, &f.run);
	helper_ringbuf_discard(r[0], 0, 0, 0, 0, &f.run);
	EXPECT_EQ(f.run.held_n, RUN_HELD_MAX - 2);
	/* The run is aborted: what it still holds is discarded, and the consumer gets past it. */
	run_release(&f.run);
	EXPECT_EQ(f.run.held_n, 0);
	u32 got = 0;
	EXPECT_EQ(ringbuf_map_consume(&f.map, count, &got), 1);
	EXPECT_EQ(got, 1);
	EXPECT_EQ(helper_ringbuf_query(m, BPF_RB_AVAIL_DATA, 0, 0, 0, &f.run), 0);
	EXPECT_EQ(helper_ringbuf_query(m, BPF_RB_RING_SIZE, 0, 0, 0, &f.run), 4096);
	EXPECT_EQ(helper_ringbuf_query(m, BPF_RB_CONS_POS, 0, 0, 0, &f.run), RUN_HELD_MAX * 16);
	EXPECT_EQ(helper_ringbuf_query(m, BPF_RB_PROD_POS, 0, 0, 0, &f.run), RUN_HELD_MAX * 16);
	EXPECT_EQ(helper_ringbuf_query(m, 9, 0, 0, 0, &f.run), 0);
	/* Output: flags, room, what is lost is counted. */
	EXPECT_EQ(helper_ringbuf_output(m, (u64) "abcdefgh", 8, 4, 0, &f.run), -EINVAL);
	EXPECT_EQ(helper_ringbuf_output(m, (u64) "abcdefgh", 8, BPF_RB_FORCE_WAKEUP, 0, &f.run), 0);
	EXPECT_EQ(helper_ringbuf_output(m, m, 4088, 0, 0, &f.run), -EAGAIN);
	EXPECT_EQ(counters[COUNT_LOST_RINGBUF], 1);
	EXPECT_EQ(helper_ringbuf_reserve(m, 4090, 0, 0, 0, &f.run), 0);
	EXPECT_EQ(counters[COUNT_LOST_RINGBUF], 2);
	fixture_free(&f);
}
static void spin_locks(void) {
	u64 counters[RUN_COUNTERS] = {0};
	struct run_env env = {.participant = 5, .counters = counters};
	struct skep_run run = {.env = &env}, other = {.env = &env};
	u32 lock = 0;
	u64 at = (u64)&lock;
	helper_spin_lock(at, 0, 0, 0, 0, &run);
	EXPECT(lock == 5 && run.held_n == 1 && run.status == RUN_OK);
	helper_spin_lock(at, 0, 0, 0, 0, &other);
	EXPECT(other.status == RUN_LOCK && other.held_n == 0);
	run_release(&other);
	EXPECT(lock == 5 && counters[COUNT_ABORTED] == 1);
	helper_spin_unlock(at, 0, 0, 0, 0, &run);
	EXPECT(lock == 0 && run.held_n == 0);
	/* A run that is aborted while it holds the lock opens it. */
	helper_spin_lock(at, 0, 0, 0, 0, &run);
	run_release(&run);
	EXPECT(lock == 0 && run.held_n == 0 && counters[COUNT_ABORTED] == 1);
}
int main(void) {
	RUN(each_element);
	RUN(loops);
	RUN(records_held);
	RUN(spin_locks);
	return test_end();
}
