#include "hook/dataplane_image.h"
#include <string.h>

__asm__(".section .rodata\n"
        ".balign 4096\n"
        "dataplane_image_start: .incbin \"dataplane.bin\"\n"
        "dataplane_image_end:\n"
        ".text\n");
extern const u8 dataplane_image_start[] __attribute__((visibility("hidden")));
extern const u8 dataplane_image_end[] __attribute__((visibility("hidden")));

static const struct {
	const char *name;
	u32 offset;
} symbols[] = {
#define OFFSET(symbol, at) {#symbol, at},
#include "dataplane_offsets.inc"
#undef OFFSET
};

const u8 *dataplane_bytes(u32 *size) {
	*size = (u32)(dataplane_image_end - dataplane_image_start);
	return dataplane_image_start;
}

s64 dataplane_offset(const char *name) {
	for (u32 i = 0; i < ARRAY_SIZE(symbols); i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].offset;
	return -1;
}
