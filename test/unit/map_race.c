/* Several threads at one map. Readers never see a value under a key that is not its own, what stays in the map is always
 * found, counts come out right; ring buffers lose and tear nothing. */
#include "map_fixture.h"
#include "map/hashtab.h"
#include "map/ringbuf.h"
#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, FIXED = 200, CHURN = 40, ROUNDS = 200000 };
static struct fixture f;
static u64 failures, inserted[CHURN], deleted[CHURN];

static bool alive_all(u32 owner) {
	return true;
}
static bool alive_none(u32 owner) {
	return false;
}
struct value {
	u64 key, count, again;
};
static void key_make(u64 *key, u64 k) {
	key[0] = k;
	key[1] = k * 0x9e3779b97f4a7c15ull;
}
static void *work(void *arg) {
	u64 id = (u64)arg, state = id;
	struct run_env env = f.env;
	env.participant = 10 + id;
	struct skep_run run = {.env = &env};
	u64 map = (u64)&f.map, key[2];
	for (u32 n = 0; n < ROUNDS; n++) {
		u64 r = fixture_random(&state);
		/* Keys that stay: always there, each thread adds. */
		key_make(key, 1000 + r % FIXED);
		struct value *v = (struct value *)htab_map_lookup_elem(map, (u64)key, 0, 0, 0, &run);
		if (!v || v->key != key[0])
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&v->count, 1, __ATOMIC_RELAXED);
		/* Keys that come and go, replaced meanwhile: the control plane's copies are whole. */
		u32 k = r >> 32 & 0xffff;
		k %= CHURN;
		key_make(key, k);
		struct value new = {k, n, n}, got;
		u32 what = r >> 60;
		if (what < 5) {
			if (htab_map_update_elem(map, (u64)key, (u64)&new, BPF_NOEXIST, 0, &run) == 0)
				__atomic_fetch_add(&inserted[k], 1, __ATOMIC_RELAXED);
		} else if (what < 10) {
			if (htab_map_delete_elem(map, (u64)key, 0, 0, 0, &run) == 0)
				__atomic_fetch_add(&deleted[k], 1, __ATOMIC_RELAXED);
		} else if (what < 12) {
			htab_map_update_elem(map, (u64)key, (u64)&new, BPF_EXIST, 0, &run);
		} else if (f.ops->lookup(&f.map, key, &got, 0) == 0 && got.key != k) {
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}
static void threads_at_a_hash(void) {
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 16, sizeof(struct value), FIXED + CHURN, 0, 1), 0);
	u64 key[2], total = 0;
	for (u64 k = 0; k < FIXED; k++) {
		key_make(key, 1000 + k);
		struct value v = {1000 + k, 0, 0};
		EXPECT_EQ(f.ops->update(&f.map, key, &v, 0), 0);
	}
	pthread_t t[THREADS];
	for (u64 i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, (void *)(i + 1));
	const char *why = NULL;
	for (u32 i = 0; i < 20; i++) { /* a check may run while others work */
		EXPECT_EQ(f.ops->check(&f.map, alive_all, &why), 0);
		usleep(1000);
	}
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(failures, 0);
	for (u64 k = 0; k < FIXED; k++) {
		struct value v;
		key_make(key, 1000 + k);
		EXPECT_EQ(f.ops->lookup(&f.map, key, &v, 0), 0);
		total += v.count;
	}
	EXPECT_EQ(total, (u64)THREADS * ROUNDS);
	u32 there = FIXED;
	for (u64 k = 0; k < CHURN; k++) {
		struct value v;
		key_make(key, k);
		u64 balance = inserted[k] - deleted[k];
		EXPECT(balance <= 1);
		EXPECT_EQ(f.ops->lookup(&f.map, key, &v, 0), balance ? 0 : -ENOENT);
		there += balance;
	}
	EXPECT_EQ(f.ops->check(&f.map, alive_none, &why), 0);
	if (why)
		printf("# %s\n", why);
	EXPECT_EQ(f.ops->count(&f.map), there);
	/* Nothing leaked: it can be filled to the last element. */
	for (u64 k = 0; there < FIXED + CHURN; k++, there++) {
		struct value v = {0, 0, 0};
		key_make(key, 5000 + k);
		EXPECT_EQ(f.ops->update(&f.map, key, &v, BPF_NOEXIST), 0);
	}
	key_make(key, 9999);
	struct value v = {0, 0, 0};
	EXPECT_EQ(f.ops->update(&f.map, key, &v, BPF_NOEXIST), -E2BIG);
	fixture_free(&f);
}

/* == Ring == */

enum { SENDS = 100000 };
struct message {
	u32 id, pad;
	u64 n, check;
	u8 more[];
};
static u64 lost[THREADS], last_seen[THREADS], received[THREADS];
static volatile u32 senders;

static void *send_all(void *arg) {
	u32 id = (u64)arg;
	u64 state = id;
	for (u64 n = 1; n <= SENDS; n++) {
		u32 size = sizeof(struct message) + fixture_random(&state) % 100;
		struct message *m = (void *)ring_reserve(&f.map, size, 10 + id);
		if (!m) {
			lost[id]++;
			if (n % 16 == 0)
				sched_yield();
			continue;
		}
		*m = (struct message){id, 0, n, n * 31 + size};
		memset(m->more, id, size - sizeof *m);
		ring_commit((u8 *)m, false);
	}
	__atomic_fetch_sub(&senders, 1, __ATOMIC_SEQ_CST);
	return NULL;
}
static int receive(void *owner, const void *data, u32 size) {
	const struct message *m = data;
	bool right = size >= sizeof *m && m->id < THREADS && m->n > last_seen[m->id] && m->check == m->n * 31 + size;
	for (u32 i = sizeof *m; right && i < size; i++)
		right = ((const u8 *)data)[i] == m->id;
	if (!right) {
		failures++;
		return 0;
	}
	last_seen[m->id] = m->n;
	received[m->id]++;
	return 0;
}
static void threads_at_a_ring(void) {
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	failures = 0;
	senders = THREADS;
	pthread_t t[THREADS];
	for (u64 i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, send_all, (void *)i);
	while (senders)
		if (ringbuf_map_consume(&f.map, receive, NULL) <= 0)
			sched_yield();
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ringbuf_map_consume(&f.map, receive, NULL);
	EXPECT_EQ(failures, 0);
	for (u32 i = 0; i < THREADS; i++)
		EXPECT_EQ(received[i] + lost[i], SENDS);
	EXPECT_EQ(ringbuf_map_pending(&f.map), 0);
	const char *why = NULL;
	EXPECT_EQ(f.ops->check(&f.map, alive_none, &why), 0);
	fixture_free(&f);
}
int main(void) {
	RUN(threads_at_a_hash);
	RUN(threads_at_a_ring);
	return test_end();
}
