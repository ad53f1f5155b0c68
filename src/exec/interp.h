/* Inside of exec/: the interpreter's form of a program. */
#ifndef SKEP_INTERP_H
#define SKEP_INTERP_H
#include "exec/exec.h"

void free_xlated(struct xlated *x);
int interp_decode(struct image *image);
void interp_free(struct image *image);
#endif
