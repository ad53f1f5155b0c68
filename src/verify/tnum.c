#include "verify/tnum.h"

/* Long multiplication over the bits of a. A known 1 adds b, shifted; an unknown bit adds it or does not, and the result
 * is the union of both outcomes, so what is common to them stays known. */
struct tnum tnum_mul(struct tnum a, struct tnum b) {
	struct tnum sum = tnum_const(0);
	if (tnum_is_const(a) && tnum_is_const(b))
		return tnum_const(a.value * b.value);
	for (; a.value | a.mask; a = tnum_rshift(a, 1), b = tnum_lshift(b, 1)) {
		if (a.value & 1)
			sum = tnum_add(sum, b);
		else if (a.mask & 1)
			sum = tnum_union(sum, tnum_add(sum, b));
	}
	return sum;
}
