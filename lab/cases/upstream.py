# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine's patches are a series that QEMU could take: by
QEMU's own means, against QEMU as it is."""

import re
import sys

from lab import (cases, machine, machine_prefixes, paths, repairs, say, style,
                 theirs, tree, upstream)
from lab.cases import Case, CaseFailed
from lab.cases.conformance import conforms
from lab.cases.machine_unit import report


def checkpatch():
    source = machine.unpack()
    found = [r for name, text in style.mails()
             for r in style.reports(source, text)]
    bad = style.compare(found, style.known()) + _style_noticed(source)
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(found)} reports, each with its reason"


# What has to be noticed: a patch with each of these lines, by what.
WRONG = (("\tint tab;", "code indent should never use tabs"),
         ("    if (x) return;", "trailing statements"),
         ("    " + "x" * 91 + ";", "line over 90 characters"))


def _style_noticed(source):
    out = []
    for line, what in WRONG:
        name = "hw/snp/rmp.c"
        text = (f"Subject: x\n\n---\n {name} | 1 +\n\ndiff --git a/{name} "
                f"b/{name}\n--- a/{name}\n+++ b/{name}\n"
                f"@@ -1,2 +1,3 @@\n {{\n+{line}\n }}\n")
        found = style.reports(source, text)
        if not any(what in r[1] and line.strip() in r[2] for r in found):
            out.append(f"'{line}' is not noticed: {found}")
    row = ("hw/x.c", "ERROR: y", "z")
    text = "\t".join(row)
    for found, listed in (([row], ""), ([], text + "\twhy"), ([row], text),
                          ([row] * 2, text + "\twhy")):
        if not style.compare(found, style.known(listed or "#")):
            out.append(f"{found} by '{listed}' is let through")
    if style.compare([row], style.known(text + "\twhy")):
        out.append("a report with a reason is not let through")
    return out


def table():
    names = {c.name for c in cases.all_cases()}
    upstream.laid()             # each patch of next/ stands in one's place
    rows = repairs.rows()
    bad = repairs.problems(rows, names)
    text = repairs.TABLE.read_text()
    for wrong in (text.replace("0021\t", "0099\t"),
                  text.replace("ordinary\ta task", "ordinary\tno task"),
                  text.replace("0010\t-\tnone", "0010\t-\tno.case"),
                  re.sub("^0010.*\n", "", text, flags=re.M),
                  re.sub("^0006.*\n", "", text, flags=re.M)):
        if not repairs.problems(repairs.rows(wrong), names):
            bad.append("a table that is wrong is let through")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(rows)} rows"


def repaired(name):
    argv = repairs.command(name, machine.build().binary)
    return report(f"machine-{name}", argv,
                  " ".join(paths.shown(x) if x in argv[1:2] else "..."
                           for x in argv[1:3]))


def migration():
    theirs, ours = (machine.build(x).binary for x in (True, False))
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    script = repairs.TESTS / "migration.py"
    computer = ["-machine", "pc-q35-10.0", "-accel", "tcg,thread=single",
                "-smp", "2", "-m", "256M", "-cpu", "EPYC-Milan,+svm,+npt",
                "-nodefaults", "-display", "none", "-no-reboot"]
    return report("machine-migration",
                  [sys.executable, script, theirs, ours, *computer, *where],
                  f"{paths.shown(script)} ...")


def without():
    passed, count = repairs.passing_without(machine.build(True).binary)
    if passed:
        raise CaseFailed("on QEMU without our changes, too:\n" +
                         "\n".join(passed))
    return f"{count} tests, none passes"


def prefixes():
    found = machine_prefixes.check()
    bad = [f"{name}: {w}" for name, wrong in found for w in wrong]
    if bad:
        raise CaseFailed("\n".join(bad))
    return (f"{len(found)} patches, each builds, and its tests fail without it "
            "but where the table says otherwise")


