/* Areas are hostile: whatever somebody writes into them, operations end, stay inside, and the descriptor's process lives.
 * Every map type is used while its memory is scribbled over, between operations and by another thread. Pages around the
 * memory fault; results may be anything. */
#include "map_fixture.h"
#include "map/hashtab.h"
#include "map/ringbuf.h"
#include <pthread.h>
#include <unistd.h>

static struct fixture f;
static volatile bool stop;

/* Words that do harm: almost valid numbers, all ones, shifted noise. */
static u64 nasty(u64 *state) {
	u64 r = fixture_random(state);
	switch (r >> 60) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return f.map.max_entries + (r & 3) - 1;
	case 3:
		return (r & 0xff) << 28 | (r >> 8 & 15);
	case 4:
		return r & 0xffffffff;
	case 5:
		return 1ull << (r & 63);
	default:
		return r;
	}
}
static void scribble(u8 *at, u64 size, u64 *state, u32 words) {
	while (size && words--) {
		u64 off = fixture_random(state) % (size - 8);
		if (words % 2)
			off &= ~7ull;
		u64 word = nasty(state);
		memcpy(at + off, &word, words % 3 ? 8 : 3);
	}
}
/* The words that operations trust most: a slot's number beside a right tag, what is announced, a claim. */
static void scribble_hash(u64 *state) {
	if (f.map.type != BPF_MAP_TYPE_HASH && f.map.type != BPF_MAP_TYPE_PERCPU_HASH)
		return;
	u64 r = fixture_random(state), *bucket = htab_bucket(&f.map, r, 0), *word = bucket + (r >> 32 & 7);
	if (r >> 40 & 1)
		*word = (*word & ~HTAB_INDEX) | (nasty(state) & HTAB_INDEX);
	else
		htab_elem(&f.map, r % f.map.max_entries + 1)->claim = nasty(state);
}
static void *scribbler(void *arg) {
	u64 state = 77;
	while (!stop) {
		scribble(f.map.area, f.map.area_size, &state, 20);
		scribble(f.map.data, f.map.data_size, &state, 20);
		scribble_hash(&state);
	}
	return NULL;
}
static bool odd_alive(u32 owner) {
	return owner & 1;
}
static int look(void *owner, const void *data, u32 size) {
	u8 sum = 0;
	for (u32 i = 0; i < size; i++)
		sum += ((const u8 *)data)[i];
	*(u8 *)owner += sum;
	return 0;
}
static void operate(u64 *state, u8 *sink) {
	u64 r = fixture_random(state);
	u64 key[8], value[64];
	memset(key, 0, sizeof key);
	key[0] = r % (f.map.max_entries * 2);
	memset(value, (int)r, sizeof value);
	u64 map = (u64)&f.map, k = (u64)key, v = (u64)value;
	f.run.cpu = r >> 32 & 1;
	const char *why;
	u64 at = 0;
	switch (f.map.type) {
	case BPF_MAP_TYPE_HASH:
		at = htab_map_lookup_elem(map, k, 0, 0, 0, &f.run);
		if (f.map.key_size == 4)
			at = htab_map_lookup_elem_4(map, k, 0, 0, 0, &f.run);
		htab_map_update_elem(map, k, v, r >> 40 & 3, 0, &f.run);
		if (r >> 50 & 1)
			htab_map_delete_elem(map, k, 0, 0, 0, &f.run);
		break;
	case BPF_MAP_TYPE_PERCPU_HASH:
		at = htab_percpu_map_lookup_elem(map, k, 0, 0, 0, &f.run);
		htab_percpu_map_update_elem(map, k, v, r >> 40 & 3, 0, &f.run);
		if (r >> 50 & 1)
			htab_map_delete_elem(map, k, 0, 0, 0, &f.run);
		break;
	case BPF_MAP_TYPE_RINGBUF: {
		u32 size = r >> 20 & 0xfff;
		u8 *record = ring_reserve(&f.map, size, 3);
		if (record) {
			memset(record, 1, size);
			ring_commit(record, r & 1);
		}
		if (r % 5 == 0)
			ringbuf_map_consume(&f.map, look, sink);
		ringbuf_map_pending(&f.map);
		break;
	}
	case BPF_MAP_TYPE_PROG_ARRAY:
		prog_array_map_resolve(map, key[0], 0, 0, 0, &f.run);
		break;
	default:
		at = array_map_lookup_elem(map, k, 0, 0, 0, &f.run);
		array_map_update_elem(map, k, v, 0, 0, &f.run);
	}
	if (at)
		for (u32 i = 0; i < f.map.value_size; i++)
			((volatile u8 *)at)[i]++;
	if (f.map.type == BPF_MAP_TYPE_RINGBUF || f.map.type == BPF_MAP_TYPE_PROG_ARRAY) {
		if (r % 64 == 0)
			f.ops->check(&f.map, odd_alive, &why);
		return;
	}
	f.ops->lookup(&f.map, key, value, 0);
	f.ops->get_next_key(&f.map, r & 1 ? key : NULL, key);
	if (r % 16 == 0)
		f.ops->lookup_and_delete(&f.map, key, value, 0);
	if (r % 64 == 0)
		f.ops->check(&f.map, odd_alive, &why);
	if (f.ops->count)
		f.ops->count(&f.map);
}
static void use(u32 type, u32 key, u32 value, u32 entries, u32 rounds) {
	EXPECT_EQ(fixture_make(&f, type, key, value, entries, 0, 2), 0);
	struct map_table *t = calloc(1, sizeof *t + sizeof t->at[0]);
	t->n = 1;
	t->at[0] = (struct map_object){1, 1, "one"};
	f.map.objects = t;
	u64 state = type * 1000 + key;
	u8 sink = 0;
	for (u32 n = 0; n < rounds; n++) {
		operate(&state, &sink);
		if (n % 4 == 0)
			scribble(f.map.area, f.map.area_size, &state, 1 + n % 7);
		if (n % 4 == 2)
			scribble_hash(&state);
		if (n % 4 == 1)
			scribble(f.map.data, f.map.data_size, &state, 1 + n % 7);
		if (n % 1000 == 0) {
			memset(f.map.area, n % 3000 ? 0 : 0xff, f.map.area_size);
			f.ops->init(&f.map);
		}
	}
	stop = false;
	pthread_t thread;
	pthread_create(&thread, NULL, scribbler, NULL);
	for (u32 n = 0; n < rounds; n++)
		operate(&state, &sink);
	stop = true;
	pthread_join(thread, NULL);
	free(t);
	fixture_free(&f);
}
static void hashes(void) {
	use(BPF_MAP_TYPE_HASH, 4, 8, 20, 20000);
	use(BPF_MAP_TYPE_HASH, 8, 20, 300, 20000);
	use(BPF_MAP_TYPE_HASH, 16, 8, 1, 5000);
	use(BPF_MAP_TYPE_HASH, 37, 100, 64, 10000);
	use(BPF_MAP_TYPE_PERCPU_HASH, 4, 8, 100, 20000);
}
static void rings(void) {
	use(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 20000);
	use(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536, 20000);
}
static void slots_and_arrays(void) {
	use(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 10, 5000);
	use(BPF_MAP_TYPE_ARRAY, 4, 8, 10, 5000);
}
int main(void) {
	alarm(200); /* a hang is a failure */
	RUN(hashes);
	RUN(rings);
	RUN(slots_and_arrays);
	return test_end();
}
