#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clocks that are read by accesses to MSRs while instructions are counted:
where QEMU without our changes ends ("Bad icount read"), or reads 0.

    icount.py [--only=TITLE] QEMU-BINARY QEMU-ARGUMENT...

Both are run whichever is asked for.

Boots bare/ordinary.c with -icount, and has it do that alone. Prints KTAP; the
exit status says whether all cases passed.
"""

import pathlib
import subprocess
import sys

RUN = pathlib.Path(__file__).parent / "bare" / "run.py"
CLOCKS = "97"                   # as in ordinary.c
TITLES = ("the TSC as an MSR, while instructions are counted",
          "the x2APIC's timer, while instructions are counted")


def main(*argv):
    binary, *argv = argv[argv[0].startswith("--only="):]
    return subprocess.run(
        [sys.executable, RUN, "ordinary", binary, *argv, "-icount",
         "shift=0,sleep=off", "-append", CLOCKS], check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
