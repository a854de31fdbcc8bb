# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine's patches are a series that QEMU could take: by
QEMU's own means, against QEMU as it is."""

from lab import machine, style
from lab.cases import Case, CaseFailed


def checkpatch():
    source = machine.unpack()
    found = [r for name, text in style.mails()
             for r in style.reports(source, text)]
    bad = style.compare(found, style.known()) + _style_noticed(source)
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(found)} reports, each with its reason"


# What has to be noticed: a patch with each of these lines, by what.
WRONG = (("\tint tab;", "code indent should never use tabs"),
         ("    if (x) return;", "trailing statements"),
         ("    " + "x" * 91 + ";", "line over 90 characters"))


def _style_noticed(source):
    out = []
    for line, what in WRONG:
        name = "hw/snp/rmp.c"
        text = (f"Subject: x\n\n---\n {name} | 1 +\n\ndiff --git a/{name} "
                f"b/{name}\n--- a/{name}\n+++ b/{name}\n"
                f"@@ -1,2 +1,3 @@\n {{\n+{line}\n }}\n")
        found = style.reports(source, text)
        if not any(what in r[1] and line.strip() in r[2] for r in found):
            out.append(f"'{line}' is not noticed: {found}")
    row = ("hw/x.c", "ERROR: y", "z")
    text = "\t".join(row)
    for found, listed in (([row], ""), ([], text + "\twhy"), ([row], text),
                          ([row] * 2, text + "\twhy")):
        if not style.compare(found, style.known(listed or "#")):
            out.append(f"{found} by '{listed}' is let through")
    if style.compare([row], style.known(text + "\twhy")):
        out.append("a report with a reason is not let through")
    return out


CASES = [
    Case("tree.checkpatch-qemu", "QEMU's checkpatch has nothing against the "
         "machine's patches and files but what stands in a list with the "
         "reason why it is false", checkpatch, order=6, inputs=("machine",)),
]
