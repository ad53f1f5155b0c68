#!/usr/bin/env python3
"""test_verifier on the kernel and on skep, test by test.

    verifier_compare.py [--all] [--privileged] [--known FILE] NAME KERNEL SKEP

KERNEL and SKEP are what the two runs printed, with the judgements that interpose.c noted among it. A test is named by its
number and p (privileged) or u (not), as the program names it. Kinds of differences, the first that applies:

    accepted   skep loads what the kernel refuses: never a known one
    verdict    skep refuses what the kernel loads, or makes no map that the kernel makes
    message    both refuse: another errno or another line
    result     a run gives another value, or is refused
    outcome    the program itself counts it otherwise (passed, failed, skipped)

FILE has a line «NAME number kind» for each difference that is known, with its reason above. Any other difference is a
failure; so is a known one that is gone. What skep's verifier says that it does not understand yet counts as verdict."""
import re
import sys


def tests(path):
    """number/u → (judgements, outcome, description)"""
    found, name = {}, None
    for line in open(path, errors="replace"):
        line = line.rstrip("\n")
        start = re.match(r"#(\d+/[pu]) (.*)", line)
        if start:
            name = start[1]
            found[name] = [[], "", start[2]]
        if name is None:
            continue
        if line.startswith("@ "):
            found[name][0].append(line[2:])
        elif "SKIP" in line:
            found[name][1] = "skipped"
        elif re.search(r"(^| )FAIL", line):
            found[name][1] = "failed"
        elif re.search(r"(^| )OK( \(NOTE|$)", line) and not found[name][1]:
            found[name][1] = "passed"
    return found


def difference(kernel, skep, privileged):
    for theirs, ours in zip(kernel[0], skep[0]):
        if theirs == ours:
            continue
        what, error = theirs.split(" ")[:2]
        if theirs == "load -1 " and privileged:
            return None  # the kernel does not judge programs of this type here
        if what != ours.split(" ")[0]:
            return "verdict", theirs, ours
        our_error = ours.split(" ")[1]
        if error != "0" and our_error == "0" and what == "load":
            return "accepted", theirs, ours
        if error == "0" and our_error != "0" and what != "run":
            return "verdict", theirs, ours
        if what == "run" and error == our_error:
            continue  # addresses, and uninitialised stack; what is expected of the value is the outcome's matter
        return "result" if what == "run" else "message", theirs, ours
    if len(kernel[0]) != len(skep[0]):
        return "verdict", "; ".join(kernel[0]), "; ".join(skep[0])
    if kernel[1] != skep[1]:
        return "outcome", kernel[1], skep[1]
    return None


def main(args):
    known, show_all, privileged_only = set(), False, False
    while args and args[0].startswith("--"):
        option = args.pop(0)
        if option == "--all":
            show_all = True
        elif option == "--privileged":
            privileged_only = True
        else:
            known = {tuple(l.split()[:3]) for l in open(args.pop(0)) if l.strip() and l[0] != "#"}
    name, kernel, skep = args[0], tests(args[1]), tests(args[2])
    counts, new, met = {}, 0, set()
    for number, theirs in kernel.items():
        if privileged_only and number.endswith("/u"):
            continue
        found = difference(theirs, skep.get(number, [["none"], "missing", ""]), number.endswith("/p"))
        if not found:
            continue
        kind, a, b = found
        counts[kind] = counts.get(kind, 0) + 1
        row = (name, number, kind)
        met.add(row)
        is_known = row in known and kind != "accepted"
        new += not is_known
        if not is_known or show_all:
            print(f"# {name} {number} {kind}{' (known)' if is_known else ''}: {theirs[2].split(' @')[0][:90]}")
            print(f"#   kernel: {a[:300]}\n#   skep:   {b[:300]}")
    gone = sorted(r for r in known if r[0] == name and r not in met)
    for row in gone:
        print(f"# {' '.join(row)}: known, but it does not differ any more")
    passed = [sum(t[1] == "passed" for t in side.values()) for side in (kernel, skep)]
    print(f"# {name}: {len(kernel)} tests, the kernel passes {passed[0]}, skep {passed[1]};",
          ", ".join(f"{k} {n}" for k, n in sorted(counts.items())) or "no difference")
    good = not new and not gone and len(kernel) > 500
    print(f"{'ok' if good else 'not ok'} - {name}: test_verifier on skep as on the kernel, but for the known differences")
    return not good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
