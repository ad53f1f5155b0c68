/* bpf_snprintf: the verifier looks at the format, which is constant, and at the number of arguments. */
#include "test.h"
#include "abi/abi.h"
#include "verify/verifier.h"

static const char *text;

static int read_text(const struct map_facts *map, u32 off, void *to, u32 size) {
	EXPECT((u64)off + size <= map->value_size);
	memset(to, 0, size);
	memcpy(to, text + off, MIN((u64)size, strlen(text) - MIN((u64)off, strlen(text))));
	return 0;
}
static struct map_facts map = {.type = BPF_MAP_TYPE_ARRAY,
                               .key_size = 4,
                               .value_size = 64,
                               .max_entries = 1,
                               .map_flags = BPF_F_RDONLY_PROG,
                               .frozen = true,
                               .name = "m",
                               .fields = {.spin_lock = -1, .timer = -1, .workqueue = -1},
                               .read_value = read_text};
static struct map_facts *by_fd(void *owner, s32 fd) {
	(void)owner;
	return fd == 3 ? &map : NULL;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)

/* bpf_snprintf(fp-64, 24, text, fp-32, bytes) */
static const char *verdict(const char *format, s32 bytes) {
	static char message[128];
	const struct bpf_insn insns[] = {
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 10, 0, 0), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -64), MOV(2, 24),
	    INSN(BPF_LD | BPF_IMM | BPF_DW, 3, BPF_PSEUDO_MAP_VALUE, 0, 3), INSN(0, 0, 0, 0, 0),
	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 10, 0, 0), INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, -32), MOV(5, bytes),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_snprintf), MOV(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = insns,
	                          .insns_n = ARRAY_SIZE(insns),
	                          .prog_type = BPF_PROG_TYPE_SCHED_CLS,
	                          .license = "GPL",
	                          .gpl_compatible = true,
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN,
	                          .map_by_fd = by_fd};
	struct verify_output out;
	struct arena arena;
	text = format;
	arena_init(&arena, 0);
	if (!verify(&in, &arena, &out))
		snprintf(message, sizeof message, "accepted");
	else
		snprintf(message, sizeof message, "%s", out.diag.message ? out.diag.message : "");
	arena_free(&arena);
	return message;
}

static void formats(void) {
	static const char *const good[] = {"", "text", "100%%", "%d", "%-8lld %s", "%pI4 %pks", "\xc3\xa4 %+05x"};
	static const char *const bad[] = {"%", "%d %d %d", "%o", "%sx", "%pI5", "\001", "%llld"};
	for (u32 i = 0; i < ARRAY_SIZE(good); i++)
		EXPECT_STR(verdict(good[i], 16), "accepted");
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_STR(verdict(bad[i], 16), "Invalid format string");
	EXPECT_STR(verdict("%d", 0), "Invalid format string");
	EXPECT_STR(verdict("%d", 7), "");
}

int main(void) {
	RUN(formats);
	return test_end();
}
