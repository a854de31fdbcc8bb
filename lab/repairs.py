# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches that repair QEMU for everybody, and their tests: the table
machine/tests/repairs.tsv against the series and the tests that there are."""

import collections
import re
import subprocess
import sys

from lab import machine, paths, platform, say, tree

TESTS = paths.ROOT / "machine" / "tests"
TABLE = TESTS / "repairs.tsv"
ORDINARY = TESTS / "bare" / "ordinary.c"
Row = collections.namedtuple("Row", "patch test title without")

# Of what QEMU does without a patch: the test may pass there.
MAY_PASS = ("at times: ", "not alone: ")

# A patch that adds a line with one of these is not for everybody.
OURS = re.compile(r"snp|sev|rmp|vmsa|ghcb|psp", re.I)


def rows(text=None):
    return [Row(*line.split("\t")) for line in
            (text or TABLE.read_text()).splitlines()
            if line and not line.startswith("#")]


def titles():
    """{name of a script: titles of its tests, in their order}"""
    listed = {"ordinary": re.findall(r'^    \{ \w+, "(.*)" \},$',
                                     ORDINARY.read_text(), re.M)}
    for name, form in (("icount", r'^(?:TITLES = \(| {10})"(.*)"[,)]'),
                       ("two_cpus", r'^\s+\("\w+\.S", \d, "([^"]*)",(?! \w+, \*SNP)|'
                        r'^ROMS = \(\("\w+\.S", \d, "(.*?)",'),
                       ("iommu", r'\("([^"]+)", on\(\w+\)\)')):
        text = (TESTS / f"{name}.py").read_text()
        listed[name] = [next(filter(None, m.groups())) for m in
                        re.finditer(form, text, re.M)]
    return listed


def for_everybody():
    """Numbers of the patches that add nothing of SEV or SNP."""
    for name in tree.series(machine.SERIES):
        diff = (machine.SERIES / name).read_text().partition("\n---\n")[2]
        if not any(OURS.search(line) for line in diff.splitlines()
                   if re.match(r"\+(?!\+\+ )", line)):
            yield name[:4]


def problems(table, cases):
    """What is wrong with rows; cases: names of the lab's."""
    have = titles()
    numbers = {n[:4] for n in tree.series(machine.SERIES)}
    bad = [f"{r.patch}: no such patch" for r in table if r.patch not in numbers]
    for r in table:
        if r.test == "-":
            if r.title != "none" and r.title not in cases:
                bad.append(f"{r.patch}: no case is named {r.title}")
        elif r.title not in have.get(r.test, ()):
            bad.append(f"{r.patch}: {r.test} has no test '{r.title}'")
        if not r.without.strip():
            bad.append(f"{r.patch}: {r.title}: nothing said of QEMU without it")
    said = {(r.test, r.title) for r in table}
    bad += [f"{name}: no patch has '{t}' for its test"
            for name, ts in have.items() for t in ts if (name, t) not in said]
    bad += [f"{n}: neither a test nor a reason why there is none"
            for n in for_everybody() if n not in {r.patch for r in table}]
    return bad


def computer():
    """What the tests of ordinary hosts run on: no secure processor."""
    cpu = f"{platform.PRESETS['milan'].cpu},{platform.BARE},+no-nested-data-bp"
    return ["-machine", "q35", "-accel", "tcg,thread=single", "-smp", "2",
            "-m", "512M", "-cpu", cpu, "-global", "x86_64-cpu.pks=on",
            "-device", "pvpanic", "-nodefaults", "-display", "none",
            "-no-reboot"]


def command(name, binary):
    where = [x for d in machine.firmware() for x in ("-L", str(d))]
    if name == "icount":
        return [sys.executable, TESTS / "icount.py", binary, *computer(),
                "-global", "x86_64-cpu.x2apic=on", *where]
    if name == "ordinary":
        return [sys.executable, TESTS / "bare" / "run.py", name, binary,
                *computer(), *where]
    return [sys.executable, TESTS / f"{name}.py", binary, *where]


def passed(text, names):
    """Those of names that the KTAP in text says passed"""
    good = re.findall(r"^ok \d+ (.*?)(?: #|$)", text, re.M)
    return [n for n in names if n in good]


def passes(name, title, binary):
    """Does one test of a script pass on binary, run by itself if it can be?"""
    argv, log = command(name, binary), f"prefix-{name}"
    if name == "ordinary":
        argv += ["-append", titles()[name].index(title) + 1]
    else:
        argv.insert(2, f"--only={title}")
    _fails(argv, log)
    return title in passed(say.log_path(log).read_text(), [title])


def passing_without(binary):
    """Tests that do not fail on another QEMU although the table says so, each
    of `ordinary` run by itself, as it may end it. And how many there are."""
    out, count = [], 0
    for name, ts in titles().items():
        if name == "ordinary":
            good = [t for n, t in enumerate(ts, 1) if not _fails(
                [*command(name, binary), "-append", n], f"unpatched-{n}")]
        else:
            _fails(command(name, binary), f"unpatched-{name}")
            good = passed(say.log_path(f"unpatched-{name}").read_text(), ts)
        may = {r.title for r in rows() if r.test == name and
               r.without.startswith(MAY_PASS)}
        out += [f"{name}: {t}" for t in good if t not in may]
        count += len(ts)
    return out, count


def _fails(argv, log):
    with open(say.log_path(log), "w", encoding="utf-8") as sink:
        return subprocess.run([str(x) for x in argv], stdout=sink,
                              stderr=subprocess.STDOUT, check=False,
                              cwd=say.log_path(log).parent).returncode != 0
