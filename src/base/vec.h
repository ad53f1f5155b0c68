/* A growing array. VEC(type) declares one; vec_push returns a pointer to the new zeroed element or NULL when out of
 * memory. The owner frees it with vec_free. Not thread safe. */
#ifndef SKEP_VEC_H
#define SKEP_VEC_H
#include "base/base.h"

#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *at;                                                                                              \
		u32 n, room;                                                                                           \
	}

bool vec_grow(void **at, u32 *room, u32 n, u64 size);
void vec_free_memory(void *at);

#define vec_reserve(v, more)                                                                                           \
	((v)->n + (more) <= (v)->room || vec_grow((void **)&(v)->at, &(v)->room, (v)->n + (more), sizeof *(v)->at))
#define vec_push(v)                                                                                                    \
	(vec_reserve(v, 1) ? (__builtin_memset(&(v)->at[(v)->n], 0, sizeof *(v)->at), &(v)->at[(v)->n++]) : NULL)
#define vec_free(v) (vec_free_memory((v)->at), (v)->at = NULL, (v)->n = (v)->room = 0)
#endif
