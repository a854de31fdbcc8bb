# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the cases notice: with one check of the machine or of the host
series removed, the case that stands for it fails, and says why."""

import pathlib
import subprocess
import tempfile

from lab import breakage, cases, paths, record
from lab.cases import Case, CaseFailed


def patches():
    """Fast: each patch is small, applies, names a case that exists."""
    names = {c.name for c in cases.all_cases()}
    bad = []
    for file in sorted(breakage.PATCHES.iterdir()):
        try:
            b = breakage.read(file)
        except AssertionError as e:
            bad.append(str(e))
            continue
        if b.case not in names:
            bad.append(f"{file.name}: no case is named {b.case}")
        r = subprocess.run(["patch", "-d", paths.ROOT, "-p1", "-f", "-s",
                            "--dry-run", "-i", file], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            bad.append(f"{file.name}: {r.stdout.strip()}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(breakage.every())} patches" + _read() + _judged()


def _patch(added, removed, says="x: no .* there"):
    return (f"Breaks: a\nCase: a.b\nSays: {says}\n\n--- a/x\n+++ b/x\n"
            "@@ -1 +1 @@\n" + "-- old\n" * removed + "++ new\n" * added)


def _read():
    """What is no breakage on purpose: too much of it, or a reason that any
    crash gives."""
    half = breakage.CHANGES // 2
    files = [(_patch(half, half), True), (_patch(half + 1, half), False),
             (_patch(half, half + 1), False), (_patch(0, 0), False),
             (_patch(1, 1).replace("Case: a.b\n", ""), False)]
    files += [(_patch(1, 1, says), False) for says in
              ("(BUG: |Kernel panic|Oops)", "BUG: unable to handle page fault",
               "WARNING", "signal 11", "")]
    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp) / "x.patch"
        for text, good in files:
            file.write_text(text)
            try:
                breakage.read(file)
            except AssertionError:
                if good:
                    raise
                continue
            if not good:
                raise CaseFailed(f"taken for a breakage:\n{text}")
    return f", {len(files) - 1} others refused"


def _judged():
    """What a broken tree's run must not be taken for a failure noticed."""
    b = breakage.Broken("x", None, "y", "a.b", "found .* here", [])
    good = "# the guest: found it here\nnot ok 1 a.b\n"
    wrong = ["ok 1 a.b\n", "", good.replace("found", "lost"),
             good.replace("a.b", "a.c"),
             good + "# nothing more after 600 s\n",
             "lab/snp: patch failed: found it here\n"]
    if breakage.judge(b, 1, good) != ("the guest: found it here", None):
        raise CaseFailed("a failure for the right reason is not accepted")
    for text in wrong:
        if not breakage.judge(b, 1, text)[1]:
            raise CaseFailed(f"accepted: {text!r}")
    return f", {len(wrong)} wrong outcomes refused"


def noticed(broken):
    """The case passes as things are, and fails with the check removed."""
    [case] = [c for c in cases.all_cases() if c.name == broken.case]
    whole = record.Record().has(case)
    if not whole:
        case.run()
    why, wrong = breakage.judge(broken, *breakage.run(broken))
    if wrong:
        raise CaseFailed(wrong + f"\nlog: out/log/breakage-{broken.name}.log")
    return why


def one(file):
    b = breakage.read(file)
    return Case(f"breakage.{b.name}", f"{b.breaks}: {b.case} fails for it",
                lambda: noticed(b), full=True, order=70, alone=True)


CASES = [
    Case("breakage.patches", "each breakage on purpose is small, applies, and "
         "names the case that must notice", patches, order=2),
] + [one(f) for f in sorted(breakage.PATCHES.glob("*.patch"))]
