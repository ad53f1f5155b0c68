/* What can go wrong around a launch: commands that cannot be hooked run as without skep, and the report says why; nothing
 * that skep leaves out stays silent. */
#include "common.h"
#include "test.h"
#include <asm/unistd.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *folder;
static char directory[] = "/tmp/skep-traps-XXXXXX";
static const struct setup enter_all = {LAUNCH_ENTER, LAUNCH_CTX_TRACEPOINT, -1};
#define RUN_COMMAND(...) common_run((char *[]){__VA_ARGS__, NULL}, enter_all)

static u64 unhooked(void) {
	return last.unhooked_setuid + last.unhooked_32bit + last.unhooked_traced + last.unhooked_other;
}
static const char *in_directory(const char *name) {
	static char path[4][128];
	static int n;
	char *p = path[n++ % 4];
	snprintf(p, sizeof path[0], "%s/%s", directory, name);
	return p;
}
static void write_file(const char *path, const void *bytes, size_t n, mode_t mode) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	EXPECT(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	if (fd >= 0)
		close(fd);
	chmod(path, mode);
}

/* Without skep: the same status, and its output. */
static int run_native(char *const argv[], char *to, size_t room) {
	int saved = dup(1), out = open(in_directory("native"), O_RDWR | O_CREAT | O_TRUNC, 0600), status = -1;
	fflush(stdout);
	dup2(out, 1);
	pid_t pid = fork();
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	dup2(saved, 1), close(saved);
	ssize_t n = pread(out, to, room - 1, 0);
	to[n < 0 ? 0 : n] = 0;
	close(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- commands that are none, and ends ---------------------------------------------------------------------------- */

static void no_such_command(void) {
	EXPECT_EQ(RUN_COMMAND("skep-no-such-command"), -ENOENT);
	EXPECT(strstr(last_error, "skep-no-such-command") && strstr(last_error, "not found"));
	EXPECT_EQ(RUN_COMMAND("/nonexistent/command"), -ENOENT);
	EXPECT_EQ(RUN_COMMAND("/etc/passwd"), -EACCES);
	EXPECT_EQ(RUN_COMMAND("/tmp"), -EACCES);
	write_file(in_directory("garbage"), "\x7f" "ELF garbage", 11, 0755);
	EXPECT(RUN_COMMAND((char *)in_directory("garbage")) != 0);
}
static void ends(void) {
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "exit 0"), 0);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "exit 42"), 42);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "kill -TERM $$"), 128 + 15);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "kill -SEGV $$"), 128 + 11);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "exec sh -c 'exec sh -c \"exit 9\"'"), 9);
	EXPECT_EQ(unhooked(), 0);
	EXPECT_EQ(last.execs, 3);
	write_file(in_directory("script"), "#!/bin/sh\nexit 5\n", 17, 0755);
	EXPECT_EQ(RUN_COMMAND((char *)in_directory("script")), 5);
	EXPECT_EQ(unhooked(), 0);
	write_file(in_directory("headless"), "exit 6\n", 7, 0755);
	EXPECT_EQ(RUN_COMMAND((char *)in_directory("headless")), 6);
}

/* ---- what is not hooked ------------------------------------------------------------------------------------------ */

static void set_uid(void) {
	char command[300];
	if (geteuid()) {
		SKIP("set_uid", "needs root");
		return;
	}
	snprintf(command, sizeof command, "cp /usr/bin/id %s && chown 65534:65534 %s && chmod 4755 %s", in_directory("su"),
	         in_directory("su"), in_directory("su"));
	EXPECT_EQ(RUN_COMMAND("sh", "-c", command), 0);
	char alone[64], twice[64];
	run_native((char *[]){(char *)in_directory("su"), "-u", NULL}, alone, sizeof alone); /* nosuid may be in force */
	snprintf(twice, sizeof twice, "%.20s%.20s", alone, alone);
	EXPECT_EQ(RUN_COMMAND((char *)in_directory("su"), "-u"), 0);
	EXPECT_STR(output, alone); /* it has its privilege */
	EXPECT_EQ(last.unhooked_setuid, 1);
	EXPECT(strstr(last.first_unhooked, "privilege"));
	snprintf(command, sizeof command, "%s -u; %s -u", in_directory("su"), in_directory("su"));
	EXPECT_EQ(RUN_COMMAND("sh", "-c", command), 0);
	EXPECT_STR(output, twice);
	EXPECT_EQ(last.unhooked_setuid, 2);
	if (!access("/usr/bin/python3", X_OK)) { /* by descriptor: fexecve */
		snprintf(command, sizeof command, "import os; os.execve(os.open('%s', os.O_PATH), ['su', '-u'], {})", in_directory("su"));
		EXPECT_EQ(RUN_COMMAND("/usr/bin/python3", "-c", command), 0);
		EXPECT_STR(output, alone);
		EXPECT_EQ(last.unhooked_setuid, 1);
	}
	snprintf(command, sizeof command, "#!%s -u\n", in_directory("su"));
	write_file(in_directory("suscript"), command, strlen(command), 0755);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", (char *)in_directory("suscript")), 1); /* id: no such user */
	EXPECT_EQ(last.unhooked_setuid, 1);
}

