/* The first line of every tutorial, on getppid. */
int kprobe__sys_getppid(void *ctx) { bpf_trace_printk("Hello, World!\n"); return 0; }
