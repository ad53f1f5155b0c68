/* The helpers of the library's own process: addresses of the data plane's entry points, by number. The same code runs in
 * traced processes from the image (abi/dataplane.h). */
#ifndef SKEP_HELPER_H
#define SKEP_HELPER_H
#include "abi/dataplane.h"

dataplane_fn *dataplane_function(enum dp_symbol symbol); /* NULL: exists in traced processes only */

/* Gives back what an aborted run still holds: records of ring buffers are discarded, locks opened. */
void run_release(struct skep_run *run);
#endif
