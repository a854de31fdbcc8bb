# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU's own scripts/checkpatch.pl says of the machine's patches and new
files, and which of that is false by nature: lab/lists/checkpatch-qemu.tsv.

A report is (file, what, the line's text); numbers of lines move. Nobody's
sign-off is asked for: that is of whoever sends the series.
"""

import collections
import difflib
import re
import subprocess
import tempfile

from lab import machine, paths, say, tree

KNOWN = paths.LAB / "lists/checkpatch-qemu.tsv"
ENTERS = "-add-the-build-hooks-"    # the patch that the new files come with

REPORT = re.compile(r"^(ERROR|WARNING|CHECK): (.*)\n"
                    r"(?:#\d+:(?: FILE: (\S+?):\d+:)?.*\n((?:[-+ ].*\n)*))?",
                    re.M)


def new_files():
    """A diff that adds every new file, as a mail of the series would."""
    out = []
    for top, inside in machine.overlay():
        for file in sorted(p for p in top.rglob("*") if p.is_file()):
            if "__pycache__" in file.parts:
                continue
            name = f"{inside}/{file.relative_to(top)}"
            out += [f"diff --git a/{name} b/{name}", "new file mode 100644"]
            out += difflib.unified_diff(
                [], file.read_text().splitlines(), "/dev/null", f"b/{name}",
                lineterm="")
    return "\n".join(out) + "\n"


def reports(source, text, options=("--no-signoff",)):
    """What checkpatch of this source, QEMU's or a kernel's, has against a patch:
    a list of reports."""
    with tempfile.NamedTemporaryFile("w", suffix=".patch") as mail:
        mail.write(text)
        mail.flush()
        r = subprocess.run(
            ["perl", source / "scripts/checkpatch.pl", "--no-tree", *options,
             "--color=never", mail.name], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = []
    for kind, what, file, line in REPORT.findall(r.stdout):
        # a file that is new is named by the line that says so
        name = re.match(r".*? b/(\S+)", line) if not file else None
        lines = line.splitlines()
        found.append((file or (name and name[1]) or "-", f"{kind}: {what}",
                      lines[0][1:].strip() if lines else ""))
    told = re.search(r"^total: (\d+) errors, (\d+) warnings(?:, (\d+) checks)?",
                     r.stdout, re.M)
    if not told or sum(int(n or 0) for n in told.groups()) != len(found):
        raise say.Failed("checkpatch.pl speaks otherwise than expected:\n" +
                         r.stdout[-2000:])
    return found


def mails():
    """(name, text) of each patch, those for a newer QEMU included; the new
    files stand in the one that builds them."""
    for name in tree.series(machine.SERIES):
        text = (machine.SERIES / name).read_text()
        if ENTERS in name:
            text += new_files()
        yield name, text
    for file in sorted((machine.SERIES / "next").glob("*.patch")):
        yield f"next/{file.name}", file.read_text()


def known(text=None, file=KNOWN):
    """{report: reason} of a list."""
    out = collections.Counter(), {}
    for line in (text or file.read_text()).splitlines():
        if line and not line.startswith("#"):
            *report, why = line.split("\t")
            out[0][tuple(report)] += 1
            out[1][tuple(report)] = why
    return out


def compare(found, listed, name=KNOWN.name):
    """What is wrong: reports that no line explains, lines without report or
    reason. found: reports; listed: as known()'s, of a list of this name."""
    have, (want, why) = collections.Counter(found), listed
    bad = [f"{f}: {what}: {line}" for f, what, line in (have - want).elements()]
    bad += [f"{name}: nothing reports {' | '.join(r)}"
            for r in (want - have).elements()]
    bad += [f"{name}: no reason for {' | '.join(r)}"
            for r in want if len(r) != 3 or not why[r].strip()]
    return bad
