/* Planted defects (holes.def). */
#ifndef SKEP_VERIFY_HOLES_H
#define SKEP_VERIFY_HOLES_H
enum verify_hole_id {
	HOLE_NONE,
#define HOLE_ROW(name, what) HOLE_##name,
#include "verify/holes.def"
#undef HOLE_ROW
	HOLES_END
};
#ifdef SKEP_HOLES
extern int verify_hole; /* of the test build: which one is open */
#define HOLE(name) (verify_hole == HOLE_##name)
#else
#define HOLE(name) 0
#endif
#endif
