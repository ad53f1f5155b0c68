/* The private directory of the file backing: where objects lie that outlive a process or are seen by another.
 *
 *    DIR/                     0700, owned by us, no symbolic link
 *      lock                   struct store_lock_file; its OFD lock is the store lock
 *      objects/17.bpf-map     the token: its inode is the object's identity; descriptors and pins name it
 *      objects/17.area        data that only skep maps (maps)
 *      objects/17.facts       struct record: what another process needs to have the object too; written last
 *      pins/fw/blocked        hard link to a token; the tree stands for /sys/fs/bpf
 *
 * Whatever has no facts is the rest of a killed process. Everything here is done under the store lock, except reading
 * and writing the contents of tokens, areas and record heads. */
#ifndef SKEP_RUNTIME_STORE_H
#define SKEP_RUNTIME_STORE_H
#include "base/base.h"
#include <sys/types.h>

struct store {
	int dir, objects, pins, lock; /* descriptors, -1 = none */
	u64 dev;
	u32 depth; /* of store_lock */
	char path[4096 - 64];
};

enum { RECORD_MAGIC = 0x70656b73, RECORD_VERSION = 1 };
/* The first bytes of a facts file, mapped shared by every process that has the object. */
struct record_head {
	u32 magic, version, kind, id;
	u32 uid, frozen;
	u64 created_ns; /* CLOCK_BOOTTIME */
	u64 ino;        /* of the token */
	u64 run_count, run_time_ns, recursion_misses;
	u32 size; /* of the whole record */
	u32 pad[15];
};
STATIC_ASSERT(sizeof(struct record_head) == 128, "part of the record format");

struct map_record {
	u32 type, key_size, value_size, max_entries, map_flags, ifindex;
	u64 map_extra;
	u32 btf_id, btf_key_type_id, btf_value_type_id, vmlinux_value_type_id;
	u64 seed;
	u32 has_inner, inner_btf_id;
	u64 area_size, data_size, committed;
	char name[16];
};
struct record_map {
	struct map_record map, inner;
};
/* Followed by insns, func_info, line_info, the license with its NUL, and ids of maps and BTFs (u32). */
struct record_prog {
	u32 type, attach_type, flags, attach_btf_id;
	u32 insns_n, func_info_n, func_info_size, line_info_n, line_info_size, license_size;
	u32 ids_n, maps_n, btf_id, lacks;
	char name[16];
	u8 tag[8];
};
/* Followed by the BTF. */
struct record_btf {
	u32 size, pad;
	char name[16];
};
struct record {
	struct record_head head;
	union {
		struct record_map map;
		struct record_prog prog;
		struct record_btf btf;
	};
};

/* One object of the store as a directory scan finds it. */
struct store_entry {
	u32 id, kind;
	u64 ino;
	bool facts;
};

/* directory NULL: the default. error: 512 bytes, a sentence on failure. */
int store_open(struct store *s, const char *directory, char *error);
void store_close(struct store *s);
int store_lock(struct store *s); /* nests; -EBUSY after ten seconds */
void store_unlock(struct store *s);
/* All below: under the lock. */
int store_new_id(struct store *s, u32 *id);
int store_new_token(struct store *s, u32 kind, u32 id); /* descriptor, O_RDWR */
int store_open_token(struct store *s, u32 kind, u32 id, int flags);
int store_new_area(struct store *s, u32 id);
int store_open_area(struct store *s, u32 id);
int store_write_facts(struct store *s, u32 id, const struct record *r, u32 size, struct record_head **head);
/* malloc'ed copy and mapped head of a committed object; -ENOENT, or -EIO for one that makes no sense. */
int store_read_facts(struct store *s, u32 id, struct record **r, struct record_head **head);
void store_unmap_head(struct record_head *head);
void store_remove(struct store *s, u32 kind, u32 id);
/* All objects, malloc'ed, sorted by id; and what belongs to none of them is removed. */
int store_scan(struct store *s, struct store_entry **out, u32 *n);
u64 store_free_bytes(const struct store *s);
const char *object_kind_name(u32 kind); /* "bpf-map" */
#endif
