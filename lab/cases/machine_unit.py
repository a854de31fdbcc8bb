# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the machine without a kernel: its pure logic on the build machine,
with sanitizers, from the same source files that QEMU links; its PCI function
through QEMU's qtest protocol; two CPUs by a ROM of a page; memory encryption by
a bare host."""

import re
import sys

from lab import machine, paths, say
from lab.cases import Case, CaseFailed


def report(log, argv, hint):
    """Runs what prints KTAP; CaseFailed with what is not ok."""
    try:
        say.run(argv, log, hint=hint)
    except say.Failed as e:
        failed = str(e)
    else:
        failed = ""
    text = say.log_path(log).read_text(errors="replace")
    lines = [x.strip() for x in text.splitlines()]
    bad = [x for x in lines if x.startswith("not ok")]
    good = [x for x in lines if x.startswith("ok ")]
    if bad or failed or not good:
        raise CaseFailed("\n".join(bad) or failed or
                         "no test reported a result")
    return f"{len(good)} tests"


def unit():
    tests = paths.ROOT / "machine" / "tests"
    if not (tests / "Makefile").exists():
        raise CaseFailed("machine/tests has no Makefile")
    out = paths.OUT / "machine-tests"
    return report("machine-unit",
                  ["make", "-s", "-C", tests, f"O={out}", "check"],
                  f"make -C machine/tests O={paths.shown(out)} check")


def script(name):
    """One of the scripts that are given a machine and where its firmware is."""
    binary = machine.build().binary
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    file = paths.ROOT / "machine" / "tests" / f"{name}.py"
    return report(f"machine-{name.replace('_', '-')}",
                  [sys.executable, file, binary, *where],
                  f"{paths.shown(file)} {paths.shown(binary)} -L ...")


PAGE = paths.ROOT / "machine/docs/system/i386/amd-snp-host.rst"
DEVICE = paths.ROOT / "machine/hw/snp/amd_psp.c"


def properties_of(source):
    return set(re.findall(r'(?:DEFINE_PROP_\w+\(|class_property_add_\w+\(klass,'
                          r'\s*)"([\w-]+)"', source))


def page(text=None):
    """The manual's page has each property of the device, and no other."""
    text = PAGE.read_text() if text is None else text
    name = re.compile(r"``([\w-]+)(?:=[^`]*)?``")
    said = set(name.findall(text))
    # definitions begin a line with their terms
    terms = {n for line in text.splitlines() if line.startswith("``")
             for n in name.findall(line)}
    have = properties_of(DEVICE.read_text())
    bad = [f"{x}: not in {PAGE.name}" for x in sorted(have - said)]
    bad += [f"{x}: no property" for x in sorted(terms - have)]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(have)} properties"


def pages():
    told = page()
    for old, new in (("``seed=N``", ""), ("``tcb=", "``tbc="),
                     ("``stats``\n", "")):
        text = PAGE.read_text()
        try:
            page(text.replace(old, new))
        except CaseFailed:
            continue
        raise CaseFailed(f"'{new}' is as good as '{old}'")
    return told


CASES = [
    Case("tree.manual", "QEMU's manual has a page on the machine, with each "
         "property of its device, and no other", pages, order=1,
         inputs=("machine",)),
    Case("machine.unit", "the page-state table, the firmware's commands and "
         "the event tables hold for every transition, under sanitizers",
         unit, order=5),
    Case("machine.device", "the secure processor's PCI function does what "
         "drivers expect, register by register", lambda: script("device"),
         order=10),
    Case("machine.properties", "the machine does not start with properties "
         "that are bad, contradict each other or do not fit its memory: it "
         "says which in a line and ends with status 1",
         lambda: script("properties"), order=10),
    Case("machine.two-cpus", "with one thread a CPU, no CPU executes code "
         "that another has modified and told it about, nor loses flags, nor "
         "leaves its pages, nor, if SNP is on, writes to the pages that another "
         "holds to run a guest", lambda: script("two_cpus"), order=10),
]
