/* Ring buffers and bpf_printk lines of running programs, printed as they come. */
#ifndef SKEP_CLI_WATCH_H
#define SKEP_CLI_WATCH_H
#include "btf/btf.h"
#include "cli/cli.h"

struct watched {
	struct skep_map *map;
	struct engine_map *engine_map;
	const char *name;
	bool heading; /* printed */
};
struct watch {
	struct cli *cli;
	struct skep_object *object;
	const char *type; /* --events: name of a structure, or NULL */
	struct watched at[64];
	u32 n;
};
void watch_open(struct watch *w, struct cli *cli, struct skep_object *object, const char *type);
void watch_drain(struct watch *w);
bool watch_pending(const struct watch *w);
void watch_printk(struct watch *w, const char *line);
void watch_close(struct watch *w);
#endif
