#include "verify/tnum.h"

/* One step of long multiplication: the lowest bit of a adds b. A known 1 does, an unknown bit does or does not, and the
 * result is the union of both outcomes, so what is common to them stays known. */
static inline void tnum_mul_step(struct tnum *sum, struct tnum a, struct tnum b) {
	if (a.value & 1)
		*sum = tnum_add(*sum, b);
	else if (a.mask & 1)
		*sum = tnum_union(*sum, tnum_add(*sum, b));
}

struct tnum tnum_mul(struct tnum a, struct tnum b) {
	struct tnum sum = tnum_const(0);
	if (tnum_is_const(a) && tnum_is_const(b))
		return tnum_const(a.value * b.value);
	for (; a.value | a.mask; a = tnum_rshift(a, 1), b = tnum_lshift(b, 1))
		tnum_mul_step(&sum, a, b);
	return sum;
}
