/* helpers.def, progs.def, maps.def and cmds.def against the running kernel: which program type may call which helper, which
 * values it may return, which flags map types take, and where bpf(2) wants zeros. */
#include "abi_kernel.h"
#include <linux/capability.h>
#include <sys/wait.h>

static u8 offered[__BPF_FUNC_MAX_ID]; /* by some type of this kernel: others are not configured */
static u32 asked, wrong;
static struct abi_caller rights = {.bpf = true, .perfmon = true, .net_admin = true, .sys_admin = true};

static bool kernel_allows(u32 type, u32 attach, u32 helper) {
	const struct bpf_insn prog[] = {
	    {.code = BPF_JMP | BPF_CALL, .imm = helper},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = good_return(type, attach)},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	if (!kernel_load(type, attach, prog, 3, 1))
		return true;
	return !strstr(kernel_log, "cannot use helper") && !strstr(kernel_log, "unknown func") &&
	       !strstr(kernel_log, "invalid func");
}
static void find_offered(u32 type, u32 attach) {
	for (u32 id = 1; id < __BPF_FUNC_MAX_ID; id++)
		if (!offered[id])
			offered[id] = kernel_allows(type, attach, id);
}
static void compare_helpers(u32 type, u32 attach) {
	struct abi_caller who = rights;
	who.prog_type = type, who.attach_type = attach;
	for (u32 id = 1; id < __BPF_FUNC_MAX_ID; id++) {
		bool ours = abi_helper_for(ABI, id, &who, NULL), theirs = kernel_allows(type, attach, id);
		if (!offered[id])
			continue;
		/* iterators over TCP sockets only: decided by the iterator, not by its type */
		if (type == BPF_PROG_TYPE_TRACING && (id == BPF_FUNC_setsockopt || id == BPF_FUNC_getsockopt))
			continue;
		asked++;
		if (ours == theirs)
			continue;
		wrong++;
		printf("# %s with attach type %u, bpf_%s: table %d, kernel %d\n", abi_prog_type(ABI, type)->name, attach,
		       abi_helper(ABI, id)->name, ours, theirs);
	}
}
static void availability(void) {
	each_kind(find_offered);
	for (u32 id = 1; id < __BPF_FUNC_MAX_ID; id++)
		if (!offered[id])
			printf("# bpf_%s is not offered by this kernel\n", abi_helper(ABI, id)->name);
	each_kind(compare_helpers);
	printf("# %u pairs of program kind and helper\n", asked);
	EXPECT_EQ(wrong, 0);
	EXPECT(asked > 8000);
}

/* The same with CAP_BPF and CAP_NET_ADMIN only, in a child that drops the rest: helpers that need CAP_PERFMON are gone. */
static void without_perfmon(void) {
	pid_t child = fork();
	if (!child) {
		struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
		struct __user_cap_data_struct data[2];
		syscall(SYS_capget, &header, data);
		data[0].effective = 1u << CAP_NET_ADMIN;
		data[1].effective = 1u << (CAP_BPF - 32);
		if (syscall(SYS_capset, &header, data))
			_exit(1);
		rights = (struct abi_caller){.bpf = true, .net_admin = true};
		asked = wrong = 0;
		quiet = true;
		each_kind(compare_helpers);
		fflush(stdout);
		_exit(wrong || asked < 4000);
	}
	int status = 1;
	waitpid(child, &status, 0);
	EXPECT_EQ(status, 0);
}

static void compare_returns(u32 type, u32 attach) {
	const struct abi_return *range = abi_return(ABI, type, attach);
	for (s32 value = -2; value < 6; value++) {
		const struct bpf_insn prog[] = {
		    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = value},
		    {.code = BPF_JMP | BPF_EXIT},
		};
		bool theirs = !kernel_load(type, attach, prog, 2, 1);
		bool ours = !range || (value >= range->min && value <= range->max);
		if (ours != theirs)
			printf("# %s with attach type %u returns %d\n", abi_prog_type(ABI, type)->name, attach, value);
		EXPECT_EQ(ours, theirs);
	}
}
static void return_values(void) {
	each_kind(compare_returns);
}

