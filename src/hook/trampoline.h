/* Stubs: for each hooked site of an image, the code that its jump leads to; an island is all stubs of one image. */
#ifndef SKEP_HOOK_TRAMPOLINE_H
#define SKEP_HOOK_TRAMPOLINE_H
#include "hook/emit.h"
#include "hook/sites.h"
#include "hook/target/shared.h"

/* What stubs call: addresses below 2 GiB of cells that hold the address of a routine; 0 = nothing to do there. */
struct stub_calls {
	u64 enter[NR_LIMIT + 1], leave[NR_LIMIT + 1]; /* by number; the last one for all other numbers */
	u64 dispatch_enter, dispatch_leave;           /* for sites whose number is not known; 0: nothing anywhere */
};

/* A jump that replaces original bytes: 5 bytes at offset `off` of the segment. */
struct patch {
	u32 off;
	u32 site;     /* index of the site */
	u8 bytes[JUMP_BYTES];
};
struct island {
	u8 *code;
	u32 size;
	struct patch *patch; /* by ascending offset */
	u32 patches;
	u32 skipped;         /* sites for which no stub could be made */
	u32 enter_only;      /* sites whose exit cannot be hooked */
};

/* Makes the island of `sites`, whose segment stands at address `segment` in the target, to run at address `at`. Jumps and
 * operands must reach: |segment - at| below 2 GiB. 0 or negative errno. */
int island_make(const struct sites *sites, u64 segment, u64 at, const struct stub_calls *calls, struct island *out);
void island_free(struct island *island);
#endif
