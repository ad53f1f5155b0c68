/* Large blocks of memory that are touched soon after: on huge pages where the system has them. */
#ifndef SKEP_LARGE_H
#define SKEP_LARGE_H
#include "base/base.h"

/* Not zeroed, freed with free(). NULL when out of memory. */
void *large_alloc(u64 size);
#endif
