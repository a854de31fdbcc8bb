# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what a hostile host or guest may ask of the firmware and of the
RMP neither crashes nor corrupts: fuzz targets of the machine's pure logic, by
libFuzzer under sanitizers. The seeds are run by every check."""

import re
import shutil

from lab import needs, paths, say
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
SECONDS = 600
LENGTH = 400                    # bytes of an input; a step takes 2 to 20
LEAST = 1000                    # runs that are worth calling it fuzzed


def seeds():
    have = {t: len(list((TESTS / "fuzz" / "seeds" / t).iterdir()))
            for t in TARGETS}
    report("fuzz-seeds", ["make", "-s", "-C", TESTS, f"O={OUT}", "replay"],
           f"make -C machine/tests O={paths.shown(OUT)} replay")
    text = say.log_path("fuzz-seeds").read_text(errors="replace")
    good = len(re.findall(r"^ok ", text, re.M))
    if good != sum(have.values()):
        raise CaseFailed(f"{good} of {sum(have.values())} seeds were run")
    return ", ".join(f"{n} seeds of {t}" for t, n in have.items())


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
    say.run(["make", "-s", "-C", TESTS, f"O={OUT}", f"{OUT}/fuzz-{target}"],
            f"fuzz-{target}-build")
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
          order=72, inputs=("machine",)) for t, what in TARGETS.items()]
