/* Objects as files: other processes, killed processes, full and hostile directories. */
#include "runtime.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>

static struct skep_engine *engine(void) {
	return engine_of(BACKING_FILES, false);
}
/* Runs fn in a process of its own; its result is the exit status. */
static int in_child(int (*fn)(void)) {
	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		_exit(fn());
	int status = -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Loads a program that returns what its map holds and pins both, then ends. */
static int maker(void) {
	struct skep_engine *e = engine();
	int map = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	u32 k = 0;
	u64 v = 55;
	int err = update(e, map, &k, &v, 0);
	int fd = LOAD(e, BPF_PROG_TYPE_XDP, ST(BPF_W, 10, -4, 0), MOVR(2, 10), ADD(2, -4), MAP_FD(1, map),
	              CALL(BPF_FUNC_map_lookup_elem), JEQ(0, 0, 1), LDX(BPF_DW, 0, 0, 0), EXIT);
	err |= pin(e, fd, "/sys/fs/bpf/prog");
	err |= pin(e, map, "/sys/fs/bpf/map");
	return err || run_packet(e, fd, 64, 0) != 55;
}
static int changer(void) {
	struct skep_engine *e = engine();
	int map = get(e, "/sys/fs/bpf/map");
	u32 k = 0;
	u64 v = 66;
	int err = map < 0 ? 2 : update(e, map, &k, &v, 0) ? 3 : 0;
	engine_destroy(e);
	return err;
}
static void pinned_program(void) {
	EXPECT_EQ(in_child(maker), 0);
	struct skep_engine *e = engine();
	int fd = get(e, "/sys/fs/bpf/prog"), map = get(e, "/sys/fs/bpf/map");
	EXPECT(fd >= 0 && map >= 0);
	EXPECT_EQ(run_packet(e, fd, 64, 0), 55);
	EXPECT_EQ(in_child(changer), 0); /* the map is one and the same */
	EXPECT_EQ(run_packet(e, fd, 64, 0), 66);
	struct bpf_prog_info i = {0};
	u32 ids[2] = {0};
	i.nr_map_ids = 2, i.map_ids = PTR(ids);
	EXPECT_EQ(BPF(e, BPF_OBJ_GET_INFO_BY_FD, .info = {.bpf_fd = fd, .info_len = sizeof i, .info = PTR(&i)}), 0);
	EXPECT_EQ(i.nr_map_ids, 1);
	EXPECT_EQ(ids[0], id_of(e, map));
	EXPECT_STR(i.name, "test");
	/* The pinned program keeps its map although the map's own pin goes. */
	EXPECT_EQ(engine_unpin(e, "map"), 0);
	close(map), close(fd);
	engine_collect(e);
	engine_destroy(e);
	e = engine();
	fd = get(e, "prog");
	EXPECT_EQ(run_packet(e, fd, 64, 0), 66);
	close(fd);
	EXPECT_EQ(engine_unpin(e, "prog"), 0);
	engine_collect(e);
	EXPECT_EQ(objects_left(), 0);
	engine_destroy(e);
}

/* A prog_array and its programs name each other; opened elsewhere they still do. */
static int tail_maker(void) {
	struct skep_engine *e = engine();
	int array = make_map(e, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0);
	int caller = LOAD(e, BPF_PROG_TYPE_XDP, MAP_FD(2, array), MOV(3, 1), CALL(BPF_FUNC_tail_call), MOV(0, 1), EXIT);
	int callee = LOAD(e, BPF_PROG_TYPE_XDP, MOV(0, 77), EXIT);
	u32 k = 1;
	int err = update(e, array, &k, &callee, 0);
	k = 0;
	err |= update(e, array, &k, &caller, 0);
	err |= pin(e, array, "array") | pin(e, caller, "caller");
	return err || run_packet(e, caller, 64, 0) != 77;
}
static void pinned_tail_calls(void) {
	EXPECT_EQ(in_child(tail_maker), 0);
	struct skep_engine *e = engine();
	int caller = get(e, "caller");
	EXPECT_EQ(run_packet(e, caller, 64, 0), 77);
	close(caller);
	EXPECT_EQ(engine_unpin(e, "caller"), 0);
	int array = get(e, "array");
	u32 k = 1, id = 0;
	EXPECT_EQ(lookup(e, array, &k, &id), 0);
	EXPECT(id > 0);
	close(array);
	EXPECT_EQ(engine_unpin(e, "array"), 0);
	engine_collect(e);
	EXPECT_EQ(objects_left(), 0);
	engine_destroy(e);
}

static int many_objects(void) {
	struct skep_engine *e = engine();
	for (u32 i = 0; i < 5; i++) {
		int map = make_map(e, i & 1 ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY, 4, 8, 100, i & 1 ? 0 : BPF_F_MMAPABLE);
		LOAD(e, BPF_PROG_TYPE_XDP, MAP_FD(1, map), MOV(0, 2), EXIT);
	}
	return raise(SIGKILL);
}
static void killed(void) {
	EXPECT_EQ(in_child(many_objects), 1000 + SIGKILL);
	EXPECT(objects_left() >= 20);
	/* The rest of a crash in the middle of creation. */
	char path[128];
	snprintf(path, sizeof path, "%s/objects/7777.bpf-map", test_dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof path, "%s/objects/7777.tmp", test_dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	struct skep_engine *e = engine();
	EXPECT_EQ(objects_left(), 0);
	engine_destroy(e);
}

/* Another process's descriptor keeps an object when its maker is gone. */
static int sockets[2];
static int send_map(void) {
	struct skep_engine *e = engine();
	int map = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0);
	u32 k = 3;
	u64 v = 88;
	char c = 0, control[CMSG_SPACE(sizeof map)] = {0};
	struct iovec iov = {&c, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof map);
	memcpy(CMSG_DATA(h), &map, sizeof map);
	return update(e, map, &k, &v, 0) || sendmsg(sockets[1], &m, 0) != 1;
}
static void passed(void) {
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	EXPECT_EQ(in_child(send_map), 0);
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&c, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	EXPECT_EQ(recvmsg(sockets[0], &m, 0), 1);
	int map;
	memcpy(&map, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof map);
	struct skep_engine *e = engine();
	u32 k = 3;
	u64 v = 0;
	EXPECT_EQ(lookup(e, map, &k, &v), 0);
	EXPECT_EQ(v, 88);
	/* Another file of the same file system is no map. */
	int other = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	EXPECT_EQ(lookup(e, other, &k, &v), -EINVAL);
	close(other), close(map), close(sockets[0]), close(sockets[1]);
	engine_collect(e);
	EXPECT_EQ(objects_left(), 0);
	engine_destroy(e);
}

/* Its holder cuts a token off: an error, not a signal. */
static void cut_off(void) {
	struct skep_engine *e = engine();
	int map = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 4096, 64, BPF_F_MMAPABLE);
	static u8 v[4096];
	u32 k = 50;
	EXPECT_EQ(update(e, map, &k, v, 0), 0);
	EXPECT_EQ(ftruncate(map, 0), 0);
	EXPECT_EQ(lookup(e, map, &k, v), -EFAULT);
	EXPECT_EQ(update(e, map, &k, v, 0), -EFAULT);
	close(map);
	engine_destroy(e);
	EXPECT_EQ(objects_left(), 0);
}

