/* Lookups in maps: inlined ones give the address that the map's own function gives, known types call their own function,
 * a constant key decides the test for NULL. The interpreter calls map/ itself, so geometry is compared with the owner's. */
#include "exec_test.h"

static u8 area[1 << 16] __attribute__((aligned(64)));
static struct map map;
static struct map_facts facts;
static const char *called;

static u64 hash_4(DP_ARGS) {
	called = "htab_map_lookup_elem_4";
	return *(const u32 *)r2 == 7 ? (u64)area : 0;
}
static u64 generic(DP_ARGS) {
	called = "helper_map_lookup_elem";
	return 0;
}

static void setup(u32 type, u32 key_size, u32 value_size, u32 max_entries) {
	map = (struct map){.type = type, .key_size = key_size, .value_size = value_size, .max_entries = max_entries,
	                   .value_stride = (u32)round_up(value_size, 8), .nr_cpus = 4, .area = area, .area_size = sizeof area};
	map.off[MAP_CPU_PLANE] = round_up((u64)max_entries * map.value_stride, 64);
	facts = (struct map_facts){.type = type, .key_size = key_size, .value_size = value_size, .max_entries = max_entries};
	test_maps[0] = &map;
	test_dp[DP_array_map_lookup_elem] = array_map_lookup_elem;
	test_dp[DP_percpu_array_map_lookup_elem] = percpu_array_map_lookup_elem;
	test_dp[DP_htab_map_lookup_elem_4] = hash_4;
	test_dp[DP_helper_map_lookup_elem] = generic;
	called = NULL;
}

/* Looks key up; with `known` the facts name the map, with `constant` the key too. Returns the address in both engines. */
static u64 lookup(u32 key, bool known, bool constant, u32 *code_size) {
	const struct bpf_insn insns[] = {LDX(LDX32, 3, 1, 0), STX(STX32, 10, -4, 3), LDDW2(LDDW_MAP_FD, 1, 0, 0), X(MOV64, 2, 10),
	                                 K(ADD64, 2, -4), CALL(1), JK(JNE64, 0, 0, 1), K(MOV64, 0, 1), EXIT()};
	struct test_prog p;
	struct image *image;
	u64 ctx[1] = {key}, r0[2] = {0};
	test_prog(&p, insns, ARRAY_SIZE(insns));
	p.maps[0] = &facts, p.x.maps_n = 1;
	if (known)
		p.facts[6].map = 0;
	if (constant)
		p.facts[6].const_key = 1, p.facts[6].const_arg = key;
	if (!test_build(&p, 0, &image)) {
		struct skep_run run = test_run();
		r0[0] = test_interp(image, ctx, &run);
		r0[1] = test_jit(image, ctx, &run);
		if (code_size)
			*code_size = image->code_size;
		image_free(image);
	}
	EXPECT_EQ(r0[0], r0[1]);
	test_prog_free(&p);
	return r0[0];
}

static void arrays(void) {
	static const u32 sizes[] = {1, 4, 8, 12, 16, 24, 64, 100};
	for (u32 s = 0; s < ARRAY_SIZE(sizes); s++)
		for (u32 constant = 0; constant < 2; constant++) {
			setup(BPF_MAP_TYPE_ARRAY, 4, sizes[s], 50);
			u64 stride = round_up(sizes[s], 8);
			EXPECT_EQ(lookup(0, true, constant, NULL), (u64)area);
			EXPECT_EQ(lookup(49, true, constant, NULL), (u64)area + 49 * stride);
			EXPECT_EQ(lookup(50, true, constant, NULL), 1);
			EXPECT_EQ(lookup(0xffffffff, true, constant, NULL), 1);
			setup(BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizes[s], 50);
			u64 plane = 3 * round_up(50 * stride, 64);
			EXPECT_EQ(lookup(0, true, constant, NULL), (u64)area + plane);
			EXPECT_EQ(lookup(49, true, constant, NULL), (u64)area + plane + 49 * stride);
			EXPECT_EQ(lookup(50, true, constant, NULL), 1);
		}
	setup(BPF_MAP_TYPE_ARRAY, 4, 8, 0xfffffff0); /* a bound that no immediate holds */
	EXPECT_EQ(lookup(0xfffffff0, true, false, NULL), 1);
	EXPECT_EQ(lookup(3, true, false, NULL), (u64)area + 24);
}

static void constant_keys(void) {
	u32 variable, constant;
	setup(BPF_MAP_TYPE_ARRAY, 4, 8, 50);
	lookup(3, true, false, &variable);
	lookup(3, true, true, &constant);
	EXPECT(constant + 16 <= variable); /* an address, and the branch for NULL is gone */
}

static void others(void) {
	setup(BPF_MAP_TYPE_HASH, 4, 8, 50);
	EXPECT_EQ(lookup(7, true, false, NULL), (u64)area);
	EXPECT_STR(called, "htab_map_lookup_elem_4");
	EXPECT_EQ(lookup(8, true, false, NULL), 1);
	EXPECT_EQ(lookup(7, false, false, NULL), 1);
	EXPECT_STR(called, "helper_map_lookup_elem");
}

static void values(void) {
	setup(BPF_MAP_TYPE_ARRAY, 4, 64, 2);
	*(u64 *)(area + 64 + 16) = 0x1122334455667788;
	const struct bpf_insn insns[] = {LDDW2(LDDW_MAP_VALUE, 2, 0, 64), LDX(LDX64, 3, 2, 16), K(ADD64, 3, 1),
	                                 STX(STX64, 2, 16, 3), LDX(LDX64, 0, 2, 16), EXIT()};
	struct test_prog p;
	struct image *image;
	test_prog(&p, insns, ARRAY_SIZE(insns));
	p.maps[0] = &facts, p.x.maps_n = 1;
	if (!test_build(&p, 0, &image)) {
		struct skep_run run = test_run();
		EXPECT_EQ(test_interp(image, NULL, &run), 0x1122334455667789);
		EXPECT_EQ(test_jit(image, NULL, &run), 0x112233445566778a);
		image_free(image);
	}
	test_prog_free(&p);
}
int main(void) {
	RUN(arrays);
	RUN(constant_keys);
	RUN(others);
	RUN(values);
	return test_end();
}
