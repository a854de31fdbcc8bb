# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine's SVM and SEV are what stock kernels expect, by the
kernels' own, unmodified KVM selftests on stock hosts: the SEV ones by name,
all of Debian 13's against lab/lists/kvm-selftests-6.12.tsv."""

import collections
import json
import re
import subprocess

from lab import host, kernels, linux, machine, paths, selftests
from lab.cases import Case, CaseFailed

LIST = paths.LAB / "lists" / "kvm-selftests-6.12.tsv"
# The same for 6.1's own, on 6.1 without the series and with it.
LIST61 = paths.LAB / "lists" / "kvm-selftests-6.1.tsv"
SKIP = 4                        # KSFT_SKIP, a selftest's exit status
OUTCOMES = ("pass", "skip", "fail", "timeout")

# test: path below the selftests; pace: quick, slow (minutes; has a host of its
# own, that runs beside others' cases) or alone (in check-full: the test measures
# time, and shares neither its host nor, if it is to pass, the computer); limit: seconds; unpatched, machine: what it
# does on either. A reason that begins with this word: it measures time, too,
# a busy computer gets a second try, and a failure is not asked to repeat.
TIMED = "timed:"
PACES = ("quick", "slow", "alone")
Row = collections.namedtuple("Row", "test pace limit unpatched machine reason")
Seen = collections.namedtuple("Seen", "outcome reason splats")

# Seconds that all tests of up to QUICK seconds in one boot have together: they
# take a few each, and a machine that hangs in all of them is told early.
QUICK, BOOT = 300, 1500

# The host's CPUs are not hyper-threads, and 7.2's SNP test sets the policy
# bit that allows them only if this file says "on".
SMT = """
echo on > /run/smt
mount --bind /run/smt /sys/devices/system/cpu/smt/control
"""


def read(text):
    """The list's rows; AssertionError names the line that is none."""
    rows = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        row = Row(*line.split("\t"))
        row = row._replace(limit=int(row.limit))
        assert row.pace in PACES, line
        assert row.unpatched in OUTCOMES and row.machine in OUTCOMES, line
        assert row.reason, f"no reason: {line}"
        # The machine may be better than unpatched QEMU, never worse.
        assert row.unpatched != "pass" or row.machine == "pass", line
        rows.append(row)
    assert len({r.test for r in rows}) == len(rows), "a test stands twice"
    return rows


def script(tests, before="", timed=()):
    """tests: (test, seconds). Runs each, whatever the others do, and those
    in timed again if they fail; what the kernel says meanwhile stands between
    marks in its log."""
    lines = ["modprobe ccp", "modprobe kvm_amd || exit 9", before, "cd /lab"]
    for n, (test, limit) in enumerate(tests):
        once = f"timeout -k 5 {limit} ./{test} > /tmp/out 2>&1; s=$?; "
        again = (f"if [ $s != 0 ]; then echo '{test}: second try'; {once}fi; "
                 if test in timed else "")
        lines.append(f"echo '<6>lab: begin {n}' > /dev/kmsg; {once}{again}"
                     f"echo; echo '@@ begin {n}'; "
                     f"tail -c 1500 /tmp/out; echo; echo '@@ end {n}' $s")
    lines.append("echo '<6>lab: all done' > /dev/kmsg")
    return "\n".join(lines) + "\n"


def outcome(status, text):
    """(outcome, reason) from a test's exit status and last output."""
    said = [x.strip() for x in text.splitlines() if x.strip()]
    if status == 0:
        # KTAP tests end with 0 if all their parts were skipped, too.
        parts = [x for x in said if re.match(r"(not )?ok \d+", x)]
        if parts and all("# SKIP" in x for x in parts):
            return "skip", parts[0]
        return "pass", ""
    if status == SKIP:
        why = [x for x in said if re.search(r"skip|require", x, re.I)]
        return "skip", (why or said or ["says nothing"])[-1]
    if status in (124, 137):
        return "timeout", "did not end in its time"
    for n, line in enumerate(said):
        if "Test Assertion Failure" in line:
            rest = [x for x in said[n + 1:]
                    if not re.match(r"\d+\s+0x|pid=|\(stack|sh: ", x)]
            return "fail", "; ".join(rest[:2])
    return "fail", f"status {status}: " + (said or ["says nothing"])[-1]


