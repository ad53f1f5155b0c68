/* The interface's headers compile, and the numbers that everything hangs on are the kernel's. */
#include "test.h"
#include "abi/abi.h"
#include "abi/regs.h"

static void numbers(void) {
	EXPECT_EQ(BPF_FUNC_cgrp_storage_delete, 211);
	EXPECT_EQ(__BPF_FUNC_MAX_ID, 212);
	EXPECT_EQ(__MAX_BPF_PROG_TYPE, 33);
	EXPECT_EQ(__MAX_BPF_MAP_TYPE, 34);
	EXPECT_EQ(__MAX_BPF_ATTACH_TYPE, 58);
	EXPECT_EQ(__MAX_BPF_LINK_TYPE, 15);
	EXPECT_EQ(__MAX_BPF_CMD, 38);
	EXPECT_EQ(ARG_PTR_TO_UNINIT_MEM, 0x4008004);
	EXPECT_EQ(RET_PTR_TO_BTF_ID_TRUSTED, 0x100008);
}
int main(void) {
	RUN(numbers);
	return test_end();
}
