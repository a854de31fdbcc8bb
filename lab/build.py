# SPDX-License-Identifier: GPL-2.0-or-later
"""What needs what before anything runs."""

import shutil

from lab import (guest, hostimage, kernels, linux, lock, machine, needs,
                 paths, say)

ROOM = 20 << 30


def prepare():
    """Checks and installs what every build needs."""
    paths.OUT.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(paths.OUT).free
    if free < ROOM and not (paths.OUT / "host").exists():
        raise say.Stop(f"{free >> 30} GiB free below {paths.shown(paths.OUT)},"
                       f" {ROOM >> 30} needed", "free some space, or set "
                       "SNP_OUT to a directory with more")
    needs.install()


def memory(megabytes):
    """Refuses to start a machine that would not fit."""
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                have = int(line.split()[1]) // 1024
                if have < megabytes + 1024:
                    raise say.Stop(f"{have} MiB of memory available, "
                                   f"{megabytes + 1024} needed",
                                   "stop something, or give the host less "
                                   "(--host-memory)")


def the_guest():
    k = guest.kernel()
    return k, guest.initramfs(k.modules)


def parts(names, pristine=False):
    prepare()
    with lock.building():
        _parts(names, pristine)


def lay(names):
    """Our files and hooks in the sources of these parts. Before the first of
    them is built: a hook that a source does not take is known at once."""
    if "machine" in names:
        machine.lay()
    if "linux" in names:
        linux.lay()


def _parts(names, pristine):
    lay([n for n in names if n != "machine" or not pristine])
    for name in names:
        if name == "machine":
            machine.build(pristine)
        elif name == "linux":
            linux.build()
        elif name == "host":
            hostimage.build()
            for stock in kernels.STOCK:
                k = kernels.get(stock)
                k.modules_image()
                k.initramfs()
        elif name == "guest":
            the_guest()
