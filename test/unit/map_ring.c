/* Ring buffers as one process sees them: records, order, wrapping, room, discarding, repair of dead producers' records, a
 * consumer like libbpf's on the plain memory; slots of prog_array and array_of_maps. */
#include "map_fixture.h"
#include "map/ringbuf.h"

static bool alive_none(u32 owner) {
	return false;
}
static bool alive_all(u32 owner) {
	return true;
}
struct got {
	u32 n;
	u64 sum, bytes;
	u32 stop_after;
};
static int take(void *owner, const void *data, u32 size) {
	struct got *g = owner;
	u8 sum = 0;
	for (u32 i = 1; i < size; i++)
		sum += ((const u8 *)data)[i];
	EXPECT_EQ(size ? ((const u8 *)data)[0] : 0, size ? sum : 0);
	g->n++;
	g->bytes += size;
	return g->stop_after && g->n == g->stop_after;
}
static void fill(u8 *record, u32 size, u64 *state) {
	u8 sum = 0;
	for (u32 i = 1; i < size; i++)
		sum += record[i] = fixture_random(state);
	if (size)
		record[0] = sum;
}

static void sizes_and_wraps(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	u64 state = 1, sent = 0, sent_bytes = 0, full = 0;
	struct got g = {0};
	for (u32 n = 0; n < 5000; n++) {
		u32 size = fixture_random(&state) % (n % 7 ? 200 : 3000);
		u8 *r = ring_reserve(&f.map, size, 1);
		if (!r) {
			full++;
			EXPECT(ringbuf_map_pending(&f.map) + ring_bytes(size) > 4095);
			EXPECT(ringbuf_map_consume(&f.map, take, &g) > 0);
			EXPECT_EQ(g.n, sent);
			continue;
		}
		EXPECT(r >= f.map.data + 3 * 4096 - 4096 + 8 && r + size <= f.map.data + f.map.data_size);
		fill(r, size, &state);
		ring_commit(r, n % 5 == 0);
		sent += n % 5 != 0;
		sent_bytes += n % 5 ? size : 0;
	}
	ringbuf_map_consume(&f.map, take, &g);
	EXPECT(full > 100);
	EXPECT_EQ(g.n, sent);
	EXPECT_EQ(g.bytes, sent_bytes);
	const char *why;
	EXPECT_EQ(f.ops->check(&f.map, alive_none, &why), 0);
	fixture_free(&f);
}
static void room(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	/* A ring is full when one record more would make the positions differ by its size. */
	EXPECT(!ring_reserve(&f.map, 4096 - 8, 1));
	EXPECT(!ring_reserve(&f.map, 4096, 1));
	EXPECT(!ring_reserve(&f.map, ~0ull, 1));
	u8 *r = ring_reserve(&f.map, 4096 - 16, 1);
	EXPECT(r != NULL);
	EXPECT(!ring_reserve(&f.map, 0, 1));
	struct got g = {0};
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 0); /* busy */
	ring_commit(r, false);
	memset(r, 0, 4096 - 16);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 1);
	EXPECT_EQ(ringbuf_map_pending(&f.map), 0);
	EXPECT(ring_reserve(&f.map, 0, 1) != NULL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096 * 3, 0, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 2048, 0, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 4, 0, 4096, 0, 1), -EINVAL);
}
static void dead_producers(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 8192, 0, 1), 0);
	struct got g = {0};
	u64 state = 3;
	ring_reserve(&f.map, 100, 7);
	u8 *r = ring_reserve(&f.map, 20, 1);
	fill(r, 20, &state);
	ring_commit(r, false);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 0);
	const char *why;
	EXPECT_EQ(f.ops->check(&f.map, alive_all, &why), 0);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 0);
	EXPECT_EQ(f.ops->check(&f.map, alive_none, &why), 0);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 1);
	/* One that died between its reservation and its header: the next producer goes on. */
	struct ring_reserve *last = ring_last(&f.map);
	u64 end = last->pos + ring_bytes(last->size);
	*last = (struct ring_reserve){end, 48, 9};
	r = ring_reserve(&f.map, 20, 1);
	fill(r, 20, &state);
	ring_commit(r, false);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 0);
	EXPECT_EQ(f.ops->check(&f.map, alive_none, &why), 0);
	EXPECT_EQ(ringbuf_map_consume(&f.map, take, &g), 1);
	fixture_free(&f);
}
/* Reads as libbpf does: positions, length word, data as one piece. */
static void foreign_consumer(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 1), 0);
	unsigned long *consumer = (void *)f.map.data, *producer = (void *)(f.map.data + 4096);
	u8 *data = f.map.data + 8192;
	u64 state = 9, sent = 0, seen = 0;
	for (u32 n = 0; n < 3000; n++) {
		u32 size = 8 + fixture_random(&state) % 500;
		u8 *r = ring_reserve(&f.map, size, 1);
		if (r) {
			fill(r, size, &state);
			ring_commit(r, false);
			sent++;
		}
		while ((n % 3 == 0 || !r) && *consumer < *producer) {
			u8 *at = data + (*consumer & 4095);
			u32 length;
			memcpy(&length, at, 4);
			EXPECT(!(length & BPF_RINGBUF_BUSY_BIT));
			struct got g = {0};
			take(&g, at + 8, length);
			seen++;
			*consumer += round_up((length << 2 >> 2) + 8, 8);
		}
	}
	EXPECT(sent > 2000 && sent - seen < 10);
	fixture_free(&f);
}
static void slots(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 10, 0, 1), 0);
	struct map_table *t = calloc(1, sizeof *t + 3 * sizeof t->at[0]);
	t->n = 3;
	t->at[0] = (struct map_object){3, 1, "three"};
	t->at[1] = (struct map_object){5, 2, "five"};
	t->at[2] = (struct map_object){900, 1, "many"};
	f.map.objects = t;
	u64 counters[RUN_COUNTERS] = {0}, got;
	f.env.counters = counters;
	u64 values[] = {3 | 1ull << 32, 5 | 2ull << 32, 900 | 1ull << 32, 5 | 1ull << 32, 4 | 1ull << 32};
	for (u32 i = 0; i < 5; i++)
		EXPECT_EQ(f.ops->update(&f.map, &i, &values[i], BPF_ANY), 0);
	u64 m = (u64)&f.map;
	EXPECT_STR((char *)prog_array_map_resolve(m, 0, 0, 0, 0, &f.run), "three");
	EXPECT_STR((char *)prog_array_map_resolve(m, 1, 0, 0, 0, &f.run), "five");
	EXPECT_STR((char *)prog_array_map_resolve(m, 2, 0, 0, 0, &f.run), "many");
	for (u32 i = 3; i < 12; i++)
		EXPECT_EQ(prog_array_map_resolve(m, i, 0, 0, 0, &f.run), 0);
	EXPECT_EQ(counters[COUNT_UNREACHABLE], 2);
	u32 k = 1, bad = 10;
	EXPECT_EQ(f.ops->lookup(&f.map, &k, &got, 0), 0);
	EXPECT_EQ(got, values[1]);
	EXPECT_EQ(f.ops->update(&f.map, &k, &values[0], BPF_EXIST), -EINVAL);
	EXPECT_EQ(f.ops->update(&f.map, &bad, &values[0], BPF_ANY), -E2BIG);
	EXPECT_EQ(f.ops->delete(&f.map, &k), 0);
	EXPECT_EQ(f.ops->delete(&f.map, &k), -ENOENT);
	EXPECT_EQ(f.ops->delete(&f.map, &bad), -E2BIG);
	EXPECT_EQ(f.ops->lookup(&f.map, &k, &got, 0), -ENOENT);
	EXPECT_EQ(prog_array_map_resolve(m, 1, 0, 0, 0, &f.run), 0);
	free(t);
	fixture_free(&f);
}
int main(void) {
	RUN(sizes_and_wraps);
	RUN(room);
	RUN(dead_producers);
	RUN(foreign_consumer);
	RUN(slots);
	return test_end();
}
