# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what a guest costs our host at most: counts of the machine, which
repeat but for what depends on timers. That of the newest stock host is for
people: `lab/snp counts --beside`."""

from lab import contract, measure, run
from lab.cases import Case, CaseFailed
from lab.cases.plain import explain

# Of the guest of snp.*, 512 MiB and one vCPU, from before its QEMU to after.
# What was seen is a tenth less: the guest converts a few hundred pages more or
# less from boot to boot.
# A block more or less that the guest splits is 512 RMPUPDATEs.
LIMITS = {"RMPUPDATE": 28000, "PSMASH": 32, "nested faults": 19000,
          "firmware commands": 60, contract.WORK.name: 46000}


def judged():
    """The comparison itself, with known numbers."""
    ours = {"rmpupdate": {"success": 6}, "rmpupdate-to-guest": 2,
            "rmpupdate-to-pre-guest": 1, "rmpupdate-to-shared": 3,
            "psmash": 0, "npf": 4, "psp-commands": 5}
    other = {**ours, "rmpupdate": {"success": 60}, "npf": 0}
    rows = {r[0]: r[1:] for r in contract.rows(ours, other)}
    if rows["RMPUPDATE"] != (6, 60, 0.1) or \
       rows["  to the guest"] != (3, 3, 1.0) or \
       rows["nested faults"] != (4, 0, None) or \
       rows[contract.WORK.name][:2] != (15, 65):
        raise CaseFailed(f"{rows}")
    if contract.over(ours, {"RMPUPDATE": 6, "nested faults": 4}) or \
       contract.over(ours, {"RMPUPDATE": 5, "nested faults": 4}) != \
       ["RMPUPDATE: 6, at most 5"]:
        raise CaseFailed("limits")


def measured():
    """The table of a bare guest, with known marks."""
    def at(updates, guest, shared, npf, host):
        return {"rmpupdate": {"success": updates}, "rmpupdate-to-guest": guest,
                "rmpupdate-to-pre-guest": 0, "rmpupdate-to-shared": shared,
                "npf": npf, "psmash": 0, "writebacks": {"0x0": npf},
                "instructions-switched": {"host": host}}
    marks = {"begin": at(0, 0, 0, 0, 0), "launched": at(30, 30, 0, 5, 50),
             "idle": at(30, 30, 0, 5, 100),
             "touched": at(158, 158, 0, 133, 650),
             "changed": at(168, 168, 0, 133, 700),
             "killed": at(336, 168, 168, 134, 900)}
    says = ["erms 0", "splits launched 2", "splits idle 3",
            "splits touched 4", "exits 1"]
    rows = measure.of(marks, says, 256)
    if list(rows.values()) != [512, 512, 0, 2000, 2000, 4, 1, 512, 1]:
        raise CaseFailed(f"{rows}")


def ours():
    judged()
    verdict = run.go(run.Request(host="ours", smp=1, thread="single",
                                 name="counts.ours", timeout=900))
    if not verdict.ok():
        raise CaseFailed(explain(verdict))
    counts = verdict.summary["counts"]
    bad = contract.over(counts, LIMITS)
    if bad:
        raise CaseFailed("\n".join(bad))
    return "\n".join(f"{name}: {n}" for name, n, _o, _r in
                     contract.rows(counts))


# Of a bare guest that touches all of its memory, page by page exact: a GiB is
# 512 blocks.
PER_GIB = {"RMPUPDATE per GiB touched": 640, "nested faults per GiB touched": 640,
           "PSMASH per GiB touched": 0, "direct map splits per GiB touched": 0,
           "RMPUPDATE per GiB given back": 640,
           "  the same, zeroing apart": 150_000_000,
           "exits to the VMM for 253 pages": 1}


def per_gib():
    measured()
    rows = measure.on("ours")
    bad = [f"{name}: {rows[name]}, at most {most}"
           for name, most in PER_GIB.items() if rows[name] > most]
    # as many as there are blocks: else it was not that memory
    if not bad and rows["RMPUPDATE per GiB touched"] < 512:
        bad = [f"only {rows['RMPUPDATE per GiB touched']} RMPUPDATEs"]
    if bad:
        raise CaseFailed("\n".join(bad))
    return "\n".join(f"{name}: {n:,}" for name, n in rows.items())


CASES = [Case("counts.ours", "a stock SNP guest of 512 MiB costs our host no "
              "more RMPUPDATEs, PSMASHes, nested faults and firmware commands "
              "than is promised", ours, order=45,
              inputs=("machine", "linux")),
         Case("counts.bare", "each GiB that a bare SNP guest touches costs our "
              "host no more RMPUPDATEs, nested faults, PSMASHes and splits of "
              "the direct map than is promised, nor does its end, nor a full "
              "page state change exits to the VMM", per_gib, order=45,
              inputs=("machine", "linux"))]
