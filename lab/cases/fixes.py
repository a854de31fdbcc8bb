# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that lab/lists/stable-fixes.tsv names what the stable trees of the stock
hosts' kernels mended in SNP hosting, by the changelogs of the sources that are at
hand, and what 6.1's own has of it. What ours has is the list's word, and the
cases' that it names."""

import dataclasses

from lab import fixes
from lab.cases import Case, CaseFailed


def judged(rows):
    """The judge and the reader themselves."""
    text = ("linux (6.12.9-1) x; urgency=low\n\n    - [amd64] KVM: SEV: Mend a\n"
            "      page (CVE-2026-1)\n    - net: Mend b\n"
            "    https://x/ChangeLog-6.12.8\n    - KVM: SEV: Mend c\n"
            "linux (6.12.8-1) x; urgency=low\n\n  * crypto: ccp - Mend d\n"
            "linux (6.12~rc1-1) x; urgency=low\n\n    - KVM: SEV: Older\n")
    a, c, d = "KVM: SEV: Mend a page", "KVM: SEV: Mend c", "crypto: ccp - Mend d"
    bad = [f"{upto}: {fixes.mended('6.12', text, upto)}"
           for upto, want in (("6.12.9-1", ([a, c, d], [])),
                              ("6.12.8-1", ([d], [a, c])))
           if fixes.mended("6.12", text, upto) != want]
    have = {t: [r.subject for r in rows if r.tree == t] for t in fixes.TREES}
    base = {r.subject for r in rows if r.kind == "base"}
    none = next(r for r in rows if r.kind != "base")
    for wrong in (rows[1:], rows + rows[:1],
                  [*rows, dataclasses.replace(rows[0], subject="KVM: x")],
                  [dataclasses.replace(r, kind="base") if r is none else r
                   for r in rows]):
        if not fixes.problems(wrong, have, base):
            bad.append("a list may say what is wrong")
    if bad:
        raise CaseFailed("\n".join(bad))


def listed():
    rows, have, later = fixes.table(), {}, []
    judged(rows)
    base = {s for v, s in fixes.entries(fixes.changelog(fixes.BASE))
            if v.startswith("6.1.")}
    for tree, role in fixes.TREES.items():
        have[tree], new = fixes.mended(tree, fixes.changelog(role),
                                       fixes.uploads()[tree])
        later += [f"{tree}: of a later upload: {s}" for s in new]
    bad = fixes.problems(rows, have, base)
    if bad:
        raise CaseFailed("\n".join(bad))
    counts = ", ".join(f"{sum(r.kind == k for r in rows)} {k}"
                       for k in fixes.KINDS)
    return "\n".join([f"{len(rows)} fixes: {counts}", *later])


CASES = [Case("fixes.listed", "lab/lists/stable-fixes.tsv has each fix that the "
              "changelogs of the stock hosts' kernels name of SNP hosting, and "
              "of 6.1 just those that 6.1's has", listed, order=20, inputs=())]
