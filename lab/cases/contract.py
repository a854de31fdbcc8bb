# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what a guest costs our host at most: counts of the machine, which
repeat but for what depends on timers. That of the newest stock host is for
people: `lab/snp counts --beside`."""

from lab import contract, run
from lab.cases import Case, CaseFailed
from lab.cases.plain import explain

# Of the guest of snp.*, 512 MiB and one vCPU, from before its QEMU to after.
# What was seen is a tenth less: the guest converts a few hundred pages more or
# less from boot to boot.
LIMITS = {"RMPUPDATE": 28000, "PSMASH": 32, "nested faults": 39000,
          "firmware commands": 1100, contract.WORK.name: 68000}


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


CASES = [Case("counts.ours", "a stock SNP guest of 512 MiB costs our host no "
              "more RMPUPDATEs, PSMASHes, nested faults and firmware commands "
              "than is promised", ours, order=45,
              inputs=("machine", "linux"))]
