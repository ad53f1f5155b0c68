/* Inputs for a fuzz target without a fuzzing engine: fresh ones from the target, and mutations of those that it keeps in
 * a small pool. Reproducible: one seed, one sequence. A failing input is written to crash.bin beside the program. */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool fuzz_canary;

enum { INPUT = 4096, POOL = 64 };
static u8 current[INPUT];
static u64 current_size;
static const char *crash_path = "crash.bin";

void fuzz_failed(const char *what, const char *file, int line) {
	fprintf(stderr, "fuzz: %s:%d: not true: %s\n", file, line, what);
	FILE *f = fuzz_canary ? NULL : fopen(crash_path, "wb");
	if (f) {
		fwrite(current, 1, current_size, f);
		fclose(f);
		fprintf(stderr, "fuzz: the input is in %s (%llu bytes)\n", crash_path, (unsigned long long)current_size);
	}
	abort();
}
#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
	fuzz_one(data, size);
	return 0;
}
#else
static void run_file(const char *path) {
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "fuzz: cannot read %s\n", path);
		exit(2);
	}
	current_size = fread(current, 1, sizeof current, f);
	fclose(f);
	fuzz_one(current, current_size);
}
/* A few random changes: bits, bytes, pieces moved, copied and cut. */
static u64 mutate(u8 *data, u64 size, u64 *state) {
	for (u64 k = 1 + fuzz_random(state) % 4; k && size; k--) {
		u64 r = fuzz_random(state), at = r % size, n = 1 + (r >> 32) % 8;
		n = MIN(n, size - at);
		switch (r >> 56 & 7) {
		case 0:
			data[at] ^= 1 << (r >> 48 & 7);
			break;
		case 1:
			data[at] = r >> 40;
			break;
		case 2:
			data[at] = "0123456789 +-()rwx#:;.=*&|<>"[(r >> 40) % 28];
			break;
		case 3:
			memmove(data + at, data + at + n, size - at - n);
			size -= n;
			break;
		case 4:
			if (size + n <= INPUT) {
				memmove(data + at + n, data + at, size - at);
				size += n;
			}
			break;
		case 5:
			memmove(data + at, data + fuzz_random(state) % (size - n + 1), n);
			break;
		case 6:
			data[at] += (r >> 40 & 1) ? 1 : -1;
			break;
		default:
			data[at] = (u8[]){0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x18, 0x95}[r >> 40 & 7];
		}
	}
	return size;
}
static void run_random(u64 runs, double seconds, u64 seed) {
	static u8 pool[POOL][INPUT];
	static u64 sizes[POOL];
	u64 state = seed | 1, i = 0;
	clock_t start = clock();
	for (; i < runs; i++) {
		u64 slot = fuzz_random(&state) % POOL;
		if (i % 256 == 0 && (double)(clock() - start) / CLOCKS_PER_SEC > seconds)
			break;
		if (!sizes[slot] || fuzz_random(&state) % 4 == 0)
			sizes[slot] = fuzz_seed(pool[slot], INPUT, &state);
		memcpy(current, pool[slot], sizes[slot]);
		current_size = mutate(current, sizes[slot], &state);
		fuzz_one(current, current_size);
		if (fuzz_random(&state) % 16 == 0) {
			memcpy(pool[slot], current, current_size);
			sizes[slot] = current_size;
		}
	}
	printf("fuzz: %llu inputs, nothing found\n", (unsigned long long)i);
}
int main(int argc, char **argv) {
	u64 runs = 1000000, seed = 0x5eed;
	double seconds = 30;
	bool files = false;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--runs") && i + 1 < argc)
			runs = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
			seconds = strtod(argv[++i], NULL);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--canary"))
			fuzz_canary = true;
		else
			run_file(argv[i]), files = true;
	}
	if (!files)
		run_random(runs, seconds, seed);
	return 0;
}
#endif
