#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One CPU modifies the code that another executes; see smc.S.

    smc.py QEMU-BINARY [-L DIR]...

Assembles the ROM (cc, objcopy) and boots it with one thread a CPU. Prints
KTAP; the exit status says whether all cases passed.
"""

import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).with_name("smc.S")
MODES = ("a store to a page of nothing else", "a store to a page of more code",
         "a locked instruction to a page of more code")
STATUS = {1: None, 3: "the second CPU did not come up",
          5: "stale code was executed"}
LIMIT = 300                     # seconds; it takes about five


def rom(mode, where):
    obj, image = f"{where}/smc.o", f"{where}/smc{mode}.bin"
    subprocess.run(["cc", f"-DMODE={mode}", "-c", "-o", obj, SOURCE],
                   check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", obj, image],
                   check=True)
    return image


def boot(binary, dirs, image):
    """None, or what went wrong."""
    argv = [binary, *dirs, "-machine", "q35", "-accel", "tcg,thread=multi",
            "-smp", "2", "-m", "64M", "-nodefaults", "-display", "none",
            "-no-reboot", "-bios", image,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
    try:
        done = subprocess.run(argv, timeout=LIMIT, capture_output=True,
                              text=True)
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT} s"
    if done.returncode in STATUS:
        return STATUS[done.returncode]
    return f"exit status {done.returncode}: {done.stderr.strip()}"


def main(binary, *dirs):
    print("KTAP version 1")
    print(f"1..{len(MODES)}")
    bad = 0
    with tempfile.TemporaryDirectory() as where:
        for mode, title in enumerate(MODES):
            wrong = boot(binary, dirs, rom(mode, where))
            bad += wrong is not None
            print(f"{'not ' * (wrong is not None)}ok {mode + 1} {title}" +
                  (f" # {wrong}" if wrong else ""), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
