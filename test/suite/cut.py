#!/usr/bin/env python3
"""Finds BPF objects in the files of a folder, alone or inside other files (skeletons keep them as read-only data).

  cut.py FOLDER TO     writes each different one to TO/NAME.bpf.o, NAME from the file that has it and a number
"""
import hashlib
import os
import struct
import sys

MAGIC, EM_BPF = b"\x7fELF\x02\x01\x01", 247
ELF_HEADER, SECTION_HEADER, SHT_NOBITS = 64, 64, 8


def size_of(data, at):
    """Of the object that begins there, up to the last byte that its headers name; 0: there is none."""
    if len(data) - at < ELF_HEADER or struct.unpack_from("<H", data, at + 18)[0] != EM_BPF:
        return 0
    (sections,) = struct.unpack_from("<Q", data, at + 40)
    (count,) = struct.unpack_from("<H", data, at + 60)
    end = sections + count * SECTION_HEADER
    if at + end > len(data):
        return 0
    for i in range(count):
        header = at + sections + i * SECTION_HEADER
        (kind,) = struct.unpack_from("<I", data, header + 4)
        offset, size = struct.unpack_from("<QQ", data, header + 24)
        end = max(end, offset + size if kind != SHT_NOBITS else 0)
    return end if at + end <= len(data) else 0


def objects_in(data):
    at = data.find(MAGIC)
    while at >= 0:
        size = size_of(data, at)
        if size:
            yield data[at:at + size]
        at = data.find(MAGIC, at + 1)


def main(folder, to):
    seen = set()
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            stem = name.split(".")[0]
            for n, found in enumerate(objects_in(data)):
                digest = hashlib.sha256(found).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                with open(os.path.join(to, f"{stem}{'-%d' % n if n else ''}.bpf.o"), "wb") as f:
                    f.write(found)


main(sys.argv[1], sys.argv[2])
