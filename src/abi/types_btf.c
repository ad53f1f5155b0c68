/* The BTF that skep ships, as bytes: made from types.h by make/abi.mk. */
#include "abi/types_btf.h"

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".globl skep_btf_data\n"
        ".hidden skep_btf_data\n"
        "skep_btf_data:\n"
        ".incbin " "\"" SKEP_TYPES_BTF "\"" "\n"
        "skep_btf_data_end:\n"
        ".balign 4\n"
        ".globl skep_btf_size\n"
        ".hidden skep_btf_size\n"
        "skep_btf_size:\n"
        ".4byte skep_btf_data_end - skep_btf_data\n"
        ".popsection\n");
