# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the host series is one: every patch applies in order, every new
file enters in one patch, the branch's end is what the kernel is built from,
the kernel builds after each patch, and the kernel's own means have nothing
against it."""

import pathlib
import tempfile

from lab import kstyle, linux, prefixes, series, style
from lab.cases import Case, CaseFailed


def applies():
    return f"{series.make()} patches"


def builds():
    seen = prefixes.build()
    bad = [f"{subject}:\n{wrong}" for subject, wrong in seen if wrong]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(seen)} prefixes"


# What checkpatch has to notice: a mail with each of these lines, by what.
WRONG = (("        int x;", "code indent should use tabs where possible"),
         ("\tif (x) return;", "trailing statements"),
         ("\tx = a+b;", "spaces preferred around that"))


def checkpatch():
    found, unsigned = [], []
    for name, text in kstyle.mails():
        found += kstyle.reports(text)
        who = series._me()
        if f"Signed-off-by: {who[0]} <{who[1]}>\n" not in text:
            unsigned.append(f"{name}: nobody signs it off")
    bad = unsigned + style.compare(
        found, style.known(file=kstyle.KNOWN), kstyle.KNOWN.name)
    for line, what in WRONG:
        file = "virt/kvm/guest_memfd.c"
        text = (f"From: a <a@b>\nSubject: [PATCH] x: Y\n\nWhy.\n\n"
                f"Signed-off-by: a <a@b>\n---\ndiff --git a/{file} b/{file}\n"
                f"--- a/{file}\n+++ b/{file}\n@@ -1,2 +1,3 @@\n {{\n+{line}\n"
                " }\n")
        if not any(what in r[1] for r in kstyle.reports(text)):
            bad.append(f"'{line}' is not noticed")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(found)} reports, each with its reason"


DOC = """\
/**
 * one() - Has a parameter
 * @other: not this one
 */
int one(int parameter)
{
\treturn 0;
}
"""


def kernel_doc():
    bad = kstyle.kernel_doc()
    with tempfile.TemporaryDirectory() as tmp:
        file = pathlib.Path(tmp) / "one.c"
        file.write_text(DOC)
        if len(kstyle.comments(linux.WORK, [file])) != 2:
            bad.append("a comment without its parameter is not noticed")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(kstyle.ours())} new files, {len(kstyle.hooked())} hooked"


CASES = [
    Case("series.applies", "overlay and patches become a git branch and "
         "mail; each new file enters in exactly one patch", applies,
         order=20, inputs=("linux",)),
    Case("series.checkpatch", "6.1's checkpatch --strict has nothing against "
         "the mails but what lab/lists/checkpatch-linux.tsv has, with the "
         "reason why it is false; each is signed off", checkpatch, order=21,
         inputs=("linux",)),
    Case("series.kernel-doc", "kernel-doc has nothing against the comments of "
         "new and hooked files that it has not against Debian's", kernel_doc,
         order=21, inputs=("linux",)),
    Case("series.builds", "the kernel builds after each patch of the series",
         builds, full=True, order=55, inputs=("linux",)),
]
