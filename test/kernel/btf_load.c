/* The BTF check against the kernel's: mutated type information of real objects goes to BPF_BTF_LOAD and to btf_parse
 * with BTF_STRICT; errno and log must be the same. btf_load ITERATIONS OBJECT... */
#include "base/vec.h"
#include "btf/btf.h"
#include "lib/object.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG = 1 << 22 };
static u64 seed = 0x9e3779b97f4a7c15;
static u32 pick(u32 n) {
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return n ? (u32)((seed >> 11) % n) : 0;
}

static char *theirs, *ours;
static u64 ours_n;
static void write_log(void *owner, const char *text) {
	u64 n = strlen(text);
	if (ours_n + n < LOG)
		memcpy(ours + ours_n, text, n + 1), ours_n += n;
}

static int kernel_load(const void *data, u32 size) {
	union bpf_attr a = {0};
	a.btf = (u64)(uintptr_t)data, a.btf_size = size;
	a.btf_log_buf = (u64)(uintptr_t)theirs, a.btf_log_size = LOG, a.btf_log_level = 1;
	*theirs = 0;
	long fd = syscall(SYS_bpf, BPF_BTF_LOAD, &a, sizeof a);
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

/* Types are where mistakes matter: words are changed to small numbers, to neighbours' values, by one bit. */
static void mutate(u8 *p, u32 size) {
	for (u32 n = 1 + pick(3); n--;) {
		u32 *w = (u32 *)(p + pick(size / 4) * 4);
		switch (pick(6)) {
		case 0:
			*w = pick(40);
			break;
		case 1:
			*w ^= 1u << pick(32);
			break;
		case 2:
			*w = ((u32 *)p)[pick(size / 4)];
			break;
		case 3:
			*w += pick(2) ? 1 : (u32)-1;
			break;
		case 4:
			*w = (pick(20) << 24) | (*w & 0x80ffffff);
			break;
		case 5:
			p[pick(size)] = (u8)pick(256);
			break;
		}
	}
}

int main(int argc, char **argv) {
	u32 rounds = argc > 1 ? (u32)strtoul(argv[1], NULL, 0) : 100, compared = 0, differ = 0, accepted = 0;
	theirs = malloc(LOG), ours = malloc(LOG);
	if (syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM) {
		printf("ok 1 - btf_load # SKIP bpf(2) is not permitted here\n1..1\n");
		return 0;
	}
	for (int i = 2; i < argc; i++) {
		struct skep_object *o;
		struct skep_object_opts opts = {.size = sizeof opts};
		if (skep_object__open_file(argv[i], &opts, &o) || !o->btf) {
			continue;
		}
		u32 size = o->btf->data_size;
		for (u32 r = 0; r < rounds && size < 60000; r++) {
			u8 *copy = malloc(size);
			memcpy(copy, o->btf->data, size);
			u32 types = (u32)(o->btf->types - o->btf->data);
			if (r)
				mutate(pick(8) ? copy + types : copy, pick(8) ? o->btf->types_size : size - types);
			struct btf_log log = {.write = write_log, .level = 1};
			struct btf *btf;
			ours_n = 0, *ours = 0;
			int a = kernel_load(copy, size), b = btf_parse(copy, size, NULL, BTF_STRICT, &log, &btf);
			btf_put(btf);
			compared++, accepted += !a;
			if (a != b || strcmp(theirs, ours)) {
				char *x = theirs, *y = ours, *line = theirs;
				while (*x && *x == *y) {
					line = *x == '\n' ? x + 1 : line;
					x++, y++;
				}
				if (differ++ < 40)
					printf("# %s round %u: kernel %d, skep %d (%s)\n#  kernel: %.150s\n#  skep:   %.150s\n", argv[i], r,
						   a, b, log.error, line, ours + (line - theirs));
			}
			free(copy);
		}
		skep_object__close(o);
	}
	printf("%s 1 - btf_load: %u blobs, %u accepted by the kernel, %u differ\n1..1\n", differ ? "not ok" : "ok",
		   compared, accepted, differ);
	return differ != 0;
}
