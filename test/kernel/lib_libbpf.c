/* The loader against libbpf, on the running kernel: maps, instructions as handed to the kernel, records, verdicts.
 *   lib_libbpf OBJECT...      one line per difference; exit status 1 if there was one
 * Needs bpf(2) as root; prints TAP with a skip otherwise. */
#include "peer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STRUCT_OPS_PROG = 27, STRUCT_OPS_MAP = 26 };
static unsigned maps_same, progs_same, differences, not_opened, opened_more, loaded_more;
static const char *file;

static void differs(const char *what, const char *name, long long libbpf, long long skep) {
	printf("# %s: %s: %s: libbpf %lld (0x%llx), skep %lld (0x%llx)\n", file, name, what, libbpf, libbpf, skep, skep);
	differences++;
}
#define SAME(what, name, a, b) ((a) == (b) ? (void)0 : differs(what, name, (long long)(a), (long long)(b)))

static void compare_maps(const struct peer *l, const struct peer *s) {
	unsigned loaded = 0;
	for (unsigned i = 0; i < l->maps_n; i++)
		loaded += l->maps[i].type != STRUCT_OPS_MAP;
	SAME("number of maps", "object", loaded, s->maps_n);
	for (unsigned i = 0; i < s->maps_n; i++) {
		const struct peer_map *m = &s->maps[i], *o = NULL;
		for (unsigned k = 0; k < l->maps_n && !o; k++)
			if (!strcmp(l->maps[k].name, m->name) && l->maps[k].type == m->type)
				o = &l->maps[k];
		if (!o) {
			differs("map that libbpf does not make", m->name, 0, 1);
			continue;
		}
		unsigned before = differences;
		SAME("type", m->name, o->type, m->type);
		SAME("key_size", m->name, o->key_size, m->key_size);
		SAME("value_size", m->name, o->value_size, m->value_size);
		SAME("max_entries", m->name, o->max_entries, m->max_entries);
		SAME("flags", m->name, o->flags, m->flags);
		SAME("key type", m->name, o->key_type, m->key_type);
		SAME("value type", m->name, o->value_type, m->value_type);
		SAME("extra", m->name, o->extra, m->extra);
		SAME("inner type", m->name, o->inner_type, m->inner_type);
		SAME("frozen", m->name, o->frozen, m->frozen);
		SAME("updates", m->name, o->updates, m->updates);
		SAME("contents", m->name, o->contents, m->contents);
		maps_same += before == differences;
	}
}

static void compare_insns(const struct peer_prog *l, const struct peer_prog *s) {
	for (unsigned i = 0; i < l->n && i < s->n; i++)
		if (l->raw[i] != s->raw[i]) {
			printf("# %s: %s: instruction %u: libbpf %016llx, skep %016llx\n", file, s->name, i,
				   (unsigned long long)l->raw[i], (unsigned long long)s->raw[i]);
			break;
		}
	differences++;
}

/* libbpf 1.1 leaves calls of weak kernel functions that are absent as calls of function -1; later ones and skep make
 * them calls of a helper whose number says which. */
static bool calls_absent_function(const struct peer_prog *l, const struct peer_prog *s) {
	for (unsigned i = 0; i < l->n && i < s->n; i++)
		if (l->raw[i] == 0x2085 && (unsigned)(s->raw[i] >> 32) / 1000000 == 2002)
			return true;
	return false;
}

static void compare_progs(const struct peer *l, const struct peer *s) {
	for (unsigned i = 0; i < l->progs_n; i++) {
		const struct peer_prog *o = &l->progs[i], *p = NULL;
		for (unsigned k = 0; k < s->progs_n && !p; k++)
			if (!strcmp(s->progs[k].name, o->name))
				p = &s->progs[k];
		if (!o->n && p && p->n) { /* libbpf gave up before the kernel saw it: a kind it does not know */
			loaded_more++;
			continue;
		}
		if (!p) {
			differs("program that skep does not load; libbpf's verdict", o->name, o->verdict, 0);
			continue;
		}
		if ((!o->n && !p->n) || o->type == STRUCT_OPS_PROG) /* neither reached the kernel; what skep does not load */
			continue;
		if (!p->n) {
			differs("verdict before the kernel saw it", o->name, o->verdict, p->verdict);
			continue;
		}
		if (calls_absent_function(o, p))
			continue;
		unsigned before = differences;
		SAME("verdict", o->name, o->verdict, p->verdict);
		SAME("instructions", o->name, o->n, p->n);
		SAME("type", o->name, o->type, p->type);
		SAME("attach type", o->name, o->attach_type, p->attach_type);
		SAME("flags", o->name, o->flags, p->flags);
		SAME("attach_btf_id", o->name, o->attach_btf_id, p->attach_btf_id);
		SAME("func_info", o->name, o->func_n, p->func_n);
		SAME("line_info", o->name, o->line_n, p->line_n);
		SAME("func_info hash", o->name, o->funcs, p->funcs);
		SAME("line_info hash", o->name, o->lines, p->lines);
		if (o->n == p->n && o->insns != p->insns)
			compare_insns(o, p);
		progs_same += before == differences;
	}
}

int main(int argc, char **argv) {
	static struct peer l, s;
	if (syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM) {
		printf("ok 1 - lib_libbpf # SKIP bpf(2) is not permitted here\n1..1\n");
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		file = slash ? slash + 1 : argv[i];
		peer_reset(&l), peer_reset(&s);
		unsigned before = differences;
		peer_libbpf(&l, argv[i]);
		s.whole = l.whole;
		peer_skep(&s, argv[i]);
		if (l.open_error || l.load_error) {
			if (l.open_error && !s.open_error)
				opened_more++;
			not_opened++;
			printf("ok %d - %s # SKIP libbpf does not %s it; skep %s\n", i, file, l.open_error ? "open" : "load",
			       s.open_error ? "neither" : s.load_error ? "opens it" : "does");
			continue;
		}
		SAME("open", "object", l.open_error, s.open_error);
		SAME("load", "object", l.load_error, s.load_error);
		if (!s.open_error && !s.load_error) {
			compare_maps(&l, &s);
			compare_progs(&l, &s);
		}
		printf("%s %d - %s\n", before == differences ? "ok" : "not ok", i, file);
		fflush(stdout);
	}
	printf("1..%d\n# %u maps and %u programs equal; %u differences; libbpf did not open or load %u objects (skep "
		   "opened %u of "
		   "these); %u programs only skep brought to the kernel\n",
		   argc - 1, maps_same, progs_same, differences, not_opened, opened_more, loaded_more);
	return differences != 0;
}
