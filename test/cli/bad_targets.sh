#!/bin/bash
# Commands and surroundings that are out of the ordinary: they behave as without skep, and what was not seen is said.
. "${SRCDIR:=$PWD}/test/lib.sh"
python=$(command -v /usr/bin/python3 || command -v python3)
export NO_COLOR=1
cat >count.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 512); } calls SEC(".maps");
SEC("tracepoint/raw_syscalls/sys_enter") int enter(long *c) {
	__u32 nr = c[1]; __u64 *v = bpf_map_lookup_elem(&calls, &nr); if (v) __sync_fetch_and_add(v, 1); return 0; }
char LICENSE[] SEC("license") = "GPL";
C
t "the program compiles" clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c count.bpf.c -o count.bpf.o
run="timeout 20 $SKEP run $work/count.bpf.o"
table='^calls \(array'

out=$($run -- true 2>&1); is "exits at once: status" 0 $?
like "exits at once: the table" "$table" "$out"
out=$($run -- sh -c 'exec sh -c "exec echo at last"' 2>&1); is "execs something else: status" 0 $?
like "execs something else: output" '^at last$' "$out"
[ "$(grep -cE '^ *59 ' <<<"$out")" = 1 ]; is "execs something else: execve is counted" 0 $?

# A program that gains privilege must gain it; nobody traces it.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && ! findmnt -no OPTIONS -T "$work" | grep -q nosuid; then
	cp "$(command -v id)" privileged && chmod 4755 privileged
	mkdir -m 700 users && chown 65534:65534 users && chmod 644 count.bpf.o
	cp "$SKEP" skep && chmod 755 skep
	out=$(XDG_RUNTIME_DIR=$work/users XDG_CACHE_HOME=$work/users timeout 20 setpriv --reuid=65534 --regid=65534 --clear-groups \
		./skep run count.bpf.o -- ./privileged -u 2>err)
	is "a set-uid program: status" 0 $?
	like "a set-uid program has its privilege" '^0$' "$out"
	like "a set-uid program: the report" 'without hooks: .*privilege' "$(cat err)"
	out=$(XDG_RUNTIME_DIR=$work/users XDG_CACHE_HOME=$work/users timeout 20 setpriv --reuid=65534 --regid=65534 --clear-groups \
		./skep run count.bpf.o -- sh -c './privileged -u; echo after' 2>err)
	is "a set-uid child has its privilege" "0 after" "$(grep -E '^(0|after)$' <<<"$out" | xargs)"
	like "a set-uid child: the report" 'without hooks: .*privilege' "$(cat err)"
else
	skip "a set-uid program" "it takes root and a file system that is not nosuid"
fi

