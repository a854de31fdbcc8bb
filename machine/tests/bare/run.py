#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots one of the bare hosts here on the SNP machine.

    run.py SUITE QEMU-BINARY QEMU-ARGUMENT...

SUITE: a name out of SUITES. Builds the image (make, cc, objcopy), adds kernel,
serial port and exit device to the arguments, prints the KTAP that comes out of
it. The exit status says whether all tests passed, and were there. A bare host
that says by its pvpanic device that it crashed gets a machine check."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).parent
SUITES = ("tlb", "host", "guest", "vmrun", "firmware", "commands", "vmpl",
          "rmpread", "device", "features", "hiding", "ordinary", "events", "cpus",
          "race", "sev", "outside", "demand", "rmpmsrs")
GOOD = 33                       # as in lib.c; 35: not all passed
LIMIT = 900                     # seconds; it takes a few of an idle computer


def build(suite, where):
    image = f"{where}/{suite}.bin"
    subprocess.run(["make", "-s", "-C", HERE, f"O={where}", image], check=True,
                   env={k: v for k, v in os.environ.items()
                        if not k.startswith("MAKE")})
    return image


# An uncorrected error (VAL, UC, EN, PCC) of bank 0 of the first CPU
MCE = "mce 0 0 0xb200000000000000 0 0 0"


def serve(monitor):
    """Gives the machine checks that are asked for, until QEMU ends."""
    def say(command, **arguments):
        monitor.sendall(json.dumps({"execute": command, "arguments":
                                    arguments}).encode())

    say("qmp_capabilities")
    try:
        for line in monitor.makefile():
            if json.loads(line).get("event") == "GUEST_CRASHLOADED":
                say("human-monitor-command", **{"command-line": MCE})
    except OSError:
        pass                    # QEMU ended


def boot(argv, image):
    """What the bare host printed, the exit status, what QEMU printed."""
    ours, theirs = socket.socketpair()
    argv = [*argv, "-action", "shutdown=poweroff", "-kernel", image,
            "-chardev", "stdio,id=bare", "-device", "isa-serial,chardev=bare",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
            "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
            "-mon", "chardev=qmp,mode=control"]
    threading.Thread(target=serve, args=(ours,), daemon=True).start()
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=LIMIT,
                              capture_output=True, check=False,
                              pass_fds=[theirs.fileno()])
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode("utf-8", "replace"), None, ""
    finally:
        theirs.close()
    return (done.stdout.decode("utf-8", "replace"), done.returncode,
            done.stderr.decode("utf-8", "replace"))


def wrong(text, status, errors):
    """None, or why this is no pass although no test may have failed."""
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    bail = re.search(r"^Bail out! .*", text, re.M)
    seen = len(re.findall(r"^(?:not )?ok \d", text, re.M))
    last = [x for x in errors.strip().splitlines() if
            "TCG doesn't support requested feature" not in x][-1:]
    if status is None:
        return f"not done after {LIMIT} s"
    if bail:
        return bail.group()
    if status not in (GOOD, GOOD + 2):
        return f"the machine ended with status {status}: " + " ".join(last)
    if not plan or seen != int(plan[1]):
        return f"{seen} tests were seen, planned: {plan and plan[1]}"
    return "it says so itself" if status != GOOD else None


def main(suite, *argv):
    with tempfile.TemporaryDirectory() as where:
        text, status, errors = boot(argv, build(suite, where))
    start = text.find("KTAP version 1")     # before it there is the BIOS
    print(text[max(start, 0):].replace("\r", ""), end="")
    why = wrong(text, status, errors)
    if why and (status not in (GOOD, GOOD + 2) or "not ok" not in text):
        print(f"not ok 0 {suite}: a bare host on the machine # {why}")
    return 1 if why else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in SUITES:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