def splats(console, count):
    """Lines no healthy kernel prints, by the test that was running; those
    before the first under -1. What follows the last is the power-off."""
    out = collections.defaultdict(list)
    now = -1
    for line in console.splitlines():
        m = re.search(r"lab: begin (\d+)$", line)
        if m:
            now = int(m[1])
        elif re.search(r"lab: all done$", line):
            now = count
        elif now < count and host.BAD_LINES.search(line):
            out[now].append(line.strip())
    return out


def observe(name, kernel, binary, built, tests, before="", snp=True,
            timed=(), psp=()):
    """Runs (test, seconds) on a host: a name of kernels.NAMES, or a Kernel;
    psp: properties of its secure processor. Returns {test: Seen} of those
    that ended; CaseFailed if the host itself did not hold."""
    lost = [t for t, _ in tests if not (built / t).exists()]
    if lost:
        raise CaseFailed("not built: " + " ".join(lost))
    where = paths.OUT / "selftests" / "stripped" / built.parents[3].name
    files = {}
    for test, _ in tests:
        files[test] = where / test
        if not files[test].exists() or \
                files[test].stat().st_mtime < (built / test).stat().st_mtime:
            files[test].parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["strip", "-o", files[test], built / test],
                           check=True)
    if isinstance(kernel, str):
        kernel = kernels.get(kernel)
    h = host.Host(kernel, binary, smp=2, thread="multi", snp=snp,
                  psp=psp)
    compared = []

    def on_mark(_name, _text, monitor):
        compared.append(json.loads(monitor.get("/machine/peripheral/psp",
                                               "stats"))["self-check"])

    checks = "self-check=on" in psp
    long = sum(limit + 5 for _, limit in tests if limit > QUICK)
    r = h.run(name, script(tests, before, timed) + "mark tested\n" * checks,
              files, on_mark=on_mark, timeout=180 + max(BOOT, long))
    bad = splats(r.console, len(tests))
    if checks and r.ok() and not any(compared):
        raise CaseFailed("the machine compared nothing with the RMP")
    seen = {}
    for n, (test, _) in enumerate(tests):
        m = re.search(rf"^@@ begin {n}\n(.*?)\n@@ end {n} (\d+)$", r.control,
                      re.M | re.S)
        if m:
            seen[test] = Seen(*outcome(int(m[2]), m[1]), bad[n])
    if bad[-1]:
        raise CaseFailed("before any test: " + "\n".join(bad[-1]))
    if not r.ok():
        last = tests[len(seen)][0] if len(seen) < len(tests) else "the last"
        raise CaseFailed("\n".join([f"during {last}:", *r.failure()]))
    if r.lockdep_off() and not any(s.splats for s in seen.values()):
        raise CaseFailed("\n".join(r.lockdep_off()))
    return seen


def judge(expected, seen, exact=()):
    """expected: {test: outcome}; exact: tests which, known to fail, have to
    fail. Returns (KTAP lines, what does not hold)."""
    lines, bad = [], []
    for n, (test, want) in enumerate(expected.items(), 1):
        if test not in seen:
            got = Seen("fail", "left no result", [])
        else:
            got = seen[test]
        # what is known to fail may get better
        good = got.outcome == want or want == "timeout" or \
            (want == "fail" and test not in exact)
        if got.splats:
            good = False
        if good and got.outcome == "skip":
            lines.append(f"ok {n} {test} # SKIP {got.reason}")
        elif good and got.outcome != "pass":
            lines.append(f"ok {n} {test} # XFAIL {got.reason}")
        elif good:
            note = "" if want == "pass" else f" # the list says {want}"
            lines.append(f"ok {n} {test}{note}")
        else:
            lines.append(f"not ok {n} {test} # {got.outcome}, the list says "
                         f"{want}: {got.reason}")
            bad.append(lines[-1])
            bad += ["    " + s for s in got.splats]
    return lines, bad


def verdict(expected, seen, exact=()):
    lines, bad = judge(expected, seen, exact)
    if bad:
        raise CaseFailed("\n".join(lines + ["did not hold:"] + bad))
    return "\n".join(lines)


SEV, SEV_DEBUG = selftests.SEV, selftests.SEV_DEBUG


# A test leaves out, without a word, a kind of guest that KVM does not offer.
OFFERED = """
for kind in SEV SEV-ES SEV-SNP; do
	# 6.1 says "supported", and not which module it is
	dmesg | grep -Eq "(kvm_amd: |] )$kind (enabled|supported)" ||
		{ echo "no $kind"; exit 9; }
done
"""


