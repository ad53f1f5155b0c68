/* Hashes and arrays as one thread sees them: results, errors, contents against a plain model, order of keys, checks. */
#include "map_fixture.h"

static bool alive_none(u32 owner) {
	return false;
}
static u64 *find(struct fixture *f, const void *key) {
	u64 at = f->map.type == BPF_MAP_TYPE_HASH
	             ? htab_map_lookup_elem((u64)&f->map, (u64)key, 0, 0, 0, &f->run)
	             : htab_percpu_map_lookup_elem((u64)&f->map, (u64)key, 0, 0, 0, &f->run);
	return (u64 *)at;
}
static int put(struct fixture *f, const void *key, u64 value, u64 flags) {
	return f->map.type == BPF_MAP_TYPE_HASH
	           ? htab_map_update_elem((u64)&f->map, (u64)key, (u64)&value, flags, 0, &f->run)
	           : htab_percpu_map_update_elem((u64)&f->map, (u64)key, (u64)&value, flags, 0, &f->run);
}
static int drop(struct fixture *f, const void *key) {
	return htab_map_delete_elem((u64)&f->map, (u64)key, 0, 0, 0, &f->run);
}
static void expect_sound(struct fixture *f) {
	const char *why = NULL;
	EXPECT_EQ(f->ops->check(&f->map, alive_none, &why), 0);
	if (why)
		printf("# %s\n", why);
}

