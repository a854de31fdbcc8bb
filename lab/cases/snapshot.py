# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a machine can be saved and loaded: nothing that it keeps is
forgotten, what is under way goes on, counts are those of a machine that was
never interrupted, and no instruction of a host's boot is executed twice."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

from lab import machine, observe, paths, platform, run, say, snapshot
from lab.cases import Case, CaseFailed
from lab.cases.machine_unit import report
from lab.cases.plain import explain

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
    """What there is in flight: guests of each kind, keys, clocks, IOMMU."""
    saved("vmrun")
    saved("hiding", psp=["ciphertext-hiding=on", "encrypt=on"])
    saved("sev", psp=["encrypt=on"], extra=["-device", "lsi53c895a"])
    saved("features", "genoa", ["max-asid=509", "allowed-sev-features=on"])
    saved("device", psp=["encrypt=on"], extra=["-device", "lsi53c895a"])
    return "5 bare hosts"


def every():
    """The others, but for `tlb`, which wants translations to stay: after a
    machine was loaded there are none."""
    for what in ("host", "firmware", "vmpl"):
        saved(what)
    saved("rmpread", "genoa", ["max-asid=509"])
    saved("guest", psp=["encrypt=on"])
    return "5 bare hosts"


def counts():
    return saved("guest", extra=["-icount", "shift=0,sleep=off"])


# Where the guest of lab/snp run is when it is moved: it reads its disk.
MIDST = ("guest", re.compile(r"lab-guest: (?:reading|disk)"))
KERNEL = re.compile(r"\] Linux version ")


def judged(verdict):
    if not verdict.ok():
        raise CaseFailed(explain(verdict))


def stale(s):
    """Each thing that it was made from, changed: one line, status 2."""
    meta = s.where / "meta.json"
    text = meta.read_text()
    kept = json.loads(text)
    for what in kept["made_from"]:
        bad = dict(kept, made_from=dict(kept["made_from"], **{what: "x"}))
        meta.write_text(json.dumps(bad))
        r = subprocess.run([paths.LAB / "snp", "run", "--from", s.name],
                           text=True, check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=120)
        last = r.stderr.splitlines()[-1:]
        if r.returncode != 2 or not last or \
                f"'{s.name}' is stale: {what} is" not in last[0]:
            raise CaseFailed(f"stale for {what}: status {r.returncode}: "
                             f"{last}")
    meta.write_text(text)
    return len(kept["made_from"])


def left_alone(s, request):
    """A snapshot that fails leaves the one before it, and nothing else."""
    before = sorted(snapshot.TOP.iterdir())
    try:
        snapshot.take(s.name, dataclasses.replace(request, timeout=1))
    except say.Failed:
        pass
    else:
        raise CaseFailed("a host that did not boot was saved")
    if sorted(snapshot.TOP.iterdir()) != before or \
            snapshot.load(s.name).meta != s.meta:
        raise CaseFailed("what was half made stays")


def not_again(s, result):
    """No instruction of the boot: nothing of it is said or counted again."""
    older, newer = result.console[:result.resumed], \
        result.console[result.resumed:]
    if len(KERNEL.findall(older)) != 1 or KERNEL.search(newer):
        raise CaseFailed("the host's kernel said more than once what it is")
    first = observe.timeline(paths.RUNS / result.name)[0]
    if first["stats"] != s.meta["seen"]["stats"]:
        raise CaseFailed(f"it began with counts {first['stats']}, not "
                         f"{s.meta['seen']['stats']}")
    if "SNP_PLATFORM_STATUS" in first["stats"]["firmware"]:
        raise CaseFailed("it was not saved before drivers were loaded")


