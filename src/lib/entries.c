#include "lib/object.h"
int object_make_entries(struct skep_object *o) {
	return 0;
}
