/* Whatever is thrown at the verifier: a libFuzzer target for raw instructions, BTF, function and line records together.
 *
 *     struct shape        program type, attach type, flags, log level, how much of each part
 *     instructions        8 bytes each; a map's descriptor is 0 … MAPS-1
 *     BTF                 a blob as BPF_BTF_LOAD takes it
 *     func_info           8 bytes a record
 *     line_info           16 bytes a record
 *
 * `verdict --corpus` writes the programs of objects in this form. What must hold: nothing that the sanitizers or an assertion
 * see; a refusal has a code and a sentence; what is accepted decodes. */
#include "btf/btf.h"
#include "fuzz/shape.h"
#include "isa/decode.h"
#include "verify/verifier.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAPS = 6, LOG = 1 << 16, BUDGET = 20000, MEMORY = 64 << 20 };

static struct map_facts inner = {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1,
                                 .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}};
#define MAP(t, key, value, entries, ...)                                                                               \
	{.id = 1, .type = t, .key_size = key, .value_size = value, .max_entries = entries,                                 \
	 .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1}, __VA_ARGS__}
static struct map_facts maps[MAPS] = {
    MAP(BPF_MAP_TYPE_ARRAY, 4, 48, 4, .name = "array"),
    MAP(BPF_MAP_TYPE_HASH, 8, 64, 16, .name = "hash"),
    MAP(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, .name = "ringbuf"),
    MAP(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, .name = "progs"),
    MAP(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 4, .name = "maps", .inner = &inner),
    MAP(BPF_MAP_TYPE_ARRAY, 4, 256, 1, .name = "bss"),
};
static struct map_facts *map_by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd >= 0 && fd < MAPS ? &maps[fd] : NULL;
}

static const struct btf *kernel_types(void) {
	static struct btf *types;
	static bool tried;
	if (!tried)
		tried = true, btf_read_file(NULL, NULL, 0, NULL, &types);
	return types;
}

/* The next part of the input, as much as there is. */
static const void *part(const u8 **at, const u8 *end, u32 *n, u32 each) {
	const u8 *here = *at;
	*n = MIN(*n, (u32)((size_t)(end - here) / each));
	*at += (size_t)*n * each;
	return here;
}
static void check(int error, const struct verify_output *out) {
	if (error == -ENOMEM || error == -ENOSPC)
		return;
	if (error && (!out->diag.code || !out->diag.sentence || !*out->diag.sentence))
		abort(); /* refused without a word */
	if (!error && out->diag.code)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
	static char log[LOG];
	const u8 *at = data + sizeof(struct fuzz_shape), *end = data + size;
	struct fuzz_shape s;
	struct btf *btf = NULL;
	struct arena arena;
	struct verify_output out = {0};
	if (size < sizeof s)
		return 0;
	memcpy(&s, data, sizeof s);
	u32 insns_n = s.insns_n, btf_n = s.btf_n, funcs_n = s.func_info_n, lines_n = s.line_info_n;
	const void *insns = part(&at, end, &insns_n, sizeof(struct bpf_insn));
	const void *blob = part(&at, end, &btf_n, 1);
	const void *funcs = part(&at, end, &funcs_n, 8), *lines = part(&at, end, &lines_n, 16);
	if (!insns_n)
		return 0;
	if (btf_n)
		btf_parse(blob, btf_n, NULL, BTF_STRICT, NULL, &btf);
	struct verify_input in = {.abi = abi_linux(), .insns = insns, .insns_n = insns_n, .prog_type = s.prog_type,
	                          .expected_attach_type = s.attach_type, .prog_flags = s.prog_flags,
	                          .license = s.flags & SHAPE_NOT_GPL ? "none" : "GPL", .gpl_compatible = !(s.flags & SHAPE_NOT_GPL),
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN,
	                          .map_by_fd = map_by_fd, .btf = btf, .func_info = funcs, .func_info_n = btf ? funcs_n : 0,
	                          .func_info_size = 8, .line_info = lines, .line_info_n = btf ? lines_n : 0, .line_info_size = 16,
	                          .kernel_btf = kernel_types(), .attach_btf_id = s.attach_btf_id, .log_level = s.flags & SHAPE_LOG,
	                          .log = s.flags & SHAPE_LOG ? log : NULL, .log_size = s.flags & SHAPE_LOG ? LOG : 0,
	                          .insns_limit = BUDGET, .memory_limit = MEMORY};
	arena_init(&arena, 0);
	check(verify(&in, &arena, &out), &out);
	arena_free(&arena);
	btf_put(btf);
	return 0;
}
