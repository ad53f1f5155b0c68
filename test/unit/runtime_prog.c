/* Programs through bpf(2): load, run, information, tail calls, lifetime, in all kinds of backing. */
#include "runtime.h"
#include "abi/diag.h"
#include "runtime/packet.h"
#include "abi/context.h"
#include <pthread.h>

static enum engine_backing backing;
static bool handles;

static struct skep_engine *engine(void) {
	return engine_of(backing, handles);
}

/* Counts its runs in an array and returns what it counted. */
static int load_counter(struct skep_engine *e, int map) {
	return LOAD(e, BPF_PROG_TYPE_XDP, ST(BPF_W, 10, -4, 1), MOVR(2, 10), ADD(2, -4), MAP_FD(1, map), CALL(BPF_FUNC_map_lookup_elem),
	            JEQ(0, 0, 4), LDX(BPF_DW, 1, 0, 0), ADD(1, 1), STX(BPF_DW, 0, 1, 0), MOVR(0, 1), EXIT);
}

static void runs(void) {
	struct skep_engine *e = engine();
	int fd = LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, XDP_PASS), EXIT);
	EXPECT(fd >= 0);
	EXPECT_EQ(run_packet(e, fd, 64, 0), XDP_PASS);
	EXPECT_EQ(run_packet(e, fd, 64, 1000), XDP_PASS);
	EXPECT_EQ(run_packet(e, fd, 13, 0), -EINVAL);
	engine_close(e, fd);
	int map = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	fd = load_counter(e, map);
	EXPECT_EQ(run_packet(e, fd, 64, 0), 1);
	EXPECT_EQ(run_packet(e, fd, 64, 10), 11);
	u32 k = 1;
	u64 v = 0;
	EXPECT_EQ(lookup(e, map, &k, &v), 0);
	EXPECT_EQ(v, 11);
	/* The program holds its map. */
	u32 id = id_of(e, map);
	engine_close(e, map);
	engine_collect(e);
	EXPECT_EQ(run_packet(e, fd, 64, 0), 12);
	map = BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id);
	EXPECT(map >= 0);
	engine_close(e, map), engine_close(e, fd);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id), -ENOENT);
	engine_destroy(e);
}

static void info(void) {
	struct skep_engine *e = engine();
	int map = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0), fd = load_counter(e, map);
	struct bpf_prog_info i = {0};
	u32 ids[4] = {0};
	struct bpf_insn x[32];
	u8 code[4096];
	i.nr_map_ids = 4, i.map_ids = PTR(ids), i.xlated_prog_len = sizeof x, i.xlated_prog_insns = PTR(x);
	i.jited_prog_len = sizeof code, i.jited_prog_insns = PTR(code);
	union bpf_attr a = {.info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}};
	EXPECT_EQ(skep_bpf(e, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a), 0);
	EXPECT_EQ(i.type, BPF_PROG_TYPE_XDP);
	EXPECT_STR(i.name, "test");
	EXPECT_EQ(i.nr_map_ids, 1);
	EXPECT_EQ(ids[0], id_of(e, map));
	EXPECT(i.xlated_prog_len >= 11 * 8 && (i.jited_prog_len > 0) == !(test_oracle || test_interpreter));
	EXPECT(i.load_time > 0 && i.gpl_compatible && i.created_by_uid == geteuid());
	EXPECT_EQ(i.nr_jited_ksyms, 1);
	EXPECT_EQ(i.nr_prog_tags, 1);
	int with_map = 0;
	for (u32 j = 0; j < i.xlated_prog_len / 8; j++)
		with_map += x[j].code == BPF_LD_IMM64 && x[j].imm == (s32)ids[0];
	EXPECT_EQ(with_map, 1);
	/* Counting is off until asked for. */
	EXPECT_EQ(run_packet(e, fd, 64, 7), 7);
	EXPECT_EQ(i.run_cnt, 0);
	int stats = BPF(e, BPF_ENABLE_STATS, .enable_stats = {.type = BPF_STATS_RUN_TIME});
	EXPECT(stats >= 0);
	EXPECT_EQ(run_packet(e, fd, 64, 7), 14);
	memset(&i, 0, sizeof i);
	EXPECT_EQ(skep_bpf(e, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a), 0);
	EXPECT_EQ(i.run_cnt, 7);
	close(stats);
	int other = make_map(e, BPF_MAP_TYPE_HASH, 4, 8, 4, 0);
	EXPECT_EQ(BPF(e, BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = fd, .map_fd = other}), 0);
	EXPECT_EQ(BPF(e, BPF_PROG_BIND_MAP, .prog_bind_map = {.prog_fd = fd, .map_fd = other}), 0);
	memset(&i, 0, sizeof i);
	EXPECT_EQ(skep_bpf(e, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a), 0);
	EXPECT_EQ(i.nr_map_ids, 2);
	engine_close(e, fd), engine_close(e, map), engine_close(e, other);
	engine_destroy(e);
}

