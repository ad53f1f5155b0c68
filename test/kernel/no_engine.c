/* The loader without an engine behind it, for tests that give it a bpf function of their own. */
#include "runtime/engine.h"
#include <errno.h>

s64 skep_bpf(struct skep_engine *e, u32 cmd, void *attr, u32 size) {
	return -ENOSYS;
}
int engine_close(struct skep_engine *e, int fd) {
	return 0;
}
bool engine_explain(struct skep_engine *e, struct engine_problem *out) {
	return false;
}
const struct engine_verdict *engine_last_verdict(struct skep_engine *e) {
	return NULL;
}
const struct btf *engine_kernel_btf(struct skep_engine *e) {
	return NULL;
}
bool engine_types_given(const struct skep_engine *e) {
	return false;
}
