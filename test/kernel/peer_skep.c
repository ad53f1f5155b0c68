/* skep's loader at work on the kernel, through a bpf function that looks on. */
#include "peer.h"
#include "skep/skep.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int64_t kernel_bpf(void *owner, unsigned cmd, void *attr, unsigned size) {
	long r = syscall(SYS_bpf, cmd, attr, size);
	r = r < 0 ? -errno : r;
	if (owner)
		peer_record(owner, cmd, attr, size, r);
	return r;
}
static void say(void *owner, const struct skep_diagnostic *d) {
	if (getenv("PEER_LOUD"))
		fprintf(stderr, "skep: %s%s%s%s\n", d->program ? d->program : "", d->program ? ": " : "", d->sentence,
				d->file ? d->line_text : "");
}

void peer_skep(struct peer *p, const char *path) {
	struct skep_object_opts opts = {.size = sizeof opts, .bpf = kernel_bpf, .bpf_owner = p, .diagnostic = say};
	struct skep_object *o;
	p->open_error = skep_object__open_file(path, &opts, &o);
	if (p->open_error)
		return;
	struct skep_program *g = NULL;
	static char autoload[PEER_PROGS];
	unsigned n = 0, i = 0;
	while ((g = skep_object__next_program(o, g)) && n < PEER_PROGS)
		autoload[n++] = skep_program__autoload(g);
	for (g = NULL; (g = skep_object__next_program(o, g));)
		skep_program__set_autoload(g, p->whole && skep_program__autoload(g));
	p->load_error = skep_object__load(o, NULL);
	if (!n && p->load_error == -ENOENT) /* no programs: that is said last */
		p->load_error = 0;
	if (p->whole) { /* again, to look at programs one by one */
		unsigned maps = p->maps_n;
		skep_object__close(o);
		if (skep_object__open_file(path, &opts, &o))
			return;
		for (g = NULL; (g = skep_object__next_program(o, g));)
			skep_program__set_autoload(g, false);
		skep_object__load(o, NULL);
		p->maps_n = maps;
	}
	for (g = NULL; !p->load_error && i < n && (g = skep_object__next_program(o, g)); i++) {
		if (!autoload[i])
			continue;
		unsigned before = p->progs_n;
		p->loading = skep_program__name(g);
		int err = skep_program__load(g, NULL);
		if (before == p->progs_n && err && p->progs_n < PEER_PROGS) {
			struct peer_prog *q = &p->progs[p->progs_n++];
			memset(q, 0, sizeof *q);
			snprintf(q->name, sizeof q->name, "%.127s", skep_program__name(g));
			q->verdict = err;
		}
	}
	skep_object__close(o);
}
