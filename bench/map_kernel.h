/* Part of bench/map.c: the same loops in the running kernel. */
#ifndef BENCH_MAP_KERNEL_H
#define BENCH_MAP_KERNEL_H
#include "base/base.h"

enum kind { LOOP, LOOKUP, MISS, UPDATE, CHURN, RING, OUTPUT, CALL, READ };
struct kernel_row {
	int map_fd, prog_fd; /* prog_fd -1: not measured */
	u64 *consumer, *producer;
	u64 ring_pages;
};
/* ops: operations a run. helper: CALL's number. */
void kernel_prepare(struct kernel_row *r, enum kind kind, u32 type, u32 key, u32 value, u32 entries, u32 helper, u32 ops);
/* Runs the program `repeat` times: ns a run, or a negative number when it cannot. */
double kernel_run(struct kernel_row *r, u32 repeat);
#endif
