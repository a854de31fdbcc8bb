#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A bare host that looks at the memory of bare SNP guests: outside/.

    outside.py QEMU-BINARY QEMU-ARGUMENT...

The arguments are a machine with a secure processor, one CPU. Prints KTAP; the
exit status says whether all tests passed."""

import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent / "outside"
CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding",
          "-fno-pic", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
          "-fcf-protection=none", "-mno-red-zone", "-mgeneral-regs-only",
          "-fno-tree-loop-distribute-patterns", "-static", "-nostdlib",
          "-no-pie", "-Wl,--build-id=none", "-Wl,-Ttext=0x201000",
          "-Wl,--section-start=.boot=0x200000", "-Wl,-e,start32",
          "-Wl,-z,max-page-size=4096", "-Wl,-z,noseparate-code",
          "-Wl,--no-warn-rwx-segments"]
GOOD, BAD = 33, 35
LIMIT = 600                     # seconds; it takes about two


def image(where):
    elf, boot = f"{where}/outside.elf", f"{where}/outside.boot"
    subprocess.run(["cc", *CFLAGS, "-o", elf, HERE / "start.S",
                    HERE / "outside.c"], check=True)
    # what a multiboot loader takes
    subprocess.run(["objcopy", "-O", "elf32-i386", elf, boot], check=True)
    return boot


def main(*argv):
    with tempfile.TemporaryDirectory() as where:
        argv = [*argv, "-action", "shutdown=poweroff", "-kernel",
                image(where), "-chardev", "stdio,id=out",
                "-device", "isa-serial,chardev=out",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                                  timeout=LIMIT, capture_output=True,
                                  errors="replace", check=False)
        except subprocess.TimeoutExpired as e:
            print((e.stdout or b"").decode("utf-8", "replace"))
            print(f"not ok 0 not done after {LIMIT} s")
            return 1
    text = done.stdout.replace("\r", "")
    print(text[max(text.find("KTAP version 1"), 0):], end="")
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    seen = len(re.findall(r"^(?:not )?ok \d", text, re.M))
    bail = re.search(r"^Bail out! (.*)", text, re.M)
    if done.returncode not in (GOOD, BAD) or bail or not plan or \
            seen != int(plan[1]):
        print(f"not ok 0 {bail[1] if bail else 'the machine ended'}: status "
              f"{done.returncode}, {seen} results "
              f"{done.stderr.strip().splitlines()[-1:]}")
        return 1
    return 0 if done.returncode == GOOD else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
