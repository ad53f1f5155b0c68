/* What one loader did with one object, seen at bpf(2): maps, programs as handed in, verdicts. libbpf and skep fill one
 * each (in files of their own: their headers do not mix), and the two are compared. */
#ifndef SKEP_TEST_PEER_H
#define SKEP_TEST_PEER_H
#include <stdbool.h>
#include <stdint.h>

enum { PEER_MAPS = 512, PEER_PROGS = 2048, PEER_FDS = 4096 };
struct peer_map {
	char name[16];
	uint32_t type, key_size, value_size, max_entries, flags, key_type, value_type, numa_node, inner_type;
	uint64_t extra;
	uint32_t updates;
	uint64_t contents; /* hash of keys and values written before the first program */
	bool frozen;
};
struct peer_prog {
	char name[128]; /* whole */
	uint32_t type, attach_type, flags, attach_btf_id, n, func_n, line_n;
	uint64_t insns, funcs, lines; /* hashes; descriptors replaced by the map's place */
	uint64_t *raw;
	int verdict; /* 0 or negative errno */
};
struct peer {
	int open_error, load_error;
	struct peer_map maps[PEER_MAPS];
	struct peer_prog progs[PEER_PROGS];
	unsigned maps_n, progs_n;
	bool whole; /* maps were seen while the whole object was loaded, since it cannot be without programs */
	const char *loading;       /* name of the program whose turn it is */
	short map_of_fd[PEER_FDS]; /* index + 1 */
};
/* A command on its way, with its result. attr as in bpf(2). */
void peer_record(struct peer *p, unsigned cmd, const void *attr, unsigned size, long result);
void peer_reset(struct peer *p);

/* Programs are opened, every one is tried alone where the object as a whole fails. */
void peer_libbpf(struct peer *p, const char *path);
void peer_skep(struct peer *p, const char *path);
#endif
