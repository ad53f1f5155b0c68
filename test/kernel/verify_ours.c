#include "verify_ours.h"
#include "abi/abi.h"
#include "abi/diag.h"
#include "btf/btf.h"
#include "verify/verifier.h"
#include <errno.h>
#include <string.h>

enum { MAPS = 128 };
struct ours {
	const struct ours_prog *p;
	struct map_facts facts[MAPS], inner[MAPS];
	struct btf *btfs[2 * MAPS + 1]; /* of maps, inner maps and the program */
	u32 btfs_n;
};

static int read_value(const struct map_facts *map, u32 off, void *to, u32 size) {
	const struct ours_map *m = map->owner;
	extern const struct ours_prog *ours_current;
	return ours_current->read_value(m->fd, off, to, size, m->value_size);
}
const struct ours_prog *ours_current;

/* As the kernel has them: who gives the same types means the same object. */
static struct btf *types_of(struct ours *o, const void *data, unsigned size) {
	struct btf *btf = NULL;
	for (u32 i = 0; i < o->btfs_n; i++)
		if (o->btfs[i]->data_size == size && !memcmp(o->btfs[i]->data, data, size))
			return o->btfs[i];
	if (!btf_parse(data, size, NULL, 0, NULL, &btf))
		o->btfs[o->btfs_n++] = btf;
	return btf;
}

static void fill(struct ours *o, struct map_facts *f, struct ours_map *m) {
	struct btf_fields fields = {.spin_lock = -1, .timer = -1, .workqueue = -1};
	const char *why;
	*f = (struct map_facts){.id = m->id,
	                        .type = m->type,
	                        .key_size = m->key_size,
	                        .value_size = m->value_size,
	                        .max_entries = m->max_entries,
	                        .map_flags = m->flags,
	                        .frozen = m->frozen,
	                        .owner = m,
	                        .read_value = read_value};
	memcpy(f->name, m->name, sizeof f->name);
	f->btf = m->btf ? types_of(o, m->btf, m->btf_size) : NULL;
	if (f->btf) {
		f->btf_value_type_id = m->value_type_id;
		btf_find_fields(f->btf, m->value_type_id, &fields, &why);
	}
	f->fields = fields;
}

static struct map_facts *by_fd(void *owner, s32 fd) {
	struct ours *o = owner;
	for (u32 i = 0; i < o->p->maps_n && i < MAPS; i++)
		if (o->p->maps[i].fd == fd)
			return &o->facts[i];
	return NULL;
}
static struct map_facts *by_index(void *owner, u32 i, int *error) {
	struct ours *o = owner;
	*error = -EBADF;
	return o->p->fd_array ? by_fd(owner, o->p->fd_array[i]) : NULL;
}

void ours_verify(const struct ours_prog *p, char *log, unsigned log_size, struct ours_result *out) {
	static struct btf *kernel;
	static struct ours o;
	struct btf *btf = NULL;
	struct arena arena;
	struct verify_output result;
	struct verify_input in = {.abi = abi_linux(),
	                          .insns = p->insns,
	                          .insns_n = p->insns_n,
	                          .prog_type = p->type,
	                          .expected_attach_type = p->attach_type,
	                          .prog_flags = p->flags,
	                          .license = p->license,
	                          .gpl_compatible = p->license && (!strcmp(p->license, "GPL") || !strcmp(p->license, "Dual BSD/GPL") ||
	                                                           !strcmp(p->license, "GPL v2") || !strcmp(p->license, "Dual MIT/GPL")),
	                          .caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN | VERIFY_SYS_ADMIN,
	                          .map_by_fd = by_fd,
	                          .map_by_index = p->fd_array ? by_index : NULL,
	                          .owner = &o,
	                          .func_info = p->func_info,
	                          .func_info_n = p->func_info_n,
	                          .func_info_size = p->func_info_size,
	                          .line_info = p->line_info,
	                          .line_info_n = p->line_info_n,
	                          .line_info_size = p->line_info_size,
	                          .attach_btf_id = p->attach_btf_id,
	                          .log_level = p->log_level,
	                          .log = log,
	                          .log_size = log_size};
	if (p->kernel_types && !kernel)
		btf_read_file(NULL, NULL, 0, NULL, &kernel);
	in.kernel_btf = kernel;
	memset(&o, 0, sizeof o);
	o.p = ours_current = p;
	for (u32 i = 0; i < p->maps_n && i < MAPS; i++) {
		fill(&o, &o.facts[i], &p->maps[i]);
		if (p->maps[i].inner) {
			fill(&o, &o.inner[i], p->maps[i].inner);
			o.facts[i].inner = &o.inner[i];
		}
	}
	if (p->btf)
		btf = types_of(&o, p->btf, p->btf_size);
	in.btf = btf;
	arena_init(&arena, 0);
	*out = (struct ours_result){.error = verify(&in, &arena, &result)};
	out->processed = result.stats.insns_processed;
	out->states = result.stats.total_states;
	out->ns = result.stats.time_ns;
	out->code = result.diag.code;
	if (result.diag.message)
		strncpy(out->message, result.diag.message, sizeof out->message - 1);
	if (result.diag.sentence)
		strncpy(out->sentence, result.diag.sentence, sizeof out->sentence - 1);
	arena_free(&arena);
	for (u32 i = 0; i < o.btfs_n; i++)
		btf_put(o.btfs[i]);
}
