# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's own means say of the host series: scripts/checkpatch.pl of
its mails, scripts/kernel-doc of its files. What the latter says of Debian's
source without it does not count."""

import collections
import re
import subprocess

from lab import linux, paths, say, series, style, tree

KNOWN = paths.LAB / "lists/checkpatch-linux.tsv"


def mails():
    """(name, text) of each mail of the series, as it would be sent."""
    series.make()
    for file in sorted(series.MAIL.glob("*.patch")):
        if not file.name.startswith("0000-"):
            yield file.name, file.read_text()


def reports(text):
    """What checkpatch --strict has against a mail, lines without their tabs.
    The kernel's MAINTAINERS has directories, and so all new files."""
    found = style.reports(linux.WORK, text, ("--strict", "--ignore",
                                             "FILE_PATH_CHANGES"))
    return [(file, what, " ".join(line.split())) for file, what, line in found]


def ours(suffix=(".c", ".h")):
    """Paths of the series' own files in the kernel."""
    return sorted(f for f in series.new_files() if f.endswith(suffix))


def hooked(suffix=(".c", ".h")):
    """Paths of the files that it hooks."""
    return sorted({f for name in tree.series(linux.SERIES)
                   for f in tree.touched_by(linux.SERIES / name)
                   if f.endswith(suffix) and (linux.PRISTINE / f).exists()})


def said(argv, src, **kwargs):
    """Counter of (file, text) of what a tool says in a source: lines that
    begin with a file and a line's number, of which they lose the latter."""
    r = subprocess.run([str(a) for a in argv], cwd=src, text=True, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, **kwargs)
    out = collections.Counter()
    for m in re.finditer(r"^(?:\./)?([^\s:]+):\d+(?:[:-]\d+)*: (.*)$",
                         r.stdout, re.M):
        out[m[1].removeprefix(f"{src}/"), m[2]] += 1
    if r.returncode and not out:
        raise say.Failed(f"{argv[0]}: status {r.returncode}: "
                         f"{r.stdout[-400:]}")
    return out


def comments(src, files):
    """What kernel-doc has against files of a source."""
    return said(["perl", "scripts/kernel-doc", "-none", *files], src) \
        if files else collections.Counter()


def kernel_doc():
    """What kernel-doc has against the files of the series, and not against
    Debian's."""
    linux.lay()
    new = comments(linux.WORK, ours() + hooked())
    return sorted(f"{f}: {text}" for f, text in
                  new - comments(linux.PRISTINE, hooked()))
