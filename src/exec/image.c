/* Images: a verified program with what is needed to run it. */
#include "exec/exec.h"
#include "abi/map_facts.h"
#include "exec/interp.h"
#include "exec/jit/jit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *copy_of(const void *from, u64 n, u64 size) {
	void *p = malloc(MAX(n * size, (u64)1));
	return p && n ? memcpy(p, from, n * size) : p;
}

/* Names are copied too: an image outlives the verifier's arena. Maps' facts belong to the engine and are borrowed. */
static struct xlated *copy_xlated(const struct xlated *x) {
	struct xlated *c = copy_of(x, 1, sizeof *x);
	if (!c)
		return NULL;
	c->insns = copy_of(x->insns, x->n, sizeof *x->insns);
	c->facts = copy_of(x->facts, x->n, sizeof *x->facts);
	c->subprogs = copy_of(x->subprogs, x->subprogs_n, sizeof *x->subprogs);
	c->maps = copy_of(x->maps, x->maps_n, sizeof *x->maps);
	bool ok = c->insns && c->facts && c->subprogs && c->maps;
	for (u32 i = 0; c->subprogs && i < c->subprogs_n; i++)
		if (c->subprogs[i].name) {
			c->subprogs[i].name = strdup(x->subprogs[i].name);
			ok &= c->subprogs[i].name != NULL;
		}
	c->subprogs_n = c->subprogs ? c->subprogs_n : 0;
	return ok ? c : (free_xlated(c), NULL);
}

void free_xlated(struct xlated *x) {
	if (!x)
		return;
	for (u32 i = 0; i < x->subprogs_n; i++)
		free((char *)x->subprogs[i].name);
	free(x->insns);
	free(x->facts);
	free(x->subprogs);
	free(x->maps);
	free(x);
}

/* What later passes rely on and the verifier promises; cheap enough to look at again. */
static bool plausible(const struct xlated *x) {
	if (!x->n || !x->subprogs_n || x->subprogs_n > UINT16_MAX || x->subprogs[0].start != 0)
		return false;
	for (u32 i = 0; i < x->subprogs_n; i++)
		if (x->subprogs[i].start >= x->subprogs[i].end || x->subprogs[i].end > x->n || x->subprogs[i].stack > 512)
			return false;
	for (u32 i = 0; i < x->n; i++)
		if (x->insns[i].dst_reg >= MAX_BPF_REG || x->insns[i].src_reg >= MAX_BPF_REG)
			return false;
	return true;
}

/* The machine that this library runs on, or NULL when there is no backend for it: the interpreter remains. */
static const struct jit_machine *host_machine(void) {
#if defined(__x86_64__)
	return &jit_x64;
#else
	return NULL;
#endif
}

int image_build(const struct xlated *x, u32 flags, bool jit, struct image **out) {
	*out = NULL;
	if (!plausible(x))
		return -EINVAL;
	struct image *image = calloc(1, sizeof *image);
	if (!image)
		return -ENOMEM;
	image->flags = flags;
	image->xlated = copy_xlated(x);
	int r = image->xlated ? interp_decode(image) : -ENOMEM;
	const struct jit_machine *m = host_machine();
	if (!r && jit)
		r = m ? jit_compile(image, m, m->features()) : -EOPNOTSUPP;
	if (r) {
		image_free(image);
		return r;
	}
	ASSERT(!image->code == !jit);
	*out = image;
	return 0;
}

int image_lines(struct image *image) {
	struct image again = {.xlated = image->xlated, .flags = image->flags | IMAGE_LINES};
	const struct jit_machine *m = host_machine();
	if (!image->code || __atomic_load_n(&image->lines, __ATOMIC_ACQUIRE))
		return 0;
	int r = jit_compile(&again, m, m->features());
	if (!r) {
		struct line_at *none = NULL;
		ASSERT(again.code_size == image->code_size && again.lines_n); /* the same input, the same code */
		WRITE_ONCE(image->lines_n, again.lines_n); /* if another thread does this too, it has the same number */
		if (!__atomic_compare_exchange_n(&image->lines, &none, again.lines, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			free(again.lines);
	}
	free(again.code);
	free(again.relocs);
	return r;
}

void image_free(struct image *image) {
	if (!image)
		return;
	interp_free(image);
	free_xlated(image->xlated);
	free(image->code);
	free(image->relocs);
	free(image->lines);
	free(image);
}

void image_relocate(const struct image *image, u8 *to, u64 at, reloc_resolve_fn *resolve, void *owner) {
	ASSERT(image->code);
	memcpy(to, image->code, image->code_size);
	for (u32 i = 0; i < image->relocs_n; i++) {
		const struct reloc *r = &image->relocs[i];
		ASSERT(r->off + 8u <= image->code_size);
		u64 value = r->kind == RELOC_CODE ? at + r->addend : resolve(owner, r->kind, r->index, r->addend);
		memcpy(to + r->off, &value, 8);
	}
}