static int load_tail(struct skep_engine *e, int array, u32 slot) {
	return LOAD(e, BPF_PROG_TYPE_XDP, MAP_FD(2, array), MOV(3, slot), CALL(BPF_FUNC_tail_call), MOV(0, 1), EXIT);
}
static void tail_calls(void) {
	struct skep_engine *e = engine();
	int array = make_map(e, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0);
	int caller = load_tail(e, array, 2), callee = LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, 77), EXIT);
	EXPECT(array >= 0 && caller >= 0 && callee >= 0);
	EXPECT_EQ(run_packet(e, caller, 64, 0), 1);
	u32 k = 2, id = 0;
	EXPECT_EQ(lookup(e, array, &k, &id), -ENOENT);
	EXPECT_EQ(update(e, array, &k, &callee, BPF_NOEXIST), -EINVAL);
	EXPECT_EQ(update(e, array, &k, &callee, 0), 0);
	EXPECT_EQ(run_packet(e, caller, 64, 0), 77);
	EXPECT_EQ(lookup(e, array, &k, &id), 0);
	/* The slot holds the program; another type does not fit; deleting empties it. */
	engine_close(e, callee);
	engine_collect(e);
	EXPECT_EQ(run_packet(e, caller, 64, 0), 77);
	int other = LOAD(e, BPF_PROG_TYPE_SOCKET_FILTER, MOV(0, 0), EXIT);
	EXPECT(other >= 0);
	EXPECT_EQ(update(e, array, &k, &other, 0), -EINVAL);
	EXPECT_EQ(update(e, array, &k, &array, 0), -EINVAL);
	k = 4;
	EXPECT_EQ(update(e, array, &k, &caller, 0), -E2BIG);
	k = 2;
	EXPECT_EQ(BPF(e, BPF_MAP_DELETE_ELEM, .map_fd = array, .key = PTR(&k)), 0);
	EXPECT_EQ(BPF(e, BPF_MAP_DELETE_ELEM, .map_fd = array, .key = PTR(&k)), -ENOENT);
	EXPECT_EQ(run_packet(e, caller, 64, 0), 1);
	EXPECT_EQ(BPF(e, BPF_PROG_GET_FD_BY_ID, .prog_id = id), -ENOENT);
	/* A ring: the array holds the program that holds the array. Closing all of it frees it. */
	EXPECT_EQ(update(e, array, &k, &caller, 0), 0);
	EXPECT_EQ(run_packet(e, caller, 64, 0), 1); /* 33 calls of itself, then on */
	u32 map_id = id_of(e, array);
	engine_close(e, array), engine_close(e, caller), engine_close(e, other);
	engine_collect(e);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = map_id), -ENOENT);
	engine_destroy(e);
}

static void inner_maps(void) {
	struct skep_engine *e = engine();
	int a = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0), b = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0);
	int odd = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 4, 2, 0);
	int outer = BPF(e, BPF_MAP_CREATE, .map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4,
	                .max_entries = 2, .inner_map_fd = a);
	EXPECT(outer >= 0);
	EXPECT_EQ(BPF(e, BPF_MAP_CREATE, .map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4,
	              .max_entries = 2, .inner_map_fd = outer), -EINVAL);
	u32 k = 0, id = 0;
	EXPECT_EQ(update(e, outer, &k, &odd, 0), -EINVAL);
	EXPECT_EQ(update(e, outer, &k, &b, 0), 0);
	EXPECT_EQ(lookup(e, outer, &k, &id), 0);
	EXPECT_EQ(id, id_of(e, b));
	u64 v = 99;
	EXPECT_EQ(update(e, b, &k, &v, 0), 0);
	engine_close(e, a), engine_close(e, b);
	/* outer[0] → inner map → inner[0] */
	int fd = LOAD(e, BPF_PROG_TYPE_XDP, ST(BPF_W, 10, -4, 0), MOVR(2, 10), ADD(2, -4), MAP_FD(1, outer),
	              CALL(BPF_FUNC_map_lookup_elem), JEQ(0, 0, 5), MOVR(1, 0), MOVR(2, 10), ADD(2, -4),
	              CALL(BPF_FUNC_map_lookup_elem), JNE(0, 0, 2), MOV(0, 0), EXIT, LDX(BPF_DW, 0, 0, 0), EXIT);
	EXPECT(fd >= 0);
	EXPECT_EQ(run_packet(e, fd, 64, 0), 99);
	EXPECT_EQ(BPF(e, BPF_MAP_DELETE_ELEM, .map_fd = outer, .key = PTR(&k)), 0);
	EXPECT_EQ(run_packet(e, fd, 64, 0), 0);
	EXPECT_EQ(BPF(e, BPF_MAP_GET_FD_BY_ID, .map_id = id), -ENOENT);
	engine_close(e, outer), engine_close(e, fd), engine_close(e, odd);
	engine_destroy(e);
}

