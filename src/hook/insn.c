#include "hook/insn.h"
#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>

static u8 kind_of(const ZydisDecodedInstruction *z) {
	switch (z->meta.category) {
	case ZYDIS_CATEGORY_SYSCALL:
		return z->mnemonic == ZYDIS_MNEMONIC_SYSCALL ? INSN_SYSCALL : INSN_TRAP;
	case ZYDIS_CATEGORY_RET:
		return z->mnemonic == ZYDIS_MNEMONIC_RET ? INSN_RETURN : INSN_TRAP;
	case ZYDIS_CATEGORY_CALL:
		return z->raw.imm[0].is_relative ? INSN_CALL : INSN_INDIRECT;
	case ZYDIS_CATEGORY_UNCOND_BR:
		return z->mnemonic != ZYDIS_MNEMONIC_JMP ? INSN_TRAP : z->raw.imm[0].is_relative ? INSN_JUMP : INSN_INDIRECT;
	case ZYDIS_CATEGORY_COND_BR:
		if (!z->raw.imm[0].is_relative || z->mnemonic == ZYDIS_MNEMONIC_XBEGIN)
			return INSN_TRAP;
		return (z->opcode & 0xfc) == 0xe0 && z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? INSN_LOOP : INSN_BRANCH;
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSRET:
		return INSN_TRAP;
	default:
		return z->mnemonic == ZYDIS_MNEMONIC_HLT || z->mnemonic == ZYDIS_MNEMONIC_UD2 ||
		               z->mnemonic == ZYDIS_MNEMONIC_UD1 || z->mnemonic == ZYDIS_MNEMONIC_UD0 ||
		               z->raw.imm[0].is_relative
		           ? INSN_TRAP
		           : INSN_PLAIN;
	}
}

static bool writes_rax(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops) {
	for (int i = 0; i < z->operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER && ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, ops[i].reg.value) == ZYDIS_REGISTER_RAX)
			return true;
	return false;
}

/* The two ways in which compilers load a system call number. */
static void constant_of(const u8 *text, struct x86_insn *out) {
	const u8 *op = text[0] == 0x48 ? text + 1 : text; /* rex.w */
	if (op[0] == 0xb8 && out->length == 5 && op == text)
		out->rax_constant = true, memcpy(&out->constant, op + 1, 4);
	else if (op[0] == 0xc7 && op[1] == 0xc0 && op == text + 1 && out->length == 7)
		out->rax_constant = true, memcpy(&out->constant, op + 2, 4);
	else if ((op[0] == 0x31 || op[0] == 0x33) && op[1] == 0xc0 && out->length == (op - text) + 2)
		out->rax_constant = true, out->constant = 0;
}

int x86_decode(const u8 *text, u64 n, struct x86_insn *out) {
	ZydisDecoder decoder;
	ZydisDecoderContext context;
	ZydisDecodedInstruction z;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, text, MIN(n, (u64)INSN_MAX), &z)))
		return -EINVAL;
	*out = (struct x86_insn){.length = z.length, .kind = kind_of(&z)};
	ASSERT(out->length > 0 && out->length <= INSN_MAX);
	if (z.raw.imm[0].is_relative)
		out->target = z.length + z.raw.imm[0].value.s;
	if (out->kind == INSN_BRANCH)
		out->condition = z.opcode & 15;
	else if (out->kind == INSN_LOOP)
		out->condition = z.opcode;
	if (z.attributes & ZYDIS_ATTRIB_HAS_MODRM && z.raw.modrm.mod == 0 && z.raw.modrm.rm == 5 && z.raw.disp.size == 32)
		out->disp_at = z.raw.disp.offset, out->disp = z.raw.disp.value;
	/* With a 32-bit address size prefix the operand is eip-relative: nobody makes it, nobody moves it. */
	if (out->disp_at && z.address_width != 64)
		out->kind = INSN_TRAP;
	return 0;
}

void x86_rax(const u8 *text, u64 n, struct x86_insn *out) {
	ZydisDecoder decoder;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	constant_of(text, out);
	out->sets_rax = true;
	if (out->rax_constant)
		return;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, text, MIN(n, (u64)INSN_MAX), &z, ops)))
		out->sets_rax = writes_rax(&z, ops);
}

static bool put_rel32(u8 *field, u64 target, u64 next) {
	s64 rel = (s64)(target - next);
	s32 narrow = (s32)rel;
	memcpy(field, &narrow, 4);
	return narrow == rel;
}

/* loop and jrcxz reach 127 bytes: taken, they hop to a long jump behind a short one. */
static int move_loop(u8 *to, u64 at, u8 opcode, u64 target) {
	const u8 code[] = {opcode, 2, 0xeb, 5, 0xe9};
	memcpy(to, code, sizeof code);
	return put_rel32(to + 5, target, at + 9) ? 9 : -ERANGE;
}

/* A call that leaves the original return address, without touching flags. */
static int move_call(u8 *to, u64 at, u64 target, u64 back) {
	u32 low = (u32)back, high = (u32)(back >> 32);
	static const u8 lower[] = {0x48, 0x8d, 0x64, 0x24, 0xf8}; /* lea -8(%rsp),%rsp */
	memcpy(to, lower, 5);
	memcpy(to + 5, (u8[]){0xc7, 0x04, 0x24}, 3); /* movl $low,(%rsp) */
	memcpy(to + 8, &low, 4);
	memcpy(to + 12, (u8[]){0xc7, 0x44, 0x24, 0x04}, 4); /* movl $high,4(%rsp) */
	memcpy(to + 16, &high, 4);
	to[20] = 0xe9;
	STATIC_ASSERT(INSN_MOVED_MAX >= 25, "longest form");
	return put_rel32(to + 21, target, at + 25) ? 25 : -ERANGE;
}

int x86_move(u8 *to, u64 at, const u8 *text, u64 from, const struct x86_insn *in) {
	ASSERT(in->length > 0 && in->length <= INSN_MAX);
	u64 target = from + (u64)in->target;
	switch ((enum x86_kind)in->kind) {
	case INSN_PLAIN:
	case INSN_INDIRECT:
		memcpy(to, text, in->length);
		/* An indirect call pushes its return address: it would be ours. */
		if (in->kind == INSN_INDIRECT && text[in->length > 1 && text[0] >= 0x40 && text[0] < 0x50] == 0xff &&
		    (text[(text[0] >= 0x40 && text[0] < 0x50) + 1] >> 3 & 7) == 2)
			return -EINVAL;
		if (in->disp_at && !put_rel32(to + in->disp_at, from + in->length + (u64)in->disp, at + in->length))
			return -ERANGE;
		return in->length;
	case INSN_JUMP:
		to[0] = 0xe9;
		return put_rel32(to + 1, target, at + 5) ? 5 : -ERANGE;
	case INSN_BRANCH:
		to[0] = 0x0f, to[1] = 0x80 | in->condition;
		return put_rel32(to + 2, target, at + 6) ? 6 : -ERANGE;
	case INSN_LOOP:
		return move_loop(to, at, in->condition, target);
	case INSN_CALL:
		return move_call(to, at, target, from + in->length);
	case INSN_RETURN:
		memcpy(to, text, in->length);
		return in->length;
	case INSN_SYSCALL:
	case INSN_TRAP:
		break;
	}
	return -EINVAL;
}
