/* What the verifier knows of a map: plain facts, no implementation. runtime/ fills one for each map of a program. */
#ifndef SKEP_ABI_MAP_FACTS_H
#define SKEP_ABI_MAP_FACTS_H
#include "btf/btf.h"

struct map_facts {
	u32 id, type; /* enum bpf_map_type */
	u32 key_size, value_size, max_entries, map_flags;
	u64 map_extra;
	char name[16];
	bool frozen;             /* user space can no longer write */
	bool unpriv;             /* made without CAP_PERFMON */
	const struct btf *btf;   /* NULL without */
	u32 btf_key_type_id, btf_value_type_id;
	struct btf_fields fields; /* special fields of a value */
	const struct map_facts *inner; /* template of inner maps, or NULL */
	/* Reads size bytes of the only value (index 0) at off; used for frozen BPF_F_RDONLY_PROG maps. */
	int (*read_value)(const struct map_facts *map, u32 off, void *to, u32 size);
	void *owner; /* of whoever filled this */
};
#endif