# Each cached translation is compared with the RMP at each world switch.
SELF_CHECK = ("self-check=on",)


def sev(on, names=SEV, limit=300, psp=()):
    """The SEV tests of the newest host's kernel: all pass, none skipped, each
    within limit seconds. Debian 13's are in the list."""
    built = selftests.newest()
    seen = observe(f"selftests-sev-{on}", on, machine.build().binary, built,
                   [(f"x86/{t}", limit) for t in names], SMT + OFFERED,
                   psp=psp)
    tests = [f"x86/{t}" for t in names]
    return verdict({t: "pass" for t in tests}, seen)


def without(rows, seen):
    """The verdict on what the tests do without our changes, which excuses
    what they do with them: a failure has to be one."""
    return verdict({r.test: r.unpatched for r in rows}, seen,
                   [r.test for r in rows if not r.reason.startswith(TIMED)])


def on_machine(rows, name, pristine=False, psp=()):
    """Runs rows of the list on Debian 13's host. Returns {test: Seen}."""
    built = selftests.build("tests.debian-13")
    return observe(name + "-unpatched" * pristine, "debian-13",
                   machine.build(pristine).binary, built,
                   [(r.test, r.limit) for r in rows],
                   "" if pristine else OFFERED, snp=not pristine,
                   timed=[r.test for r in rows if r.reason.startswith(TIMED)],
                   psp=psp)


def listed(pace, psp=()):
    """The machine does what the list says."""
    rows = [r for r in read(LIST.read_text()) if r.pace == pace]
    if not rows:
        raise CaseFailed(f"the list has no {pace} test")
    return verdict({r.test: r.machine for r in rows},
                   on_machine(rows, "-".join([f"selftests-{pace}", *psp]),
                              psp=psp))


def unpatched():
    """The list's fourth column is what unpatched QEMU does."""
    rows = [r for r in read(LIST.read_text()) if r.pace != "alone"]
    return without(rows, on_machine(rows, "selftests-list", pristine=True))


def alone():
    """Each test that measures time has a boot for itself, on unpatched QEMU
    and on the machine."""
    lines = []
    for row in read(LIST.read_text()):
        if row.pace == "alone":
            lines += ["on unpatched QEMU:", without([row], on_machine(
                [row], "selftests-alone", pristine=True)),
                "on the machine:", verdict({row.test: row.machine}, on_machine(
                    [row], "selftests-alone"))]
    return "\n".join(lines)


def on_61(rows, pristine=False, flavour=""):
    """Runs rows of 6.1's list on 6.1 with the series or, pristine, without
    it, on the machine. Returns {test: Seen}."""
    kernel = linux.build(flavour, pristine)
    return observe(f"selftests-{kernel.name}", kernel, machine.build().binary,
                   selftests.build("host.ours"),
                   [(r.test, r.limit) for r in rows],
                   timed=[r.test for r in rows if r.reason.startswith(TIMED)])


def with_series():
    """6.1's own tests: what passes without the series passes with it."""
    rows = read(LIST61.read_text())
    lines = without(rows, on_61(rows, True))
    return "\n".join(["without the series:", lines, "with it:",
                      verdict({r.test: r.machine for r in rows},
                              on_61(rows))])


# A kernel that checks itself takes that many times as long.
SLOWER = 8


def checked():
    """6.1's own tests, those that take seconds, on the series as a kernel
    that checks itself: it has nothing to say, and passes what is to pass."""
    rows = [r._replace(limit=r.limit * SLOWER)
            for r in read(LIST61.read_text()) if r.pace == "quick"]
    # 6.1 itself takes kvm->lock and vcpu->mutex in one order where it launches
    # SEV-ES guests and in the other where it sets Xen's attributes, which no
    # VM has both: lockdep is not to see them in one boot.
    seen = {}
    for sev_boot in (False, True):
        seen |= on_61([r for r in rows if ("sev" in r.test) == sev_boot],
                      flavour="debug")
    return verdict({r.test: r.machine for r in rows}, seen)


