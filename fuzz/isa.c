/* The isa room: any bits decode, print and come back from their text; any text assembles or is refused, and what
 * assembles comes back too; a program that insn_valid lets through decodes. The first byte chooses bits or text. */
#include "fuzz.h"
#include "isa/asm.h"
#include "isa/decode.h"
#include "isa/disasm.h"
#include "isa/valid.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy of exactly this size, so that the sanitizer sees the first byte too many. */
static void *exact(const void *data, u64 size) {
	void *copy = malloc(size ? size : 1);
	FUZZ_CHECK(copy);
	memcpy(copy, data, size);
	return copy;
}
static void look_at(const struct bpf_insn *insns, u32 i, u32 n) {
	const struct bpf_insn *insn = &insns[i];
	char text[160], part[24], message[VALID_MESSAGE];
	enum bpf_op op = insn_decode(insn);
	FUZZ_CHECK(op < OP_COUNT && (!op || op == insn_decode_fields(insn)));
	if (op) {
		struct bpf_insn again =
		    insn_encode(op, insn_reg_form(insn), insn->dst_reg, insn->src_reg, insn->off, insn->imm);
		if (op_rows[op].uses & IGNORES_OFF)
			again.off = insn->off;
		FUZZ_CHECK(!memcmp(&again, insn, sizeof again));
	}
	bool valid = !insn_valid(VALID_ALL, insns, i, n, message);
	FUZZ_CHECK(!valid || op);
	if (!valid)
		FUZZ_CHECK(strlen(message) > 5 && strlen(message) < VALID_MESSAGE - 1);
	for (u32 flags = 0; flags < 8; flags++) {
		u32 length = insn_text(insn, n - i, flags, NULL, text, sizeof text);
		FUZZ_CHECK(length == strlen(text) && length < sizeof text - 1);
		FUZZ_CHECK(insn_text(insn, n - i, flags, NULL, part, sizeof part) == length);
		FUZZ_CHECK(!strncmp(part, text, sizeof part - 1));
	}
	if (fuzz_canary)
		FUZZ_CHECK(!(op == OP_MOD64 && insn->imm == 1));
}
/* Prints the program exactly and assembles it again. */
static void there_and_back(const struct bpf_insn *insns, u32 n) {
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	FUZZ_CHECK(f);
	for (u32 i = 0; i < n;) {
		char line[160];
		insn_text(&insns[i], n - i, DISASM_EXACT, NULL, line, sizeof line);
		fprintf(f, "%s\n", line);
		bool wide = insn_is_ldimm64(&insns[i]) && strncmp(line, ".insn", 5);
		i += wide ? 2 : 1;
	}
	fclose(f);
	char *copy = exact(text, size);
	struct asm_program p;
	struct asm_error e;
	int r = asm_text(copy, size, NULL, &p, &e);
	if (r)
		fprintf(stderr, "line %u: %s\n%s", e.line, e.message, text);
	FUZZ_CHECK(!r && p.insns.n == n && p.lines.n == n && !memcmp(p.insns.at, insns, n * sizeof *insns));
	asm_free(&p);
	free(copy);
	free(text);
}
static void bits(const u8 *data, u64 size) {
	u32 n = size / sizeof(struct bpf_insn);
	if (!n)
		return;
	struct bpf_insn *insns = exact(data, n * sizeof *insns);
	for (u32 i = 0; i < n; i++)
		look_at(insns, i, n);
	there_and_back(insns, n);
	free(insns);
}
static void text(const u8 *data, u64 size) {
	char *copy = exact(data, size);
	struct asm_program p;
	struct asm_error e;
	int r = asm_text(copy, size, NULL, &p, &e);
	FUZZ_CHECK(r || p.insns.n == p.lines.n);
	FUZZ_CHECK(!r || *e.message);
	if (!r && p.insns.n && p.insns.n < 4096)
		there_and_back(p.insns.at, p.insns.n);
	asm_free(&p);
	free(copy);
}
void fuzz_one(const u8 *data, u64 size) {
	if (!size)
		return;
	if (*data & 1)
		bits(data + 1, size - 1);
	else
		text(data + 1, size - 1);
}
/* Some rows with random operands, as bits or as text. */
u64 fuzz_seed(u8 *to, u64 size, u64 *state) {
	u64 n = 1;
	bool as_text = fuzz_random(state) & 1;
	*to = !as_text;
	for (u64 k = 1 + fuzz_random(state) % 12; k && n + 170 < size; k--) {
		u64 r = fuzz_random(state);
		struct bpf_insn insn[2] = {insn_encode(1 + r % (OP_COUNT - 1), r >> 16 & 1, (r >> 20) % 11, (r >> 24) % 11,
		                                       (s16)(r >> 32) >> (r >> 28 & 15), (s32)(r >> 32) >> (r >> 17 & 31))};
		insn[1].imm = r & 1 << 27 ? 0 : (s32)fuzz_random(state);
		u32 slots = insn_slots(insn);
		if (as_text) {
			n += insn_text(insn, slots, r >> 60 & 7, NULL, (char *)to + n, 170);
			to[n++] = '\n';
		} else {
			memcpy(to + n, insn, slots * sizeof *insn);
			n += slots * sizeof *insn;
		}
	}
	return n;
}
