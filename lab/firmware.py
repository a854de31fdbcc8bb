# SPDX-License-Identifier: GPL-2.0-or-later
"""machine/FIRMWARE.md: the secure processor's commands, from the table that
its code runs on (machine/hw/snp/fw_commands.c), as the unit test prints it."""

import collections
import re

from lab import paths, rules, say

PAGE = paths.ROOT / "machine" / "FIRMWARE.md"
TESTS = paths.ROOT / "machine" / "tests"
CODE = "machine/hw/snp/fw_commands.c"

Command = collections.namedtuple(
    "Command", "id name len writes layout platform snp sev active to_platform "
    "to_guest effect ours tio answer errors")

SEV = {1: "UNINIT", 2: "INIT", 4: "WORKING"}
SNP = {0x10: "UNINIT", 0x20: "INIT"}
SNP_GUEST = {1: "INIT", 2: "LAUNCH", 4: "RUNNING"}
SEV_GUEST = {2: "LUPDATE", 4: "LSECRET", 8: "RUNNING", 0x10: "SUPDATE",
             0x20: "RUPDATE", 0x40: "SENT"}
ACTIVE = ["", "with an ASID", "without an ASID"]

OURS = "silent; layout ours"

STATUSES = re.compile(r": [A-Z]+(_[A-Z]+)*(, [A-Z]+(_[A-Z]+)*)*$")

HEAD = """\
# The firmware's commands

<!-- written by `lab/snp list --firmware --write` from {code} -->

A command is refused with the first of these that applies, and nothing has
changed then (but a LEN field may have been set to the length needed, INIT_EX
that answers SECURE_DATA_INVALID has begun the host's storage anew, and
TIO_DEV_CONNECT that answers SPDM_ERROR or ERR_IN_DEV_CONN is over):

| | status |
|---|---|
| 1 | INVALID_COMMAND: no such command, or of trusted I/O, and there is none |
| 2 | INVALID_PLATFORM_STATE: the platform is in none of the states named |
| 3 | INVALID_ADDRESS: the buffer is no memory, or crosses a page |
| 4 | INVALID_PAGE_STATE: the command writes to its buffer, SNP is on, and the \
page is not Firmware |
| 5 | INVALID_ADDRESS, INVALID_GUEST: there is no such guest |
| 6 | INVALID_GUEST_STATE: the guest is in none of the states named |
| 7 | INACTIVE, ACTIVE: it has no ASID, or has one |
| 8 | the command's own errors, in the order given |

Buffers: offset in hex, length in bytes; all numbers little-endian. Rules in
brackets have their source in `machine/rules.tsv`. "Layout ours": no source at
hand has the buffer, its options or the checks; they are this firmware's own.
Errors that answer alike are numbered, too: that shows how the code goes, and
nothing that a caller could see.
"""


def commands():
    """The rows, in the order of their ids."""
    out = paths.OUT / "machine-tests"
    say.run(["make", "-s", "-C", TESTS, f"O={out}", out / "test-fw-table"],
            "firmware-table", hint=f"make -C machine/tests "
            f"O={paths.shown(out)} {paths.shown(out / 'test-fw-table')}")
    say.run([out / "test-fw-table", "--list"], "firmware-list",
            hint=f"{paths.shown(out / 'test-fw-table')} --list")
    rows = []
    for line in say.log_path("firmware-list").read_text().splitlines():
        part = line.split("\t")
        if len(part) >= 15:
            n = [int(x, 16) for x in part[5:8] + part[9:11]]
            rows.append(Command(
                part[0], part[1], int(part[2]), part[3] == "1", part[4],
                n[0], n[1], n[2], int(part[8]), n[3], n[4], part[11],
                part[12] == "1", part[13] == "1", part[14],
                [e.split() for e in part[15:]]))
    if not rows:
        raise say.Failed("the firmware's table came out empty")
    return rows


def _names(mask, of):
    got = [name for bit, name in of.items() if mask & bit]
    return "any" if len(got) == len(of) else ", ".join(got)


def _guest(c):
    if c.snp:
        return f"SNP: {_names(c.snp, SNP_GUEST)}"
    return f"SEV: {_names(c.sev, SEV_GUEST)}" if c.sev else ""


def _left(c):
    out = []
    if c.to_platform & 7:
        out.append(f"SEV {_names(c.to_platform & 7, SEV)}")
    if c.to_platform & 0x30:
        out.append(f"SNP {_names(c.to_platform & 0x30, SNP)}")
    if c.to_guest:
        of = SNP_GUEST if c.snp else SEV_GUEST
        out.append(f"guest {_names(c.to_guest, of)}")
    return "; ".join(out + [c.effect] * bool(c.effect)) or "nothing changed"


def _one(c, known):
    out = [f"### {c.id.upper()}h {c.name}\n"]
    if c.tio:
        out.append("Trusted I/O: INVALID_COMMAND unless the device has "
                   "`tio=on`.\n")
    if c.len:
        out.append(f"- buffer, {c.len} bytes{', written' * c.writes}"
                   f"{', layout ours' * c.ours}: "
                   f"{c.layout}")
    out.append(f"- platform: SEV {_names(c.platform & 7, SEV)}; SNP "
               f"{_names(c.platform & 0x30, SNP)}")
    if _guest(c):
        out.append("- guest: " + ", ".join(
            x for x in (_guest(c), ACTIVE[c.active]) if x))
    if c.answer != "SUCCESS":
        out.append(f"- answers {c.answer} when it is done")
    out.append(f"- leaves: {_left(c)}")
    out += [""] * bool(c.errors)
    out += [f"{n}. {status}: {STATUSES.sub('', known[rule])} [{rule}]"
            for n, (status, rule) in enumerate(c.errors, 1)]
    return "\n".join(out).rstrip("\n") + "\n"


def used(rows):
    return {rule for c in rows for _, rule in c.errors}


def own_rules(rows):
    """Rules that only commands have whose layout is ours"""
    mine, others = (used([c for c in rows if c.ours == ours])
                    for ours in (True, False))
    return mine - others


def page():
    """The whole page, or say.Failed if table and rules disagree."""
    rows, known = commands(), {r.id: r.rule for r in rules.table()}
    ours = own_rules(rows)
    bad = [f"{c.name}: {rule} has no row in {paths.shown(rules.FILE)}"
           for c in rows for _, rule in c.errors if rule not in known]
    bad += [f"{r.id}: its source is not \"{OURS}\", or should not be"
            for r in rules.table() if r.id in used(rows) and
            (r.source == OURS) != (r.id in ours)]
    if bad:
        raise say.Failed("\n".join(bad))
    return "\n".join([HEAD.format(code=f"`{CODE}`"),
                      f"{len(rows)} commands.\n"] +
                     [_one(c, known) for c in rows])
