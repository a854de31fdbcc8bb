# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves by KUnit, in our host kernel on an ordinary computer without SNP,
that it reads, counts and changes the reverse map table as it should."""

import re

from lab import paths
from lab.cases import Case, CaseFailed
from lab.cases.private_memory import on_host

# A test that stands in the source has to be among the results.
SUITE = "snp_rmp"
SOURCE = "arch/x86/virt/svm/rmp_kunit.c"
RESULTS = f"/sys/kernel/debug/kunit/{SUITE}/results"


def wanted(source):
    return re.findall(r"^\s*KUNIT_CASE(?:_PARAM|_SLOW)?\((\w+)", source, re.M)


def problems(suite, tests, text):
    """What is wrong with the results of a suite, read from the kernel."""
    bad = [f"{suite}: {x.strip()}" for x in
           re.findall(r"^\s*not ok.*$|^.*# SKIP.*$", text, re.M | re.I)]
    if not re.search(rf"^ok \d+ (?:- )?{suite}$", text, re.M):
        bad.append(f"{suite}: the suite as a whole is not ok")
    for test in tests:
        if not re.search(rf"^ +ok \d+ (?:- )?{test}$", text, re.M):
            bad.append(f"{suite}: {test} is not ok")
    return bad


def judged():
    """The judgement itself: all but the first has to be refused."""
    good = "    # Subtest: s\n    1..2\n    ok 1 - a\n    ok 2 - b\nok 1 - s\n"
    if problems("s", ["a", "b"], good):
        raise CaseFailed("good results refused")
    for text in ("", good.replace("    ok 2 - b\n", ""),
                 good.replace("ok 2 - b", "not ok 2 - b"),
                 good.replace("ok 2 - b", "ok 2 - b # SKIP no"),
                 good.replace("ok 1 - s", "not ok 1 - s"),
                 good.replace("ok 1 - s\n", "")):
        if not problems("s", ["a", "b"], text):
            raise CaseFailed(f"taken for a pass:\n{text}")


def table(flavour=""):
    judged()
    tests = wanted((paths.ROOT / SOURCE).read_text())
    [(text, status)] = on_host("rmp-kunit", [f"cat {RESULTS}"], {},
                               flavour)
    if status or not tests:
        raise CaseFailed(f"{text.strip()}; {len(tests)} tests in {SOURCE}")
    bad = problems(SUITE, tests, text)
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(tests)} tests"


CASES = [
    Case("rmp.kunit", "entries of the reverse map table: every field at both "
         "ends, the 2 MiB rule, both edges of coverage, the audit, each "
         "refusal and each answer of the processor", table, order=30),
    Case("rmp.kunit.debug", "the same on a kernel that checks itself",
         lambda: table("debug"), full=True, order=56),
]
