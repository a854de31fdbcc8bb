# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that what the tree says of itself is so."""

import fnmatch

from lab import cases, firmware, rules
from lab.cases import Case, CaseFailed


def rules_table():
    bad = rules.problems()
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(rules.table())} rules"


def specification():
    names = [c.name for c in cases.all_cases()]
    promised = cases.promised()
    bad = [f"SPECIFICATION.md names {p}, no such case" for p in promised
           if not any(fnmatch.fnmatch(n, p) for n in names)]
    bad += [f"{n} stands nowhere in SPECIFICATION.md" for n in names
            if not any(fnmatch.fnmatch(n, p) for p in promised)]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(names)} cases"


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
    have, lack = firmware.counts()
    return f"{have} commands, {lack} ids without one"


CASES = [
    Case("tree.rules", "each rule id in the machine's code has its row in "
         "machine/rules.tsv, and each row its check", rules_table, order=1),
    Case("tree.specification", "each promise names a case that exists, and "
         "each case stands at a promise", specification, order=1),
    Case("tree.caveats", "CAVEATS.md lists exactly the rules nobody "
         "independent exercises", caveats, order=1),
    Case("tree.firmware", "machine/FIRMWARE.md is the table of commands in "
         "the firmware's code, its rules have rows, CAVEATS.md names the ids "
         "that are not implemented", firmware_page, order=1),
]
