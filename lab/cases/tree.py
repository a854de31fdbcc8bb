# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what the tree says of itself is so."""

import dataclasses
import os
import pathlib
import re

from lab import cases, commands, features, firmware, fixes, paths, rules
from lab.cases import Case, CaseFailed


def rules_table():
    bad = rules.problems()
    if bad:
        raise CaseFailed("\n".join(bad))
    rows, have = rules.table(), rules.readings()
    less = [r for r in rows if r.id != have[0]]
    if not rules.one_sided(less, have) or not rules.one_sided(rows, have[1:]):
        raise CaseFailed("a reading with one side only is not noticed")
    said = rules.named("/* A-B, -C,\n * -D-E; */ x = F-G; // H-I 2\n")
    one = rows[0]._replace(exercised_by="7.2")
    if said != {"A-B", "A-C", "A-D-E", "H-I"} or \
            rules.by(one, {one.id: {"bare"}}) != "7.2,bare" or \
            rules.by(one._replace(exercised_by="unit"), {}) != "nobody":
        raise CaseFailed(f"who names a rule is misjudged: {said}")
    return f"{len(rows)} rules, {len(have)} with two readings"


def against(promised, full):
    """What is wrong with promises. promised: (name, marked as full); full:
    {name of a case: is it a full one}."""
    bad = [f"SPECIFICATION.md names {n}, no such case" for n, _ in promised
           if n not in full]
    bad += [f"SPECIFICATION.md has {n} with{'' if marked else 'out'} (full), "
            f"{'not ' * (not full[n])}as the case is" for n, marked in promised
            if n in full and marked != full[n]]
    bad += [f"{n} stands nowhere in SPECIFICATION.md" for n in full
            if n not in dict(promised)]
    return bad


def twice(text):
    """Ids that stand at two promises."""
    ids = re.findall(r"^\| *([A-Z]+\d+) *\|", text, re.M)
    return [f"{i} stands there twice" for i in sorted(set(ids))
            if ids.count(i) > 1]


def specification():
    full = {c.name: c.full for c in cases.all_cases()}
    bad = against(cases.promised(), full) + _noticed()
    bad += twice((paths.ROOT / "SPECIFICATION.md").read_text())
    if not twice("| A1 | x | y |\n| A1 | z | y |\n"):
        bad.append("an id may stand there twice")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(full)} cases, {sum(full.values())} of them full"


def _noticed():
    """Each of these is wrong, but for the first."""
    cell = "| A1 | what `x` is | {} |"
    rows = [cell.format(c) for c in (
        "`a.b` `a.c` (full)", "`a.b`", "`a.b` `a.c`", "`a.*` `a.c` (full)",
        "`a.b` (full) `a.c` (full)", "`a.b` `a.c` (full) `a.d`", "")]
    out = [bool(against(cases.promised(r), {"a.b": False, "a.c": True}))
           for r in rows]
    return [] if out == [False] + [True] * (len(rows) - 1) else \
        [f"promises are misjudged: {out}"]


def host_features():
    names = {c.name for c in cases.all_cases()}
    bad, count = [], []
    for name in features.LISTS:
        rows = features.table(name)
        bad += features.problems(name, rows, names)
        count.append(f"{name}: {len(rows)} rows, "
                     f"{len(features.pending(name, rows))} open")
        # each of these is wrong
        for wrong in (rows[1:], rows + rows[:1],
                      [dataclasses.replace(rows[0], id="A-99"), *rows[1:]],
                      [dataclasses.replace(rows[0], cases=("a.b",)),
                       *rows[1:]]):
            if not features.problems(name, wrong, names):
                bad.append("a list may say what is wrong")
    for line in ("A-01\tx", "A-01\tx\tmaybe: y", "A1\tx\ty", "A-01\t\ty"):
        try:
            features.parse(line)
        except AssertionError:
            continue
        bad.append(f"the list may say {line!r}")
    rows = [features.Row(f"K-{n:02}", "x", (), "out", "y")
            for n in range(1, features.LISTS["host-mistakes"]["K"] + 1)]
    if not any("no case for" in x
               for x in features.problems("host-mistakes", rows, names)):
        bad.append("mistakes may do without cases")
    base = [dataclasses.replace(rows[0], kind="base")]
    if [len(features.pending(n, base)) for n in features.LISTS] != [1, 0]:
        bad.append("what 6.1 has counts as shown")
    if bad:
        raise CaseFailed("\n".join(bad))
    return "; ".join(count)


def complete():
    left = [f"{r.id} {r.what}: {r.why}" for name in features.LISTS
            for r in features.pending(name, features.table(name))]
    left += [f"{r.tree} {r.subject}: {r.why}" for r in fixes.table()
             if r.kind == "open"]
    if left:
        raise CaseFailed("\n".join(left))
    return "nothing is open"


