# SPDX-License-Identifier: GPL-2.0-or-later
"""A host to which nothing happens but what it does: it has no disk and no clock
but the count of instructions, runs one VMM of lab/counted, and powers off."""

import socket
import subprocess
import time

from lab import counts, image, machine, paths, platform, qmp, say

ALONE = ["-icount", "shift=0,sleep=off", "-rtc",
         "base=2026-01-01T00:00:00,clock=vm", "-seed", "1"]


def initrd(kernel, vmm, **numbers):
    """An initramfs of that kernel's that runs the VMM of lab/counted made with
    these numbers. Returns the file."""
    where = paths.OUT / "counted"
    where.mkdir(exist_ok=True)
    say.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-static",
             *(f"-D{k}={v}" for k, v in numbers.items()), "-o", where / vmm,
             paths.LAB / "counted" / f"{vmm}.c"], f"counted-{vmm}")
    base = image.initramfs(where / f"{kernel.name}.cpio",
                           paths.LAB / "counted" / "init", kernel.modules,
                           ["ccp", "kvm_amd"])
    more = image.Cpio()
    more.file("bin/vmm", where / vmm, 0o755)
    more.write(where / "vmm.cpio")
    data = base.read_bytes()
    out = where / f"{kernel.name}-{vmm}.initrd"
    out.write_bytes(data + b"\0" * (-len(data) % 512) +
                    (where / "vmm.cpio").read_bytes())
    return out


def run(binary, kernel, initramfs, log, cmdline=""):
    """Boots to the power-off, the console into the log. Returns the machine's
    counters then."""
    ours, theirs = socket.socketpair()
    argv = [str(binary), *platform.arguments(
        binary, 1, "3G", "single", psp=("seed=1",)), *ALONE,
            *[x for d in machine.firmware() for x in ("-L", str(d))],
            "-kernel", str(kernel.vmlinuz), "-initrd", str(initramfs),
            "-append", f"console=ttyS0 panic=-1 {cmdline}".strip(),
            "-serial", f"file:{log}",
            "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
            "-mon", "chardev=qmp,mode=control"]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True,
                             pass_fds=[theirs.fileno()])
    theirs.close()
    try:
        monitor = qmp.Monitor(ours)
        monitor.greet()
        end = time.monotonic() + 1800
        while not any(e["event"] == "SHUTDOWN" for e in monitor.events):
            ours.settimeout(max(1, end - time.monotonic()))
            if time.monotonic() > end or not monitor.pump():
                break
            monitor.sort_events()
        else:
            return counts.machine(monitor)["stats"]
    finally:
        child.kill()
        errors = child.communicate()[1]
        ours.close()
    raise say.Failed("\n".join([*say.tail(log, 6), *errors.splitlines()[-4:],
                                "the host did not get to its power-off"]))