static void contexts(void) {
	struct skep_engine *e = engine();
	u64 args[4] = {3, 4, 5, 6};
	/* The second argument of a raw tracepoint; a field of a syscall program, changed. */
	int raw = LOAD(e, BPF_PROG_TYPE_RAW_TRACEPOINT, LDX(BPF_DW, 0, 1, 8), EXIT);
	union bpf_attr a = {.test = {.prog_fd = raw, .ctx_in = PTR(args), .ctx_size_in = 32}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT_EQ(a.test.retval, 4);
	a = (union bpf_attr){.test = {.prog_fd = raw, .ctx_in = PTR(args), .ctx_size_in = 32, .flags = 1, .cpu = 0}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	a.test.cpu = 9999;
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), -ENXIO);
	a = (union bpf_attr){.test = {.prog_fd = raw, .ctx_in = PTR(args), .ctx_size_in = 32, .repeat = 2}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), -EINVAL);
	struct bpf_insn insns[] = {LDX(BPF_DW, 0, 1, 16), ADD(0, 10), STX(BPF_DW, 1, 0, 16), EXIT};
	union bpf_attr l = {.prog_type = BPF_PROG_TYPE_SYSCALL, .insn_cnt = ARRAY_SIZE(insns), .insns = PTR(insns),
	                    .license = PTR("GPL"), .prog_flags = BPF_F_SLEEPABLE};
	int sys = skep_bpf(e, BPF_PROG_LOAD, &l, sizeof l);
	a = (union bpf_attr){.test = {.prog_fd = sys, .ctx_in = PTR(args), .ctx_size_in = 32}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT_EQ(a.test.retval, 15);
	EXPECT_EQ(args[2], 15);
	engine_close(e, raw), engine_close(e, sys);
	engine_destroy(e);
}

/* What a test run gives back. */
static void packets(void) {
	struct skep_engine *e = engine();
	int fd = LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, XDP_PASS), EXIT), tc = LOAD(e, BPF_PROG_TYPE_SCHED_CLS, MOV(0, 0), EXIT);
	int sock = LOAD(e, BPF_PROG_TYPE_SOCKET_FILTER, MOV(0, 0), EXIT);
	u8 in[100], out[100];
	for (u32 i = 0; i < sizeof in; i++)
		in[i] = i + 1;
	union bpf_attr a = {.test = {.prog_fd = fd, .data_in = PTR(in), .data_size_in = 100, .data_out = PTR(out), .data_size_out = 100}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT_EQ(a.test.data_size_out, 100);
	EXPECT(!memcmp(in, out, 100));
	a.test.data_size_out = 60;
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), -ENOSPC);
	EXPECT_EQ(a.test.data_size_out, 100);
	struct xdp_md md = {.data = 4, .data_end = 100};
	a = (union bpf_attr){.test = {.prog_fd = fd, .data_in = PTR(in), .data_size_in = 100, .ctx_in = PTR(&md), .ctx_size_in = sizeof md,
	                              .ctx_out = PTR(&md), .ctx_size_out = sizeof md}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT_EQ(md.data, 4);
	EXPECT_EQ(md.data_end, 100);
	struct __sk_buff k = {.mark = 7, .cb = {1, 2, 3, 4, 5}};
	a = (union bpf_attr){.test = {.prog_fd = tc, .data_in = PTR(in), .data_size_in = 100, .data_out = PTR(out), .data_size_out = 100,
	                              .ctx_in = PTR(&k), .ctx_size_in = sizeof k, .ctx_out = PTR(&k), .ctx_size_out = sizeof k}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT_EQ(k.mark, 7);
	EXPECT_EQ(k.wire_len, 100);
	EXPECT_EQ(k.ifindex, 1);
	k = (struct __sk_buff){.len = 1};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), -EINVAL);
	a = (union bpf_attr){.test = {.prog_fd = sock, .data_in = PTR(in), .data_size_in = 100, .data_out = PTR(out), .data_size_out = 100}};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_TEST_RUN, &a, sizeof a), 0);
	EXPECT(out[0] == 0 && out[13] == 0 && out[14] == 15);
	engine_close(e, fd), engine_close(e, tc), engine_close(e, sock);
	engine_destroy(e);
}

