"""Kills skep, or what runs under it, at random moments, and looks at what is left.

usage: kills.py KILLS SKEP OBJECT FOLDER COMMAND...   (the command returns 7 and prints the same on every run)

Every worker is the reaper of its descendants (PR_SET_CHILD_SUBREAPER): whatever a trial leaves behind is its child, with
its true status. Prints one line for every finding and a line of totals at the end; status 1 when there was a finding."""
import ctypes, os, random, signal, subprocess, sys, time

WORKERS, BOUND, PR_SET_CHILD_SUBREAPER = 6, 20.0, 36
kills, skep, program, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]


def children(pid):
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        return [int(c) for t in tasks for c in open(f"/proc/{pid}/task/{t}/children").read().split()]
    except OSError:
        return []


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def words(pid, name):
    try:
        return open(f"/proc/{pid}/{name}", "rb").read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError as e:
        return e.strerror


def describe(pid):
    state = [line for line in words(pid, "status").split("\n") if line.startswith(("State", "TracerPid"))]
    return f"{pid} [{words(pid, 'cmdline')}] {state} call {words(pid, 'syscall')} wchan {words(pid, 'wchan')}"


def reap(until):
    """All children that end before that time, by pid."""
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid:
            ended[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > until:
            return ended
        else:
            time.sleep(0.002)


def start(path):
    """The command writes to path, skep to path.skep."""
    with open(path + ".skep", "wb") as out:
        return subprocess.Popen([skep, "run", "--json", program, "--", "sh", "-c", 'exec "$@" >"$0" 2>&1', path, *command],
                                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)


def take(path):
    """What was written there; the file goes."""
    try:
        with open(path, "rb") as f:
            text = f.read()
        os.unlink(path)
        return text
    except FileNotFoundError:
        return b""


def trial(rng, number, span, expected):
    """One kill. Returns (kind, finding or None)."""
    kind = rng.choice(["skep", "skep", "command", "descendant"])
    path = f"{folder}/out.{number}"
    p = start(path)
    time.sleep(rng.uniform(0, span * 0.8))
    victim = p.pid
    while kind != "skep":
        below = children(p.pid) if kind == "command" else descendants(p.pid)[1:]
        victim = rng.choice(below) if below else None
        if victim or p.poll() is not None:
            break
    if victim and p.returncode is None:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            victim = None
    began = time.monotonic()
    ended = reap(began + BOUND)
    stuck = [d for d in descendants(os.getpid())]
    finding = None
    if stuck:
        finding = f"after {BOUND:.0f} s there are still: " + "; ".join(describe(d) for d in stuck)
        for d in stuck:
            try:
                os.kill(d, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap(time.monotonic() + 2)
    status = ended.pop(p.pid, p.returncode)
    printed, said = take(path), take(path + ".skep")[-200:]
    if not finding and kind == "skep" and victim:
        others = list(ended.values())
        if status not in (-9, 7):
            finding = f"skep ended with {status}: {said}"
        elif any(s != 7 for s in others) or len(others) > 1:
            finding = f"the command ended with {others}, printed {printed[-300:]}"
        elif (others or status == 7) and printed != expected:
            finding = f"the command printed {printed[-300:]}"
        elif printed and printed != expected:
            finding = f"the command vanished, printed {printed[-300:]}"
    elif not finding and status not in ((7,) if not victim else (7, 9, 137)):
        finding = f"skep ended with {status} after a kill of {kind}: {said}, the command printed {printed[-300:]}"
    return (kind if victim else "nobody"), finding and f"trial {number}, {kind}: {finding}", time.monotonic() - began


def worker(seed, numbers, span, expected):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    rng = random.Random(seed)
    totals, longest, bad = {}, 0.0, 0
    numbers = list(numbers)
    while numbers and bad < 3:
        kind, finding, took = trial(rng, numbers[-1], span, expected)
        totals[kind], longest = totals.get(kind, 0) + 1, max(longest, took)
        if finding:
            bad += 1
            print(finding, flush=True)
        if kind == "nobody":  # it was over before: does not count, and the next moment is an earlier one
            span *= 0.9
        else:
            numbers.pop()
            span *= 1.01
    print(f"seed {seed}: {totals}, the longest way to the end {longest:.1f} s", flush=True)
    os._exit(1 if bad else 0)


def main():
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    expected = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
    spans = []
    for _ in range(2):
        began = time.monotonic()
        status = start(f"{folder}/out").wait()
        spans.append(time.monotonic() - began)
        printed, said = take(f"{folder}/out"), take(f"{folder}/out.skep")
        if status != 7 or printed != expected:
            print(f"without a kill: status {status}, printed {printed[-500:]}, skep said {said[-200:]}")
            return 1
    span = min(spans) * WORKERS / os.cpu_count()
    pids = []
    for w in range(WORKERS):
        pid = os.fork()
        if not pid:
            worker(seed + w, range(w, kills, WORKERS), span, expected)
        pids.append(pid)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)


sys.exit(main())
