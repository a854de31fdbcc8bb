#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ROMs of two CPUs for what QEMU without our changes gets wrong of memory and
flags, smc.S, gif.S, lock.S, x87.S, map.S, walk.S, xsave.S, and for what one CPU
of an SNP host may do while another runs a guest, held.S.

    two_cpus.py [--only=TITLE] QEMU-BINARY [-L DIR]...

Assembles each ROM (cc, objcopy) and boots it with one thread a CPU. Prints
KTAP; the exit status says whether all cases passed.
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
STALE = "stale code was executed"
HELD = "it was refused, or was not"
# An SNP host; the RMP lies in memory above 4 GiB. The last -m counts.
SNP = ("-m", "3G", "-cpu", "EPYC-Milan-v1,phys-bits=48,min-xlevel=0x8000001f,"
       "+svm", "-device")
# source, its MODE, what must hold, what the exit status for WRONG means, more
# arguments
ROMS = (("smc.S", 0, "a store to a page of nothing else", STALE),
        ("smc.S", 1, "a store to a page of more code", STALE),
        ("smc.S", 2, "a locked instruction to a page of more code", STALE),
        ("gif.S", 0, "STGI, while another CPU loads x87 state",
         "an interrupt did not come after STGI"),
        ("lock.S", 0, "#PF of a locked instruction that crosses pages",
         "no #PF, or CF and DF were not in its frame"),
        ("x87.S", 0, "80-bit loads and stores that cross pages",
         "not all bytes came from or went to the page they belong to"),
        ("map.S", 0, "access to a device while the memory map changes",
         "a register was not what was written to it"),
        ("walk.S", 0, "a page walk that stores to the page being translated",
         "the instruction or the page table is wrong"),
        ("xsave.S", 0, "XSAVE to a page whose first code is being translated",
         STALE, "-cpu", "EPYC-Milan"),
        ("held.S", 0, "writes to pages that another CPU holds", HELD, *SNP,
         "amd-psp"),
        ("held.S", 1, "the same with HvInUseWrAllowed", HELD, *SNP,
         "amd-psp,write-in-use=on"))
LIMIT = 300                     # seconds; it takes about five


def rom(source, mode, where):
    obj, image = f"{where}/rom.o", f"{where}/rom.bin"
    subprocess.run(["cc", f"-DMODE={mode}", "-c", "-o", obj, HERE / source],
                   check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", obj, image],
                   check=True)
    return image


def boot(binary, dirs, image, bad, *more):
    """None, or what went wrong."""
    argv = [binary, *dirs, "-machine", "q35", "-accel", "tcg,thread=multi",
            "-smp", "2", "-m", "64M", "-nodefaults", "-display", "none",
            "-no-reboot", "-bios", image,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *more]
    try:
        done = subprocess.run(argv, timeout=LIMIT, capture_output=True,
                              text=True)
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT} s"
    # as in two-cpus.h; 1 is QEMU's own for all that keeps it from starting
    status = {33: None, 35: bad, 37: "the second CPU did not come up"}
    if done.returncode in status:
        return status[done.returncode]
    return f"exit status {done.returncode}: {done.stderr.strip()}"


def main(binary, *dirs):
    roms = ROMS
    if binary.startswith("--only="):
        roms = [r for r in ROMS if r[2] == binary[7:]]
        binary, *dirs = dirs
    print("KTAP version 1")
    print(f"1..{len(roms)}")
    bad = 0
    with tempfile.TemporaryDirectory() as where:
        for i, (source, mode, title, *how) in enumerate(roms):
            wrong = boot(binary, dirs, rom(source, mode, where), *how)
            bad += wrong is not None
            print(f"{'not ' * (wrong is not None)}ok {i + 1} {title}" +
                  (f" # {wrong}" if wrong else ""), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
