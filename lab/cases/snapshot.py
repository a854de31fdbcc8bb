# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a machine can be saved and loaded: nothing that it keeps is
forgotten, what is under way goes on, counts are those of a machine that was
never interrupted, and no instruction of a host's boot is executed twice."""

import sys

from lab import machine, paths, platform
from lab.cases import Case
from lab.cases.machine_unit import report

TESTS = paths.ROOT / "machine" / "tests"


def device():
    """By reading the source that was built, and what it was made from."""
    m = machine.build()
    return report("snapshot-device",
                  [sys.executable, TESTS / "vmstate.py", machine.unpack(),
                   m.src], f"{paths.shown(TESTS / 'vmstate.py')} ...")


def saved(what, cpu=platform.CPU, psp=(), extra=()):
    """A bare host, or what is refused; the number of tests."""
    binary = machine.build().binary
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    computer = platform.arguments(binary, smp=1, thread="single",
                                  psp=("self-check=on", "seed=1", *psp),
                                  cpu=cpu)
    script = TESTS / "snapshot.py"
    return report(f"snapshot-{what}",
                  [sys.executable, script, what, binary, *computer, *where,
                   *extra], f"{paths.shown(script)} {what} ...")


def bare():
    """What there is in flight: guests of all kinds, keys, clocks, the IOMMU."""
    saved("vmrun")
    saved("hiding", psp=["ciphertext-hiding=on", "encrypt=on"])
    saved("features", "genoa", ["max-asid=509", "allowed-sev-features=on"])
    saved("device", psp=["encrypt=on"], extra=["-device", "lsi53c895a"])
    return "4 bare hosts"


def every():
    """The others, as they are judged by themselves."""
    for what in ("host", "firmware", "vmpl", "tlb"):
        saved(what)
    saved("rmpread", "genoa", ["max-asid=509"])
    saved("guest", psp=["encrypt=on"])
    return "6 bare hosts"


def counts():
    return saved("guest", extra=["-icount", "shift=0,sleep=off"])


CASES = [
    Case("snapshot.device", "each member of each structure of the machine's "
         "state, and each variable, is saved, or stands in a list with the "
         "reason why not", device, order=10, inputs=("machine",)),
    Case("snapshot.bare", "bare hosts, saved while guests of theirs run, with "
         "memory enciphered, the IOMMU on, a secure TSC: all there is to see "
         "is the same in another process, and the rest of their cells and "
         "counts are, with the self-check on", bare, order=12,
         inputs=("machine",)),
    Case("snapshot.bare.all", "the same of the other bare hosts", every,
         full=True, order=12, inputs=("machine",)),
    Case("snapshot.counts", "of a bare host and its guests that are saved and "
         "loaded, counts, instructions of host and each guest among them, are "
         "those of an undisturbed run", counts, order=12,
         inputs=("machine",)),
    Case("snapshot.refused", "what was saved is loaded by a machine that is "
         "configured as that was, and by no other, which says the property and "
         "both values; a file that was tampered with is refused, or loaded "
         "without harm", lambda: saved("refused"), order=12,
         inputs=("machine",)),
]
