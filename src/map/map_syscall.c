/* Which map types run, by their records. */
#include "map/control.h"

const struct map_ops *map_ops_of(u32 type) {
	static const struct map_ops *const all[] = {
	    &array_map_ops, &percpu_array_map_ops, &htab_map_ops, &htab_percpu_map_ops,
	    &ringbuf_map_ops, &prog_array_map_ops, &array_of_map_ops,
	};
	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->type == type)
			return all[i];
	return NULL;
}
