/* bpf_probe_read and its kin.
 *
 * Programs name memory by address: user memory of the process they run in, and what they take for kernel memory: their own
 * stack, contexts, map values, and the synthetic objects that skep provides. There is one address space; what may fault
 * must be read by the kernel on our behalf.
 *
 *   direct     the current stack, from this frame to the end of the run record: contexts and register files that
 *              programs are handed lie there (abi/run.h); and the ranges of run_env.own
 *   asked      any other user address: process_vm_readv on ourselves, which copies or fails and never raises a signal
 *   refused    any other kernel address, and everything asked where system calls may kill (RUN_NO_SYSCALLS): -EFAULT
 *
 * Own ranges are mapped as long as the process lives, so direct reads cannot fault. The process number for
 * process_vm_readv is asked for each time: a cached one would be the parent's after a fork. Strings are read in pieces that
 * do not cross a page, so that a string which ends before an unmapped page is read whole. */
#include "helper/memory.h"
#include "base/syscall.h"

enum { PAGE = 4096, PIECE = 256, STACK_WINDOW = 64 << 10 };
struct vector {
	u64 base, size;
};

static bool is_direct(const struct skep_run *run, u64 from, u64 size) {
	u64 frame = (u64)__builtin_frame_address(0), end = (u64)(run + 1), to = from + size;
	if (to < from)
		return false;
	if (end - frame < STACK_WINDOW && from >= frame && to <= end)
		return true;
	for (u32 i = 0; i < run->env->own_n; i++)
		if (from >= run->env->own[i].from && to <= run->env->own[i].to)
			return true;
	return false;
}
static int ask(const struct skep_run *run, void *to, u64 from, u64 size) {
	if (run->env->flags & RUN_NO_SYSCALLS)
		return -EFAULT;
	struct vector local = {(u64)to, size}, remote = {from, size};
	s64 pid = raw_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
	s64 n = raw_syscall(__NR_process_vm_readv, pid, (u64)&local, 1, (u64)&remote, 1, 0);
	return n == (s64)size ? 0 : -EFAULT;
}
int memory_read(const struct skep_run *run, enum memory_kind kind, void *to, u64 from, u32 size) {
	if (!size)
		return 0;
	if (is_direct(run, from, size)) {
		__builtin_memmove(to, (const void *)from, size);
		return 0;
	}
	return kind == MEMORY_USER ? ask(run, to, from, size) : -EFAULT;
}
s64 memory_read_string(const struct skep_run *run, enum memory_kind kind, char *to, u64 from, u32 size) {
	u32 done = 0;
	while (done < size) {
		char piece[PIECE];
		u64 at = from + done;
		u32 n = MIN(MIN(size - done, (u32)PIECE), (u32)(PAGE - at % PAGE));
		/* Own ranges need not end at a page: then byte by byte up to their end. */
		if (!is_direct(run, at, n) && is_direct(run, at, 1))
			n = 1;
		int error = memory_read(run, kind, piece, at, n);
		if (error)
			return error;
		for (u32 i = 0; i < n; i++, done++) {
			to[done] = piece[i];
			if (!piece[i])
				return done + 1;
		}
	}
	if (size)
		to[size - 1] = 0;
	return size;
}

/* r1 = to, r2 = size, r3 = from: 0, or -EFAULT and zeros. */
static u64 probe(u64 r1, u64 r2, u64 r3, enum memory_kind kind, const struct skep_run *run) {
	int error = memory_read(run, kind, (void *)r1, r3, r2);
	if (unlikely(error))
		zero_words((u8 *)r1, r2);
	return error;
}
/* The same arguments: bytes with the NUL, or -EFAULT and zeros. */
static u64 probe_str(u64 r1, u64 r2, u64 r3, enum memory_kind kind, const struct skep_run *run) {
	s64 n = memory_read_string(run, kind, (char *)r1, r3, r2);
	if (unlikely(n < 0))
		zero_words((u8 *)r1, r2);
	return n;
}
u64 helper_probe_read_user(DP_ARGS) {
	return probe(r1, r2, r3, MEMORY_USER, run);
}
u64 helper_probe_read_user_str(DP_ARGS) {
	return probe_str(r1, r2, r3, MEMORY_USER, run);
}
u64 helper_probe_read_kernel(DP_ARGS) {
	return probe(r1, r2, r3, MEMORY_KERNEL, run);
}
u64 helper_probe_read_kernel_str(DP_ARGS) {
	return probe_str(r1, r2, r3, MEMORY_KERNEL, run);
}
/* The old calls, which do not say: the kernel decides by the address, and every address here is the user's. */
u64 helper_probe_read(DP_ARGS) {
	return probe(r1, r2, r3, MEMORY_USER, run);
}
u64 helper_probe_read_str(DP_ARGS) {
	return probe_str(r1, r2, r3, MEMORY_USER, run);
}
u64 helper_copy_from_user(DP_ARGS) {
	return probe(r1, r2, r3, MEMORY_USER, run);
}
