# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stable trees of the stock hosts' kernels mended in SNP hosting since,
and what of it ours has: a list in lab/lists/, held against the changelogs that
come with Debian's sources. These name a fix by its subject."""

import dataclasses
import gzip
import re

from lab import paths, rst, sources

LIST = paths.LAB / "lists" / "stable-fixes.tsv"
PAGE = paths.ROOT / "Documentation/virt/kvm/x86/snp-fixes.rst"
# {the tree: the source package with its changelog}
TREES = {"6.12": "tests.debian-13", "7.2": "tests.debian-backports"}
BASE = "host.ours"
# Subjects that concern SNP, or what it is made of; and those that only look so.
CONCERNS = re.compile(
    r"SEV|SNP|\b[Ss]ev:|\b(?:sev|snp)_|\bRMP\b|\bVMSA\b|GHCB|\bPSC\b|\bPSP\b|AP "
    r"Creation|guest_memfd|gmem|memory attributes|DebugSwap|mirror list|"
    r"crypto: ccp|iommu/amd.*kdump")
OTHERS = re.compile(r"snps|dccp|ppp_|^drm/|^perf/|Enable SEV_GUEST")
# base: 6.1's stable tree has it, too; have: so has ours; none: there is nothing
# in ours that it could mend
KINDS = ("base", "have", "none", "open")


@dataclasses.dataclass(frozen=True)
class Row:
    tree: str
    subject: str
    kind: str
    why: str


def parse(text):
    """[Row] of the list's text; AssertionError of what it may not say."""
    rows = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        assert len(fields) == 3 and all(fields), line
        m = re.fullmatch(r"(\w+)(?:: (.+))?", fields[2])
        assert fields[0] in TREES and m and m[1] in KINDS, line
        assert bool(m[2]) == (m[1] != "base"), line
        rows.append(Row(*fields[:2], m[1], m[2] or ""))
    return rows


def table():
    return parse(LIST.read_text())


def entries(text):
    """[(version of an upload, subject)] of a changelog of Debian's."""
    out, version, words = [], "", None
    for line in text.splitlines():
        m = re.match(r"\S+ \(([^)]+)\)", line)
        if m:
            version, words = m[1], None
            continue
        m = re.match(r" +[-+*] +(?:\[[^]]*\] *)?(.*)", line)
        if m:
            words = [m[1]]
            out.append((version, words))
        elif words and line.startswith("   ") and "://" not in line:
            words.append(line.strip())
        else:
            words = None
    return [(v, re.sub(r" \((?:CVE|Closes).*", "", " ".join(w)))
            for v, w in out]


def changelog(role):
    """Of the newest upload's source, as it was fetched."""
    file = next(sources.unpacked(role).glob("usr/share/doc/linux-source-*/"
                                            "changelog.Debian.gz"))
    return gzip.decompress(file.read_bytes()).decode()


def mended(tree, text, upto):
    """The subjects in a changelog that concern SNP and came to that tree after
    its first release: (those up to an upload, those of later ones)."""
    after, old, new = re.compile(rf"{re.escape(tree)}\.\d+-"), set(), set()
    found = entries(text)
    first = next((n for n, (v, _) in enumerate(found) if v == upto), None)
    assert first is not None, f"no changelog has {upto}"
    for n, (v, s) in enumerate(found):
        if after.match(v) and CONCERNS.search(s) and not OTHERS.search(s):
            (new if n < first else old).add(s)
    return sorted(old), sorted(new - old)


def problems(rows, have, base):
    """What is wrong with the list. have: {tree: subjects}; base: subjects that
    6.1's stable tree has."""
    listed = [(r.tree, r.subject) for r in rows]
    there = [(t, s) for t, subjects in have.items() for s in subjects]
    bad = [f"{t}: not in the list: {s}" for t, s in there
           if (t, s) not in listed]
    bad += [f"{t}: in no changelog: {s}" for t, s in listed
            if (t, s) not in there]
    bad += [f"{t}: twice: {s}" for t, s in sorted(set(listed))
            if listed.count((t, s)) > 1]
    return bad + [f"6.1 has{' not' * (r.kind == 'base')}: {r.subject}"
                  for r in rows if (r.kind == "base") != (r.subject in base)]


HEAD = """\
====================================================
Fixes of stable kernels in SNP hosting, and this one
====================================================

What the stable trees of 6.12 and 7.2 mended that concerns SNP, or what SNP hosting
is made of, by the changelogs of Debian's packages, which have each commit's
subject: up to %s.
"6.1" is in 6.1's own stable tree, too; a place is where this kernel has it; the
rest says why there is nothing to mend here. Made by
``lab/snp list --features --write`` from a list that is held against these
changelogs.

"""


def uploads():
    """{tree: the upload that the list was last held against}, as it says."""
    m = re.search(r"^# up to (.+)$", LIST.read_text(), re.M)
    assert m, "it does not say up to which uploads"
    return dict(zip(TREES, m[1].split()))


def page():
    def answer(r):
        return {"base": "6.1", "have": r.why, "none": f"no: {r.why}",
                "open": f"not yet: {r.why}"}[r.kind]
    head = HEAD % " and ".join(uploads().values())
    return rst.page(head, (6, 50, 44), ("tree", "fix", "here"),
                    [(r.tree, rst.text(r.subject), rst.text(answer(r)))
                     for r in table()])
