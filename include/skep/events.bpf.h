/* Included before every X.bpf.c: which structures a program writes to ring buffers. A structure that only functions know
 * is not in BTF, and its records would be printed as bytes; so a submit leaves its type behind, in section .skep.events.
 * The instructions are the same. */
#ifndef SKEP_EVENTS_BPF_H
#define SKEP_EVENTS_BPF_H
#define SKEP_EVENT_TYPE(p) ({ static __typeof__(*(p)) *submitted __attribute__((section(".skep.events"), used)); })
#define bpf_ringbuf_submit(data, flags) ({ SKEP_EVENT_TYPE(data); bpf_ringbuf_submit(data, flags); })
#define bpf_ringbuf_output(ringbuf, data, size, flags)                                                                 \
	({                                                                                                             \
		SKEP_EVENT_TYPE(data);                                                                                 \
		bpf_ringbuf_output(ringbuf, data, size, flags);                                                        \
	})
#endif