/* Programs run while another thread changes what they reach. */
struct race {
	struct skep_engine *e;
	int fd;
	bool stop;
	long runs, odd;
};
static void *racing(void *arg) {
	struct race *r = arg;
	while (!READ_ONCE(r->stop)) {
		s64 v = run_packet(r->e, r->fd, 64, 100);
		__atomic_fetch_add(&r->odd, v != 1 && v != 77 && v != 78, __ATOMIC_RELAXED);
		__atomic_fetch_add(&r->runs, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}
static void replace_while_running(void) {
	struct skep_engine *e = engine();
	int array = make_map(e, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0);
	struct race r = {.e = e, .fd = load_tail(e, array, 2)};
	pthread_t t[2];
	for (u32 i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&t[i], NULL, racing, &r), 0);
	u32 k = 2;
	for (u32 i = 0; i < 300; i++) {
		int callee = LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, 77 + (i & 1)), EXIT);
		EXPECT_EQ(update(e, array, &k, &callee, 0), 0);
		engine_close(e, callee);
		if (i % 3 == 0)
			EXPECT_EQ(BPF(e, BPF_MAP_DELETE_ELEM, .map_fd = array, .key = PTR(&k)), 0);
		engine_collect(e);
	}
	WRITE_ONCE(r.stop, true);
	for (u32 i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT(r.runs > 0);
	EXPECT_EQ(r.odd, 0);
	engine_close(e, array), engine_close(e, r.fd);
	engine_destroy(e);
}

static void refused(void) {
	struct skep_engine *e = engine();
	/* A program whose map type does not run loads, and says why it does not run. */
	int map = make_map(e, BPF_MAP_TYPE_STACK_TRACE, 4, 80, 4, 0);
	EXPECT(map >= 0);
	int fd = LOAD(e, BPF_PROG_TYPE_KPROBE, MAP_FD(2, map), MOV(3, 0), CALL(BPF_FUNC_get_stackid), MOV(0, 0), EXIT);
	EXPECT_EQ(run_packet(e, fd, 64, 0), -524 /* ENOTSUPP: no kernel test-runs the type */);
	engine_close(e, fd);
	fd = LOAD(e, BPF_PROG_TYPE_RAW_TRACEPOINT, MAP_FD(2, map), MOV(3, 0), CALL(BPF_FUNC_get_stackid), MOV(0, 0), EXIT);
	EXPECT(fd >= 0);
	EXPECT_EQ(run_packet(e, fd, 64, 0), -EOPNOTSUPP);
	struct engine_problem why;
	EXPECT(engine_explain(e, &why) && why.code == DIAG_MAP_NOT_RUN && strstr(why.sentence, "stack_trace"));
	struct engine_prog *p = engine_prog_get(e, fd);
	EXPECT(p && !p->image && p->refusal && p->refusal_code == DIAG_MAP_NOT_RUN);
	engine_prog_put(e, p);
	engine_close(e, fd), engine_close(e, map);
	/* A program that is refused leaves its verdict. */
	struct bpf_insn bad[] = {MOVR(0, 3), EXIT};
	char log[4096] = "";
	union bpf_attr l = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = 2, .insns = PTR(bad), .license = PTR("GPL"), .log_level = 1,
	                    .log_buf = PTR(log), .log_size = sizeof log};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_LOAD, &l, sizeof l), -EACCES);
	EXPECT(strstr(log, "R3 !read_ok"));
	EXPECT_EQ(l.log_true_size, strlen(log) + 1);
	const struct engine_verdict *v = engine_last_verdict(e);
	EXPECT(v && v->error == -EACCES && v->diag.code && v->diag.message);
	EXPECT(engine_explain(e, &why) && why.code == v->diag.code);
	u32 whole = l.log_true_size;
	l.log_level = 0;
	EXPECT_EQ(skep_bpf(e, BPF_PROG_LOAD, &l, sizeof l), -EINVAL);
	/* A level without a buffer asks for the size alone. */
	l.log_level = 1, l.log_buf = 0, l.log_size = 0, l.log_true_size = 0;
	EXPECT_EQ(skep_bpf(e, BPF_PROG_LOAD, &l, sizeof l), -EACCES);
	EXPECT_EQ(l.log_true_size, whole);
	engine_destroy(e);
}

static void run_all(void) {
	RUN(runs);
	RUN(info);
	RUN(tail_calls);
	RUN(inner_maps);
	RUN(contexts);
	RUN(packets);
	if (!test_oracle) /* an oracle is for one run at a time */
		RUN(replace_while_running);
	RUN(refused);
}
int main(void) {
	run_all();
	test_interpreter = true;
	run_all();
	test_interpreter = false, test_oracle = true;
	run_all();
	test_oracle = false, handles = true;
	run_all();
	handles = false, backing = BACKING_FILES;
	run_all();
	EXPECT_EQ(objects_left(), 0);
	remove_test_dir();
	return test_end();
}