static int create_in(const char *dir) {
	struct engine_opts o = {.size = sizeof o, .backing = BACKING_FILES, .directory = dir, .log = print_log};
	struct skep_engine *e = NULL;
	int err = engine_create(&o, &e);
	engine_destroy(e);
	return err;
}
static void not_private(void) {
	char dir[96], link[128];
	snprintf(dir, sizeof dir, "/dev/shm/skep-hostile-%d", getpid());
	snprintf(link, sizeof link, "%s/link", dir);
	EXPECT_EQ(mkdir(dir, 0755), 0);
	EXPECT_EQ(create_in(dir), -EPERM);
	EXPECT_EQ(chmod(dir, 0700), 0);
	EXPECT_EQ(symlink("/tmp", link), 0);
	EXPECT(create_in(link) == -ELOOP || create_in(link) == -ENOTDIR);
	EXPECT_EQ(create_in("/proc/no/such"), -ENOENT);
	if (!geteuid()) {
		EXPECT_EQ(chown(dir, 12345, 0), 0);
		EXPECT_EQ(create_in(dir), -EPERM);
		EXPECT_EQ(chown(dir, 0, 0), 0);
	}
	EXPECT_EQ(create_in(dir), 0);
	snprintf(link, sizeof link, "rm -rf %s", dir);
	EXPECT_EQ(system(link), 0);
}