# A 32-bit program by hand: exit(42) by int 0x80.
"$python" - <<'P'
import os, struct
code = bytes.fromhex("b801000000bb2a000000cd80")
at = 0x08048000
head = struct.pack("<4sBBBB8xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 2, 3, 1, at + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
load = struct.pack("<IIIIIIII", 1, 0, at, at, 84 + len(code), 84 + len(code), 5, 0x1000)
open("narrow", "wb").write(head + load + code)
os.chmod("narrow", 0o755)
P
./narrow 2>/dev/null
if [ $? = 42 ]; then
	out=$($run -- ./narrow 2>&1); is "a 32-bit program: status" 42 $?
	like "a 32-bit program: the report" 'without hooks: .*64-bit|32-bit' "$out"
	out=$($run -- sh -c './narrow; echo $?' 2>&1); like "a 32-bit child" '^42$' "$out"
else
	skip "a 32-bit program" "this kernel runs none"
fi

if command -v strace >/dev/null; then
	out=$($run -- strace -f -o strace.out sh -c '/bin/echo traced; exit 3' 2>err); is "traced children: status" 3 $?
	like "traced children: output" '^traced$' "$out"
	like "traced children: the tracer sees their calls" 'exit_group\(3\)' "$(cat strace.out)"
fi

$run --quiet -- sh -c 'exit 4' <&- >&- 2>&-; is "closed standard streams" 4 $?
cat <&- 2>/dev/null; native=$?
$run --quiet -- cat <&- 2>/dev/null; is "closed standard input: as without" $native $?
$run -- true >&- 2>err; is "closed standard output: status" 2 $?
like "closed standard output: the sentence" "could not be written" "$(cat err)"

# Ctrl-C on a terminal: the table is printed, and a command that ignores it goes on.
cat >terminal.py <<'P'
import os, pty, sys, time
pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
seen, sent = b"", False
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    if b"ready" in seen and not sent:
        time.sleep(0.2)
        os.write(fd, b"\x03")
        sent = True
print(seen.decode(errors="replace").replace("\r", ""), "status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
out=$(timeout 20 "$python" terminal.py $SKEP run count.bpf.o -- sh -c 'trap "" INT HUP; echo ready; sleep 1; touch went-on' 2>&1)
like "Ctrl-C: the table" "$table" "$out"
sleep 1.5
is "Ctrl-C: a command that ignores it goes on" 0 "$([ -e went-on ]; echo $?)"
out=$(timeout 20 "$python" terminal.py $SKEP run count.bpf.o -- sh -c 'echo ready; exec sleep 5' 2>&1)
like "Ctrl-C: the command ends, the table comes" "$table" "$out"

rm -f went-on
out=$($run --duration 1 -- sh -c 'sleep 2; /bin/echo on; touch went-on' 2>&1); is "--duration: status" 0 $?
like "--duration: the table" "$table" "$out"
sleep 2
is "--duration: the command goes on to its end" 0 "$([ -e went-on ]; echo $?)"

out=$(mkdir gone && cd gone && rmdir ../gone && $run --quiet -- echo here 2>&1); is "a deleted folder: status" 0 $?
is "a deleted folder: output" here "$out"
out=$(ulimit -n 12; $run --quiet -- echo few 2>&1); status=$?
[ $status = 0 ] && [ "$out" = few ] || { [ $status = 2 ] && [ "$(wc -l <<<"$out")" -le 3 ]; }
is "few descriptors: works, or one sentence ($status, ${out:0:100})" 0 $?
out=$($run --quiet -- sh -c 'ulimit -n 3; /bin/true; exit 6' 2>&1); is "a command with few descriptors" 6 $?
out=$(env -i PATH="$PATH" XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" $run -- echo homeless 2>&1); is "no HOME: status" 0 $?
like "no HOME: output" '^homeless$' "$out"

cat >strict.c <<'C'
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return 1;
	for (int i = 0; i < 10; i++) (void)!write(1, "strict\n", 7);
	syscall(SYS_exit, 5);
}
C
gcc -O1 -o strict strict.c
./strict >native; native=$?
out=$($run -- ./strict 2>err); is "strict seccomp: status" $native $?
is "strict seccomp: output" 10 "$(grep -c '^strict$' <<<"$out")"
if gcc -O1 -o own -x c - -lseccomp 2>/dev/null <<'C'
#include <seccomp.h>
#include <unistd.h>
int main(void) {
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ok[] = {SCMP_SYS(write), SCMP_SYS(exit_group), SCMP_SYS(execve)};
	for (int i = 0; i < 3; i++) seccomp_rule_add(f, SCMP_ACT_ALLOW, ok[i], 0);
	if (seccomp_load(f)) return 1;
	for (int i = 0; i < 10; i++) (void)!write(1, "own\n", 4);
	execl("/does/not/exist", "x", NULL);
	_exit(5);
}
C
then
	out=$($run -- ./own 2>err); is "a filter of its own that kills: status" 5 $?
	is "a filter of its own that kills: output" 10 "$(grep -c '^own$' <<<"$out")"
else
	skip "a filter of its own" "libseccomp-dev is missing"
fi
is "nothing is left" "" "$($SKEP map show 2>&1; ls "$XDG_RUNTIME_DIR"/skep/objects)"
done_testing
