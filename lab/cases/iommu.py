# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that stock hosts see what the machine's IOMMU refuses. No stock host
gives a device a page that it assigns, so the fault is made from outside: while
the host waits, QEMU's qtest protocol takes away a driverless function's device
table entry, in memory, so that it is not translated, and has the function
write to the RMP. The host's own driver then says what its event log says."""

import json
import os
import re
import socket
import tempfile
import time

from lab import counts, host, kernels, machine
from lab.cases import Case, CaseFailed

SLOT = 0x10                     # 00:10.0, QEMU's edu: it copies 4 KiB at most
EDU = 0x11E81234
IOMMU = 0xFED80000
BUFFER, SOURCE, TARGET, COUNT, RUN = 0x40000, 0x80, 0x88, 0x90, 0x98
POLLS = 3000

SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
dd if=/dev/vda of=/dev/null bs=1M count=4 iflag=direct
mark up
sleep 5
dmesg | grep AMD-Vi | while read -r line; do say "dmesg $line"; done
exit 0
"""


class Qtest:
    def __init__(self, where):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(where)
        self.file = self.sock.makefile("rw")

    def ask(self, line):
        self.file.write(line + "\n")
        self.file.flush()
        while True:
            answer = self.file.readline().split()
            if not answer:
                raise CaseFailed("the machine closed its qtest socket")
            if answer[0] == "OK":
                return int(answer[1], 0) if len(answer) > 1 else None
            if answer[0] != "IRQ":
                raise CaseFailed(f"qtest {line}: {' '.join(answer)}")

    def word(self, address, value=None):
        if value is not None:
            self.ask(f"writeq {address:#x} {value:#x}")
        return self.ask(f"readq {address:#x}")

    def config(self, offset, value=None):
        """While the host does nothing: the pair of ports is one for all."""
        self.ask(f"outl 0xcf8 {0x80000000 | SLOT << 11 | offset:#x}")
        if value is not None:
            self.ask(f"outl 0xcfc {value:#x}")
        return self.ask("inl 0xcfc")


def copy(q, bar, spa):
    """The function writes to @spa."""
    for register, value in ((SOURCE, BUFFER), (TARGET, spa), (COUNT, 4),
                            (RUN, 3)):
        q.ask(f"writeq {bar + register:#x} {value:#x}")
    for _ in range(POLLS):
        if not q.word(bar + RUN) & 1:
            return
        time.sleep(0.01)
    raise CaseFailed("the function does not end its transfer")


def refused_writes(q, spa, between):
    """The function writes to @spa, untranslated, twice. What was there before
    and after that."""
    if q.config(0) != EDU:
        raise CaseFailed("there is no function 00:10.0 1234:11e8")
    q.config(4, q.config(4) & 0xFFFF | 6)
    bar = q.config(0x10) & ~0xF
    entry = (q.word(IOMMU) & 0xFFFFFFFFFF000) + (SLOT << 3) * 32
    if not q.word(entry) & 1:
        raise CaseFailed("the host has no device table entry for it")
    before = q.word(spa)
    q.word(entry, 0)            # V=0: as the device says
    copy(q, bar, spa)
    between()
    copy(q, bar, spa)
    return before, q.word(spa)


def seen(kernel):
    out = {}

    with tempfile.TemporaryDirectory() as tmp:
        where = os.path.join(tmp, "qtest")

        def on_mark(_name, _text, monitor):
            rmp = json.loads(monitor.get("/machine/peripheral/psp",
                                         "rmp-summary"))
            # the first entries: of pages that nobody has assigned
            spa = rmp["base"] + 0x4000
            out["spa"] = spa
            out["judged"] = counts.machine(monitor)["stats"]["dma-judged"]
            # for the second the table cannot be read
            out["words"] = refused_writes(
                Qtest(where), spa, lambda: monitor.command(
                    "qom-set", path="/machine/peripheral/psp",
                    property="inject", value="DMA:1"))

        h = host.Host(kernels.get(kernel), machine.build().binary,
                      thread="single",
                      extra=["-device", f"edu,addr={SLOT:#x}.0,"
                             f"dma_mask={2**64 - 1}", "-qtest",
                             f"unix:{where},server=on,wait=off", "-qtest-log",
                             "none"])
        r = h.run(f"iommu.{kernel}", SCRIPT, timeout=900, on_mark=on_mark)
    if not r.ok() or "words" not in out:
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure()]))
    lines = [x[6:] for x in r.says if x.startswith("dmesg ")]
    events = [x for x in lines if "Event logged" in x]
    want = (r"\[RMP_PAGE_FAULT .*vmg_tag=0x0000, "
            rf"gpa={out['spa']:#x}, flags_rmp=0x0000, flags=0x0020\]",
            r"\[RMP_HW_ERROR .*vmg_tag=0x0000, "
            rf"spa={out['spa']:#x}, flags=0x0000\]")
    bad = []
    if "snp Y" not in r.says:
        bad.append("the host has no SNP")
    if not out["judged"]:
        bad.append("no access of the host's own disks was asked of the RMP")
    if out["words"][0] != out["words"][1]:
        bad.append(f"the RMP changed: {out['words']}")
    if len(events) != len(want) or not all(
            "0000:00:10.0" in x and re.search(w, x)
            for x, w in zip(events, want)):
        bad += ["not the two events there have to be:", *events]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{events[0][-90:]}, {events[1][-64:]}"


CASES = [
    Case(f"iommu.{kernel}", f"{kernel}'s driver reads and prints the event of "
         "a device that wrote to the RMP after SNP_INIT, and that of an RMP "
         "that could not be read, as the only ones of its boot; the RMP is as "
         "before; what the host's own disks do was asked of it, too",
         lambda kernel=kernel: seen(kernel), order=45,
         inputs=("machine", "linux")[:1 + (kernel == "ours")])
    for kernel in ("debian-13", "debian-backports", "ours")
]
