/* An engine's beginning and end. */
#include "abi/types_btf.h"
#include "runtime/state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { CPUS_MOST = 4096 };

/* Possible CPUs: what the kernel counts per-CPU values by. «0-3,8» → 9. */
static u32 possible_cpus(void) {
	char text[256];
	long online = sysconf(_SC_NPROCESSORS_CONF);
	u32 highest = 0, n = 0;
	int fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			n = MIN(n * 10 + (text[i] - '0'), (u32)CPUS_MOST - 1);
		else
			n = 0;
		highest = MAX(highest, n);
	}
	return len > 0 ? highest + 1 : online > 0 ? MIN((u32)online, (u32)CPUS_MOST) : 1;
}

static int read_opts(const struct engine_opts *given, struct engine_opts *opts) {
	*opts = (struct engine_opts){.size = sizeof *opts};
	if (given) {
		if (given->size < sizeof given->size + sizeof given->backing || given->size > 4096)
			return -EINVAL;
		for (u64 i = sizeof *opts; i < given->size; i++)
			if (((const u8 *)given)[i])
				return -E2BIG;
		memcpy(opts, given, MIN(given->size, (u64)sizeof *opts));
	}
	if (opts->backing != BACKING_ANONYMOUS && opts->backing != BACKING_FILES)
		return -EINVAL;
	if (opts->handles && opts->backing == BACKING_FILES)
		return -EINVAL;
	if (!opts->caps)
		opts->caps = VERIFY_BPF | VERIFY_PERFMON | VERIFY_NET_ADMIN;
	return 0;
}

int engine_create(const struct engine_opts *given, struct skep_engine **out) {
	struct engine_opts opts;
	int err = read_opts(given, &opts);
	if (err)
		return err;
	struct skep_engine *e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->opts = opts;
	e->abi = abi_linux();
	e->nr_cpus = possible_cpus();
	e->store = (struct store){.dir = -1, .objects = -1, .pins = -1, .lock = -1};
	pthread_mutex_init(&e->mutex, NULL);
	pthread_mutex_init(&e->problem_mutex, NULL);
	pthread_mutex_init(&e->btf_mutex, NULL);
	pthread_mutex_init(&e->trace_mutex, NULL);
	arena_init(&e->verdict_arena, 0);
	e->env = (struct run_env){.counters = e->counters, .nr_cpus = e->nr_cpus, .pid = (u32)getpid()};
	err = trace_create(e);
	bool guarding = false;
	if (!err && opts.backing == BACKING_FILES) {
		char why[512] = "";
		err = store_open(&e->store, opts.directory, why);
		if (err)
			engine_log(e, 0, "%s", *why ? why : "the directory for objects cannot be used");
		if (!err && !(err = guard_install()))
			guarding = true;
	}
	if (err) {
		trace_destroy(e);
		store_close(&e->store);
		free(e);
		return err;
	}
	ASSERT(guarding == (opts.backing == BACKING_FILES));
	if (opts.backing == BACKING_FILES)
		engine_collect(e); /* what killed processes left */
	*out = e;
	return 0;
}

/* Lets go of everything, links first and BTF last, whoever still has descriptors: those are dead numbers then. */
static void drop_all(struct skep_engine *e) {
	for (u32 i = 0; i < e->handles.n; i++)
		if (e->handles.at[i].o)
			e->handles.at[i].o->counted--;
	e->handles.n = 0;
	for (u32 b = 0; b < OBJECT_BUCKETS; b++)
		for (struct object *o = e->by_id[b]; o; o = o->next_id) {
			o->pins = o->counted = 0;
			if (o->kind == OBJECT_MAP)
				map_slots_clear(e, MAP_OF(o));
		}
	static const u32 order[] = {OBJECT_LINK, OBJECT_PROG, OBJECT_MAP, OBJECT_BTF};
	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		for (u32 b = 0; b < OBJECT_BUCKETS; b++)
			for (struct object *o = e->by_id[b], *next; o; o = next) {
				next = o->next_id;
				if (o->kind != order[i])
					continue;
				ASSERT(o->holds == o->got); /* what other objects held has been released */
				o->holds = o->got = 0;
				object_drop(e, o);
			}
}

void engine_destroy(struct skep_engine *e) {
	if (!e)
		return;
	pthread_mutex_lock(&e->mutex);
	drop_all(e);
	for (u32 i = 0; i < 4 && e->retired; i++)
		retire_poll(e);
	ASSERT(!e->retired); /* else a program still runs: the caller's error */
	if (e->opts.backing == BACKING_FILES) {
		collect(e);
		store_close(&e->store);
		guard_remove();
	}
	pthread_mutex_unlock(&e->mutex);
	for (u32 i = 0; i < e->pins.n; i++)
		free(e->pins.at[i].path);
	vec_free(&e->pins);
	vec_free(&e->handles);
	vec_free(&e->unresolved);
	trace_destroy(e);
	arena_free(&e->verdict_arena);
	pthread_mutex_destroy(&e->mutex);
	pthread_mutex_destroy(&e->problem_mutex);
	pthread_mutex_destroy(&e->btf_mutex);
	btf_put(e->kernel_btf);
	pthread_mutex_destroy(&e->trace_mutex);
	free(e);
}

const struct skep_abi *engine_abi(const struct skep_engine *e) {
	return e->abi;
}
const struct btf *engine_kernel_btf(struct skep_engine *e) {
	struct btf *own = NULL;
	pthread_mutex_lock(&e->btf_mutex);
	if (!e->kernel_btf) {
		if (e->opts.kernel_btf)
			e->kernel_btf = btf_get(e->opts.kernel_btf);
		else if (!btf_parse(skep_btf_data, skep_btf_size, NULL, 0, NULL, &own))
			e->kernel_btf = own;
	}
	const struct btf *btf = e->kernel_btf;
	pthread_mutex_unlock(&e->btf_mutex);
	return btf;
}
bool engine_types_given(const struct skep_engine *e) {
	return e->opts.kernel_btf;
}
void engine_set_kernel(struct skep_engine *e, u16 kernel) {
	e->opts.kernel = kernel;
}
const struct engine_opts *engine_options(const struct skep_engine *e) {
	return &e->opts;
}
const struct run_env *engine_env(struct skep_engine *e) {
	return &e->env;
}
void engine_set_attach_ops(struct skep_engine *e, const struct attach_ops *ops) {
	e->attach = ops;
}
const struct engine_verdict *engine_last_verdict(struct skep_engine *e) {
	return e->verdict_made ? &e->verdict : NULL;
}