/* A map of this type that the kernel accepts, but for its flags. */
static union bpf_attr map_attr(const struct abi_map_type *m) {
	union bpf_attr attr = {0};
	attr.map_type = m->id;
	attr.key_size = m->key == MAP_SPECIAL ? 8 : m->key == MAP_ANY ? 4 : m->key;
	attr.value_size = m->value == MAP_ANY ? 8 : m->value == MAP_SPECIAL ? 4 : m->value;
	if (m->id == BPF_MAP_TYPE_STACK_TRACE)
		attr.value_size = 32;
	attr.max_entries = m->flags & MAP_NO_MAX_ENTRIES ? 0 : m->id == BPF_MAP_TYPE_RINGBUF ||
	                   m->id == BPF_MAP_TYPE_USER_RINGBUF ? 4096 : 4;
	attr.map_flags = m->required;
	return attr;
}
static s64 kernel_map(union bpf_attr *attr) {
	s64 fd = kernel_bpf(BPF_MAP_CREATE, attr);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}
static void map_flags(void) {
	union bpf_attr inner = map_attr(abi_map_type(ABI, BPF_MAP_TYPE_ARRAY));
	s64 inner_fd = kernel_bpf(BPF_MAP_CREATE, &inner);
	EXPECT(inner_fd >= 0);
	for (u32 id = 1; id < __MAX_BPF_MAP_TYPE; id++) {
		const struct abi_map_type *m = abi_map_type(ABI, id);
		union bpf_attr attr = map_attr(m);
		if (m->flags & MAP_NEEDS_BTF)
			continue;
		if (m->flags & MAP_INNER)
			attr.inner_map_fd = inner_fd;
		s64 plain = kernel_map(&attr);
		if (plain) {
			printf("# a map of type %s cannot be made here: %lld\n", m->name, (long long)plain);
			continue;
		}
		for (u32 flag = 1; flag < 1 << 19; flag <<= 1) {
			if (flag == BPF_F_TOKEN_FD || m->required & flag)
				continue;
			attr.map_flags = m->required | flag;
			bool theirs = !kernel_map(&attr), ours = m->allowed & flag;
			if (ours != theirs)
				printf("# map type %s, flag %#x: table %d, kernel %d\n", m->name, flag, ours, theirs);
			EXPECT_EQ(ours, theirs);
		}
		for (u32 flag = 1; flag; flag <<= 1) {
			attr.map_flags = m->required & ~flag;
			if (m->required & flag)
				EXPECT(kernel_map(&attr));
		}
	}
	close(inner_fd);
}
/* Bytes behind a command's last field must be zero: with one set, -EINVAL; without, something else. */
static void command_ends(void) {
	for (u32 cmd = 0; cmd < __MAX_BPF_CMD; cmd++) {
		union bpf_attr attr = {0};
		u32 end = abi_cmd(ABI, cmd)->end;
		if (cmd == BPF_MAP_CREATE)
			attr = map_attr(abi_map_type(ABI, BPF_MAP_TYPE_ARRAY));
		else if (cmd == BPF_PROG_LOAD || cmd == BPF_BTF_LOAD || cmd == BPF_ENABLE_STATS)
			continue; /* their end is that of attr, or a plain call would succeed in ways that matter */
		else
			memset(&attr, 0xff, 4); /* a descriptor that is none */
		s64 plain = kernel_bpf(cmd, &attr);
		if (plain >= 0 && cmd == BPF_MAP_CREATE)
			close(plain);
		if (plain == -EINVAL || end == sizeof attr)
			continue;
		((u8 *)&attr)[end] = 1;
		EXPECT_EQ(kernel_bpf(cmd, &attr), -EINVAL);
	}
}
int main(void) {
	const char *why = kernel_unfit();
	if (why) {
		SKIP("tables against the kernel", why);
		return test_end();
	}
	RUN(availability);
	RUN(without_perfmon);
	RUN(return_values);
	RUN(map_flags);
	RUN(command_ends);
	btf_put(kernel_btf);
	return test_end();
}
