# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine's trusted I/O is one to the newest stock host: its
driver finds it announced by the firmware and by the IOMMU, has SNP_INIT_EX
enable it, initialises it, and offers it to devices; where it is not there, the
same kernel says and does nothing of the kind."""

import re

from lab import build, counts, host, hostimage, judge, kernels, lock, machine
from lab.cases import Case, CaseFailed

NEWEST = "debian-backports"
SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
say "tsm $(ls /sys/class/tsm 2>/dev/null | tr '\\n' ' ')"
say "by $(readlink -f /sys/class/tsm/tsm0/device 2>/dev/null)"
say "psp $(echo /sys/bus/pci/drivers/ccp/0000:*)"
say "tainted $(cat /proc/sys/kernel/tainted)"
mark up
exit 0
"""
# what the driver prints of TIO_STATUS: the machine's sizes, and none of TDIs
STATUS = ("SEV-TIO status: EN=1 INIT_DONE=1 rq=4096..8192 rs=4096..8192 "
          "scr=4096..4096 out=4096..16384 dev=8192 tdi=0 algos=0")
COMMANDS = {"TIO_STATUS": 2, "TIO_INIT": 1}


def boot(name, psp):
    """(Result, commands of trusted I/O that the firmware carried out)"""
    build.prepare()
    with lock.building():
        binary = machine.build().binary
        hostimage.build()
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get(NEWEST), binary, thread="single", psp=psp)
    r = h.run(name, SCRIPT, timeout=400, on_mark=on_mark)
    if not r.ok() or r.bad_lines() or judge.first(r, "tainted") != "0":
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure(),
                                    f"taint {judge.first(r, 'tainted')}"]))
    ran = {name: done for name, done in
           sides["up"]["stats"]["firmware"].items() if name.startswith("TIO")}
    return r, ran


def tio():
    bad = []
    r, ran = boot("tio", ["tio=on"])
    iommu = re.search(r"AMD-Vi: Extended features \((\S+), (\S+)\):.*SEV-TIO",
                      r.console)
    if not iommu or iommu[2] != "0x2":
        bad.append("the kernel says nothing of SEV-TIO in the IOMMU")
    said = re.findall(r"SEV-TIO status: .*\S", r.console)
    if said != [STATUS]:
        bad.append(f"the driver says {said}, not {STATUS}")
    if judge.first(r, "tsm") != "tsm0":
        bad.append(f"devices of class tsm: {judge.first(r, 'tsm')}")
    psp = judge.first(r, "psp").rsplit("/", 1)[-1]
    if not psp or not judge.first(r, "by").endswith("/" + psp):
        bad.append(f"tsm0 is of {judge.first(r, 'by')}, not of {psp}")
    want = {name: {"SUCCESS": n} for name, n in COMMANDS.items()}
    if ran != want:
        bad.append(f"commands {ran}, not {want}")
    r, ran = boot("tio.off", [])
    if re.search(r"SEV-TIO", r.console) or judge.first(r, "tsm") or ran:
        bad.append(f"without it: {judge.first(r, 'tsm')} {ran}, "
                   f"{re.findall('.*SEV-TIO.*', r.console)[:1]}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return STATUS


CASES = [
    Case("tio.debian-backports", "the newest stock host finds trusted I/O "
         "announced by firmware and IOMMU, enables and initialises it, reads "
         "the machine's sizes, and registers a TSM; without `tio=on` it does "
         "none of it", tio, order=44, inputs=("machine",)),
]
