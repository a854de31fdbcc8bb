# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's series as QEMU's maintainers would try it."""

import re

from lab import machine, paths, sources, tree

NEXT = paths.LAB / "lists/next-qemu.tsv"


def newer():
    """(version of a newer QEMU, {(patch, file): hunks that it does not take,
    as "N of M"})."""
    source = machine.unpack("machine.next", "next")
    bad = tree.Tree(source, machine.TOP / "next.none", machine.overlay(),
                    machine.SERIES).misfits()
    out = {}
    for line in bad:
        m = re.match(r"(\S+): (\S+): (\d+) out of (\d+) hunks? ", line)
        if m:
            out[m[1], m[2]] = f"{m[3]} of {m[4]}"
        else:
            out[tuple(line.split(": ", 2)[:2])] = "all"
    return sources.rows("machine.next")[0].version, out


def listed(text=None):
    """(version, misfits as newer()'s) of the list; a line without a reason is
    an error."""
    version, out = None, {}
    for line in (text or NEXT.read_text()).splitlines():
        if line.startswith("version\t"):
            version = line.split("\t")[1]
        elif line and not line.startswith("#"):
            patch, file, hunks, why = line.split("\t")
            if not why.strip():
                raise ValueError(f"no reason: {line}")
            out[patch, file] = hunks
    return version, out
