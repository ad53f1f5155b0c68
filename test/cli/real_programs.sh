#!/bin/bash
# Real programs with all their system calls hooked give the same output and the same status as without.
. "${SRCDIR:=$PWD}/test/lib.sh"
cat >all.bpf.c <<'C'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, u32); __type(value, u64); __uint(max_entries, 512); } calls SEC(".maps");
SEC("tracepoint/raw_syscalls/sys_enter") int enter(struct trace_event_raw_sys_enter *c) {
	u32 nr = c->id; u64 *v = bpf_map_lookup_elem(&calls, &nr); if (v) __sync_fetch_and_add(v, 1); return 0; }
SEC("tracepoint/raw_syscalls/sys_exit") int leave(struct trace_event_raw_sys_exit *c) {
	u32 nr = c->id; u64 *v = bpf_map_lookup_elem(&calls, &nr); return v && *v == 0; }
char LICENSE[] SEC("license") = "GPL";
C
t "the program compiles" $SKEP prog load all.bpf.c /sys/fs/bpf/all

same() { # name command...
	local name=$1 a b sa sb
	shift
	a=$(timeout 60 "$@" 2>&1 </dev/null); sa=$?
	b=$(timeout 60 $SKEP run all.bpf.c --quiet -- "$@" 2>&1 </dev/null); sb=$?
	is "$name: status" $sa $sb
	is "$name: output" "$a" "$b"
}
same "shell" sh -c 'for i in 1 2 3; do echo $i | cat; done; cd /; ls | sort | head -3; (exit 5)'
same "bash job control" bash -c 'sleep 0.1 & wait $!; echo $?; trap "echo got" USR1; kill -USR1 $$; echo done'
same "a pipeline of 200 forks" bash -c 'for i in $(seq 200); do /bin/true; done; seq 1000 | sort -rn | head -2'
cat >threads.py <<'P'
import asyncio, hashlib, multiprocessing, subprocess, threading
def work(n): return hashlib.sha256(str(n).encode()).hexdigest()[:8]
out = [None] * 8
ts = [threading.Thread(target=lambda i=i: out.__setitem__(i, work(i))) for i in range(8)]
[x.start() for x in ts]; [x.join() for x in ts]; print(out)
with multiprocessing.Pool(3) as p: print(p.map(work, range(20)))
async def main():
    p = await asyncio.create_subprocess_exec("echo", "sub", stdout=subprocess.PIPE)
    print((await p.communicate())[0], await asyncio.gather(*[asyncio.sleep(0.01, i) for i in range(50)]))
asyncio.run(main())
print(subprocess.run(["sh", "-c", "exit 3"]).returncode)
P
same "python3: threads, multiprocessing, asyncio" $(command -v /usr/bin/python3 || command -v python3) threads.py
cat >hello.c <<'C'
#include <stdio.h>
int main(void) { puts("compiled"); return 4; }
C
same "gcc" sh -c 'gcc -O2 -Wall hello.c -o hello && ./hello'
same "git" sh -c 'rm -rf r && git init -q r && cd r && echo a >f && git add f && GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" git -c user.name=a -c user.email=a@b.c commit -qm x && git log --oneline'
same "tar" sh -c 'tar cf t.tar --sort=name --mtime=@0 -C / etc/passwd etc/group 2>/dev/null; tar tvf t.tar; gzip -c t.tar | tar xzO etc/passwd | wc -l'
command -v busybox >/dev/null && same "a static program" busybox sh -c 'busybox ls / | busybox sort | busybox head -4'
same "a failing command" ls /nonexistent
same "signals" bash -c 'kill -TERM $$'
[ -x /usr/bin/strace ] && is "a debugger below skep still works" "$(strace -f -c -o /dev/null sh -c 'echo ok'; echo $?)" "$($SKEP run all.bpf.c --quiet -- strace -f -c -o /dev/null sh -c 'echo ok' 2>/dev/null; echo $?)"
done_testing