def pages():
    """Those of Documentation that are made from lists."""
    made = {features.PAGE: features.page(), fixes.PAGE: fixes.page()}
    bad = [f"{p.relative_to(paths.ROOT)} is not what its list says\n"
           "try: lab/snp list --features --write" for p, text in made.items()
           if not p.exists() or p.read_text() != text]
    for line in ("6.12\tx", "6.12\tx\tbase: y", "6.12\tx\thave", "6.3\tx\tbase",
                 "6.12\tx\tmaybe: y"):
        try:
            fixes.parse(line)
        except AssertionError:
            continue
        bad.append(f"the list of fixes may say {line!r}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(made)} pages"


def caveats():
    text = rules.CAVEATS.read_text()
    if text.partition(rules.HEAD)[2].strip() != rules.caveats().strip():
        raise CaseFailed("CAVEATS.md does not list the rules nobody "
                         "exercises\ntry: lab/snp list --caveats --write")
    return f"{rules.caveats().count(chr(10))} rules"


def firmware_page():
    if not firmware.PAGE.exists() or \
            firmware.PAGE.read_text() != firmware.page():
        raise CaseFailed("machine/FIRMWARE.md is not what the firmware's "
                         "table says\ntry: lab/snp list --firmware --write")
    return f"{len(firmware.commands())} commands"


def kernels_commands():
    theirs, ours = commands.known(commands.header()), commands.ours()
    bad = commands.problems(theirs, ours)
    some = min(ours)
    bad += [f"not noticed: {what}" for what, changed in (
        ("a command less", {k: v for k, v in ours.items() if k != some}),
        ("another name", {**ours, some: "X"}), ("one more", {**ours, 0xfff: "X"}))
            if not commands.problems(theirs, changed)]
    if bad or len(theirs) < 60:
        raise CaseFailed("\n".join(bad) or f"{len(theirs)} commands there")
    return f"{len(theirs)} of {commands.HEADER}, {len(ours)} here"


# Files that are somebody's code, by name, and what their licence is by place:
# the kernel's are GPL-2.0-only, the rest may be taken under later versions. A
# patch has the licence of what it changes.
CODE = re.compile(r".*\.([chS]|py|sh|lds|rst|config)|Makefile|Kconfig|snp|"
                  r"meson\.build|trace-events|init|launch|shell|start|run")
KERNEL = ("arch", "drivers", "include", "virt", "tools", "Documentation")


def licence_of(place, text):
    """What is wrong with the licence line of a file at place, or None."""
    m = re.search(r"SPDX-License-Identifier: (\S+)",
                  "\n".join(text.split("\n")[:25]))
    wanted = {"GPL-2.0-or-later"}
    if place.parts[0] in KERNEL:
        wanted = {"GPL-2.0-only"}
    elif place.suffix == ".config":
        wanted.add("GPL-2.0-only")
    if not m:
        return f"{place}: no SPDX line"
    if m[1] not in wanted:
        return f"{place}: {m[1]}, wanted {' or '.join(sorted(wanted))}"
    return None


def tracked():
    """Every file of the tree, from its root; not what is built."""
    for here, below, names in os.walk(paths.ROOT):
        below[:] = sorted(set(below) - {".git", "out", "__pycache__"})
        for name in sorted(set(names) - {".git"}):
            yield (pathlib.Path(here) / name).relative_to(paths.ROOT)


def licences():
    spoiled = [("virt/a.c", "// SPDX-License-Identifier: GPL-2.0-or-later"),
               ("lab/a.py", "# SPDX-License-Identifier: GPL-2.0-only"),
               ("machine/a.c", "\n" * 30 + "SPDX-License-Identifier: "
                "GPL-2.0-or-later"), ("lab/b.py", "")]
    for place, text in spoiled:
        if not licence_of(pathlib.Path(place), text):
            raise CaseFailed(f"{place} with {text.strip()!r} was let through")
    code = [p for p in tracked()
            if CODE.fullmatch(p.name) and "seeds" not in p.parts]
    bad = [licence_of(p, (paths.ROOT / p).read_text()) for p in code]
    owned = re.findall(r"^F:\s+(\S+)", (paths.ROOT / "MAINTAINERS").read_text(),
                       re.M)
    bad += [f"{p}: nobody in MAINTAINERS has it" for p in tracked()
            if not any(str(p).startswith(o) if o.endswith("/") else
                       str(p) == o for o in owned)]
    if any(bad):
        raise CaseFailed("\n".join(filter(None, bad)))
    return f"{len(code)} files"


CASES = [
    Case("tree.rules", "each rule id in the machine's code has its row in "
         "machine/rules.tsv, and each row its check; each that is a stricter "
         "reading has a looser one in the machine; each row says which of our own "
         "tests name it", rules_table, order=1),
    Case("tree.specification", "each promise names cases that exist, each "
         "by its name and marked if only `check --full` runs it; each case "
         "stands at a promise, no two promises have an id", specification, order=1),
    Case("tree.features", "lab/lists/host-features.tsv has each feature of the "
         "newest kernel's SNP hosts, host-mistakes.tsv what others did wrong, "
         "with cases that exist, or what is missing; at most ten mistakes are "
         "excluded by a line of code alone", host_features, order=1),
    Case("features.complete", "none of these rows is open, nor one of the stable "
         "trees' fixes; what 6.1 has, and no case shows, is", complete,
         full=True, order=60, inputs=()),
    Case("tree.pages", "the pages of Documentation that tell of mistakes and of "
         "fixes are the lists", pages, order=1, inputs=()),
    Case("tree.caveats", "CAVEATS.md lists exactly the rules nobody "
         "independent exercises", caveats, order=1),
    Case("tree.firmware", "machine/FIRMWARE.md is the table of commands in "
         "the firmware's code, and its rules have rows", firmware_page,
         order=1),
    Case("tree.commands", "the firmware has each command of the newest stock "
         "kernel's list, by number and name, and of others those of a list only",
         kernels_commands, order=1, inputs=("machine",)),
    Case("tree.licences", "each file of code has the licence line of its "
         "place, each file its owner in MAINTAINERS", licences, order=1),
]
