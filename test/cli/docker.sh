#!/bin/bash
# Under an emulation of container engines' default profile: 64 MiB of noexec /dev/shm, no XDG_RUNTIME_DIR, the profile's
# denials (test/targets/docker_profile.c), no new namespaces, few capabilities, and as PID 1. The programs of real_programs.sh
# give the same output and status there, and the counts are right.
. "${SRCDIR:=$PWD}/test/lib.sh"
own=$SRCDIR/test/cli/docker.sh
if [ "${1-}" = 1 ]; then # PID 1 of the container: its own skep, then the others
	mount -t proc proc /proc && mount -t tmpfs -o size=64m,noexec,nosuid,nodev,mode=1777 shm /dev/shm || exit 1
	caps=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap
	[ "$(id -u)" = 0 ] && drop="setpriv --bounding-set=$caps --inh-caps=-all" || drop=
	exec $drop "$2" bash "$own" 2
elif [ "${1-}" = 2 ]; then
	unset XDG_RUNTIME_DIR
	export XDG_CACHE_HOME=$work/cache
	t "the profile is in force" bash -c '! unshare -U true 2>/dev/null && ! mount -t tmpfs none /mnt 2>/dev/null'
	is "the script is PID 1" 1 $$
	cat >ppid.c <<'C'
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { for (int i = 0; i < 12345; i++) syscall(SYS_getppid); return 3; }
C
	t "the target compiles" gcc -O1 -o ppid ppid.c
	for form in "" -static; do
		gcc -O1 $form -o ppid ppid.c
		out=$($SKEP run $SRCDIR/examples/syscall_count.c --syscall getppid --json -- ./ppid 2>err)
		is "counts: status${form:+ (static)}" 3 $?
		is "counts${form:+ (static)}" 12345 "$(jq -s 'map(select(.map)) | [.[0].entries[].value] | add' <<<"$out")"
		is "nobody ran without hooks${form:+ (static)}" "" "$(grep 'without hooks' err)"
	done
	out=$($SKEP run $SRCDIR/examples/syscall_count.c --syscall getppid --json -- sh -c './ppid; ./ppid & wait; (./ppid); exit 4' 2>err)
	is "counts of descendants: status" 4 $?
	is "counts of descendants" "12345 12345 12345" "$(jq -r 'select(.map) | .entries[].value | select(. > 100)' <<<"$out" | xargs)"
	is "descendants are hooked" "" "$(grep 'without hooks' err)"
	out=$(SRCDIR=$SRCDIR bash $SRCDIR/test/cli/real_programs.sh 2>&1)
	while read -r line; do
		case $line in
		ok*) report ok "${line#*- }" ;;
		"not ok"*) report "not ok" "${line#*- }" ;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <<<"$out"
	like "all of them ran" '^1\.\.[0-9]+' "$out"
	# PID 1 itself is skep, and its command's orphans are its children.
	done_testing
fi
if ! grep -qs . /usr/include/seccomp.h; then
	skip "the Docker profile" "libseccomp-dev is missing"
	done_testing
fi
t "the profile compiles" gcc -O2 -Wall -o docker_profile $SRCDIR/test/targets/docker_profile.c -lseccomp
[ "$(id -u)" = 0 ] && how="unshare -mpf" || how="unshare -Urmpf"
if ! $how bash -c 'mount -t proc proc /proc && mount -t tmpfs shm /dev/shm' 2>/dev/null; then
	skip "the Docker profile" "this machine does not let its user make namespaces ($how)"
	done_testing
fi
# skep as PID 1: it is the one that waits for the command, and the command's orphans become its children.
status=$($how bash -c "mount -t proc proc /proc && mount -t tmpfs -o size=64m,noexec shm /dev/shm && unset XDG_RUNTIME_DIR && exec $work/docker_profile $SKEP run $SRCDIR/examples/syscall_count.c --syscall all --quiet -- sh -c '(sleep 0.1; exit 3) & exit 6'" >out 2>&1; echo $?)
is "skep as PID 1: status" 6 $status
is "skep as PID 1: nothing is said" "" "$(cat out)"
$how bash "$own" 1 "$work/docker_profile" >inside 2>&1
sed "s/^ok [0-9]*/ok/; s/^not ok [0-9]*/not ok/" inside | while read -r line; do
	case $line in
	ok*) echo "${line#ok - }" >>passed ;;
	"not ok"*) echo "${line#not ok - }" >>failed ;;
	*) echo "# $line" ;;
	esac
done
while read -r line; do report ok "$line"; done <passed
[ -e failed ] && while read -r line; do report "not ok" "$line"; done <failed
like "the container's tests ran to their end" '^1\.\.[0-9]+' "$(cat inside)"
done_testing