def judged():
    """The judgement itself: each of these must be refused."""
    ok = "@\nok 1 a\n", "1..1\nok 1 # SKIP no x\n"
    wanted = [("pass", 0, ok[0]), ("skip", 0, ok[1]), ("pass", 0, ""),
              ("skip", SKIP, "1..0 # SKIP - Requirement not met: x\n"),
              ("fail", 254, "==== Test Assertion Failure ====\n  x.c:1: y\n"),
              ("fail", 139, ""), ("timeout", 124, ""), ("timeout", 137, "")]
    for want, status, text in wanted:
        got = outcome(status, text)
        if got[0] != want or (want != "pass" and not got[1]):
            raise CaseFailed(f"status {status}, {text!r}: {got}")
    for got in ("pass", "skip", "timeout"):
        if not judge({"a": "fail"}, {"a": Seen(got, "x", [])}, ["a"])[1]:
            raise CaseFailed(f"{got} taken for a failure")
    for got in ("skip", "fail", "timeout"):
        if not judge({"a": "pass"}, {"a": Seen(got, "x", [])})[1]:
            raise CaseFailed(f"{got} taken for a pass")
    for seen in ({}, {"a": Seen("pass", "", ["BUG: x"])}):
        if not judge({"a": "pass"}, seen)[1]:
            raise CaseFailed(f"{seen} taken for a pass")
    if judge({"a": "pass"}, {"a": Seen("pass", "", [])})[1]:
        raise CaseFailed("a pass refused")
    console = "lab: begin 0\nBUG: x\nlab: all done\nCall Trace:\n"
    if dict(splats(console, 1)) != {0: ["BUG: x"]}:
        raise CaseFailed(f"splats: {splats(console, 1)}")
    for line in ("a\tquick\t9\tpass\tfail\tx", "a\tquick\t9\tpass\tskip\tx",
                 "a\tquick\t9\tpass\tpass\t", "a\tquick\t9\tpass\topen\tx",
                 "a\tslow\t9\topen\tpass\tx", "a\tsoon\t9\tpass\tpass\tx"):
        try:
            read(line)
        except AssertionError:
            continue
        raise CaseFailed(f"the list may say {line!r}")
    rows = {r.test: r for r in read(LIST.read_text())}
    for test in SEV:
        row = rows.get(f"x86_64/{test}")
        if not row or (row.pace, row.machine) != ("quick", "pass"):
            raise CaseFailed(f"the list does not ask {test} to pass")
    return f"{len(rows)} tests in the list"


CASES = [
    Case("selftests.judge", "a selftest's skip, failure, time-out, missing "
         "result or kernel splat is never taken for a pass; the list lets "
         "nothing get worse", judged, order=6),
    Case("selftests.sev", "the newest kernel's own sev_smoke_test (SEV, "
         "SEV-ES, SNP), sev_init2_tests, sev_migrate_tests and sev_dbg_test "
         "pass on it, one thread a CPU, every cached translation compared with "
         "the RMP",
         lambda: sev("debian-backports", SEV + SEV_DEBUG, psp=SELF_CHECK),
         order=42, inputs=("machine",)),
    Case("selftests.sev.ours", "the same tests pass on our host, the machine "
         "checking itself there, too", lambda: sev("ours", SEV + SEV_DEBUG,
                                        psp=SELF_CHECK),
         order=47),
    Case("selftests.quick", "6.12's KVM selftests on Debian 13's kernel, the "
         "SEV ones among them, do what the list says: nothing that passes on "
         "unpatched QEMU fails", lambda: listed("quick"), order=43,
         inputs=("machine",)),
    Case("selftests.slow", "those of 6.12's KVM selftests that take minutes do "
         "on Debian 13's kernel what the list says, too",
         lambda: listed("slow"), order=40, inputs=("machine",)),
    Case("selftests.quick.self-check", "the same with every cached translation "
         "compared with the RMP", lambda: listed("quick", SELF_CHECK),
         full=True, order=60, inputs=("machine",)),
    Case("selftests.alone", "the same, and on unpatched QEMU, for those that "
         "measure time: by itself, and only an otherwise idle computer passes",
         alone, full=True, order=62, alone=True, inputs=("machine",)),
    Case("selftests.unpatched", "the list says what the tests do on "
         "unpatched QEMU", unpatched, full=True, order=61, inputs=()),
    Case("selftests.sev.ours.debug", "the same on a kernel that checks itself "
         "(KASAN, lockdep, sleeping while atomic), without a splat",
         lambda: sev("ours-debug", limit=1200), full=True, order=56),
    Case("selftests.6.1.debug", "6.1's own KVM selftests, those that take "
         "seconds, pass on our kernel that checks itself, without a splat",
         checked, full=True, order=58),
    Case("selftests.6.1", "6.1's own KVM selftests pass with the series where "
         "they pass without it", with_series, full=True, order=57),
]
