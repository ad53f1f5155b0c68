#!/bin/bash
# kill -9 at random moments, of skep and of what runs under it, several at once in one runtime directory: a program whose skep
# dies runs to its end unharmed, nobody is stuck, and after skep's next start nothing is left but what is pinned.
#   KILLS=3000 SEED=1 test/cli/kills.sh     more of them, reproducibly
. "${SRCDIR:=$PWD}/test/lib.sh"
: "${KILLS:=300}"
python=$(command -v /usr/bin/python3 || command -v python3)
cat >kills.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 512); } calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, __u32); __type(value, __u64); __uint(max_entries, 4096); } by_pid SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } events SEC(".maps");
struct enter { long long unused; long id; unsigned long args[6]; };
SEC("tracepoint/raw_syscalls/sys_enter") int enter(struct enter *c) {
	__u32 nr = c->id, pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *v = bpf_map_lookup_elem(&calls, &nr), one = 1, *e;
	if (v) __sync_fetch_and_add(v, 1);
	if ((v = bpf_map_lookup_elem(&by_pid, &pid))) __sync_fetch_and_add(v, 1);
	else bpf_map_update_elem(&by_pid, &pid, &one, BPF_ANY);
	if (!(nr & 3) && (e = bpf_ringbuf_reserve(&events, 8, 0))) { *e = nr; bpf_ringbuf_submit(e, 0); }
	return 0; }
char LICENSE[] SEC("license") = "GPL";
C
t "the target compiles" gcc -O2 -Wall -o busy $SRCDIR/test/targets/busy.c -pthread
t "the program compiles" clang -O2 -g -target bpf -idirafter /usr/include/x86_64-linux-gnu -c kills.bpf.c -o kills.bpf.o
t "something is pinned meanwhile" $SKEP prog load kills.bpf.o /sys/fs/bpf/kept
objects=$XDG_RUNTIME_DIR/skep/objects
before=$(ls $objects)
t "$KILLS kills" timeout 300 "$python" $SRCDIR/test/cli/kills.py "$KILLS" $SKEP kills.bpf.o "$work" ./busy 5

# Killed while it compiles as well: clang ends by itself, and no half of anything stays in /tmp or in the cache.
ls -d /tmp/skep-?????? >temporary.before 2>/dev/null
export XDG_CACHE_HOME=$work/fresh
for i in 1 2 3 4 5 6; do
	rm -rf "$XDG_CACHE_HOME"
	cp kills.bpf.c again.bpf.c
	$SKEP run again.bpf.c --quiet -- true >/dev/null 2>&1 &
	sleep 0.0$((i * 3))
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
done
sleep 0.5
t "the next start" $SKEP run again.bpf.c --quiet -- true
is "no temporary file is left" "$(cat temporary.before)" "$(ls -d /tmp/skep-?????? 2>/dev/null)"
is "no half of a header is left" "" "$(find "$XDG_CACHE_HOME" -name ".*")"
is "only what is pinned is left" "$before" "$(ls $objects)"
is "the pin opens" 0 "$($SKEP prog show pinned /sys/fs/bpf/kept >/dev/null 2>&1; echo $?)"
rm -f "$XDG_RUNTIME_DIR"/skep/pins/kept
t "one more start" $SKEP map show
is "without the pin nothing is left" "" "$(ls $objects)"
done_testing