/* Damaged records lead to errors. */
static void damaged(void) {
	EXPECT_EQ(in_child(maker), 0);
	char path[128];
	struct skep_engine *e = engine();
	union bpf_attr a = {.start_id = 0};
	EXPECT_EQ(skep_bpf(e, BPF_PROG_GET_NEXT_ID, &a, sizeof a), 0);
	u32 id = a.next_id;
	snprintf(path, sizeof path, "%s/objects/%u.facts", test_dir, id);
	int fd = open(path, O_RDWR);
	EXPECT(fd >= 0);
	u8 saved[1024], bad[1024];
	ssize_t n = pread(fd, saved, sizeof saved, 0);
	EXPECT(n > 200);
	for (u32 round = 0; round < 3000; round++) {
		memcpy(bad, saved, n);
		for (u32 j = 0; j < 1 + round % 3; j++) /* behind magic and version */
			bad[8 + (round * 2654435761u >> 5 ^ j * 40503u) % (n - 8)] ^= 1u << (round + j) % 8;
		EXPECT_EQ(pwrite(fd, bad, n, 0), n);
		int prog = get(e, "prog");
		if (prog >= 0) {
			EXPECT(run_packet(e, prog, 64, 0) != -EFAULT);
			close(prog);
		}
		EXPECT_EQ(pwrite(fd, saved, n, 0), n);
		engine_collect(e);
	}
	EXPECT_EQ(ftruncate(fd, 100), 0);
	EXPECT(get(e, "prog") < 0);
	close(fd);
	EXPECT_EQ(engine_unpin(e, "prog"), 0);
	EXPECT_EQ(engine_unpin(e, "map"), 0);
	engine_destroy(e);
	e = engine();
	EXPECT_EQ(objects_left(), 0);
	engine_destroy(e);
}

/* A directory of one MiB. */
static const char *no_mount;
static void write_file(const char *path, const char *text) {
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}
/* Root of a user and mount namespace of its own. */
static bool own_namespace(void) {
	char map[32];
	u32 uid = geteuid(), gid = getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
	return !geteuid();
}
static int fill_up(void) {
	char dir[] = "/tmp/skep-full-XXXXXX", options[] = "size=1m,mode=0700";
	if (!own_namespace() || !mkdtemp(dir))
		return 77;
	if (mount("skep", dir, "tmpfs", 0, options))
		return rmdir(dir), 77;
	struct engine_opts o = {.size = sizeof o, .backing = BACKING_FILES, .directory = dir, .log = print_log};
	struct skep_engine *e;
	if (engine_create(&o, &e))
		return 2;
	snprintf(test_dir, sizeof test_dir, "%s", dir);
	int fds[64], n = 0, status = 0;
	while (n < 64 && (fds[n] = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 8192, n & 1 ? BPF_F_MMAPABLE : 0)) >= 0)
		n++;
	struct engine_problem why = {0};
	if (n == 64 || n < 5 || fds[n] != -ENOMEM)
		status = 3;
	else if (!engine_explain(e, &why) || !strstr(why.sentence, "full"))
		status = 4;
	else if (objects_left() != 2 * n + n / 2 + n % 2) /* token, facts, and an area for every second */
		status = 5;
	printf("# %d maps of 64 KiB, then: %s\n", n, why.sentence);
	/* What is there works on, and what is given back can be used. */
	u32 k = 8191;
	u64 v = 1;
	for (int i = 0; i < n && !status; i++)
		if (update(e, fds[i], &k, &v, 0))
			status = 6;
	if (n)
		close(fds[--n]);
	int sparse = -1;
	engine_collect(e);
	if (!status && (fds[n] = make_map(e, BPF_MAP_TYPE_HASH, 4, 8, 16, 0)) < 0)
		status = 7;
	if (!status && (sparse = make_map(e, BPF_MAP_TYPE_ARRAY, 4, 8, 16 << 20, 0)) < 0)
		status = 8; /* beyond the limit memory is not committed */
	struct engine_map *m = status ? NULL : engine_map_get(e, sparse);
	if (m && m->committed)
		status = 9;
	if (m)
		engine_map_put(e, m);
	engine_destroy(e);
	fflush(stdout);
	return status;
}
static void full(void) {
	int status = in_child(fill_up);
	if (status == 77)
		no_mount = "this user may not mount in a namespace of its own";
	else
		EXPECT_EQ(status, 0);
}

int main(void) {
	engine_destroy(engine());
	RUN(pinned_program);
	RUN(pinned_tail_calls);
	RUN(killed);
	RUN(passed);
	RUN(cut_off);
	RUN(not_private);
	RUN(damaged);
	RUN(full);
	if (no_mount)
		SKIP("full", no_mount);
	remove_test_dir();
	return test_end();
}
