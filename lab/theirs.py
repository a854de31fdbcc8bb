# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own tests: `make check-unit check-qtest-x86_64` of its sources, with
our changes and without, compared test by test."""

import json
import os
import subprocess

from lab import lock, machine, say, sources

SUITES = ("unit", "qtest-x86_64")
LOG = "lab"             # of meson's: meson-logs/lab.json
MULTIPLIER = 5          # of the time that each test has

# From good to bad; all else that meson says is a failure.
RANKS = {"OK": 0, "EXPECTEDFAIL": 0, "SKIP": 1}


def rank(result):
    return RANKS.get(result, 3 if result is None else 2)


@lock.alone
def build(pristine):
    """Builds the tests; returns the Machine."""
    m = machine.build(pristine)
    text = subprocess.run(
        [m.build / "pyvenv/bin/meson", "introspect", "--tests", m.build],
        env=machine.environment(), check=True, text=True,
        stdout=subprocess.PIPE).stdout
    programs = {os.path.relpath(t["cmd"][0], m.build) for t in json.loads(text)
                if any(s.split(":")[-1] in SUITES for s in t["suite"])}
    machine.ninja(f"{m.name}-tests", f"tests of the {m.title()}", m.build,
                  *sorted(p for p in programs if p.startswith("tests/")))
    _firmware(m)
    return m


def _firmware(m):
    """Debian's source has none: where QEMU's tests look for it, that of its
    packages."""
    where = m.build / "qemu-bundle/usr/local/share/qemu"
    roms = sources.unpacked("machine.roms") / "usr/share/qemu"
    for top in (*machine.firmware(), roms):
        for file in top.iterdir():
            to = where / file.name
            if not (to.is_symlink() or to.exists()):
                to.symlink_to(file.resolve())


def run(m, *names):
    """{test: meson's word} of all tests, or of these."""
    (m.build / f"meson-logs/{LOG}.json").unlink(missing_ok=True)
    log = f"upstream-tests-{m.name}"
    which = names or [x for s in SUITES for x in ("--suite", s)]
    with say.Step(f"QEMU's own tests of the {m.title()}") as step:
        try:
            say.run([m.build / "pyvenv/bin/meson", "test", "--no-rebuild",
                     "-C", m.build, "--logbase", LOG, "-t", MULTIPLIER,
                     "--num-processes", os.cpu_count(), *which], log, step,
                    env=machine.environment(), append=bool(names),
                    progress=say.Lines(rb"^ *\d+/\d+ \S+.*"))
        except say.Failed:
            pass                # some test did: it is in the list
    out = {}
    for line in (m.build / f"meson-logs/{LOG}.json").read_text().splitlines():
        test = json.loads(line)
        out[test["name"].split(" / ")[-1]] = test["result"]
    return out


def worse(theirs, ours):
    """Names of tests that do worse with our changes, or are not there."""
    return sorted(n for n, r in theirs.items() if rank(ours.get(n)) > rank(r))


def table(theirs, ours):
    """A line a test: what it does without our changes, and with them."""
    return [f"{n:44} {theirs.get(n, 'none'):12} {ours.get(n, 'none')}"
            for n in sorted(theirs.keys() | ours.keys())]
