/* libbpf at work, with its bpf(2) calls seen: it makes them through libc's syscall(), which this program defines. */
#include "peer.h"
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <errno.h>
#include <fcntl.h>

static struct peer *watching;

long syscall(long nr, ...) {
	static long (*real)(long, ...);
	va_list ap;
	long a[6];
	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long r = real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (nr == SYS_bpf && watching) {
		int saved = errno;
		peer_record(watching, (unsigned)a[0], (void *)a[1], (unsigned)a[2], r < 0 ? -saved : r);
		errno = saved;
	}
	return r;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap) {
	static int loud = -1;
	if (loud < 0)
		loud = getenv("PEER_LOUD") != NULL;
	return loud && level != LIBBPF_DEBUG ? vfprintf(stderr, fmt, ap) : 0;
}

static void load_alone(struct peer *p, const char *path, const char *name) {
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	struct bpf_program *g;
	if (libbpf_get_error(o))
		return;
	bpf_object__for_each_program(g, o) bpf_program__set_autoload(g, !strcmp(bpf_program__name(g), name));
	unsigned before = p->progs_n;
	p->loading = name;
	int err = bpf_object__load(o);
	if (before == p->progs_n && err && before < PEER_PROGS) {
		struct peer_prog *q = &p->progs[p->progs_n++];
		memset(q, 0, sizeof *q);
		snprintf(q->name, sizeof q->name, "%.127s", name);
		q->verdict = err;
	}
	bpf_object__close(o);
}

void peer_libbpf(struct peer *p, const char *path) {
	libbpf_set_print(quiet);
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	p->open_error = (int)libbpf_get_error(o);
	if (p->open_error)
		return;
	struct bpf_program *g;
	static char names[PEER_PROGS][128];
	unsigned n = 0;
	/* With no program first: what the maps become. */
	bpf_object__for_each_program(g, o) {
		if (n < PEER_PROGS && bpf_program__autoload(g))
			snprintf(names[n++], sizeof names[0], "%s", bpf_program__name(g));
		bpf_program__set_autoload(g, false);
	}
	watching = p;
	p->load_error = bpf_object__load(o);
	watching = NULL;
	bpf_object__close(o);
	if (p->load_error == -EBADF) { /* initial slots of a program array */
		peer_reset(p);
		p->whole = true;
		o = bpf_object__open_file(path, NULL);
		watching = p;
		p->load_error = bpf_object__load(o);
		watching = NULL;
		bpf_object__close(o);
	}
	for (unsigned i = 0; i < n && !p->load_error; i++) {
		/* Maps are the same again; only programs are looked at. */
		unsigned maps = p->maps_n;
		watching = p;
		load_alone(p, path, names[i]);
		watching = NULL;
		p->maps_n = maps;
	}
}
