# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host of SEV-SNP guests has in the newest stock kernel, and who shows
that ours has it; mistakes that others made, and who notices them: two lists in
lab/lists/, what the cases said last, and the second one's page in
Documentation."""

import dataclasses
import re

from lab import paths, record, rst

# {list: {area: its last number}}
LISTS = {
    "host-features": {"A": 40, "I": 11, "C": 39, "G": 25, "M": 11, "S": 51,
                      "O": 20},
    "host-mistakes": {"K": 73},
}
KINDS = ("base", "open", "out")
# of mistakes: so many may be excluded by a line of code, and by no case
WITHOUT = 10
PAGE = paths.ROOT / "Documentation/virt/kvm/x86/snp-mistakes.rst"
HEAD = """\
=========================================
Mistakes in hosting SNP guests, and cases
=========================================

What others did wrong, in kernels that were released and in series that were
posted, and what fails if this kernel does it: a case of the lab that comes with
the series (``lab/snp check CASE``), or, where none can, the line that excludes it.
Made by ``lab/snp list --features --write`` from a list that is checked.

"""


@dataclasses.dataclass(frozen=True)
class Row:
    id: str
    what: str
    cases: tuple        # none: kind and why
    kind: str = "case"
    why: str = ""


def parse(text):
    """[Row] of a list's text; AssertionError of what it may not say."""
    rows = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        assert len(fields) == 3 and all(fields), line
        name, what, answer = fields
        assert re.fullmatch(r"[A-Z]-\d\d", name), name
        m = re.fullmatch(r"(\w+): (.+)", answer)
        if m:
            assert m[1] in KINDS, answer
            rows.append(Row(name, what, (), m[1], m[2]))
        else:
            rows.append(Row(name, what, tuple(answer.split())))
    return rows


def table(name):
    return parse((paths.LAB / "lists" / f"{name}.tsv").read_text())


def problems(name, rows, names):
    """What is wrong with a list. names: those of all cases."""
    want = [f"{a}-{n:02}" for a, last in LISTS[name].items()
            for n in range(1, last + 1)]
    have = [r.id for r in rows]
    bad = [f"{i} is not in the list" for i in want if i not in have]
    bad += [f"{i} is none" for i in have if i not in want]
    bad += [f"{i} stands there twice" for i in sorted(set(have))
            if have.count(i) > 1]
    without = [r.id for r in rows if r.kind in ("base", "out")]
    if name == "host-mistakes" and len(without) > WITHOUT:
        bad.append(f"no case for {' '.join(without)}: more than {WITHOUT}")
    return bad + [f"{r.id}: no case {c}" for r in rows for c in r.cases
                  if c not in names]


def pending(name, rows):
    """Rows of a list that nothing is said for. What 6.1 has is no proof of what
    ours has: a feature needs its case, too."""
    return [r for r in rows if r.kind == "open" or
            name == "host-features" and r.kind == "base"]


def page():
    """The mistakes, for Documentation."""
    def answer(r):
        if r.kind == "base":
            return rst.text(f"6.1 does not make it: {r.why}")
        if r.kind == "open":
            return rst.text(f"open: {r.why}")
        return rst.text(r.why) if r.why else rst.literals(r.cases)
    return rst.page(HEAD, (6, 47, 47), ("id", "mistake", "fails, or excludes it"),
                    [(r.id, rst.text(r.what), answer(r))
                     for r in table("host-mistakes")])


def show():
    """Each row with its cases, and which of them `check` last found good, with
    what there is now; then a count."""
    from lab import cases

    known = record.Record()
    rows = [r for name in LISTS for r in table(name)]
    good = {c.name for c in cases.all_cases() if known.has(c)}
    for r in rows:
        answer = f"{r.kind}: {r.why}" if r.why else " ".join(
            f"{c} ({'passed' if c in good else 'not run'})" for c in r.cases)
        print(f"{r.id} {r.what}\n     {answer}")
    counts = {k: sum(r.kind == k for r in rows) for k in ("case", *KINDS)}
    print("; ".join(f"{n} {k}" for k, n in counts.items()))
