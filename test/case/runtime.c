/* skep's bpf(2) commands as an engine: the driver of the kernel (kernel.c) over skep_bpf, with a private engine. What works
 * here works for tools that speak bpf(2). */
#ifdef CASE_WITH_RUNTIME
#include "../kernel/kernel.h"
#include "case.h"
#include "runtime/engine.h"
#include <string.h>

static struct skep_engine *engine;

static s64 answer(u32 cmd, void *attr, u32 size) {
	struct bpf_caller caller = {.lacks = kernel_lacks};
	return skep_bpf_for(engine, &caller, cmd, (uintptr_t)attr, size);
}
static void run(const struct case_file *c, struct case_outcome *o) {
	struct engine_opts opts = {.size = sizeof opts, .backing = BACKING_ANONYMOUS};
	int r = engine_create(&opts, &engine);
	if (r)
		return case_end(o, CASE_BROKEN, "engine_create: %s", strerror(-r));
	kernel_bpf = answer;
	case_run_bpf(c, o);
	engine_destroy(engine);
}
static const char *here(void) {
	return NULL;
}
const struct case_engine engine_runtime = {.name = "runtime", .missing = here, .run = run, .may_crash = true};
#endif
