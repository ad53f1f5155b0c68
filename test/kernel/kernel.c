#include "kernel.h"
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

u32 kernel_lacks;

/* The effective capabilities without those that the caller wants to lack, and without CAP_SYS_ADMIN, which stands for
 * them. */
static void drop(struct __user_cap_data_struct data[2]) {
	static const u8 bits[] = {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN}; /* in the order of enum kernel_cap */
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	for (u32 i = 0; i < ARRAY_SIZE(bits); i++)
		if (kernel_lacks >> i & 1)
			data[bits[i] / 32].effective &= ~(1u << bits[i] % 32);
}
static s64 system_call(u32 cmd, void *attr, u32 size) {
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct whole[2] = {{0}}, less[2];
	long r;
	if (kernel_lacks) {
		if (syscall(SYS_capget, &head, whole))
			return -errno;
		memcpy(less, whole, sizeof less);
		drop(less);
		if (syscall(SYS_capset, &head, less))
			return -errno;
	}
	r = syscall(SYS_bpf, cmd, attr, size);
	r = r < 0 ? -errno : r;
	if (kernel_lacks && syscall(SYS_capset, &head, whole))
		return -errno;
	return r;
}
s64 (*kernel_bpf)(u32 cmd, void *attr, u32 size) = system_call;

static long sys_bpf(int cmd, union bpf_attr *attr) {
	return kernel_bpf(cmd, attr, sizeof *attr);
}
int kernel_load(const struct kernel_prog *p, char *log) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.prog_type = p->type ? p->type : BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (uintptr_t)p->insns;
	a.insn_cnt = p->n;
	a.license = (uintptr_t) "GPL";
	a.fd_array = (uintptr_t)p->maps;
	a.prog_btf_fd = p->btf;
	a.func_info = (uintptr_t)p->func_info;
	a.func_info_cnt = p->func_info_n;
	a.func_info_rec_size = p->func_info_n ? 8 : 0;
	if (log)
		log[0] = 0;
	if (p->log_level) {
		a.log_level = p->log_level;
		a.log_buf = (uintptr_t)log;
		a.log_size = KERNEL_LOG;
	}
	int r;
	do
		r = sys_bpf(BPF_PROG_LOAD, &a);
	while (r == -EAGAIN);
	return r;
}
int kernel_run(int prog, const void *packet, u32 size, u32 *result) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.test.prog_fd = prog;
	a.test.data_in = (uintptr_t)packet;
	a.test.data_size_in = size;
	int r = sys_bpf(BPF_PROG_TEST_RUN, &a);
	*result = a.test.retval;
	return r;
}
int kernel_map(u32 type, u32 key_size, u32 value_size, u32 entries, u32 flags, u64 extra) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_type = type;
	a.key_size = key_size;
	a.value_size = value_size;
	a.max_entries = entries;
	a.map_flags = flags;
	a.map_extra = extra;
	return sys_bpf(BPF_MAP_CREATE, &a);
}
int kernel_array(u32 value_size, u32 entries, const void *value) {
	union bpf_attr a;
	u32 key = 0;
	int map = kernel_map(BPF_MAP_TYPE_ARRAY, 4, value_size, entries, 0, 0);
	if (map < 0 || !value)
		return map;
	memset(&a, 0, sizeof a);
	a.map_fd = map;
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)value;
	int r = sys_bpf(BPF_MAP_UPDATE_ELEM, &a);
	if (r < 0) {
		close(map);
		return r;
	}
	return map;
}
int kernel_btf(const void *data, u32 size) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.btf = (uintptr_t)data;
	a.btf_size = size;
	return sys_bpf(BPF_BTF_LOAD, &a);
}
bool kernel_older_than(u32 major, u32 minor) {
	struct utsname u;
	u32 a = 0, b = 0;
	if (uname(&u) || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return true;
	return a < major || (a == major && b < minor);
}
int kernel_map_read(int map, u32 index, void *value) {
	union bpf_attr a;
	memset(&a, 0, sizeof a);
	a.map_fd = map;
	a.key = (uintptr_t)&index;
	a.value = (uintptr_t)value;
	return sys_bpf(BPF_MAP_LOOKUP_ELEM, &a);
}
const char *kernel_missing(void) {
	static const struct bpf_insn trivial[] = {{.code = 0xb7}, {.code = 0x95}};
	int fd = kernel_load(&(struct kernel_prog){.insns = trivial, .n = 2}, NULL);
	if (fd == -EPERM || fd == -EACCES)
		return "bpf() not permitted here";
	if (fd == -ENOSYS)
		return "no bpf() here";
	if (fd < 0)
		return "bpf() does not load the simplest program";
	close(fd);
	return NULL;
}
