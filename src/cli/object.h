/* bpf(2) objects as the command line names them, in bpftool's grammar: id N, name NAME, tag TAG, pinned PATH. */
#ifndef SKEP_CLI_OBJECT_H
#define SKEP_CLI_OBJECT_H
#include "abi/uapi.h"
#include "btf/btf.h"
#include "cli/cli.h"

/* A cursor over the words of a command, eaten from the front. */
struct words {
	char **at;
	u32 n;
};
const char *words_next(struct words *w);                /* NULL at the end */
bool words_is(const struct words *w, const char *word); /* is the next one this word, or an abbreviation of it? */
bool words_eat(struct words *w, const char *word);      /* words_is, and then eats it */

s64 cli_bpf(struct cli *cli, u32 cmd, union bpf_attr *attr);

/* A descriptor that the caller closes, or EXIT_CANNOT / EXIT_NO with a sentence said, negated (so < 0). */
int object_prog(struct cli *cli, struct words *w);
int object_map(struct cli *cli, struct words *w);
int object_open_pin(struct cli *cli, const char *path);
bool object_is(struct cli *cli, int fd, bool is_map);      /* is this descriptor a map, or else a program? */
json_t *object_pins(struct cli *cli, u32 id, bool is_map); /* ["/sys/fs/bpf/…"] */
int object_unpin(struct cli *cli, struct words *w);
bool words_end(struct cli *cli, const struct words *w); /* false, after a sentence, when words are left */
/* Says why a command failed: the engine's sentence where it has one. Returns EXIT_CANNOT. */
int object_failed(struct cli *cli, const char *what, s64 error);

int object_map_info(struct cli *cli, int fd, struct bpf_map_info *info);
int object_prog_info(struct cli *cli, int fd, struct bpf_prog_info *info);
const struct btf *object_btf(struct cli *cli, u32 btf_id); /* NULL: none; btf_put by the caller */

/* Calls fn with the id and a descriptor of every program or map. fn returns non-zero to stop. */
int object_each(struct cli *cli, u32 next_cmd, u32 fd_cmd, int (*fn)(struct cli *, u32 id, int fd, void *), void *owner);

/* show: one object, or all: as JSON, or each as text. */
typedef json_t *object_describe_fn(struct cli *cli, int fd);
typedef void object_text_fn(const json_t *described);
int object_show(struct cli *cli, struct words *w, bool is_map, object_describe_fn *describe, object_text_fn *text);

/* The entries of a map, copied out: the reader never holds anything in the map. value has nr_cpus parts of
 * round_up(value_size, 8) for per-CPU types. */
struct map_entry {
	const void *key, *value;
	u32 value_bytes; /* of one part */
	u32 parts;       /* 1, or the number of CPUs */
};
typedef int map_entry_fn(void *owner, const struct map_entry *entry);
int map_each_entry(struct cli *cli, int fd, const struct bpf_map_info *info, map_entry_fn *fn, void *owner);
bool map_has_cpu_parts(u32 type);
bool map_is_array(u32 type);
u32 cli_nr_cpus(void);

/* A value of a type as JSON; btf NULL or type 0: an unsigned number for 1, 2, 4, 8 bytes, else hexadecimal bytes. */
json_t *value_json(const struct btf *btf, u32 type, const void *data, u32 bytes);
json_t *bytes_json(const void *data, u32 bytes); /* ["0x00", …] as bpftool */

/* Instructions as [{"insn":INDEX,"text":…}]; flags of isa/disasm.h; bytes: with "bytes" in hexadecimal. loaded: they come
 * from the engine, where a map is known by its id. */
struct listing {
	u32 flags;
	bool bytes, loaded;
};
json_t *listing_json(const struct bpf_insn *insns, u32 n, struct listing how);
void listing_text(const json_t *list);

/* A map as a table for people: see run. histogram: its values are counts by slot. */
void map_print(struct cli *cli, FILE *to, const char *name, int fd, const struct bpf_map_info *info, const struct btf *btf,
               u32 key_type, u32 value_type, bool histogram);
/* A map of global variables: a line each; unless all are wanted, those that are not zero. */
bool variables_are_zero(struct cli *cli, int fd, const struct bpf_map_info *info, const struct btf *btf, u32 value_type);
void variables_print(struct cli *cli, FILE *to, const char *name, int fd, const struct bpf_map_info *info,
                     const struct btf *btf, u32 value_type, bool all);
/* {"map":NAME,"type":TYPE,"entries":[…]} */
json_t *map_json(struct cli *cli, const char *name, int fd, const struct bpf_map_info *info, const struct btf *btf,
                 u32 key_type, u32 value_type);
#endif