def following():
    version, found = upstream.newer()
    was, listed = upstream.listed()
    bad = [] if version == was else [f"{upstream.NEXT.name} is of {was}, this "
                                     f"is {version}"]
    for where in sorted(found.keys() | listed.keys()):
        if found.get(where) != listed.get(where):
            bad.append(f"{': '.join(where)}: {found.get(where, 'none')} of its "
                       f"hunks do not fit, listed: {listed.get(where, 'none')}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"QEMU {version}: {_told(found)}; {_newest()}; {_carried()}"


def _told(found):
    fit = len(tree.series(machine.SERIES)) - len({p for p, _ in found})
    return (f"{fit} patches fit, of the others these hunks do not: " +
            "; ".join(f"{p[:4]} {f} {n}"
                      for (p, f), n in sorted(found.items())))


def _newest():
    version, found = upstream.newest()
    if found is None:
        return f"QEMU {version}: the archive lists its source, and has it not"
    return f"QEMU {version}: {_told(found)}"


# Suites that the newer QEMU's machine is held to, and what they want
CONFORM_NEXT = (
    ("host", {}), ("guest", {"psp": ("rmpquery=on",)}), ("vmrun", {}),
    ("firmware", {}),
    ("device", {"devices": ("lsi53c895a",), "psp": ("encrypt=on",)}),
)


def _carried():
    """With what next/ has for it, the newer QEMU is the machine, too."""
    out = upstream.without()
    binary = upstream.build_newer()
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    script = repairs.TESTS / "device.py"
    device = report("machine-next-device",
                    [sys.executable, script, binary, *where],
                    f"{paths.shown(script)} {paths.shown(binary)} ...")
    return (f"built there without {', '.join(n[:4] for n in out)}: "
            f"machine.device: {device}; " +
            "; ".join(f"conform.{x}: " +
                      conforms(x, binary=binary, log=f"next-conform-{x}",
                               **wants)
                      for x, wants in CONFORM_NEXT))


def targets():
    said = upstream.targets()
    if not re.search(rf"{re.escape(upstream.COMMON)}.*error: .*hflags2", said):
        raise CaseFailed("a hook in common code that only i386 can compile is "
                         "not noticed:\n" + said[-500:])
    return ", ".join(upstream.BINARIES)


def own_tests():
    pristine, m = (theirs.build(x) for x in (True, False))
    without, with_us = theirs.run(pristine), theirs.run(m)
    again = theirs.worse(without, with_us)
    if again:       # one that measures time may fail on a busy computer
        with_us.update(theirs.run(m, *again))
    where = say.log_path("upstream-tests")
    where.write_text("\n".join(theirs.table(without, with_us)) + "\n")
    bad = theirs.worse(without, with_us) + _worse_noticed()
    if len(without) < LEAST:
        bad.append(f"only {len(without)} tests were run")
    if bad:
        raise CaseFailed("worse than on QEMU without our changes: " +
                         ", ".join(bad))
    good = sum(r == "OK" for r in with_us.values())
    return (f"{len(with_us)} tests, {good} pass, as on QEMU without our "
            "changes, side by side in " + paths.shown(where))


LEAST = 140             # tests of QEMU's that make a comparison


def _worse_noticed():
    known = {"a": "OK", "b": "SKIP", "c": "FAIL"}
    wrong = [dict(known, a="SKIP"), dict(known, a="TIMEOUT"),
             dict(known, b="FAIL"), {"a": "OK", "b": "SKIP"}]
    right = [known, dict(known, c="OK"), dict(known, c="TIMEOUT", d="FAIL")]
    return [f"misjudged: {x}" for x in wrong if not theirs.worse(known, x)] + \
        [f"misjudged: {x}" for x in right if theirs.worse(known, x)]


CASES = [
    Case("tree.checkpatch-qemu", "QEMU's checkpatch has nothing against the "
         "machine's patches and files but what stands in a list with the "
         "reason why it is false", checkpatch, order=6, inputs=("machine",)),
    Case("tree.repairs", "each patch that repairs QEMU for everybody has a "
         "test, or a reason why it has none, and each test its patch; each "
         "patch for a newer QEMU stands in the place of one", table,
         order=1, inputs=("machine",)),
    Case("machine.ordinary", "without a secure processor SVM, XSAVEC, "
         "breakpoints and cached translations do what the manual says where "
         "QEMU did not", lambda: repaired("ordinary"), order=10,
         inputs=("machine",)),
    Case("machine.icount", "without a secure processor accesses to MSRs may "
         "read clocks while instructions are counted", lambda: repaired("icount"),
         order=10, inputs=("machine",)),
    Case("machine.iommu", "without a secure processor the IOMMU logs events, "
         "survives a command buffer of no size and tables without end, can be "
         "saved, is reset",
         lambda: repaired("iommu"), order=10, inputs=("machine",)),
    Case("machine.unpatched", "each test of a repair fails on QEMU without our "
         "changes", without, full=True, order=57, inputs=("machine",)),
    Case("machine.prefixes", "QEMU builds after each patch that comes before "
         "the new files; the patch's tests fail before it and pass after",
         prefixes, full=True, order=57, inputs=("machine",)),
    Case("machine.migration", "an ordinary machine saved by QEMU without our "
         "changes goes on with them, and back, in a guest of SVM's, too; what "
         "only ours knows is sent if it differs", migration, full=True,
         order=56, inputs=("machine",)),
    Case("machine.next-qemu", "a newer QEMU takes all hooks but those that a "
         "list names, with the reason; with what machine/patches/next has in "
         "their place it is the machine, too", following, full=True, order=56,
         inputs=("machine",)),
    Case("machine.upstream-tests", "QEMU's own unit tests and qtests of x86_64 "
         "do no worse than on QEMU without our changes", own_tests, full=True,
         order=60, inputs=("machine",)),
    Case("machine.targets", "other targets of QEMU compile with the machine's "
         "patches and files: systems of aarch64, riscv64, s390x and i386, "
         "programs of x86_64; a hook that wants i386 in common code does not",
         targets, full=True, order=58, inputs=("machine",)),
]
