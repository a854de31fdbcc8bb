# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine is made to fail with (the device's property `inject`), and
what a host does then, the newest stock one unless it says another: the table
that lab/cases/inject.py holds runs against, and machine/INJECT.md is a print
of."""

import dataclasses
import re

from lab import paths

PAGE = paths.ROOT / "machine" / "INJECT.md"
UPSTREAM = paths.ROOT / "machine" / "UPSTREAM.md"
HEAD = """\
# Failing on demand: what a stock host does

<!-- written by `lab/snp list --inject --write` from lab/inject.py -->

The newest stock kernel (where a row says so, Debian 13's) runs its own,
unmodified `sev_smoke_test` (where a GHCB changes, our `snp_ghcb_test`) while the
machine fails as the first column says
(`include/hw/snp/inject.h`; events are counted from the row's begin), and then
once more without. "Rule": what is to happen. The last columns are what did, and
what cases `inject.*` hold it to: how the test ended, with and without; whether
the kernel warned; and what was left in the RMP.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    inject: str
    fires: int              # how often; of all rules together
    rule: str               # what is to happen
    # the test: "pass", or a pattern of how it fails; "": the host dies in it
    test: str
    kernel: str = ""        # a pattern of what the kernel has to say of it
    warns: str = ""         # the one warning that upstream means to give
    # in the RMP, at the row's end, by ASID ("*": of any) and state; None: of
    # guests nothing, the rest is not judged
    left: dict = dataclasses.field(default_factory=dict)
    bug: str = ""           # what upstream does wrong: then `after` holds
    section: str = ""       # of UPSTREAM.md, which says how to see it
    after: str = "pass"     # the same test without injection, then
    alias: bool = False     # memory answers at two addresses
    counts: tuple = ()      # (counter of the machine's, its growth)
    once: bool = False      # the host loads what changes once an exit at most
    # shell: before it is injected, when it is, when it is no more
    before: str = ""
    during: str = ""
    then: str = ""


# What a row's host is called in the table
NEWEST = "debian-backports"
HOSTS = {NEWEST: "newest stock", "debian-13": "Debian 13's"}


@dataclasses.dataclass(frozen=True)
class Boot:
    proves: str
    rows: tuple
    psp: tuple = ()         # properties of the secure processor
    dies: str = ""          # a pattern of the line that ends it
    test: str = "sev_smoke_test"
    host: str = NEWEST
    full: bool = False      # it takes minutes


def failed(ioctl, errno=5):
    return rf"{ioctl}.*errno: {errno} "


EIO = "the ioctl fails with EIO; the guest goes, nothing of it is left"

PARTLY = ("the selftests' library does not look how far the ioctl got, and runs "
          "a guest that lacks pages")
TEST_LIBRARY = ("KVM's selftests: a launch that stopped half-way is taken for a "
                "whole one")
FREED = "KVM: a page of a guest that cannot be taken back is freed"

SILENT = ("the driver gives up after its time and says so; the ioctl fails, "
          "and each later command at once; what the firmware has is never "
          "used again; the host goes on")
# seconds that the driver waits, from the second command on: 100 otherwise
HURRY = "echo 5 > /sys/module/ccp/parameters/psp_cmd_timeout"
# INIT_EX is what the driver sends if it is told where to keep things
UNLOAD = "modprobe -r kvm_amd && modprobe -r ccp || echo '@@ not unloaded'"
LOAD = "modprobe ccp; modprobe kvm_amd"
INIT_EX = "modprobe ccp init_ex_path=/tmp/nv; modprobe kvm_amd"
# as the kernel's documentation has it: blank storage is ones
BLANK = r"head -c 32768 /dev/zero | tr '\0' '\377' > /tmp/nv"
ALONE = ("nobody but the firmware writes to the RMP while SNP_INIT_EX makes "
         "it; the host finds it as it was made")
ONCE = "the host goes by what it read first"


def _changed(name, what, value, **kwargs):
    # of the test's 66 batches none that it asks to go on with
    return Row(name, f"GHCB-0x80000010:1-40:{what}={value}:1", 40, ONCE,
               "pass", **kwargs)


SHARED = (
    Row("psc-before", "GHCB-0x80000010:1-3:0x802.2=0xffff:0", 3,
        "what changes before it is read is what the host goes by", "^fail: "),
    _changed("psc-end", "0x802.2", "0xffff", once=True),
    _changed("psc-entry", "0x808.8", "0x120000040000000"),
    _changed("ghcb-code", "0x390.8", "0x8000fffd", once=True),
    _changed("ghcb-valid", "0x3f8.8", "0x0"),
    _changed("ghcb-scratch", "0x3a8.8", "0xfffffffffffff000", once=True),
    _changed("ghcb-usage", "0xffc.4", "0x1"),
)


# What takes the processor from the driver is the last of its boot.
BOOTS = {
    "status": Boot(
        "firmware and RMP instructions fail on demand as often as the table "
        "says; the newest stock host then does what it says, and runs its "
        "guests again", (
        Row("gctx-create", "SNP_GCTX_CREATE:1:RESOURCE_LIMIT", 1, EIO,
            failed("KVM_SEV_SNP_LAUNCH_START", 25),
            kernel="Failed to create SEV-SNP context, rc -5 fw_error 23",
            bug="LAUNCH_START fails with ENOTTY, which means that there is no "
                "such ioctl",
            section="KVM: LAUNCH_START says ENOTTY if there is no context"),
        Row("activate", "SNP_ACTIVATE:1:HWERROR_PLATFORM", 1, EIO,
            failed("KVM_SEV_SNP_LAUNCH_START")),
        Row("launch-update", "SNP_LAUNCH_UPDATE:3:HWERROR_PLATFORM", 1,
            "the ioctl says how far it got, the next fails with EIO",
            "Wanted SYSTEM_EVENT, got SHUTDOWN", bug=PARTLY,
            section=TEST_LIBRARY),
        Row("launch-finish", "SNP_LAUNCH_FINISH:1:HWERROR_PLATFORM", 1, EIO,
            failed("KVM_SEV_SNP_LAUNCH_FINISH")),
        Row("late", "SNP_LAUNCH_UPDATE:1-3:late-interrupts=40", 3,
            "the host waits", "pass"),
        Row("overlap", "RMPUPDATE:1-2000:OVERLAP", 2000,
            "the host tries again until it is done", "pass"),
        Row("npf", "NPF:1-40", 40, "the guest tries again", "pass"),
        Row("inuse-guest", "RMPUPDATE-GUEST:5:INUSE", 1,
            "the ioctl says how far it got, the next fails with EIO",
            "Wanted SYSTEM_EVENT, got SHUTDOWN", kernel="RMPUPDATE failed",
            bug=PARTLY,
            section=TEST_LIBRARY),
        Row("decommission", "SNP_DECOMMISSION:1:HWERROR_PLATFORM", 1,
            "the guest's context and ASID are lost, and a warning says so",
            "pass", warns="Failed to release guest context",
            left={"0": {"context": 1}}),
    )),
    "buffer": Boot(
        "RMPUPDATE fails once while the newest stock host's ccp prepares a "
        "command: what that leaves", (
        Row("buffer-inuse", "RMPUPDATE-FIRMWARE:1:INUSE", 1,
            "the ioctl fails; the next, without injection, does not",
            failed("KVM_SEV_LAUNCH_START", 14),
            kernel="failed to prepare buffer for legacy command 0x30",
            bug="ccp keeps its command buffer taken: every later LAUNCH_START "
                "fails, SNP is not shut down at the end",
            section="ccp: a command buffer that could not be prepared stays "
                    "taken",
            after=failed("KVM_SEV_LAUNCH_START", 14)),
    )),
    "init": Boot(
        "while the newest stock host's modules are loaded, another CPU writes "
        "to the RMP that SNP_INIT_EX makes, and INIT_EX fails", (
        Row("race-store", "SNP_INIT_EX:1:store=0x10000", 1, ALONE, "pass",
            left=None, before=UNLOAD, during=LOAD,
            counts=(("race-refused", 1), ("race-done", 0))),
        Row("race-update", "SNP_INIT_EX:1:rmpupdate=0x10000", 1, ALONE, "pass",
            left=None, before=UNLOAD, during=LOAD,
            counts=(("race-refused", 1), ("race-done", 0))),
        Row("init-ex-data", "INIT_EX:1:SECURE_DATA_INVALID", 1,
            "the driver tries once more, which begins the storage anew",
            "pass", kernel="retrying INIT command because of "
            "SECURE_DATA_INVALID", left=None, before=f"{UNLOAD}; {BLANK}",
            during=INIT_EX),
        Row("init-ex", "INIT_EX:1:HWERROR_PLATFORM", 1,
            "the driver says so; no type of confidential guest is offered "
            "until the modules are loaded anew", r"^skip: ",
            kernel="SEV: INIT_EX failed 0x13, rc -5", left=None,
            before=UNLOAD, during=INIT_EX, then=f"{UNLOAD}; {INIT_EX}"),
    )),
    "lost": Boot(
        "the interrupt of a command is lost: what the newest stock host makes "
        "of that", (
        Row("lost", "SNP_LAUNCH_START:1:no-interrupt", 1, SILENT,
            failed("KVM_SEV_SNP_LAUNCH_START", 110),
            kernel="sev command 0xa0 timed out, disabling PSP",
            warns="Failed to release guest context",
            left={"0": {"context": 1, "firmware": 1}}, before=HURRY,
            after=failed("KVM_SEV_LAUNCH_START", 16)),
    )),
    # the driver's own 100 seconds, which pass while nothing runs
    "lost-update": Boot(
        "the interrupt of a command that was given a guest's page is lost, and "
        "the newest stock host waits as long as it does by itself", (
        Row("lost-update", "SNP_LAUNCH_UPDATE:3:no-interrupt", 1, SILENT, "",
            kernel="sev command 0xa1 timed out, disabling PSP",
            warns="Failed to reclaim PFN", after="",
            # the command was carried out: the page could be made shared
            left={"0": {"context": 1, "firmware": 1}},
            bug="KVM frees the guest's page that it has just put on the list "
                "of leaked ones, as where the mailbox is dead",
            section=FREED),
    ), dies="kernel BUG at lib/list_debug.c|"
        "BUG: unable to handle page fault for address", full=True),
    "dead": Boot(
        "the mailbox falls silent at a command, for good: what the newest "
        "stock host makes of that", (
        Row("dead", "SNP_LAUNCH_UPDATE:3:dead", 1, SILENT, "",
            kernel="sev command 0xa1 timed out, disabling PSP",
            warns="Failed to reclaim PFN", before=HURRY, after="",
            left={"0": {"context": 1, "firmware": 1}, "16": {"pre-guest": 1}},
            bug="KVM frees the guest's page that it has just put on the list "
                "of leaked ones; the list is corrupt, and the process that "
                "finds it so never ends", section=FREED),
    ), dies="kernel BUG at lib/list_debug.c|"
        # or whoever gets the page is the first to notice
        "BUG: unable to handle page fault for address"),
    "alias": Boot(
        "memory that answers at two addresses: what the newest stock host "
        "makes of that", (
        Row("alias", "", 0,
            "the firmware does not vouch for the memory any more, in its "
            "status and in guests' reports; it is their owners who decide",
            "pass", alias=True),
    ), ("dram-alias=0x20000000000",)),
    "shared": Boot(
        "a GHCB changes after the newest stock host's kernel has read from it: "
        "it goes by what it read first", SHARED, test="snp_ghcb_test --spare"),
    "shared-6.12": Boot(
        "the same on Debian 13's host: it goes by what it read first, but for a "
        "batch's end", tuple(
            dataclasses.replace(
                r, fires=3, test="^fail: .*KVM_RUN: Bad address", once=False,
                bug="KVM reads the end of a batch of page states again, and goes "
                "by that", section="KVM of 6.12: the end of a batch of page "
                "states is read again") if r.name == "psc-end" else r
            for r in SHARED),
        test="snp_ghcb_test --spare --old", host="debian-13"),
}


# Our host, where it does otherwise: {boot: {row: what of it is so}}
OURS = {
    "status": {"gctx-create": {"kernel": ""}, "inuse-guest": {"kernel": ""},
               # it gives up at 1000
               "overlap": {"inject": "RMPUPDATE:1-900:OVERLAP", "fires": 900},
               "decommission": {"warns": "", "kernel": "DECOMMISSION failed"}},
    # what fails once is tried again when a guest wants it
    "init": {"init-ex": {
        "kernel": "SEV: not initialised, rc -5, error 0x13", "test": "pass",
        "rule": "the driver says so; a guest that wants SEV has it tried anew"}},
    "lost": {"lost": {"warns": ""}},
    "buffer": {"buffer-inuse": {"kernel": "", "bug": "", "after": "pass"}},
    "dead": {"dead": {
        "warns": "", "bug": "", "kernel": "leaking PFN range",
        "test": failed("KVM_SEV_SNP_LAUNCH_UPDATE"),
        "after": failed("KVM_SEV_LAUNCH_START", 16),
        "left": {"0": {"context": 1, "firmware": 1}, "16": {"pre-guest": 1}},
    }},
    "shared": {},
}


# What nobody asked of a stock host
OURS_ONLY = {
    "reclaim": Boot(
        "where firmware does not give a page back our host keeps it as leaked; "
        "where RMPUPDATE never comes to its end it gives up; it goes on", (
            Row("reclaim-context", "SNP_PAGE_RECLAIM:1:HWERROR_PLATFORM", 1,
                "the page of the guest's context is leaked", "pass",
                kernel="leaking PFN range", left={"0": {"firmware": 1}}),
            Row("reclaim-launch", "SNP_LAUNCH_UPDATE:1:HWERROR_PLATFORM;"
                "SNP_PAGE_RECLAIM:1:HWERROR_PLATFORM", 2,
                "the page that was to be measured is leaked", "^fail: ",
                kernel="leaking PFN range", left={"*": {"pre-guest": 1}}),
            Row("overlap-for-ever", "RMPUPDATE:1-2000:OVERLAP", 1000,
                "the host gives up",
                failed("^fail: .*KVM_SEV_SNP_LAUNCH_START", 12)),
        ), test="snp_launch_test", host="ours"),
}


def ours(name):
    """The boot as our host has it; it survives each."""
    if name in OURS_ONLY:
        return OURS_ONLY[name]
    b = BOOTS[name]
    rows = tuple(dataclasses.replace(r, **OURS[name].get(r.name, {}))
                 for r in b.rows)
    return dataclasses.replace(b, rows=rows, dies="")


def _left(row):
    if row.left is None:
        return "nothing of guests"
    return ", ".join(f"{n} {state}" for states in row.left.values()
                     for state, n in states.items()) or "nothing"


def _test(pattern):
    if not pattern:
        return "never ends"
    return "`" + pattern.replace(".*", " ").strip("^: ") + "`"


def verdict(row):
    return (f"upstream bug: {row.bug}; see UPSTREAM.md, \"{row.section}\""
            if row.bug else "as the rule says")


def unwritten(text=None):
    """Rows whose bug has no section in UPSTREAM.md, sections of no row's, and
    sections that do not say how to see it. text: the page's, if not its own."""
    text = text or UPSTREAM.read_text()
    parts = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", text, re.M))
    rows = [r for b in BOOTS.values() for r in b.rows if r.bug]
    return ([f"{r.name}: no section '{r.section}' in {paths.shown(UPSTREAM)}"
             for r in rows if r.section not in parts] +
            [f"{t}: no row has it" for t in parts
             if t not in {r.section for r in rows}] +
            [f"{t}: no reproducer" for t, body in parts.items()
             if "Reproducer" not in body])


def page():
    out = [HEAD, "| injection | host | times | rule | the test | afterwards | "
           "warning | left | verdict |", "|---|---|---|---|---|---|---|---|---|"]
    for boot in BOOTS.values():
        for row in boot.rows:
            out.append("| " + " | ".join((
                f"`{row.inject or ', '.join(boot.psp)}`", HOSTS[boot.host],
                str(row.fires if row.inject else "always"),
                row.rule, _test(row.test),
                _test(row.after), f"`{row.warns}`" if row.warns else "none",
                _left(row), verdict(row))) + " |")
    return "\n".join(out) + "\n"