/* A static 32-bit program: mov $1,%eax; mov $7,%ebx; int $0x80. */
static void narrow(void) {
	struct {
		Elf32_Ehdr h;
		Elf32_Phdr p;
		u8 code[12];
	} e = {.h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1}, .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1,
	             .e_entry = 0x8048000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr), .e_phoff = sizeof(Elf32_Ehdr),
	             .e_ehsize = sizeof(Elf32_Ehdr), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1},
	       .p = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x8048000, .p_filesz = sizeof e, .p_memsz = sizeof e,
	             .p_align = 4096},
	       .code = {0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80}};
	write_file(in_directory("narrow"), &e, sizeof e, 0755);
	char nothing[8];
	if (run_native((char *[]){(char *)in_directory("narrow"), NULL}, nothing, sizeof nothing) != 7) {
		SKIP("narrow", "no 32-bit programs here");
		return;
	}
	EXPECT_EQ(RUN_COMMAND("sh", "-c", (char *)in_directory("narrow")), 7);
	EXPECT_EQ(last.unhooked_32bit, 1);
	EXPECT_EQ(RUN_COMMAND((char *)in_directory("narrow")), 7);
	EXPECT_EQ(last.unhooked_32bit, 1);
}

static void traced(void) {
	char path[4096];
	snprintf(path, sizeof path, "%s/tracer", folder);
	EXPECT_EQ(RUN_COMMAND(path), 0);
	EXPECT(!strstr(output, "bad"));
	EXPECT_EQ(last.unhooked_traced, 1);
}

static void filtered(void) {
	static const char *const forms[] = {"", ".static", ".musl", ".musl-static"};
	for (u32 i = 0; i < ARRAY_SIZE(forms); i++) {
		char path[4096], *line = output;
		int pid, nr;
		long n;
		snprintf(path, sizeof path, "%s/filter%s", folder, forms[i]);
		if (access(path, X_OK))
			continue;
		EXPECT_EQ(RUN_COMMAND(path), 0);
		EXPECT(!strstr(output, "bad"));
		for (; sscanf(line, "count %d %d %ld", &pid, &nr, &n) == 3; line = strchr(line, '\n') + 1)
			EXPECT_EQ(common_counted((u32)pid, (u32)nr), n);
		EXPECT(line != output);
	}
}

/* No room for skep's files or memory: the program runs. */
static void limits(void) {
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "ulimit -n 4; exec /bin/true"), 0);
	EXPECT_EQ(last.unhooked_other, 1);
	EXPECT(last.first_unhooked[0]);
	EXPECT_EQ(RUN_COMMAND("sh", "-c", "ulimit -v 9000; exec /bin/true"), 0);
	EXPECT_EQ(last.unhooked_other, 1);
}

/* ---- namespaces, other users ------------------------------------------------------------------------------------- */

