/* Every encoder of x64/enc.h with every register it can name, decoded by Zydis: length, mnemonic, operands. */
#include "test.h"
#include "exec/x64/enc.h"
#include <Zydis/Zydis.h>

static ZydisDecoder decoder;
static u32 checked;

static const ZydisRegister reg64[] = {ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_RCX, ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RBX,
	ZYDIS_REGISTER_RSP, ZYDIS_REGISTER_RBP, ZYDIS_REGISTER_RSI, ZYDIS_REGISTER_RDI, ZYDIS_REGISTER_R8, ZYDIS_REGISTER_R9,
	ZYDIS_REGISTER_R10, ZYDIS_REGISTER_R11, ZYDIS_REGISTER_R12, ZYDIS_REGISTER_R13, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_R15};

/* What is expected: text in Intel syntax, as the formatter prints it. */
static void expect(const u8 *code, const u8 *end, const char *want) {
	static ZydisFormatter formatter;
	static bool ready;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	char text[128] = "undecodable";
	if (!ready) {
		ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
		ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, 0);
		ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, 0);
		ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING, 0);
		ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, 0);
		ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_FORCE_SIZE, 1);
		ready = true;
	}
	u32 length = (u32)(end - code);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &insn, ops)))
		ZydisFormatterFormatInstruction(&formatter, &insn, ops, insn.operand_count_visible, text, sizeof text, 0x1000,
		                                NULL);
	bool good = !strcmp(text, want) && insn.length == length && length <= X64_MAX_INSN;
	checked++;
	if (!good && test_bad++ < 30)
		printf("# length %u: \"%s\", expected \"%s\"\n", length, text, want);
}

static const char *name(u32 r, u32 size) {
	static const char *low[16] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
	                              "r13b", "r14b", "r15b"};
	if (size == 1)
		return low[r];
	ZydisRegister reg = reg64[r];
	ZydisRegisterClass class = size == 8 ? ZYDIS_REGCLASS_GPR64 : size == 4 ? ZYDIS_REGCLASS_GPR32 : ZYDIS_REGCLASS_GPR16;
	return ZydisRegisterGetString(ZydisRegisterEncode(class, (ZyanU8)ZydisRegisterGetId(reg)));
}
static const char *pointer(u32 size) {
	return size == 8 ? "qword ptr" : size == 4 ? "dword ptr" : size == 2 ? "word ptr" : "byte ptr";
}
/* Memory as the formatter writes it. */
static const char *mem(struct x64_mem m) {
	static char text[64];
	char disp[24] = "", index[24] = "";
	if (m.disp)
		snprintf(disp, sizeof disp, "%c0x%x", m.disp < 0 ? '-' : '+', m.disp < 0 ? (u32)-(s64)m.disp : (u32)m.disp);
	if (m.index != X64_NOREG && m.scale)
		snprintf(index, sizeof index, "+%s*%u", name(m.index, 8), 1u << m.scale);
	else if (m.index != X64_NOREG)
		snprintf(index, sizeof index, "+%s*1", name(m.index, 8));
	snprintf(text, sizeof text, "[%s%s%s]", name(m.base, 8), index, disp);
	return text;
}

static u8 code[64];
#define CHECK(call, ...)                                                                                               \
	do {                                                                                                           \
		char want_[128];                                                                                       \
		memset(code, 0xcc, sizeof code);                                                                       \
		snprintf(want_, sizeof want_, __VA_ARGS__);                                                            \
		expect(code, call, want_);                                                                             \
	} while (0)

