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
TABLE = paths.ROOT / "machine" / "hw" / "snp" / "fw_commands.c"
# Our own tests that name a rule: not independent, but somebody.
TESTS = paths.ROOT / "machine" / "tests"
OURS = ("bare", "unit")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", re.S | re.M)
# an id, and behind it what takes its last part's place: FW-A-B, -C, -D
NAMED = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+(?:,\s+(?:\*\s+)?"
                   r"-[A-Z0-9]+(?:-[A-Z0-9]+)*)*")
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


def named(text):
    """Ids, and what looks like them, in a test's comments."""
    out = set()
    for comment in COMMENT.findall(text):
        for found in NAMED.findall(comment):
            first, *others = re.split(r",\s+(?:\*\s+)?", found)
            stem = first.rsplit("-", 1)[0]
            out |= {first, *(stem + x for x in others)}
    return out


def in_tests():
    """{id: which of OURS name it}. Unit tests go through all errors of the
    firmware's table (test-fw-table.c), and through all readings (test-reading.c),
    without naming them."""
    out = collections.defaultdict(set)
    errors = re.findall(r'\bE\(\w+, "([A-Z0-9-]+)"\)', TABLE.read_text())
    for rule in [*(f"FW-{e}" for e in errors), *readings()]:
        out[rule].add("unit")
    for path in sorted(TESTS.rglob("*")):
        if path.suffix in (".c", ".h", ".S", ".py"):
            which = "bare" if path.parent == TESTS / "bare" else "unit"
            for rule in named(path.read_text(errors="replace")):
                out[rule].add(which)
    return out


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
    rows, code, tests = table(), in_code(), in_tests()
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
        bad = [w for w in who(r) if w not in {*INDEPENDENT, *OURS, "nobody"}]
        if bad:
            out.append(f"{r.id}: exercised by {', '.join(bad)}?")
        if "nobody" in who(r) and len(who(r)) > 1:
            out.append(f"{r.id}: nobody and somebody")
        if r.exercised_by != by(r, tests):
            out.append(f"{r.id}: exercised by {r.exercised_by}; with the tests "
                       f"that name it {by(r, tests)}")
    return out


def by(rule, tests):
    """Who exercises it: as its row says, and the tests of ours that name it.
    tests: in_tests()."""
    others = [w for w in who(rule) if w not in (*OURS, "nobody")]
    return ",".join(others + [w for w in OURS if w in tests.get(rule.id, ())]
                    ) or "nobody"


def write_tests():
    """Brings the column up to date with the tests that there are."""
    tests = in_tests()
    rows = [r._replace(exercised_by=by(r, tests)) for r in table()]
    FILE.write_text("\n".join("\t".join(x) for x in [COLUMNS, *rows]) + "\n")


CAVEATS = paths.ROOT / "CAVEATS.md"
HEAD = "<!-- written by `lab/snp list --caveats --write` -->\n"


def caveats():
    return "".join(f"- `{r.id}`: {r.rule} ({r.source}, {r.section})\n"
                   for r in table() if not INDEPENDENT & set(who(r)))


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
    alone = sum(not INDEPENDENT & set(who(r)) for r in rows)
    nobody = sum("nobody" in who(r) for r in rows)
    print(f"{len(rows)} rules, {len(rows) - alone} exercised by something "
          f"independent, {alone - nobody} by our own tests alone, {nobody} named "
          "by no test")
