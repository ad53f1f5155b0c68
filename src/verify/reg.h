/* What one register, or a spilled one, holds: a type, a fixed and a variable offset or a number, and identities.
 *
 *   type   base type and flags (abi/kinds.h)
 *   off    fixed part of a pointer's offset; of a linked scalar, its distance to the one it was copied from
 *   what   by base type: the map, the BTF type, the size of memory, the proven packet range, the callback
 *   s      a scalar's value; a pointer's variable offset
 *   id     equal ids were equal when made: null tests, packet checks and linked scalars reach all holders
 *   ref    id of the reference that must be released, or 0
 *
 * A struct reg is compared byte by byte (pruning): builders must go through reg_clear, never leave padding unset. */
#ifndef SKEP_VERIFY_REG_H
#define SKEP_VERIFY_REG_H
#include "abi/kinds.h"
#include "abi/map_facts.h"
#include "verify/scalar.h"

struct btf;

/* A map as this program knows it: facts, and its index in the program's list (NO_MAP for the inner map of a map). */
struct map_ref {
	const struct map_facts *facts;
	u32 index;
	const struct map_ref *inner;
};

/* In id: off is the distance to the plain holder, added with 64 or with 32 bits. */
enum { ID_ADD_CONST64 = 1u << 31, ID_ADD_CONST32 = 1u << 30, ID_ADD_CONST = ID_ADD_CONST64 | ID_ADD_CONST32 };
enum iter_state { ITER_NONE, ITER_ACTIVE, ITER_DRAINED };
enum { AT_PKT_END = -1, BEYOND_PKT_END = -2 };   /* range of a pointer known to be at or past the end */
enum { MAX_PACKET_OFF = 0xffff, MAX_VAR_OFF = 1 << 29 };

struct reg {
	u32 type;
	s32 off;
	union {
		struct {
			const struct map_ref *map;
			u32 map_uid; /* of values of inner maps: which lookup found the map */
		};
		struct {
			const struct btf *btf;
			u32 btf_id;
		};
		s32 range;
		struct {
			u32 mem_size;
			u32 dynptr; /* of a slice: the id of the dynptr from which it was cut */
		};
		struct { /* of a dynptr, in a register or in stack slots (dynptr.c) */
			u32 dynptr_type; /* enum bpf_dynptr_type */
			bool dynptr_first;
		};
		struct { /* in the slots of an iterator (iter.c) */
			const struct btf *iter_btf;
			u32 iter_id;
			u32 iter_state : 2, iter_depth : 30;
		};
		bool irq_by_lock; /* in the slot of an interrupt flag (irq.c): a lock saved it */
		u32 subprog;
		u64 raw[2];
	};
	struct scalar s;
	u32 id, ref;
	u32 frameno;     /* PTR_TO_STACK: whose stack; slice of a dynptr: frame + 1 in whose stack it may lie, 0 none */
	bool precise;    /* a decision relied on the exact value */
	bool was_packet; /* a number that was a packet pointer until a call: for messages */
	u8 pad[2];
};
STATIC_ASSERT(sizeof(struct reg) == 104, "no hidden padding: registers are compared byte by byte");

static inline void reg_clear(struct reg *r) {
	__builtin_memset(r, 0, sizeof *r);
}
void reg_set_const(struct reg *r, u64 x);
void reg_set_unknown(struct reg *r);
/* A pointer of that type with offset 0. */
void reg_set_pointer(struct reg *r, u32 type);

static inline bool reg_is_scalar(const struct reg *r) {
	return r->type == SCALAR_VALUE;
}
static inline bool reg_is_const(const struct reg *r) {
	return r->type == SCALAR_VALUE && scalar_is_const(&r->s);
}
static inline bool reg_is_zero(const struct reg *r) {
	return r->type == SCALAR_VALUE && scalar_equals(&r->s, 0);
}
static inline bool reg_is_packet(const struct reg *r) {
	u32 base = base_type(r->type);
	return base == PTR_TO_PACKET || base == PTR_TO_PACKET_META;
}
static inline bool reg_is_packet_or_end(const struct reg *r) {
	return reg_is_packet(r) || r->type == PTR_TO_PACKET_END;
}
/* A pointer to an object that is alive for the rest of the run. */
bool reg_is_trusted(const struct reg *r);
/* A slice of a dynptr of the packet. */
static inline bool reg_is_packet_slice(const struct reg *r) {
	return base_type(r->type) == PTR_TO_MEM && r->type & (DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP | DYNPTR_TYPE_SKB_META);
}
/* A pointer to an object that is alive for the rest of the run. */
bool reg_is_trusted(const struct reg *r);
/* A pointer that is known not to be NULL. */
bool reg_not_null(const struct reg *r);
/* The kernel's word for a type: "map_value_or_null". */
enum { TYPE_NAME_MAX = 80 };
const char *reg_type_name(u32 type, char to[TYPE_NAME_MAX]);
#endif
