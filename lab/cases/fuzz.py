# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what a hostile host or guest may ask of the firmware, of the RMP
and of the processor neither crashes nor corrupts: fuzz targets of the machine's
pure logic, and of the machine itself, by libFuzzer under sanitizers. The seeds
are run by every check."""

import re
import shutil
import sys

from lab import machine, needs, paths, say
from lab.cases import Case, CaseFailed
from lab.cases.machine_unit import report

TESTS = paths.ROOT / "machine" / "tests"
OUT = paths.OUT / "machine-tests"
TARGETS = {
    "commands": "commands of the secure processor with any buffer anywhere, "
                "RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST, writes to memory and "
                "resets, in any order",
    "message": "messages of a guest that has its keys",
}
# Those that have all of QEMU behind them
IN_QEMU = {
    "vmsa": "VMRUN of any VMCB, VMSA, page table and page, SNP guest or not, "
            "and what it does when it runs, till it is gone",
    "insn": "the RMP instructions of host and guest, with any page, operand "
            "and page table",
    "mailbox": "accesses to the secure processor's function by CPUs and "
               "devices, what is made to fail, and resets",
    "iommu": "accesses to the IOMMU's registers, tables and commands of any "
             "content, transfers and interrupts of a device behind it, and "
             "resets",
}
LINK = TESTS / "fuzz" / "qemu" / "link.py"
SECONDS = 600
LENGTH = 400                    # bytes of an input; a step takes 2 to 20
LEAST = 1000                    # runs that are worth calling it fuzzed


def link(how, targets):
    """Makes what LINK makes, in OUT."""
    build = machine.build().build
    say.run([sys.executable, LINK, build, OUT, how, *targets],
            f"fuzz-{how}-link")


def replayed(target):
    """The number of its seeds, each of which was run."""
    have = sorted((TESTS / "fuzz" / "seeds" / target).iterdir())
    binary = OUT / f"replay-{target}"
    log = f"fuzz-seeds-{target}"
    report(log, [binary, *have], f"{paths.shown(binary)} SEED...")
    text = say.log_path(log).read_text(errors="replace")
    good = len(re.findall(r"^ok ", text, re.M))
    if not have or good != len(have):
        raise CaseFailed(f"{good} of {len(have)} seeds of {target} were run")
    return f"{good} seeds of {target}"


def seeds():
    say.run(["make", "-s", "-C", TESTS, f"O={OUT}", "replays"],
            "fuzz-replay-build")
    link("replay", IN_QEMU)
    return ", ".join(replayed(t) for t in [*TARGETS, *IN_QEMU])


def outcome(text):
    """(runs, places reached) of a fuzzer that found nothing; CaseFailed."""
    runs = re.search(r"^stat::number_of_executed_units: (\d+)$", text, re.M)
    reached = re.findall(r"^#\d+\s+\w+\s+cov: (\d+)", text, re.M)
    if not runs or not reached or "SUMMARY:" in text:
        said = re.findall(r"^(?:fuzz/.*|.*runtime error.*|SUMMARY.*|"
                          r"artifact_prefix.*)$", text, re.M)
        raise CaseFailed("\n".join(said[:6]) or "it left no result")
    if int(runs[1]) < LEAST:
        raise CaseFailed(f"{runs[1]} runs only")
    return int(runs[1]), int(reached[-1])


def judged():
    """The judgement itself: all but the first has to be refused."""
    good = f"#9\tDONE   cov: 12 ft: 3\nstat::number_of_executed_units: {LEAST}"
    if outcome(good) != (LEAST, 12):
        raise CaseFailed("a good run refused")
    for text in ("", good.replace(f"{LEAST}", "3"),
                 good + "\nSUMMARY: AddressSanitizer: x"):
        try:
            outcome(text)
        except CaseFailed:
            continue
        raise CaseFailed(f"taken for good: {text!r}")


def fuzz(target):
    judged()
    needs.fuzzer()
    if target in IN_QEMU:
        link("fuzz", [target])
    else:
        say.run(["make", "-s", "-C", TESTS, f"O={OUT}",
                 f"{OUT}/fuzz-{target}"], f"fuzz-{target}-build")
    found = paths.OUT / "fuzz" / target
    shutil.rmtree(found, ignore_errors=True)
    (found / "corpus").mkdir(parents=True)
    log = f"fuzz-{target}"
    try:
        say.run([OUT / f"fuzz-{target}", f"-max_total_time={SECONDS}",
                 f"-max_len={LENGTH}", "-len_control=0", "-timeout=60",
                 "-print_final_stats=1", f"-artifact_prefix={found}/",
                 found / "corpus", TESTS / "fuzz" / "seeds" / target], log)
    except say.Failed as e:
        text = say.log_path(log).read_text(errors="replace")
        outcome(text + "\nSUMMARY: " + str(e).splitlines()[0])
    runs, reached = outcome(say.log_path(log).read_text(errors="replace"))
    return f"{runs} runs, {reached} places reached"


CASES = [
    Case("fuzz.seeds", "each committed input of the fuzz targets does what it "
         "did: nothing that must not be, under sanitizers", seeds, order=6,
         inputs=("machine",)),
] + [Case(f"fuzz.{t}", f"{what}: ten minutes of libFuzzer, under sanitizers, "
          "break nothing that must hold", lambda t=t: fuzz(t), full=True,
          order=72, inputs=("machine",))
     for t, what in [*TARGETS.items(), *IN_QEMU.items()]]
