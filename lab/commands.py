# SPDX-License-Identifier: GPL-2.0-or-later
"""The firmware commands that the newest stock kernel can send, by its own
header, beside those that the machine's firmware has."""

import re

from lab import firmware, lock, paths, say, sources, stamp

ROLE = "tests.debian-backports"
HEADER = "include/linux/psp-sev.h"

# What the firmware has and that kernel does not know: the ABI's mitigations
MORE = {0x0B2: "SNP_VERIFY_MITIGATION"}


@lock.alone
def header():
    """The header's text, out of the source package once."""
    kept = paths.OUT / "commands" / "psp-sev.h"
    key = stamp.digest(sources.rows(ROLE), HEADER)
    if not stamp.current("commands", key, kept):
        (tar,) = sources.unpacked(ROLE).glob("usr/src/linux-source-*.tar.xz")
        member = f"{tar.name.removesuffix('.tar.xz')}/{HEADER}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        with say.Step(f"read {HEADER} out of {tar.name}"):
            kept.write_text(say.capture(["tar", "-xf", tar, "-O",
                                         "--occurrence=1", member]))
        stamp.write("commands", key)
    return kept.read_text()


def known(text):
    """{number: name} of enum sev_cmd."""
    body = re.search(r"enum sev_cmd \{(.*?)\n\};", text, re.S)
    if not body:
        raise say.Failed(f"{HEADER} has no enum sev_cmd")
    return {int(n, 16): name for name, n in re.findall(
        r"^\s*SEV_CMD_(\w+)\s*=\s*(0x[0-9A-Fa-f]+),", body[1], re.M)}


def problems(theirs, ours):
    """Where the two differ. Both: {number: name}."""
    theirs = {**theirs, **MORE}
    return [f"{n:03X}h: {theirs.get(n, 'none')} there, {ours.get(n, 'none')} here"
            for n in sorted({*theirs, *ours}) if theirs.get(n) != ours.get(n)]


def ours():
    return {int(c.id, 16): c.name for c in firmware.commands()}
