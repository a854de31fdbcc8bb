# SPDX-License-Identifier: GPL-2.0-or-later
"""machine/rules.tsv: the rules of the hardware, where the code checks them,
and who but us exercises them."""

import collections
import re

from lab import paths, say

FILE = paths.ROOT / "machine" / "rules.tsv"
READINGS = paths.ROOT / "machine" / "include" / "hw" / "snp" / "reading.h"
STRICTER = "stricter reading"   # in a row's section: there is a looser one
COLUMNS = ["id", "rule", "source", "section", "exercised_by"]
INDEPENDENT = {"6.12", "7.2", "OVMF", "guest"}
MARK = re.compile(r"\[([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)\]")
CODE = (".c", ".h", ".inc", ".patch", ".diff", ".S")

Rule = collections.namedtuple("Rule", COLUMNS)


def table():
    if not FILE.exists():
        return []
    lines = FILE.read_text().splitlines()
    if lines[0].split("\t") != COLUMNS:
        raise say.Failed(f"{paths.shown(FILE)}: its columns are not "
                         + ", ".join(COLUMNS))
    out = []
    for n, line in enumerate(lines[1:], 2):
        part = line.split("\t")
        if len(part) != len(COLUMNS) or not all(p.strip() for p in part):
            raise say.Failed(f"{paths.shown(FILE)}:{n}: not {len(COLUMNS)} "
                             "filled columns")
        out.append(Rule(*part))
    return out


def in_code():
    """{id: [file:line]} of every rule named at a check, tests left out."""
    found = collections.defaultdict(list)
    top = paths.ROOT / "machine"
    for path in sorted(top.rglob("*")):
        if path.suffix not in CODE or "tests" in path.relative_to(top).parts:
            continue
        for n, line in enumerate(path.read_text(errors="replace")
                                 .splitlines(), 1):
            if path.suffix in (".patch", ".diff") and line[:1] != "+":
                continue
            for rule in MARK.findall(line):
                found[rule].append(f"{path.relative_to(paths.ROOT)}:{n}")
    return found


def readings():
    """Ids of the rules that the machine can read the looser way, in the order
    of its list."""
    found = re.findall(r"^ +X\((\w+), \"([A-Z0-9-]+)\",", READINGS.read_text(),
                       re.M)
    odd = [i for name, i in found if name.replace("_", "-") != i]
    if odd or not found:
        raise say.Failed(f"{paths.shown(READINGS)}: "
                         + (f"the name of {odd[0]} is another" if odd else
                            "no readings"))
    return [i for _name, i in found]


def one_sided(rows, have):
    """Rules with two readings in table or code only."""
    silent = [r.id for r in rows if STRICTER in r.section]
    return ([f"{i}: its row says {STRICTER}, {paths.shown(READINGS)} has no "
             "other" for i in silent if i not in have] +
            [f"{i}: {paths.shown(READINGS)} has two readings, its row does "
             f"not say {STRICTER}" for i in have if i not in silent])


def who(rule):
    return [w.strip() for w in rule.exercised_by.split(",")]


def problems():
    """Where table and code disagree."""
    rows, code = table(), in_code()
    ids = [r.id for r in rows]
    out = [f"{r}: two rows" for r in sorted({i for i in ids
                                             if ids.count(i) > 1})]
    if ids != sorted(ids):
        out.append("the rows are not in the order of their ids")
    out += [f"{r}: at {code[r][0]}, but no row" for r in sorted(code)
            if r not in ids]
    out += [f"{r}: a row, but no check names it" for r in ids
            if r not in code]
    out += one_sided(rows, readings())
    for r in rows:
        bad = [w for w in who(r) if w not in INDEPENDENT | {"nobody"}]
        if bad:
            out.append(f"{r.id}: exercised by {', '.join(bad)}?")
        if "nobody" in who(r) and len(who(r)) > 1:
            out.append(f"{r.id}: nobody and somebody")
    return out


CAVEATS = paths.ROOT / "CAVEATS.md"
HEAD = "<!-- written by `lab/snp list --caveats --write` -->\n"


def caveats():
    return "".join(f"- `{r.id}`: {r.rule} ({r.source}, {r.section})\n"
                   for r in table() if "nobody" in who(r))


def write_caveats():
    text = CAVEATS.read_text()
    head, mark, _ = text.partition(HEAD)
    if not mark:
        raise say.Failed("CAVEATS.md has lost the line " + HEAD.strip())
    CAVEATS.write_text(head + HEAD + "\n" + caveats())


def show(only_caveats=False):
    if only_caveats:
        print(caveats(), end="")
        return
    rows = table()
    for r in rows:
        print(f"{r.id:32} {r.exercised_by:20} {r.rule}")
    alone = sum("nobody" in who(r) for r in rows)
    print(f"{len(rows)} rules, {len(rows) - alone} exercised by something "
          f"independent, {alone} by nobody")
