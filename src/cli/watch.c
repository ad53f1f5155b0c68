#include "cli/watch.h"
#include "cli/object.h"
#include "cli/out/out.h"
#include "map/ringbuf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void watch_open(struct watch *w, struct cli *cli, struct skep_object *object, const char *type) {
	*w = (struct watch){.cli = cli, .object = object, .type = type};
	struct skep_map *m = NULL;
	while ((m = skep_object__next_map(object, m)) && w->n < ARRAY_SIZE(w->at)) {
		if (skep_map__type(m) != BPF_MAP_TYPE_RINGBUF || skep_map__fd(m) < 0)
			continue;
		struct engine_map *em = engine_map_get(cli->engine, skep_map__fd(m));
		if (em)
			w->at[w->n++] = (struct watched){.map = m, .engine_map = em, .name = skep_map__name(m)};
	}
}

static u32 record_type(const struct watch *w, const struct watched *from, u32 bytes) {
	const struct btf *btf = skep_object__btf(w->object);
	u32 id = w->type && btf ? btf_find(btf, w->type, BTF_KIND_STRUCT) : 0;
	return id ? id : skep_object__event_type(w->object, from->map, bytes);
}

struct draining {
	struct watch *w;
	struct watched *from;
};

/* pid 4711  comm "ls"  path "/etc/passwd": fields in the order of the structure. */
static void put_fields(const json_t *data) {
	const char *key;
	json_t *item;
	bool first = true;
	if (!json_is_object(data)) {
		out_brief(stdout, data);
		return;
	}
	json_object_foreach((json_t *)data, key, item) {
		printf("%s%s%s%s ", first ? "" : "  ", out_c(OUT_DIM), key, out_c(OUT_PLAIN));
		out_brief(stdout, item);
		first = false;
	}
}

static int one_record(void *owner, const void *data, u32 bytes) {
	struct draining *d = owner;
	const struct btf *btf = skep_object__btf(d->w->object);
	u32 type = record_type(d->w, d->from, bytes);
	json_t *value = type ? value_json(btf, type, data, bytes) : bytes_json(data, bytes);
	if (d->w->cli->json) {
		out_json(json_pack("{s:s,s:o}", "event", d->from->name, "data", value), false);
		return 0;
	}
	printf("%s%s%s: ", out_c(OUT_GREEN), d->from->name, out_c(OUT_PLAIN));
	put_fields(value);
	putchar('\n');
	json_decref(value);
	return 0;
}

void watch_drain(struct watch *w) {
	for (u32 i = 0; i < w->n; i++) {
		struct draining d = {w, &w->at[i]};
		s64 n = ringbuf_map_consume(&w->at[i].engine_map->map, one_record, &d);
		if (n > 0)
			fflush(stdout);
	}
}

bool watch_pending(const struct watch *w) {
	for (u32 i = 0; i < w->n; i++)
		if (ringbuf_map_pending(&w->at[i].engine_map->map))
			return true;
	return false;
}

void watch_printk(struct watch *w, const char *line) {
	if (w->cli->json)
		out_json(json_pack("{s:s}", "printk", line), false);
	else
		printf("%s\n", line);
	fflush(stdout);
}

void watch_close(struct watch *w) {
	for (u32 i = 0; i < w->n; i++)
		engine_map_put(w->cli->engine, w->at[i].engine_map);
	w->n = 0;
}