def host(name, fresh=False):
    """fresh: and what the firmware was asked is what a run that boots asks."""
    request = run.Request(host="debian-13", timeout=900)
    s, seconds, size = snapshot.take(name, request)
    try:
        verdict = run.go(s.request(smp=1, timeout=900, name=name))
        judged(verdict)
        not_again(s, verdict.result)
        text = (f"{size >> 20} MiB in {seconds:.0f} s, stale for each of "
                f"{stale(s)} things, {len(verdict.checks)} checks")
        left_alone(s, request)
        if fresh:
            other = run.go(dataclasses.replace(request, smp=1,
                                               name=f"{name}.booted"))
            judged(other)
            text += same(verdict, other)
        return text
    finally:
        shutil.rmtree(s.where, ignore_errors=True)


# Of these a run has a number of its own each time: what was tried again.
AGAIN = ("SNP_PLATFORM_STATUS",)


def same(one, other):
    """The firmware's commands of two runs by name and status, from power-on to
    the end; the launch; what checks there are."""
    ends = [observe.timeline(paths.RUNS / v.result.name)[-1]["stats"]
            for v in (one, other)]
    told = [{k: v for k, v in e["firmware"].items() if k not in AGAIN}
            for e in ends]
    if told[0] != told[1]:
        raise CaseFailed(f"commands: {told[0]}, not {told[1]}")
    names = [[c[0] for c in v.checks] for v in (one, other)]
    if names[0] != names[1]:
        raise CaseFailed(f"other checks: {set(names[0]) ^ set(names[1])}")
    if one.summary["rmp_after"] != other.summary["rmp_after"]:
        raise CaseFailed("the RMP is another at the end")
    return f"; {len(told[0])} kinds of commands as of a host that booted"


def guest(thread):
    """Saved while an SNP guest reads its disk and converts pages."""
    name = f"snapshot.guest.{thread}"
    verdict = run.go(run.Request(host="debian-13", smp=2, thread=thread,
                                 self_check=True, move=MIDST, name=name,
                                 timeout=1800))
    judged(verdict)
    if not verdict.result.moved:
        raise CaseFailed("it never moved")
    return f"{len(verdict.checks)} checks"


CASES = [
    Case("snapshot.device", "each member of each structure of the machine's "
         "state, and each variable, is saved, or stands in a list with the "
         "reason why not", device, order=10, inputs=("machine",)),
    Case("snapshot.bare", "bare hosts, saved while guests of theirs run, with "
         "memory enciphered, the IOMMU on, a secure TSC: all there is to see "
         "is the same in another process, and the rest of their cells and "
         "counts are, with the self-check on", bare, order=12,
         inputs=("machine",)),
    Case("snapshot.bare.all", "the same of all other bare hosts whose "
         "cells do not depend on what is cached", every,
         full=True, order=12, inputs=("machine",)),
    Case("snapshot.counts", "of a bare host and its guests that are saved and "
         "loaded, counts, instructions of host and each guest among them, are "
         "those of an undisturbed run", counts, order=12,
         inputs=("machine",)),
    Case("snapshot.refused", "what was saved is loaded by a machine that is "
         "configured as that was, and by no other, which says the property "
         "and both values; a file that was tampered with is refused, or loaded "
         "without harm", lambda: saved("refused"), order=12,
         inputs=("machine",)),
    Case("snapshot.host", "lab/snp snapshot saves Debian 13's host, booted; a "
         "run from it launches an SNP guest with a fresh run's verdict, and "
         "nothing of the boot is said or counted again; what it was made from "
         "changed, it is stale; a failure leaves nothing half made",
         lambda: host("snapshot.host"), order=45, inputs=("machine",)),
    Case("snapshot.fresh", "the same, and firmware commands by name and "
         "status, from power-on to the end, are those of a run that boots",
         lambda: host("snapshot.fresh", True), full=True, order=59,
         inputs=("machine",)),
    *(Case(f"snapshot.guest.{thread}", "Debian 13's host, saved while a stock "
           "SNP guest of it reads its disk and converts pages, goes on in "
           "another process to the guest's end, with a fresh run's verdict, "
           f"every cached translation compared; machine threads: {thread}",
           lambda thread=thread: guest(thread), full=True, order=59,
           inputs=("machine",)) for thread in ("single", "multi")),
]
