#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary machine, saved by QEMU without our changes and loaded with them,
and back.

    migration.py THEIRS OURS QEMU-ARGUMENT...

A bare host of bare guests (bare/ordinary.c) goes on in one QEMU where the other
left off, in a guest and out of it; so does a BIOS. Neither sends what the other
does not know. Prints KTAP; the exit status says whether all held."""

import pathlib
import re
import sys
import tempfile

import ktap
from ktap import check
from stream import Stream
from vm import Vm

sys.path.insert(0, str(pathlib.Path(__file__).parent / "bare"))
import run as bare  # noqa: E402  pylint: disable=wrong-import-position

GUEST = 1 << 21                 # of hflags: the CPU runs one
# What our changes add to a CPU's state. Not sent unless another would go wrong.
ADDED = {"cpu/svm_host", "cpu/amd_lbr", "cpu/snp"}
MOVES = 8                       # of one run, from one QEMU to the other
ROUND = 5                       # of the bare host's between them


def inner(device):
    """Names of all subsections"""
    for s in device.get("subsections", ()):
        yield s["vmsd_name"]
        yield from inner(s)


def sent(data):
    s = Stream(data)
    return set(s.devices) | {x for d in s.devices.values() for x in inner(d)}


def hflags(data):
    s = Stream(data)
    at, size = s.find("cpu", "env.hflags")
    return int.from_bytes(s.data[at:at + size], "big")


def moved(binaries, argv, image, begin, which):
    """Runs it to its end, from binaries[begin] on by turns. What it said, and
    what was saved: (by which, bytes)"""
    said, kept = "", []
    with tempfile.TemporaryDirectory() as where:
        argv = [*argv, "-kernel", image, "-append", which]
        vm = Vm([binaries[begin], *argv], where)
        try:
            for n in range(MOVES):
                vm.go()
                due = f"# round {(n + 1) * ROUND}\n"
                vm.wait(lambda due=due: due in said + vm.text() or vm.ended(),
                        "get on", 0.001)
                vm.stop()
                check(not vm.ended(), f"it ended before move {n}")
                file = f"{where}/{n}"
                vm.save(file)
                said += vm.text()
                vm.close()
                kept.append(((begin + n) % 2, pathlib.Path(file).read_bytes()))
                vm = Vm([binaries[(begin + n + 1) % 2], *argv], where, file)
            vm.go()
            vm.wait(vm.ended, "end")
            return said + vm.text(), kept
        finally:
            vm.close()


def guests(binaries, argv, image, begin, which="99", added=frozenset()):
    """which: of the rounds of bare/ordinary.c; added: what has to be sent"""
    text, kept = moved(binaries, argv, image, begin, which)
    text = text[max(text.find("KTAP version 1"), 0):]
    check(re.search(r"^ok 1 guests over and over # (\d+) of \1$", text, re.M),
          "what was said: " + text[-300:])
    seen = [re.findall(r"^# round (\d+)$", text, re.M)]
    check(seen[0] == [str(i) for i in range(len(seen[0]))] and seen[0],
          "a round is missing, or was done twice")
    inside = sum(bool(hflags(data) & GUEST) for _, data in kept)
    check(inside > 0, "it was never saved in a guest")
    news = set().union(*(sent(data) for _, data in kept)) & ADDED
    check(news == added, f"sent: {news}")
    print(f"# saved {len(kept)} times, {inside} of them in a guest")


def bios(binaries, argv):
    """One that has begun, and looks for a disk in the other QEMU"""
    for begin in range(2):
        with tempfile.TemporaryDirectory() as where:
            vm = Vm([binaries[begin], *argv], where)
            try:
                vm.go()
                vm.wait(lambda vm=vm: "SeaBIOS" in vm.text(), "begin", 0.001)
                vm.stop()
                check("No bootable" not in vm.text(), "it was done already")
                vm.save(f"{where}/state")
                vm.close()
                vm = Vm([binaries[1 - begin], *argv], where, f"{where}/state")
                vm.go()
                vm.wait(lambda vm=vm: "No bootable" in vm.text(), "go on")
                check(True, "")
            finally:
                vm.close()


def main(theirs, ours, *argv):
    both = (theirs, ours)
    argv = [*argv, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    with tempfile.TemporaryDirectory() as where:
        image = bare.build("ordinary", where)
        return ktap.run([
            ("moved: saved without our changes first",
             lambda: guests(both, argv, image, 0)),
            ("moved: saved with them first",
             lambda: guests(both, argv, image, 1)),
            ("moved: a guest's own PAT, which only ours knows",
             lambda: guests((ours, ours), argv, image, 0, "98",
                            {"cpu/svm_host"})),
            ("moved: a BIOS",
             lambda: bios(both, [*argv, "-machine", "graphics=off"]))])


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
