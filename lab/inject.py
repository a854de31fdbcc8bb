# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine is made to fail with (the device's property `inject`), and
what the newest stock host does then: the table that lab/cases/inject.py holds
runs against, and machine/INJECT.md is a print of."""

import dataclasses

from lab import paths

PAGE = paths.ROOT / "machine" / "INJECT.md"
HEAD = """\
# Failing on demand: what a stock host does

<!-- written by `lab/snp list --inject --write` from lab/inject.py -->

The newest stock kernel runs its own, unmodified `sev_smoke_test` while the
machine fails as the first column says (`include/hw/snp/inject.h`; events are
counted from the row's begin), and then once more without. "Rule": what is to
happen. The last columns are what did, and what cases `inject.*` hold it to: how
the test ended, with and without; whether the kernel warned; and what was left
in the RMP.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    inject: str
    fires: int              # how often; of all rules together
    rule: str               # what is to happen
    test: str               # the test: "pass", or a pattern of how it fails
    kernel: str = ""        # a pattern of what the kernel has to say of it
    warns: str = ""         # the one warning that upstream means to give
    # in the RMP, at the row's end, by ASID and state; None: not judged
    left: dict = dataclasses.field(default_factory=dict)
    bug: str = ""           # what upstream does wrong: then `after` holds
    after: str = "pass"     # the same test without injection, then
    before: str = ""        # shell


def failed(ioctl, errno=5):
    return rf"{ioctl}.*errno: {errno} "


EIO = "the ioctl fails with EIO; the guest goes, nothing of it is left"

PARTLY = ("the selftests' library does not look how far the ioctl got, and runs "
          "a guest that lacks pages; see UPSTREAM.md")

# One boot each; what takes the processor from the driver is the last of its.
BOOTS = {
    "status": (
        Row("gctx-create", "SNP_GCTX_CREATE:1:RESOURCE_LIMIT", 1, EIO,
            failed("KVM_SEV_SNP_LAUNCH_START", 25),
            kernel="Failed to create SEV-SNP context, rc -5 fw_error 23",
            bug="LAUNCH_START fails with ENOTTY, which means that there is no "
                "such ioctl; see UPSTREAM.md"),
        Row("launch-update", "SNP_LAUNCH_UPDATE:3:HWERROR_PLATFORM", 1,
            "the ioctl says how far it got, the next fails with EIO",
            "Wanted SYSTEM_EVENT, got SHUTDOWN", bug=PARTLY),
        Row("late", "SNP_LAUNCH_UPDATE:1-3:late-interrupts=40", 3,
            "the host waits", "pass"),
        Row("overlap", "RMPUPDATE:1-2000:OVERLAP", 2000,
            "the host tries again until it is done", "pass"),
        Row("npf", "NPF:1-40", 40, "the guest tries again", "pass"),
        Row("inuse-guest", "RMPUPDATE-GUEST:5:INUSE", 1,
            "the ioctl says how far it got, the next fails with EIO",
            "Wanted SYSTEM_EVENT, got SHUTDOWN", kernel="RMPUPDATE failed",
            bug=PARTLY),
        Row("decommission", "SNP_DECOMMISSION:1:HWERROR_PLATFORM", 1,
            "the guest's context and ASID are lost, and a warning says so",
            "pass", warns="Failed to release guest context",
            left={"0": {"context": 1}}),
    ),
    "buffer": (
        Row("buffer-inuse", "RMPUPDATE-FIRMWARE:1:INUSE", 1,
            "the ioctl fails; the next, without injection, does not",
            failed("KVM_SEV_LAUNCH_START", 14),
            kernel="failed to prepare buffer for legacy command 0x30",
            bug="ccp keeps its command buffer taken: every later LAUNCH_START "
                "fails, SNP is not shut down at the end; see UPSTREAM.md",
            after=failed("KVM_SEV_LAUNCH_START", 14)),
    ),
}


def _left(row):
    if row.left is None:
        return "not judged"
    return ", ".join(f"{n} {state}" for states in row.left.values()
                     for state, n in states.items()) or "nothing"


def _test(pattern):
    if pattern == ".":
        return "fails"
    return "`" + pattern.replace(".*", " ").rstrip() + "`"


def verdict(row):
    return f"upstream bug: {row.bug}" if row.bug else "as the rule says"


def page():
    out = [HEAD, "| injection | times | rule | the test | afterwards | warning "
           "| left | verdict |", "|---|---|---|---|---|---|---|---|"]
    for rows in BOOTS.values():
        for row in rows:
            out.append("| " + " | ".join((
                f"`{row.inject}`", str(row.fires), row.rule, _test(row.test),
                _test(row.after), f"`{row.warns}`" if row.warns else "none",
                _left(row), verdict(row))) + " |")
    return "\n".join(out) + "\n"
