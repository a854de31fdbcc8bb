# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the pure logic of our host kernel by KUnit, on an ordinary computer
without SNP: memory attributes, page state changes, the reverse map table."""

import collections
import re

from lab import paths
from lab.cases import Case, CaseFailed
from lab.cases.private_memory import on_host

# module: what holds the suite, if not the kernel itself. A test that stands in
# the source has to be among the results.
Suite = collections.namedtuple("Suite", "case source module what")
SUITES = {
    "kvm_mem_attributes": Suite(
        "private.kunit", "virt/kvm/mem_attributes_kunit.c", "",
        "memory attributes equal their model after every change"),
    "kvm_gmem_chunk": Suite(
        "gmem.kunit", "virt/kvm/gmem_chunk_kunit.c", "",
        "blocks of 2 MiB behind guest_memfd: when a chunk becomes one, what it "
        "is made of, which hole breaks it, a failure half-way, a bad page, "
        "memslots that are not aligned alike"),
    "kvm_snp_psc": Suite(
        "psc.kunit", "arch/x86/kvm/svm/snp_psc_kunit.c", "snp_psc_kunit",
        "batches of page state changes: every error of header and entry, "
        "resumption, a header the guest changes meanwhile"),
    "snp_rmp": Suite(
        "rmp.kunit", "arch/x86/virt/svm/rmp_kunit.c", "",
        "entries of the reverse map table: every field at both ends, the 2 MiB "
        "rule, both edges of coverage, the audit, each refusal and each answer "
        "of the processor"),
}
RESULTS = "/sys/kernel/debug/kunit/{}/results"


def wanted(source):
    return re.findall(r"^\s*KUNIT_CASE(?:_PARAM|_SLOW)?\((\w+)", source, re.M)


def problems(suite, tests, text):
    """What is wrong with the results of a suite, read from the kernel."""
    # KUnit keeps the first lines of a test only: "not ok" can be cut off
    bad = [f"{suite}: {x.strip()}" for x in
           re.findall(r"^\s*not ok.*$|^.*# SKIP.*$|^.*\b(?:EXPECTATION|"
                      r"ASSERTION) FAILED.*$", text, re.M | re.I)]
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
                 good.replace("ok 1 - s\n", ""),
                 "    # a: EXPECTATION FAILED at x.c:1\n" + good):
        if not problems("s", ["a", "b"], text):
            raise CaseFailed(f"taken for a pass:\n{text}")


def run(suite, flavour="", pristine=False):
    judged()
    source = SUITES[suite].source
    tests = wanted((paths.ROOT / source).read_text())
    module = SUITES[suite].module
    load = f"modprobe {module} && " if module else ""
    [(text, status)] = on_host(f"kunit-{suite}",
                               [f"{load}cat {RESULTS.format(suite)}"], {},
                               flavour, pristine)
    if status or not tests:
        raise CaseFailed(f"{text.strip()}; {len(tests)} tests in {source}")
    bad = problems(suite, tests, text)
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(tests)} tests"


def unpatched():
    return "\n".join(f"{suite}: {run(suite, pristine=True)}"
                     for suite in SUITES)


CASES = [Case(s.case, s.what, lambda suite=suite: run(suite), order=30)
         for suite, s in SUITES.items()] + [
    Case(f"{s.case}.debug", "the same on a kernel that checks itself "
         "(KASAN, lockdep, sleeping while atomic), without a splat",
         lambda suite=suite: run(suite, "debug"), full=True, order=56)
    for suite, s in SUITES.items()] + [
    Case("kunit.unpatched", "each of these suites passes on QEMU without our "
         "changes, too", unpatched, full=True, order=53, inputs=("linux",))]