static void other_worlds(void) {
	static char *const worlds[][12] = {
	    {"unshare", "-p", "-f", "sh", "-c", "ls / >/dev/null; exec ls /"},
	    {"unshare", "-U", "-r", "-p", "-f", "sh", "-c", "ls / >/dev/null; exec ls /"},
	    {"unshare", "-m", "sh", "-c", "ls / >/dev/null; exec ls /"},
	    {"chroot", "/", "sh", "-c", "ls / >/dev/null; exec ls /"},
	    {"setpriv", "--reuid=65533", "--clear-groups", "sh", "-c", "ls / >/dev/null; exec ls /"},
	};
	for (u32 i = 0; i < ARRAY_SIZE(worlds); i++) {
		int status = common_run((char *const *)worlds[i], enter_all);
		if (status) {
			printf("# %s %s: not permitted here (%d)\n", worlds[i][0], worlds[i][1], status);
			continue;
		}
		u64 opens = 0;
		for (u32 k = 0; k < PIDS; k++)
			opens += counts[k].by_nr[__NR_getdents64];
		if (unhooked())
			printf("# %s %s: %s\n", worlds[i][0], worlds[i][1], last.first_unhooked);
		else
			EXPECT_EQ(opens, 4); /* two listings */
	}
}

/* ---- ends and beyond --------------------------------------------------------------------------------------------- */

static void descendants(void) {
	char command[400];
	snprintf(command, sizeof command, "(sleep 0.3; /bin/true && ls / >/dev/null && echo fine > %s) & exit 3", in_directory("late"));
	EXPECT_EQ(RUN_COMMAND("sh", "-c", command), 3);
	char text[16] = "";
	for (int i = 0; i < 100 && !text[0]; i++) {
		struct timespec t = {0, 50000000};
		nanosleep(&t, NULL);
		int fd = open(in_directory("late"), O_RDONLY);
		if (fd >= 0 && read(fd, text, sizeof text - 1) < 0)
			text[0] = 0;
		if (fd >= 0)
			close(fd);
	}
	EXPECT_STR(text, "fine\n");
}

/* The same output and status as without skep. */
static void programs(void) {
	static const char *const lines[] = {
	    "echo hello | sed s/l/L/ | tr o 0; ls / | wc -l",
	    "tar cf - /etc/apt 2>/dev/null | tar tf - | sort | md5sum",
	    "printf 'int main(void){return 3;}' > $D/x.c && cc -o $D/x $D/x.c && $D/x; echo $?",
	    "cd $D && git init -q g && cd g && echo a > f && git add f && git -c user.name=a -c user.email=b commit -qm c && git ls-files",
	    "python3 -c 'import threading,queue\nq=queue.Queue()\nt=[threading.Thread(target=lambda i=i:q.put(i)) for i in range(20)]\n"
	    "[x.start() for x in t]; [x.join() for x in t]; print(sum(q.get() for x in t))'",
	    "python3 -c 'import multiprocessing as m\nwith m.Pool(3) as p: print(sum(p.map(abs, range(-50,50))))'",
	    "python3 -c 'import asyncio\nasync def f(i):\n await asyncio.sleep(0.001)\n return i\n"
	    "async def g(): print(sum(await asyncio.gather(*[f(i) for i in range(100)])))\nasyncio.run(g())'",
	    "trap 'echo caught' USR1; kill -USR1 $$; kill -USR1 $$; echo done",
	    "seq 1000 | xargs -n 50 -P 4 echo | wc -w",
	};
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
		static char native[sizeof output], command[4096];
		char *argv[] = {"bash", "-c", command, NULL};
		snprintf(command, sizeof command, "D=$(mktemp -d); cd /; { %s\n} 2>&1; s=$?; rm -rf $D; exit $s", lines[i]);
		char *wrapped[] = {"timeout", "60", "bash", "-c", command, NULL};
		int status = run_native(wrapped, native, sizeof native);
		int hooked = common_run(argv, enter_all);
		EXPECT_EQ(hooked, status);
		EXPECT_STR(output, native);
		EXPECT_EQ(unhooked(), 0);
		if (unhooked())
			printf("# %s\n", last.first_unhooked);
	}
}

int main(int argc, char **argv) {
	folder = argc > 1 ? argv[1] : ".";
	if (!mkdtemp(directory))
		return 2;
	chmod(directory, 0755);
	common_make_map();
	RUN(no_such_command);
	RUN(ends);
	RUN(set_uid);
	RUN(narrow);
	RUN(traced);
	RUN(filtered);
	RUN(limits);
	RUN(other_worlds);
	RUN(descendants);
	RUN(programs);
	pid_t pid = fork();
	if (!pid) {
		execlp("rm", "rm", "-rf", directory, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return test_end();
}
