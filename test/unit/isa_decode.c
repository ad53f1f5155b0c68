/* Rows, decoding and encoding: every row comes back from its own encoding, and no reserved bit may be set. */
#include "test.h"
#include "isa/decode.h"

static u64 seed = 0x9e3779b97f4a7c15;
static u64 next(void) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static void rows_are_complete(void) {
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		const struct op_row *row = &op_rows[op];
		EXPECT(row->name && row->text && row->shape && row->cpu >= 1 && row->cpu <= 5);
		for (int other = op + 1; other < OP_COUNT; other++)
			EXPECT(strcmp(row->name, op_rows[other].name));
	}
}
static void each_row_comes_back(void) {
	for (int op = OP_BAD + 1; op < OP_COUNT; op++) {
		for (int i = 0; i < 200; i++) {
			s32 imm = op == OP_ADDR_SPACE_CAST ? 1 : (s32)next();
			bool reg = next() & 1;
			struct bpf_insn insn = insn_encode(op, reg, next() % 11, next() % 11, (s16)next(), imm);
			EXPECT_EQ(insn_decode(&insn), op);
			if (op_rows[op].uses & FIELD_OPERAND)
				EXPECT_EQ(insn_reg_form(&insn), reg);
		}
	}
}
/* Every opcode byte and many values of the other fields: what decodes is what encoding its fields gives, so that a
 * reserved field with something in it can never decode. */
static void decode_then_encode(void) {
	static const s16 offs[] = {0, 0, 0, 1, 2, 8, 16, 32, -1, 0x100, 4711};
	static const s32 imms[] = {0, 0, 0, 1, 16, 32, 64, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1, 0x100, 0x110,
	                           0x10000, -1, 0xe0, 0xf0, 24, 4711};
	u32 good = 0, bad = 0;
	for (int code = 0; code < 256; code++)
		for (int i = 0; i < 20000; i++) {
			u64 r = next();
			struct bpf_insn a = {.code = code, .off = offs[r % ARRAY_SIZE(offs)],
			                     .imm = imms[(r >> 8) % ARRAY_SIZE(imms)]};
			a.dst_reg = r >> 16 & 1 ? r >> 20 & 15 : 0;
			a.src_reg = r >> 17 & 1 ? r >> 24 & 15 : 0;
			enum bpf_op op = insn_decode(&a);
			if (!op) {
				bad++;
				continue;
			}
			good++;
			struct bpf_insn b = insn_encode(op, insn_reg_form(&a), a.dst_reg, a.src_reg, a.off, a.imm);
			if (op_rows[op].uses & IGNORES_OFF)
				b.off = a.off;
			if (memcmp(&a, &b, sizeof a))
				EXPECT(!"the same bytes");
			EXPECT(a.dst_reg <= 10);
		}
	EXPECT(good > 10000 && bad > 10000);
}
static void not_instructions(void) {
	static const struct bpf_insn bad[] = {
	    {.code = 0x00},                            /* second slot of an lddw */
	    {.code = 0x07, .off = 1},                  /* add with off */
	    {.code = 0x0f, .imm = 1},                  /* add reg with imm */
	    {.code = 0x07, .src_reg = 1},              /* add imm with src */
	    {.code = 0x37, .off = 2},                  /* div: only 0 and 1 */
	    {.code = 0x8f},                            /* neg by register */
	    {.code = 0x87, .imm = 1},                  /* neg with imm */
	    {.code = 0xb7, .off = 8},                  /* movsx of an immediate */
	    {.code = 0xbc, .off = 32},                 /* 32 bits into 32 bits */
	    {.code = 0xbf, .off = 1, .imm = 2},        /* no such address space */
	    {.code = 0xd4, .imm = 24},                 /* byte order of 24 bits */
	    {.code = 0xdf, .imm = 16},                 /* bswap has no big-endian form */
	    {.code = 0x99},                            /* ldxs of 64 bits */
	    {.code = 0xd3, .imm = 0},                  /* atomic on a byte */
	    {.code = 0xc3, .imm = 0xe0},               /* xchg always fetches */
	    {.code = 0xc3, .imm = 0x120},              /* no such atomic */
	    {.code = 0x06, .off = 1},                  /* gotol with off */
	    {.code = 0x05, .imm = 1},                  /* goto with imm */
	    {.code = 0x85, .src_reg = 3},              /* no such call */
	    {.code = 0x86},                            /* call in class JMP32 */
	    {.code = 0x95, .dst_reg = 1},              /* exit of a register */
	    {.code = 0xe5, .src_reg = 1},              /* no such condition */
	    {.code = 0x38},                            /* ld_abs of 64 bits */
	    {.code = 0x18, .src_reg = 7},              /* no such meaning */
	    {.code = 0x18, .off = 1},                  /* lddw with off */
	    {.code = 0xb7, .dst_reg = 11},             /* no such register */
	    {.code = 0xbf, .src_reg = 12},
	    {.code = 0x0d},                            /* gotox: newer than 6.18 */
	};
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(insn_decode(&bad[i]) << 8 | i, i);
}
int main(void) {
	RUN(rows_are_complete);
	RUN(each_row_comes_back);
	RUN(decode_then_encode);
	RUN(not_instructions);
	return test_end();
}
