"""What a text shows of a command's output is in the output: a word for readme.sh and examples.sh.

  shown.py README FOLDER       writes the README's blocks as FOLDER/N.sh and FOLDER/N.text
  shown.py EXAMPLE FOLDER      the same for the comment on top of an example: lines after «$ » are commands
  shown.py compare SHOWN GOT   prints each line that SHOWN has more often than GOT

Two lines are the same when they differ in numbers, sizes and white space only; a bar of a histogram may be there or not. A
text that shows no number shows no result, and no output has the shape of a text: both are reported, so that nothing passes
on nothing."""
import collections
import os
import re
import sys


def shape(line):
    line = re.sub(r" *[█▏▎▍▌▋▊▉]+$", "", line)
    line = re.sub(r"\d+(\.\d+)?[KMG]?\b", "N", line)
    line = re.sub(r"\bentry\b|\bentries\b", "E", line)
    return re.sub(r"\s+", " ", line).strip()


def missing(shown, got):
    have = collections.Counter(shape(line) for line in got)
    lines = [line for line in shown if shape(line)]
    for line in lines:
        key = shape(line)
        have[key] -= 1
        bucket = re.fullmatch(r"N\.\.N N", key)  # how many of these there are is the machine's affair
        if have[key] < 0 and not (bucket and have[key] > -len(lines) and any(shape(g) == key for g in got)):
            yield line


def compare(shown, got):
    if not any(re.search(r"\d", line) for line in shown):
        yield "(this text shows no number)"
    if not got or not list(missing(shown, [])):
        yield "(nothing is compared)"
    yield from missing(shown, got)


def readme_blocks(text):
    n = 0
    for kind, block in re.findall(r"```(sh|text)\n(.*?)```", text, re.S):
        n += kind == "sh"
        yield n, kind, block


def example_blocks(text):
    comment = text[: text.index("*/")]
    n, shown, was_command = 0, [], False
    for line in comment.split("\n")[1:]:
        command = re.match(r" \*   \$ (.*)", line)
        output = re.match(r" \*   (.*)", line)
        if command:
            n += not was_command
            yield n, "sh", command.group(1) + "\n"
        elif output:
            yield n, "text", output.group(1) + "\n"
        was_command = bool(command)


def write_blocks(path, folder):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for n, kind, block in (readme_blocks if path.endswith(".md") else example_blocks)(text):
        with open(os.path.join(folder, f"{n}.{kind}"), "a", encoding="utf-8") as f:
            f.write(block)


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().splitlines()


if sys.argv[1] == "compare":
    print("\n".join(compare(lines_of(sys.argv[2]), lines_of(sys.argv[3]))))
else:
    write_blocks(sys.argv[1], sys.argv[2])
