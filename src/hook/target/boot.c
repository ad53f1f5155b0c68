/* The first code of ours in a new image: maps the rest of the session and asks skep to hook the program. Whatever fails
 * here, the program starts: unhooked. Then programs see the exit of the exec, which had nowhere to return to (entry.S). */
#include "hook/target/target.h"
#include <asm/unistd.h>
#include <linux/mman.h>

enum { PROT_R = 1, PROT_RW = 3, PROT_RX = 5, MAP_PRIVATE_ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

static bool map_at(u64 address, u64 size, u64 prot, u64 flags, s64 fd, u64 offset) {
	return target_syscall(__NR_mmap, address, size, prot, flags | MAP_FIXED_NOREPLACE, (u64)fd, offset) == (s64)address;
}

static bool map_private(void) {
	u64 at = session.base + AT_SLOTS;
	STATIC_ASSERT(AT_SLOTS + SLOTS_SIZE == AT_ENV, "one mapping");
	return map_at(at, SLOTS_SIZE + ENV_SIZE, PROT_RW, MAP_PRIVATE_ANONYMOUS, -1, 0) &&
	       target_syscall3(__NR_madvise, at, SLOTS_SIZE, 18 /* MADV_WIPEONFORK */) == 0;
}

/* Opens skep's other descriptors by path: text of a number behind the prefix. */
static s64 open_number(struct boot_frame *frame, u32 number, bool writable) {
	char digits[12];
	u32 n = 0, at = frame->path_n;
	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	while (n && at < sizeof frame->path - 1)
		frame->path[at++] = digits[--n];
	frame->path[at] = 0;
	return target_syscall3(__NR_open, frame->path, writable ? 02000002 : 02000000, 0); /* O_CLOEXEC, O_RDWR or O_RDONLY */
}

void boot(struct boot_frame *frame) {
	bool ok = true;
	for (u32 i = 1; frame->by_path && i < session.fds; i++) /* the loader has opened the first */
		frame->fd[i] = (s32)open_number(frame, (u32)(-1 - frame->fd[i]), session.writable[i] != 0);
	for (u32 i = 0; frame->by_path && frame->pair[0] >= 0 && i < 2; i++)
		target_syscall3(__NR_close, frame->pair[i], 0, 0);
	for (u32 i = 0; ok && i < session.maps; i++) {
		const struct boot_map *m = &session.map[i];
		ok = map_at(m->address, m->size, m->writable ? PROT_RW : PROT_R, MAP_SHARED, frame->fd[m->fd], m->offset);
	}
	ok = ok && map_private();
	for (u32 i = 0; ok && i < BOOT_ISLANDS_MAX && frame->island[i].size; i++) { /* skep looks whether it stands there */
		const struct boot_island *s = &frame->island[i];
		map_at(s->at, s->size, PROT_RX, MAP_SHARED, frame->fd[0], s->from);
	}
	for (u32 i = 0; i < session.fds; i++)
		if (frame->fd[i] >= 0)
			target_syscall3(__NR_close, frame->fd[i], 0, 0);
	if (ok)
		slots->kept = 1;
	if (!ok || mail_ask(ASK_BOOT, frame->entry, 0, 0, 0, 0))
		frame->leave = 0; /* no programs here */
}
