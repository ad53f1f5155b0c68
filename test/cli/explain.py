#!/usr/bin/env python3
"""skep explain: the C of every page that C provokes is compiled and verified. The bad one must be refused with its code, the
good one must verify. «c16» needs a newer clang than Debian 12's. Prints TAP.
Usage: explain.py SKEP INCLUDE [CODE ...], in a folder of its own."""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

skep, include, only = sys.argv[1], sys.argv[2], sys.argv[3:]
newer = shutil.which("clang-19") or shutil.which("clang-16")
clang = newer or "clang"
run = lambda *words: subprocess.run(words, capture_output=True, text=True)
pages = json.loads(run(skep, "explain", "--list", "--json").stdout)
pages = [p for p in pages if not only or p["code"] in only]
# vmlinux.h is made by skep when it first compiles something
with open("first.bpf.c", "w") as f:
    f.write('#include "vmlinux.h"\nint none;\n')
run(skep, "verify", "first.bpf.c")
cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")) + "/skep"
vmlinux = [at for at, _, names in os.walk(cache) if "vmlinux.h" in names][0]
flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-Wno-everything", "-I", vmlinux, "-I", include,
         "-idirafter", "/usr/include/x86_64-linux-gnu"]
# What all have in common is compiled once.
sources = [(p, kind) for p in pages for kind in ("bad", "good") if p[kind]]
head = sources[0][0][sources[0][1]].split("struct {", 1)[0] if sources else ""
with open("head.h", "w") as f:
    f.write(head)
pch = run(clang, *flags, "-x", "c-header", "head.h", "-o", "head.pch")


def make(item):
    page, kind = item
    name = f"{page['code']}.{kind}"
    assert page[kind].startswith(head)
    with open(name + ".c", "w") as f:
        f.write(page[kind][len(head):])
    made = run(clang, *flags, "-include-pch", "head.pch", "-c", name + ".c", "-o", name + ".o")
    return name, made.returncode, made.stderr


with concurrent.futures.ThreadPoolExecutor(2) as pool:
    made = {name: (code, text) for name, code, text in pool.map(make, sources)}
objects = [name + ".o" for name, (code, _) in made.items() if code == 0]
rows = json.loads(run(skep, "verify", "--json", *objects).stdout or "[]") if objects else []
n = bad = 0
counts = {}


def report(ok, name, why):
    global n, bad
    n += 1
    print(f"{'ok' if ok else 'not ok'} {n} - {name}" + ("" if ok else f"\n# {why}"))
    bad |= not ok


for p in pages:
    code, how = p["code"], p["provoked_by"]
    counts[how] = counts.get(how, 0) + 1
    if how == "c16" and not newer:
        report(True, f"{code} # SKIP needs clang 16", "")
        continue
    if how not in ("c", "c16"):
        report(how in ("asm", "loader", "reserved") and bool(p["text"]), f"{code}: why no C provokes it", f"«{how}», {p['text']}")
        continue
    for kind in ("bad", "good"):
        name = f"{code}.{kind}"
        if not p[kind]:
            report(False, name, "there is no such example")
        elif made[name][0]:
            report(False, name, made[name][1].replace("\n", "\n# "))
        else:
            mine = [r for r in rows if r["file"] == name + ".o"]
            if any(r["verdict"] == "unknown" and not os.access("/sys/kernel/btf/vmlinux", os.R_OK) for r in mine):
                report(True, f"{name} # SKIP needs the kernel's types", "")
                continue
            got = [r.get("problem", {}).get("code") for r in mine if r["verdict"] != "success"]
            if kind == "bad":
                report(got and all(g == code for g in got), name, f"{[(r['verdict'], r.get('problem')) for r in mine]}"[:600])
            else:
                report(mine and not got, name, f"{[(r['verdict'], r.get('problem')) for r in mine]}"[:600])
print(f"1..{n}")
print("# codes: " + ", ".join(f"{how} {k}" for how, k in sorted(counts.items(), key=str)))
sys.exit(bad)