/* Random operations over few keys; a plain array is the model. */
static void against_model(u32 type, u32 key_size, u32 entries, u32 keys) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, type, key_size, 8, entries, 0, type == BPF_MAP_TYPE_HASH ? 1 : 3), 0);
	u64 *model = calloc(keys, sizeof *model), state = key_size * 1000 + entries;
	u32 present = 0;
	u8 key[64];
	for (u32 n = 0; n < 30000; n++) {
		u64 r = fixture_random(&state);
		u32 k = r % keys;
		memset(key, 0x5a, sizeof key);
		memcpy(key, &k, MIN(key_size, 4));
		u64 *at = find(&f, key);
		EXPECT((at != NULL) == (model[k] != 0));
		if (at)
			EXPECT_EQ(*at, model[k]);
		u64 flags = r >> 40 & 3;
		if (r >> 32 & 1) {
			int want = flags == 3 ? -EINVAL : flags == BPF_NOEXIST && model[k] ? -EEXIST
			    : flags == BPF_EXIST && !model[k] ? -ENOENT : !model[k] && present == entries ? -E2BIG : 0;
			EXPECT_EQ(put(&f, key, n + 1, flags), want);
			if (!want) {
				present += !model[k];
				model[k] = n + 1;
			}
		} else {
			EXPECT_EQ(drop(&f, key), model[k] ? 0 : -ENOENT);
			present -= model[k] != 0;
			model[k] = 0;
		}
		EXPECT_EQ(f.ops->count(&f.map), present);
		if (test_bad > 5)
			break;
	}
	expect_sound(&f);
	/* Every key once in the order of get_next_key. */
	u8 next[64], *last = NULL;
	u32 seen = 0;
	while (f.ops->get_next_key(&f.map, last, next) == 0) {
		memcpy(key, next, sizeof key);
		last = key;
		EXPECT(find(&f, next) != NULL);
		if (++seen > present)
			break;
	}
	EXPECT_EQ(seen, present);
	free(model);
	fixture_free(&f);
}
static void model(void) {
	against_model(BPF_MAP_TYPE_HASH, 4, 100, 160);
	against_model(BPF_MAP_TYPE_HASH, 4, 1, 3);
	against_model(BPF_MAP_TYPE_HASH, 8, 64, 70);
	against_model(BPF_MAP_TYPE_HASH, 16, 65, 100);
	against_model(BPF_MAP_TYPE_HASH, 3, 1000, 900);
	against_model(BPF_MAP_TYPE_HASH, 33, 128, 200);
	against_model(BPF_MAP_TYPE_PERCPU_HASH, 4, 100, 160);
	against_model(BPF_MAP_TYPE_PERCPU_HASH, 20, 100, 160);
}
static void specialised(void) {
	static const u32 sizes[] = {4, 8, 16};
	for (u32 s = 0; s < 3; s++) {
		struct fixture f;
		EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, sizes[s], 8, 500, 0, 1), 0);
		u64 key[2] = {0};
		for (key[0] = 0; key[0] < 400; key[0]++)
			EXPECT_EQ(put(&f, key, key[0], 0), 0);
		for (key[0] = 0; key[0] < 500; key[0]++) {
			u64 at = s == 0   ? htab_map_lookup_elem_4((u64)&f.map, (u64)key, 0, 0, 0, &f.run)
			         : s == 1 ? htab_map_lookup_elem_8((u64)&f.map, (u64)key, 0, 0, 0, &f.run)
			                  : htab_map_lookup_elem_16((u64)&f.map, (u64)key, 0, 0, 0, &f.run);
			EXPECT(at == (u64)find(&f, key) && (at != 0) == (key[0] < 400));
		}
		fixture_free(&f);
	}
}
static void percpu_values(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_PERCPU_HASH, 4, 12, 10, 0, 4), 0);
	u32 key = 7;
	struct {
		u8 b[16];
	} all[4];
	memset(all, 1, sizeof all);
	EXPECT_EQ(f.ops->update(&f.map, &key, all, 0), 0);
	f.run.cpu = 2;
	u8 value[12];
	memset(value, 9, sizeof value);
	EXPECT_EQ(htab_percpu_map_update_elem((u64)&f.map, (u64)&key, (u64)value, 0, 0, &f.run), 0);
	EXPECT_EQ(f.ops->lookup(&f.map, &key, all, 0), 0);
	for (u32 c = 0; c < 4; c++)
		EXPECT_EQ(all[c].b[11], c == 2 ? 9 : 1);
	/* Inserted by a program: the other copies are zero, even in an element that was used before. */
	EXPECT_EQ(drop(&f, &key), 0);
	EXPECT_EQ(htab_percpu_map_update_elem((u64)&f.map, (u64)&key, (u64)value, 0, 0, &f.run), 0);
	EXPECT_EQ(f.ops->lookup(&f.map, &key, all, 0), 0);
	for (u32 c = 0; c < 4; c++)
		EXPECT_EQ(all[c].b[3], c == 2 ? 9 : 0);
	f.run.cpu = 4;
	EXPECT_EQ(htab_percpu_map_lookup_elem((u64)&f.map, (u64)&key, 0, 0, 0, &f.run), 0);
	EXPECT_EQ(f.ops->lookup_and_delete(&f.map, &key, all, 0), 0);
	EXPECT_EQ(f.ops->lookup(&f.map, &key, all, 0), -ENOENT);
	fixture_free(&f);
}
static void arrays(void) {
	for (u32 percpu = 0; percpu < 2; percpu++) {
		struct fixture f;
		u32 cpus = percpu ? 3 : 1;
		EXPECT_EQ(fixture_make(&f, percpu ? BPF_MAP_TYPE_PERCPU_ARRAY : BPF_MAP_TYPE_ARRAY, 4, 8, 5, 0, 3), 0);
		u64 v[3] = {1, 2, 3}, got[3];
		u32 k = 4, bad = 5, next;
		EXPECT_EQ(f.ops->update(&f.map, &k, v, 0), 0);
		EXPECT_EQ(f.ops->update(&f.map, &k, v, BPF_NOEXIST), -EEXIST);
		EXPECT_EQ(f.ops->update(&f.map, &k, v, BPF_EXIST), 0);
		EXPECT_EQ(f.ops->update(&f.map, &k, v, 8), -EINVAL);
		EXPECT_EQ(f.ops->update(&f.map, &bad, v, 0), -E2BIG);
		EXPECT_EQ(f.ops->lookup(&f.map, &bad, got, 0), -ENOENT);
		EXPECT_EQ(f.ops->delete(&f.map, &k), -EINVAL);
		EXPECT_EQ(f.ops->lookup(&f.map, &k, got, 0), 0);
		EXPECT(!memcmp(got, v, cpus * 8));
		EXPECT_EQ(f.ops->get_next_key(&f.map, NULL, &next), 0);
		EXPECT_EQ(next, 0);
		EXPECT_EQ(f.ops->get_next_key(&f.map, &k, &next), -ENOENT);
		EXPECT_EQ(f.ops->get_next_key(&f.map, &bad, &next), 0);
		EXPECT_EQ(next, 0);
		f.run.cpu = cpus - 1;
		u64 at = percpu ? percpu_array_map_lookup_elem((u64)&f.map, (u64)&k, 0, 0, 0, &f.run)
		                : array_map_lookup_elem((u64)&f.map, (u64)&k, 0, 0, 0, &f.run);
		EXPECT(at && *(u64 *)at == cpus);
		fixture_free(&f);
	}
}
static void refusals(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 0, 8, 5, 0, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 4, 8, 5, BPF_F_MMAPABLE, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 4, 5 << 20, 5, 0, 1), -E2BIG);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 4, 8, 1u << 31, 0, 1), -E2BIG);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_ARRAY, 8, 8, 5, 0, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_ARRAY, 4, 8, 5, BPF_F_NO_PREALLOC, 1), -EINVAL);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_PERCPU_ARRAY, 4, 40000, 5, 0, 1), -E2BIG);
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_ARRAY, 4, 8, 5, BPF_F_MMAPABLE, 1), 0);
	EXPECT(f.map.data && !f.map.area);
	fixture_free(&f);
}
static void value_locks(void) {
	struct fixture f;
	EXPECT_EQ(fixture_make(&f, BPF_MAP_TYPE_HASH, 4, 16, 5, 0, 1), 0);
	u32 key = 1;
	u64 v[2] = {~0ull, 5}, got[2];
	EXPECT_EQ(f.ops->update(&f.map, &key, v, BPF_F_LOCK), -EINVAL);
	f.map.spin_lock = 4;
	EXPECT_EQ(f.ops->update(&f.map, &key, v, 0), 0);
	EXPECT_EQ(f.ops->update(&f.map, &key, v, BPF_F_LOCK), 0);
	u64 *at = find(&f, &key);
	EXPECT(at && at[0] == 0xffffffff && at[1] == 5);
	*(u32 *)((u8 *)at + 4) = 77; /* a participant that died with the lock */
	EXPECT_EQ(f.ops->update(&f.map, &key, v, BPF_F_LOCK), -EBUSY);
	expect_sound(&f);
	EXPECT_EQ(f.ops->lookup(&f.map, &key, got, BPF_F_LOCK), 0);
	fixture_free(&f);
}
int main(void) {
	RUN(model);
	RUN(specialised);
	RUN(percpu_values);
	RUN(arrays);
	RUN(refusals);
	RUN(value_locks);
	return test_end();
}