static void two_registers(void) {
	static const char *alu[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
	for (u32 d = 0; d < 16; d++)
		for (u32 s = 0; s < 16; s++)
			for (u32 w = 0; w < 2; w++) {
				const char *dn = name(d, w ? 8 : 4), *sn = name(s, w ? 8 : 4);
				for (u32 op = 0; op < 8; op++)
					CHECK(x64_alu_rr(code, w, op, d, s), "%s %s, %s", alu[op], dn, sn);
				CHECK(x64_mov_rr(code, w, d, s), "mov %s, %s", dn, sn);
				CHECK(x64_test_rr(code, w, d, s), "test %s, %s", dn, sn);
				CHECK(x64_imul_rr(code, w, d, s), "imul %s, %s", dn, sn);
				CHECK(x64_imul_rri(code, w, d, s, 100), "imul %s, %s, 0x64", dn, sn);
				CHECK(x64_imul_rri(code, w, d, s, 1000), "imul %s, %s, 0x3e8", dn, sn);
				CHECK(x64_cmov(code, w, CC_E, d, s), "cmovz %s, %s", dn, sn);
				CHECK(x64_movsx_rr(code, w, d, s, 1), "movsx %s, %s", dn, name(s, 1));
				CHECK(x64_movsx_rr(code, w, d, s, 2), "movsx %s, %s", dn, name(s, 2));
				if (w)
					CHECK(x64_movsx_rr(code, w, d, s, 4), "movsxd %s, %s", dn, name(s, 4));
				CHECK(x64_movzx_rr(code, d, s, 1), "movzx %s, %s", name(d, 4), name(s, 1));
				CHECK(x64_movzx_rr(code, d, s, 2), "movzx %s, %s", name(d, 4), name(s, 2));
				CHECK(x64_rorx(code, w, d, s, 13), "rorx %s, %s, 0xd", dn, sn);
				CHECK(x64_shiftx(code, w, X64_SHL, d, s, d ^ 5), "shlx %s, %s, %s", dn, sn, name(d ^ 5, w ? 8 : 4));
				CHECK(x64_shiftx(code, w, X64_SHR, d, s, d ^ 9), "shrx %s, %s, %s", dn, sn, name(d ^ 9, w ? 8 : 4));
				CHECK(x64_shiftx(code, w, X64_SAR, d, s, s ^ 3), "sarx %s, %s, %s", dn, sn, name(s ^ 3, w ? 8 : 4));
				CHECK(x64_mulx(code, w, d, s, d ^ s), "mulx %s, %s, %s", dn, sn, name(d ^ s, w ? 8 : 4));
			}
}

static void one_register(void) {
	static const char *alu[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
	static const char *unary[] = {[2] = "not", "neg", "mul", "imul", "div", "idiv"};
	static const char *shift[] = {[0] = "rol", "ror", [4] = "shl", "shr", [7] = "sar"};
	for (u32 r = 0; r < 16; r++)
		for (u32 w = 0; w < 2; w++) {
			const char *rn = name(r, w ? 8 : 4);
			for (u32 op = 0; op < 8; op++) {
				CHECK(x64_alu_ri(code, w, op, r, 5), "%s %s, 0x5", alu[op], rn);
				CHECK(x64_alu_ri(code, w, op, r, 500), "%s %s, 0x1f4", alu[op], rn);
			}
			for (u32 op = 2; op < 8; op++)
				CHECK(x64_unary(code, w, op, r), "%s %s", unary[op], rn);
			for (u32 op = 0; op < 8; op++)
				if (shift[op]) {
					CHECK(x64_shift_ri(code, w, op, r, 7), "%s %s, 0x7", shift[op], rn);
					CHECK(x64_shift_ri(code, w, op, r, 1), "%s %s, 0x1", shift[op], rn);
					CHECK(x64_shift_cl(code, w, op, r), "%s %s, cl", shift[op], rn);
				}
			CHECK(x64_lfence(code), "lfence%s", "");
			CHECK(x64_bswap(code, w, r), "bswap %s", rn);
			CHECK(x64_test_ri(code, true, r, 0x1000), "test %s, 0x1000", name(r, 4));
			CHECK(x64_test_ri(code, w, r, 8), "test %s, 0x8", name(r, r < 4 ? 1 : 4));
		}
	for (u32 r = 0; r < 16; r++) {
		CHECK(x64_push(code, r), "push %s", name(r, 8));
		CHECK(x64_pop(code, r), "pop %s", name(r, 8));
		CHECK(x64_jmp_r(code, r), "jmp %s", name(r, 8));
		CHECK(x64_call_r(code, r), "call %s", name(r, 8));
		CHECK(x64_setcc(code, CC_A, r), "setnbe %s", name(r, 1));
		CHECK(x64_swap16(code, r), "rol %s, 0x8", name(r, 2));
		CHECK(x64_mov_ri(code, r, 0x12345678), "mov %s, 0x12345678", name(r, 4));
		CHECK(x64_mov_ri(code, r, (u64)-2), "mov %s, 0xfffffffffffffffe", name(r, 8));
		CHECK(x64_mov_ri(code, r, 0x123456789abc), "mov %s, 0x123456789abc", name(r, 8));
		CHECK(x64_mov_ri64(code, r, 1), "mov %s, 0x1", name(r, 8));
		CHECK(x64_zero(code, r), "xor %s, %s", name(r, 4), name(r, 4));
		CHECK(x64_lea_rip(code, r, 0x100), "lea %s, [0x1107]", name(r, 8));
	}
}

static void memory_forms(struct x64_mem m, u32 r) {
	const char *at = mem(m);
	for (u32 size = 1; size <= 8; size *= 2) {
		const char *ptr = pointer(size), *rn = name(r, size);
		CHECK(x64_store(code, m, r, size), "mov %s %s, %s", ptr, at, rn);
		CHECK(x64_store_imm(code, m, 5, size), "mov %s %s, 0x5", ptr, at);
		CHECK(x64_load(code, r, m, size), "%s %s, %s %s", size < 4 ? "movzx" : "mov", name(r, size == 8 ? 8 : 4), ptr, at);
		CHECK(x64_load_sx(code, r, m, size), "%s %s, %s %s", size == 8 ? "mov" : size == 4 ? "movsxd" : "movsx",
		      name(r, 8), ptr, at);
		CHECK(x64_alu_mr(code, size, X64_ADD, m, r), "add %s %s, %s", ptr, at, rn);
		CHECK(x64_alu_mi(code, size, X64_CMP, m, 7), "cmp %s %s, 0x7", ptr, at);
		if (size > 1)
			CHECK(x64_alu_mi(code, size, X64_XOR, m, 0x1234), "xor %s %s, 0x1234", ptr, at);
		if (size != 2)
			CHECK(x64_test_mi(code, size, m, 7), "test %s %s, 0x7", ptr, at);
	}
	for (u32 w = 0; w < 2; w++) {
		const char *ptr = pointer(w ? 8 : 4), *rn = name(r, w ? 8 : 4);
		CHECK(x64_alu_rm(code, w, X64_SUB, r, m), "sub %s, %s %s", rn, ptr, at);
		CHECK(x64_imul_rm(code, w, r, m), "imul %s, %s %s", rn, ptr, at);
		CHECK(x64_lea(code, w, r, m), "lea %s, %s", rn, at);
		CHECK(x64_movbe(code, w, r, m), "movbe %s, %s %s", rn, ptr, at);
		CHECK(x64_xchg_mr(code, w, m, r), "xchg %s %s, %s", ptr, at, rn);
		CHECK(x64_xadd_mr(x64_lock(code), w, m, r), "lock xadd %s %s, %s", ptr, at, rn);
		CHECK(x64_cmpxchg_mr(x64_lock(code), w, m, r), "lock cmpxchg %s %s, %s", ptr, at, rn);
	}
}

static void memory(void) {
	static const s32 disps[] = {0, 1, -128, 127, 128, -129, INT32_MAX};
	for (u32 base = 0; base < 16; base++)
		for (u32 index = 0; index < 17; index++) {
			if (index == RSP)
				continue;
			for (u32 i = 0; i < ARRAY_SIZE(disps); i++)
				memory_forms((struct x64_mem){(u8)base, index == 16 ? (u8)X64_NOREG : (u8)index,
				                              (u8)(index == 16 ? 0 : i % 4), disps[i]}, (base * 3 + index + i) % 16);
		}
}

static void jumps(void) {
	static const char *cc[] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"};
	for (u32 c = 0; c < 16; c++) {
		CHECK(x64_jcc8(code, c, -10), "j%s 0xff8", cc[c]);
		CHECK(x64_jcc32(code, c, 0x1000), "j%s 0x2006", cc[c]);
	}
	CHECK(x64_jmp8(code, 0x10), "jmp 0x1012");
	CHECK(x64_jmp32(code, 0x1000), "jmp 0x2005");
	CHECK(x64_call32(code, -5), "call 0x1000");
	CHECK(x64_call_rip(code, 0x20), "call qword ptr [0x1026]");
	CHECK(x64_ret(code), "ret");
	CHECK(x64_cqo(code, true), "cqo");
	CHECK(x64_cqo(code, false), "cdq");
	for (u32 n = 1; n < 32; n++) {
		u8 *p = code, *end = x64_nops(code, n);
		EXPECT_EQ(end - code, n);
		while (p < end) {
			ZydisDecodedInstruction insn;
			ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
			if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, p, (u32)(end - p), &insn, ops)))
				break;
			EXPECT_EQ(insn.mnemonic, ZYDIS_MNEMONIC_NOP);
			p += insn.length;
		}
		EXPECT(p == end);
	}
}
int main(void) {
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	RUN(two_registers);
	RUN(one_register);
	RUN(memory);
	RUN(jumps);
	printf("# %u encodings checked\n", checked);
	return test_end();
}
