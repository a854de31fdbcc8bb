# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the machine by bare hosts and bare guests, programs without an
operating system: the product of every state of a page and everything that can
be done to it, against a model written from the specification alone. The table
is read and compared after each operation. The self-check is on."""

import re
import sys

from lab import machine, paths, platform, rules, say
from lab.cases import Case, CaseFailed
from lab.cases.machine_unit import report

RUN = paths.ROOT / "machine" / "tests" / "bare" / "run.py"


def unruly(text):
    """Cells said to be impossible, and no rule that makes them so; or more of
    them than the reasons are for."""
    known = {r.id for r in rules.table()}
    bad, reasons = [], 0
    for cells, why in re.findall(r"^# (\d+) impossible: (.*)", text, re.M):
        source = re.search(r"\(([^()]*)\)$", why)
        if not source or not (source[1] in known or re.match(
                r"PPR$|APM vol [23], \d|PCI \d", source[1])):
            bad.append(f"by no rule: {why}")
        reasons += int(cells)
    total = re.search(r"^# cells: .*, (\d+) impossible$", text, re.M)
    if total and int(total[1]) != reasons:
        bad.append(f"{total[1]} impossible cells, {reasons} with a reason")
    return bad


def judged():
    """The judge of reasons: these are none, but for the first."""
    cells = "# 2 impossible: it {}\n# cells: 5 of 5, {} impossible\n"
    out = [bool(unruly(cells.format(why, n))) for why, n in (
        ("is so (PPR)", 2), ("is so (PPR)", 3), ("is so", 2),
        ("is so (NO-SUCH-RULE)", 2))]
    if out != [False, True, True, True]:
        raise CaseFailed(f"reasons are misjudged: {out}")


def conforms(suite, cpu=platform.CPU, devices=(), psp=(), more=(), log=None,
             smp=1, binary=None):
    binary = binary or machine.build().binary
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    computer = platform.arguments(binary, smp=smp,
                                  thread="single" if smp == 1 else "multi",
                                  psp=("self-check=on", *psp), cpu=cpu)
    log = log or f"conform-{suite}"
    computer += [*more, *(x for d in devices for x in ("-device", d))]
    tests = report(log, [sys.executable, RUN, suite, binary, *computer,
                         *where],
                   f"{paths.shown(RUN)} {suite} {paths.shown(binary)} ...")
    text = say.log_path(log).read_text(errors="replace")
    judged()
    bad = unruly(text)
    cells = re.search(r"^# cells: (.*)", text, re.M)
    if bad or not cells:
        raise CaseFailed("\n".join(bad) or "it does not say how many cells")
    return f"{tests}, cells: {cells[1]}"


def features():
    """On a processor that has them all, and on one that has none."""
    all_on = ("allowed-sev-features=on", "debug-swap=on", "secure-tsc=on",
              "restricted-injection=on", "write-in-use=on", "rmpquery=on")
    with_all = conforms("features", "genoa", psp=("max-asid=509", *all_on),
                        log="conform-features-on")
    without = conforms("features", log="conform-features-off",
                       psp=[x.replace("=on", "=off") for x in all_on])
    return f"{with_all}; on a processor without: {without}"


def hiding():
    clear, hidden = (conforms("hiding", psp=["ciphertext-hiding=on",
                                             f"encrypt={x}"],
                              log=f"conform-hiding-{x}") for x in ("off", "on"))
    return f"{clear}; enciphered: {hidden}"


def device():
    how = "a SCSI controller that copies memory"
    clear, hidden = (conforms("device", devices=["lsi53c895a"],
                              psp=[f"encrypt={x}"],
                              log=f"conform-device-{x}") for x in ("off", "on"))
    return f"{clear}; enciphered: {hidden}; by {how}"


# Of the one CPU: code is generated as for two that run.
THREADED = ("-accel", "tcg,thread=multi", "-smp", "1,maxcpus=2")


def sev():
    one, each = (conforms("sev", devices=["lsi53c895a"], psp=["encrypt=on"],
                          more=more, log=f"conform-sev-{n}")
                 for n, more in ((1, ()), (2, THREADED)))
    return f"{one}; with a thread a CPU: {each}"


def outside(log, more=()):
    return conforms("outside", psp=["encrypt=on"], more=more, log=log)


def rmpmsrs():
    """On a processor without segments, and on one that has them."""
    one, segments = (conforms("rmpmsrs", cpu, log=f"conform-rmpmsrs-{cpu}")
                     for cpu in (platform.CPU, "turin"))
    return f"{one}; in segments: {segments}"


def tlb():
    # protection keys of supervisors, which AMD's processors have not
    return conforms("tlb", more=("-global", "x86_64-cpu.pks=on"))


CASES = [
    Case("conform.host", "every state of a page x {RMPUPDATE, PSMASH, read, "
         "write, fetch, page walk, what is for guests} by a bare host, through 4K, 2M and 1G: "
         "outcome and whole state are the specification's",
         lambda: conforms("host"), order=10, inputs=("machine",)),
    Case("conform.guest", "every state of a page x {PVALIDATE, RMPADJUST, "
         "RMPQUERY, read, write, fetch, page walk, what is for hosts} by its owner, another SNP "
         "guest and a guest without SNP, through nested leaves of 4K and 2M: "
         "outcome, answer and whole state are the specification's",
         lambda: conforms("guest", psp=("rmpquery=on",)), order=10,
         inputs=("machine",)),
    Case("conform.vmrun", "every exit of an SNP guest that an instruction, "
         "memory or a virtual interrupt makes is automatic, or #VC, as the "
         "specification has it; VMRUN refuses each field and page that it "
         "has to", lambda: conforms("vmrun"), order=10, inputs=("machine",)),
    Case("conform.rmpmsrs", "MSRs that say where the RMP is take no writes, with "
         "segments and without; RMP_CFG is not there without",
         rmpmsrs, order=10, inputs=("machine",)),
    Case("conform.firmware", "every state of a page x the firmware's commands "
         "that take a page: status and whole state are the specification's",
         lambda: conforms("firmware"), order=10, inputs=("machine",)),
    Case("conform.commands", "every state of a page x every place for a page in "
         "the firmware's other SNP commands: as context, as guest's page, read "
         "and written to: status and whole state are the specification's",
         lambda: conforms("commands"), order=10, inputs=("machine",)),
    Case("conform.vmpl", "every mask of rights x every VMPL x {read, write, "
         "fetch, page walk} at CPL0 and CPL3, given by the firmware and by "
         "RMPADJUST, and what RMPQUERY tells each VMPL of them; RMP "
         "instructions where they may not be used; VMSAs that a guest makes",
         lambda: conforms("vmpl", psp=("rmpquery=on",)), order=10,
         inputs=("machine",)),
    Case("conform.tlb", "what is cached of a guest is gone after TLB_CONTROL "
         "says so, and when another guest, or another state of it, comes; "
         "what is cached of host and guest stays otherwise; CPL, keys, EFER and "
         "pages of 2M change what is cached of them",
         tlb, order=10, inputs=("machine",)),
    Case("conform.events", "INTR, NMI, SMI, INIT and #MC that come while a "
         "guest runs: intercepted they are exits of an SNP and a SEV-ES guest as "
         "of an ordinary one, and are pending for the host behind them; else "
         "they are the guest's", lambda: conforms("events", devices=["pvpanic"]),
         order=10, inputs=("machine",)),
    Case("conform.cpus", "while a CPU runs a guest no other CPU enters that "
         "VMSA, uses that VMCB or host save area, takes away one of their pages, "
         "or writes there, or by a leaf of 2M or 1G around one that is aligned "
         "so; afterwards it may", lambda: conforms("cpus", smp=2), order=10,
         inputs=("machine",)),
    Case("conform.race", "a page that RMPUPDATE takes away, memory enciphered, "
         "while a guest on another CPU writes to all of it: no store gets "
         "there in between or afterwards", lambda: conforms(
             "race", smp=2, psp=["encrypt=on"]), order=10, inputs=("machine",)),
    # a bare host wants an ASID that is no guest's of SEV
    Case("conform.rmpread", "every state of a page x RMPREAD by a bare host on "
         "Genoa: status and answer are the specification's, nothing changes; "
         "where the answer cannot be written nothing of it is",
         lambda: conforms("rmpread", "genoa",
                          psp=("max-asid=509",)), order=10,
         inputs=("machine",)),
    Case("conform.features", "VMRUN with each bit of SEV_FEATURES, by what "
         "CPUID says there is and the VMCB allows; debug registers of guest "
         "and host, swapped and not, and their breakpoints; clocks that a "
         "guest has of its own and by the VMCB; events of each type and vector "
         "that its host injects; writes to pages in use; on a processor with "
         "all of it and on one without", features, order=10,
         inputs=("machine",)),
    Case("conform.hiding", "every state of a page x reads by the host, its "
         "guest without the C-bit, another SNP guest and an ordinary one, with "
         "ciphertext hidden, memory in the clear and enciphered", hiding,
         order=10, inputs=("machine",)),
    Case("conform.sev", "who wrote last to a page of a SEV guest x who writes x "
         "who looks, of the guest with and without the C-bit, its host, a "
         "device and the firmware, with memory enciphered: what is seen through "
         "the key and without it is as the specification has it; launch, other "
         "keys, the VMSA of a SEV-ES guest, what a guest leaves behind", sev,
         order=10, inputs=("machine",)),
    Case("conform.device", "every state of a page x {read, write} by a device "
         "behind the IOMMU, not translated and through leaves of 4K and 2M, "
         "with memory in the clear and enciphered; the IOMMU's event log, its "
         "registers and what it has cached, from SNP_INIT to SNP_SHUTDOWN_EX",
         device, order=10, inputs=("machine",)),
    Case("conform.demand", "PSMASH that the machine is told to have fail does, as "
         "often and when it is told to, and nothing changes then",
         lambda: conforms("demand", psp=["inject=PSMASH:2-3:INUSE"]), order=10,
         inputs=("machine",)),
    Case("machine.outside", "what a bare host, another guest or the guest "
         "itself without the C-bit reads of an SNP guest's page is ciphertext "
         "that depends on key, address and content, and what the owner reads "
         "is not; so are maps of ports and MSRs in it, a page that the "
         "chipset hides, and a page of launch to the CPU that gave the "
         "command", lambda: outside("machine-outside"), order=10,
         inputs=("machine",)),
    Case("machine.outside-threads", "the same with one thread a CPU",
         lambda: outside("machine-outside-threads", THREADED), order=10,
         inputs=("machine",)),
]
