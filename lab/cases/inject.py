# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine fails on demand, and what the newest stock host then
does: the kernel's own, unmodified sev_smoke_test runs while the property
`inject` of the secure processor is what a row of lab/inject.py says, and again
without. Rows go by counts; whether they fired is asked of the machine."""

import collections
import dataclasses
import json
import re

from lab import (host, inject, kernels, machine, paths, platform,
                 selftests)
from lab.cases import Case, CaseFailed
from lab.cases import bare
from lab.cases import kvm_selftests as kvm

# the test's seconds
LIMIT = 200
COUNTS = ("race-refused", "race-done", "ghcb-loads", "ghcb-changed")

# What no healthy kernel prints: newer ones leave "CPU" out of their warnings.
SPLAT = re.compile(r"WARNING: (.*)|(BUG: .*)|(Oops.*)|(Kernel panic.*)|"
                   r"(INFO: (?:task|rcu).*)")
NOISE = re.compile(r"^\[ *[\d.]+\] ?")


def script(rows, test):
    lines = ["modprobe ccp && modprobe kvm_amd || exit 9", kvm.SMT,
             kvm.OFFERED, "cd /lab"]

    def run(what, n, first=""):
        return (f"echo '<6>lab: begin {what} {n}' > /dev/kmsg; "
                f"{first or ':'}; timeout -k 5 {LIMIT} ./{test} > /tmp/out "
                "2>&1; s=$?; echo; "
                f"echo '@@ begin {what} {n}'; tail -c 1500 /tmp/out; echo; "
                f"echo '@@ end {what} {n}' $s")
    lines.append(run("first", 0))
    for n, row in enumerate(rows):
        lines += [row.before, f"mark on {n}", run("row", n, row.during),
                  f"mark off {n}", run("after", n, row.then),
                  f"mark after {n}"]
    lines.append("echo '<6>lab: all done' > /dev/kmsg; exit 0")
    return "\n".join(lines) + "\n"


def said(console):
    """{"row 3": lines of the kernel, without their times}"""
    out, now = {}, None
    for line in console.splitlines():
        m = re.search(r"lab: (?:begin (\w+ \d+)|all done)$", line)
        if m:
            now = m[1]
        elif now:
            out.setdefault(now, []).append(NOISE.sub("", line).strip())
    return out


def outcome(control, what):
    """"pass", how it failed, or None."""
    m = re.search(rf"^@@ begin {what}\n(.*?)\n@@ end {what} (\d+)$", control,
                  re.M | re.S)
    if not m:
        return None
    kind, reason = kvm.outcome(int(m[2]), m[1])
    return "pass" if kind == "pass" else f"{kind}: {reason}"


def grown(a, b):
    """What histogram b has more than a, where a guest or firmware owns it."""
    out = {}
    for asid, states in b.items():
        for state, n in states.items():
            more = n - a.get(asid, {}).get(state, 0)
            if more and state != "hypervisor":
                out.setdefault(asid, {})[state] = more
    return out


@dataclasses.dataclass
class Seen:
    test: str
    after: str
    fired: int
    kernel: list
    left: dict
    alias: bool = False
    counts: dict = dataclasses.field(default_factory=dict)


def problems(row, seen):
    """Why the host did not do what the row says."""
    bad = []

    def judge(what, want, got):
        if not want and got is None:
            return
        if got is None:
            bad.append(f"{what}: no result")
        elif not want or (want == "pass") != (got == "pass") or \
                want != "pass" and not re.search(want, got):
            bad.append(f"{what}: {got}")
    judge("the test", row.test, seen.test)
    judge("afterwards", row.after, seen.after)
    if seen.fired != row.fires:
        bad.append(f"fired {seen.fired} times, not {row.fires}")
    loads = seen.counts.get("ghcb-loads", 0)
    if row.inject.startswith("GHCB") and not seen.counts.get("ghcb-changed"):
        bad.append("nothing changed")
    if row.once and not 0 < loads <= seen.fired:
        bad.append(f"{loads} loads in {seen.fired} events")
    for name, want in row.counts:
        if seen.counts.get(name) != want:
            bad.append(f"{name}: {seen.counts.get(name)}, not {want}")
    text = "\n".join(seen.kernel)
    if row.kernel and not re.search(row.kernel, text):
        bad.append(f"the kernel did not say {row.kernel}")
    meant = row.warns and re.search(row.warns, text)
    for line in seen.kernel:
        m = SPLAT.search(line)
        if m and row.test and not (meant and m[1]):
            bad.append(f"the kernel: {line}")
    left, want = seen.left, row.left
    if want is None:
        left, want = {k: v for k, v in left.items() if k != "0"}, {}
    elif "*" in want:
        merged = collections.Counter()
        for states in left.values():
            merged.update(states)
        left = {"*": dict(merged)}
    if left != want:
        bad.append(f"left in the RMP: {left}, not {want}")
    if seen.alias != row.alias:
        bad.append("the firmware " + "did not find" * row.alias +
                   "found" * (not row.alias) +
                   " memory that answers at two addresses")
    return bad


def boot(name, what, on):
    """Returns [Seen] of the rows."""
    rows, test = what.rows, what.test
    built = selftests.newest()
    program = test.split()[0]
    ours = program in bare.TESTS
    files = (bare.stripped(program) if ours else
             {program: built / "x86" / program})
    states = {}

    def look(mark, n, monitor):
        psp = monitor.find(platform.PSP)
        states[mark, n] = {p: json.loads(monitor.get(psp, p))
                           for p in ("rmp-histogram", "stats", "guests")}
        keep = paths.RUNS / monitor.run / "states.json"
        keep.write_text(json.dumps([[*k, v] for k, v in states.items()]))
        return psp

    def on_mark(mark, text, monitor):
        n = int(text)
        monitor.command("qom-set", path=look(mark, n, monitor),
                        property="inject",
                        value=rows[n].inject if mark == "on" else "")

    def on_end(monitor):
        if what.dies:
            look("off", len(rows) - 1, monitor)
    h = host.Host(kernels.get(on), machine.build().binary, smp=2,
                  thread="multi", psp=what.psp,
                  # stock kernels have no audit
                  unbalanced=any(row.left for row in rows))
    r = h.run(f"inject-{name}", script(rows, test), files,
              timeout=600 + LIMIT * 2 * len(rows), on_mark=on_mark,
              on_end=on_end, cmdline="no_timer_check",
              fatal={"console": re.compile(what.dies)} if what.dies else None)
    first = outcome(r.control, "first 0")
    if first != "pass":
        raise CaseFailed("\n".join([f"before any row: {first}",
                                    *r.failure()]))
    out = collect(rows, r.control, r.console, states)
    if not (r.ended == "fatal" and re.search(what.dies, "\n".join(r.fatal))
            if what.dies else r.ok()):
        raise CaseFailed("\n".join([*told(rows, out), *r.failure()]))
    if len(out) != len(rows):
        raise CaseFailed("\n".join([*told(rows, out), "rows are missing"]))
    return out


def collect(rows, control, console, states):
    """[Seen] of the rows that came to their end."""
    text, out = said(console), []
    for n, _ in enumerate(rows):
        on, off = states.get(("on", n)), states.get(("off", n))
        if off:
            rules = off["stats"]["inject"]["rules"].values()
            counts = {k: off["stats"][k] - on["stats"][k] for k in COUNTS}
            out.append(Seen(outcome(control, f"row {n}"),
                            outcome(control, f"after {n}"),
                            sum(x["fired"] for x in rules),
                            text.get(f"row {n}", []),
                            grown(on["rmp-histogram"], off["rmp-histogram"]),
                            not off["guests"]["no-alias"], counts))
    return out


def told(rows, seen):
    """A line a row, and below it why it does not hold."""
    lines = []
    for n, (row, one) in enumerate(zip(rows, seen), 1):
        wrong = problems(row, one)
        lines.append("not " * bool(wrong) +
                     f"ok {n} {row.name}: {row.inject} # fired {one.fired}; "
                     f"{one.test}" + f"; upstream: {row.bug}" * bool(row.bug) +
                     f" ({one.counts})" * any(one.counts.values()))
        if wrong:
            lines += [*(f"    {x}" for x in wrong),
                      *(f"    | {x}" for x in one.kernel[:12])]
    return lines


def judged(name, on=inject.NEWEST):
    ours = on in kernels.OURS
    what = inject.ours(name) if ours else inject.BOOTS[name]
    lines = told(what.rows, boot(name + "-ours" * ours, what, on))
    if any(x.startswith("not ok") for x in lines):
        raise CaseFailed("\n".join(lines))
    return "\n".join(lines)


def unit():
    """The judge takes what a row says, and nothing else."""
    row = inject.Row("x", "X:1", 1, "r", "errno: 5 ", kernel="it said",
                     warns="meant", left={"0": {"context": 1}},
                     counts=(("race-done", 0),))
    good = Seen("fail: errno: 5 (EIO)", "pass", 1,
                ["it said so", "WARNING: at x", "as is meant"],
                {"0": {"context": 1}}, False, {"race-done": 0})
    bad = [f"what is right is refused: {problems(row, good)}"
           ] if problems(row, good) else []
    for what, change in (("test passed", {"test": "pass"}),
                         ("another errno", {"test": "fail: errno: 25 (x)"}),
                         ("no result", {"test": None}),
                         ("fails afterwards", {"after": "fail: x"}),
                         ("nothing afterwards", {"after": None}),
                         ("did not fire", {"fired": 0}),
                         ("fired twice", {"fired": 2}),
                         ("came through", {"counts": {"race-done": 1}}),
                         ("said nothing", {"kernel": ["meant"]}),
                         ("another warning",
                          {"kernel": ["it said", "WARNING: at x"]}),
                         ("an oops", {"kernel": ["it said", "BUG: x"]}),
                         ("nothing left", {"left": {}}),
                         ("more left", {"left": {"0": {"context": 2}}}),
                         ("memory twice", {"alias": True}),
                         ("never ends", {"test": None, "after": None})):
        if not problems(row, dataclasses.replace(good, **change)):
            bad.append(f"not noticed: {what}")
    row = dataclasses.replace(row, inject="GHCB:1-2:0x0.8=0x0:1", fires=2,
                              left=None, once=True)
    good = dataclasses.replace(good, fired=2, left={"0": {"x": 1}},
                               counts={"race-done": 0, "ghcb-loads": 2,
                                       "ghcb-changed": 2})
    if problems(row, good):
        bad.append(f"what is right is refused: {problems(row, good)}")
    for what, change in (("did not strike all", {"fired": 1}),
                         ("a guest's page left", {"left": {"1": {"x": 1}}}),
                         ("loaded twice", {"ghcb-loads": 3}),
                         ("never loaded", {"ghcb-loads": 0}),
                         ("never changed", {"ghcb-changed": 0})):
        if "ghcb-" in str(change):
            change = {"counts": {**good.counts, **change}}
        if not problems(row, dataclasses.replace(good, **change)):
            bad.append(f"not noticed: {what}")
    anyone = dataclasses.replace(row, left={"*": {"x": 1}})
    if problems(anyone, good) or not problems(
            anyone, dataclasses.replace(good, left={"1": {"x": 2}})):
        bad.append("what any guest leaves is misjudged")
    row = dataclasses.replace(row, inject="", test="", after="", once=False)
    good = dataclasses.replace(good, test=None, after=None,
                               kernel=["it said", "BUG: x"])
    if problems(row, good):
        bad.append(f"what is right is refused: {problems(row, good)}")
    if not problems(row, dataclasses.replace(good, test="pass")):
        bad.append("not noticed: the host lives")
    more = grown({"0": {"hypervisor": 9, "firmware": 2}, "3": {"x": 1}},
                 {"0": {"hypervisor": 7, "firmware": 3}, "4": {"x": 1}})
    if more != {"0": {"firmware": 1}, "4": {"x": 1}}:
        bad.append(f"what has grown: {more}")
    control = ("@@ begin row 1\nok\n\n@@ end row 1 0\n@@ begin row 2\n"
               "==== Test Assertion Failure ====\n  include/sev.h:1: !ret\n"
               "  pid=1 tid=1 errno=5\n     1\t0x1: a at b.c:1\n"
               "  X failed, rc: -1 errno: 5 (e)\n\n@@ end row 2 254\n")
    ends = [outcome(control, f"row {n}") for n in (1, 2, 3)]
    if ends != ["pass", "fail: include/sev.h:1: !ret; X failed, rc: -1 errno: "
                "5 (e)", None]:
        bad.append(f"how it ended: {ends}")
    lines = said("[ 1.0] lab: begin row 0\n[ 1.1] a\n[ 1.2] lab: begin after "
                 "0\n[ 1.3] b\n[ 1.4] lab: all done\n[ 1.5] c\n")
    if lines != {"row 0": ["a"], "after 0": ["b"]}:
        bad.append(f"what was said: {lines}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return "the judge"


def page():
    if not inject.PAGE.exists() or inject.PAGE.read_text() != inject.page():
        raise CaseFailed("machine/INJECT.md is not what lab/inject.py says\n"
                         "try: lab/snp list --inject --write")
    text = inject.UPSTREAM.read_text()
    bad = inject.unwritten()
    bad += [f"not noticed: a section without '{word}'" for word in
            ("## KVM", "Reproducer") if not inject.unwritten(
                text.replace(word, "x", 1))]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{sum(len(b.rows) for b in inject.BOOTS.values())} rows"


CASES = [
    Case("tree.inject", "machine/INJECT.md is the table of failures on demand, "
         "and each bug of upstream's in it has its section, with a reproducer, in "
         "machine/UPSTREAM.md",
         page, order=1),
    Case("inject.unit", "what a host did under a failure on demand is taken "
         "for what a row says only if it is", unit, order=2, inputs=()),
    *(Case(f"inject.{name}", b.proves,
           lambda name=name, b=b: judged(name, b.host), order=46, full=b.full,
           inputs=("machine",))
      for name, b in inject.BOOTS.items()),
    *(Case(f"inject.{name}.ours", "our host under the same failures as "
           f"inject.{name}: no splat, and it goes on",
           lambda name=name: judged(name, "ours"), order=48,
           full=name == "lost", inputs=("machine", "linux"))
      for name in inject.OURS),
    *(Case(f"inject.{name}.ours", b.proves,
           lambda name=name: judged(name, "ours"), order=48,
           inputs=("machine", "linux"))
      for name, b in inject.OURS_ONLY.items()),
]
