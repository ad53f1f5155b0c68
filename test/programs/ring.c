/* A ring buffer by output and by reserve, with a discarded record. */
#include <linux/sched.h>
struct event {
	u32 kind;
	int dfd;
	char filename[64];
};
BPF_RINGBUF_OUTPUT(buffer, 1 << 4);

TRACEPOINT_PROBE(syscalls, sys_enter_openat) {
	struct event event = {.kind = 1};
	event.dfd = args->dfd;
	bpf_probe_read_user_str(event.filename, sizeof(event.filename), args->filename);
	buffer.ringbuf_output(&event, sizeof(event), 0);
	struct event *e = buffer.ringbuf_reserve(sizeof(struct event));
	if (!e)
		return 1;
	e->kind = 2;
	e->dfd = args->dfd;
	if (bpf_probe_read_user_str(e->filename, sizeof(e->filename), args->filename) < 0)
		buffer.ringbuf_discard(e, 0);
	else
		buffer.ringbuf_submit(e, 0);
	return 0;
}
