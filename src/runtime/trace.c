/* bpf_printk of programs that run in this process: lines are records of a ring buffer map that no descriptor names. */
#include "map/ringbuf.h"
#include "runtime/state.h"
#include <errno.h>
#include <sys/mman.h>

enum { TRACE_BYTES = 256 << 10 };

static void *anonymous(u64 size) {
	void *p =
		mmap(NULL, round_up(size, 4096), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int trace_create(struct skep_engine *e) {
	struct map *m = &e->trace;
	const struct map_ops *ops = map_ops_of(BPF_MAP_TYPE_RINGBUF);
	*m = (struct map){.type = BPF_MAP_TYPE_RINGBUF, .max_entries = TRACE_BYTES, .spin_lock = -1, .nr_cpus = 1};
	if (!ops)
		return 0; /* lines are dropped and counted */
	int err = ops->geometry(m);
	if (!err && m->area_size && !(m->area = anonymous(m->area_size)))
		err = -ENOMEM;
	if (!err && m->data_size && !(m->data = anonymous(m->data_size)))
		err = -ENOMEM;
	if (!err)
		err = ops->init(m);
	if (!err)
		e->env.trace = m;
	return err;
}

void trace_destroy(struct skep_engine *e) {
	struct map *m = &e->trace;
	if (m->area)
		munmap(m->area, round_up(m->area_size, 4096));
	if (m->data)
		munmap(m->data, round_up(m->data_size, 4096));
	m->area = m->data = NULL;
}

struct line {
	char *to;
	u32 size, n;
};
static int take_line(void *owner, const void *data, u32 size) {
	struct line *l = owner;
	u32 n = MIN(size, l->size - 1);
	while (n && (((const char *)data)[n - 1] == '\n' || !((const char *)data)[n - 1]))
		n--;
	memcpy(l->to, data, n);
	l->to[n] = 0, l->n = n;
	return 1; /* one record at a time */
}
int engine_trace_read(struct skep_engine *e, char *to, u32 size) {
	struct line l = {to, size, 0};
	if (!size)
		return -EINVAL;
	if (!e->env.trace)
		return 0;
	pthread_mutex_lock(&e->trace_mutex);
	s64 n;
	do { /* empty lines are passed over: 0 says that there is none */
		n = ringbuf_map_consume(&e->trace, take_line, &l);
	} while (n > 0 && !l.n);
	pthread_mutex_unlock(&e->trace_mutex);
	return n < 0 ? (int)n : (int)l.n;
}
