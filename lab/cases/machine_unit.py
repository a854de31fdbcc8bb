# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the machine's pure logic on the build machine, with sanitizers: the
same source files that QEMU links."""

from lab import paths, say
from lab.cases import Case, CaseFailed


def unit():
    tests = paths.ROOT / "machine" / "tests"
    if not (tests / "Makefile").exists():
        raise CaseFailed("machine/tests has no Makefile")
    out = paths.OUT / "machine-tests"
    say.run(["make", "-s", "-C", tests, f"O={out}", "check"], "machine-unit",
            hint=f"make -C machine/tests O={paths.shown(out)} check")
    text = say.log_path("machine-unit").read_text(errors="replace")
    lines = [x.strip() for x in text.splitlines()]
    bad = [x for x in lines if x.startswith("not ok")]
    good = [x for x in lines if x.startswith("ok ")]
    if bad or not good:
        raise CaseFailed("\n".join(bad) or "no test reported a result")
    return f"{len(good)} tests"


CASES = [
    Case("machine.unit", "the page-state table, the firmware's commands and "
         "the event tables hold for every transition, under sanitizers",
         unit, order=5),
]
