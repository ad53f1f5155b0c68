#include "peer.h"
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(uint64_t h, const void *data, uint64_t n) {
	const unsigned char *p = data;
	for (uint64_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

void peer_reset(struct peer *p) {
	for (unsigned i = 0; i < p->progs_n; i++)
		free(p->progs[i].raw);
	memset(p, 0, sizeof *p);
}

/* libbpf asks the kernel what it can do with objects of these names. */
static bool is_probe(const char *name) {
	return !*name || !strncmp(name, "libbpf_", 7) || !strcmp(name, "global") || !strcmp(name, "mmap");
}
static struct peer_map *map_of(struct peer *p, int fd) {
	return fd >= 0 && fd < PEER_FDS && p->map_of_fd[fd] ? &p->maps[p->map_of_fd[fd] - 1] : NULL;
}

static void record_map(struct peer *p, const union bpf_attr *a, long fd) {
	if (fd < 0 || fd >= PEER_FDS || p->maps_n == PEER_MAPS)
		return;
	p->map_of_fd[fd] = 0;
	if (is_probe(a->map_name))
		return;
	struct peer_map *m = &p->maps[p->maps_n], *inner;
	memset(m, 0, sizeof *m);
	memcpy(m->name, a->map_name, 15);
	m->type = a->map_type, m->key_size = a->key_size, m->value_size = a->value_size, m->max_entries = a->max_entries;
	m->flags = a->map_flags, m->key_type = a->btf_key_type_id, m->value_type = a->btf_value_type_id;
	m->numa_node = a->numa_node, m->extra = a->map_extra;
	if ((m->type == BPF_MAP_TYPE_ARRAY_OF_MAPS || m->type == BPF_MAP_TYPE_HASH_OF_MAPS) &&
		(inner = map_of(p, (int)a->inner_map_fd)))
		m->inner_type = inner->type;
	p->map_of_fd[fd] = (short)++p->maps_n;
}

static void record_prog(struct peer *p, const union bpf_attr *a, long fd) {
	struct peer_prog *g = NULL;
	if (is_probe(a->prog_name) || !p->loading || strncmp(p->loading, a->prog_name, 15))
		return;
	/* The same program again (with a log): the last verdict counts. */
	for (unsigned i = p->progs_n; i-- && !g;)
		if (!strcmp(p->progs[i].name, p->loading))
			g = &p->progs[i];
	if (!g) {
		if (p->progs_n == PEER_PROGS)
			return;
		g = &p->progs[p->progs_n++];
		memset(g, 0, sizeof *g);
		snprintf(g->name, sizeof g->name, "%.127s", p->loading);
	}
	free(g->raw);
	g->type = a->prog_type, g->attach_type = a->expected_attach_type, g->flags = a->prog_flags, g->n = a->insn_cnt;
	g->attach_btf_id = a->attach_btf_id, g->verdict = fd < 0 ? (int)fd : 0;
	g->func_n = a->func_info_cnt, g->line_n = a->line_info_cnt;
	g->funcs = hash(1, (void *)(uintptr_t)a->func_info, (uint64_t)a->func_info_cnt * a->func_info_rec_size);
	g->lines = hash(1, (void *)(uintptr_t)a->line_info, (uint64_t)a->line_info_cnt * a->line_info_rec_size);
	g->raw = malloc(8ul * g->n);
	memcpy(g->raw, (void *)(uintptr_t)a->insns, 8ul * g->n);
	struct bpf_insn *in = (struct bpf_insn *)g->raw;
	for (unsigned i = 0; i < g->n; i++) {
		if (in[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		struct peer_map *m = map_of(p, in[i].imm);
		if (in[i].src_reg == BPF_PSEUDO_MAP_FD || in[i].src_reg == BPF_PSEUDO_MAP_VALUE)
			in[i].imm = m ? (int)hash(7, m->name, sizeof m->name) : -1;
		i++;
	}
	g->insns = hash(1, g->raw, 8ul * g->n);
}

void peer_record(struct peer *p, unsigned cmd, const void *attr, unsigned size, long result) {
	union bpf_attr a = {0};
	memcpy(&a, attr, size < sizeof a ? size : sizeof a);
	struct peer_map *m;
	switch (cmd) {
	case BPF_MAP_CREATE:
		record_map(p, &a, result);
		break;
	case BPF_PROG_LOAD:
		record_prog(p, &a, result);
		break;
	case BPF_MAP_UPDATE_ELEM:
		m = map_of(p, (int)a.map_fd);
		if (m && !result && m->type != BPF_MAP_TYPE_PROG_ARRAY && !m->inner_type) {
			m->updates++;
			m->contents = hash(m->contents, (void *)(uintptr_t)a.key, m->key_size);
			m->contents = hash(m->contents, (void *)(uintptr_t)a.value, m->value_size);
		} else if (m && !result) {
			m->updates++;
			m->contents = hash(m->contents, (void *)(uintptr_t)a.key, m->key_size);
		}
		break;
	case BPF_MAP_FREEZE:
		if ((m = map_of(p, (int)a.map_fd)))
			m->frozen = true;
		break;
	}
}
