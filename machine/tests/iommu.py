#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The IOMMU of an ordinary machine, where QEMU without our changes is wrong.

    iommu.py [--only=TITLE] QEMU-BINARY [-L DIR]...

Drives amd-iommu through QEMU's qtest protocol; there is no secure processor.
Prints KTAP; the exit status says whether all cases passed. Each of them fails
on QEMU without our changes.
"""

import pathlib
import signal
import sys
import tempfile

import ktap
from device import DEVFN, Machine
from ktap import check
from stream import Stream

MMIO = 0xFED80000
DEV_BASE, CMD_BASE, EVT_BASE, CONTROL, PPR_BASE = 0, 0x08, 0x10, 0x18, 0x38
CMD_TAIL, EVT_TAIL = 0x2008, 0x2018
STATUS = 0x2020
LIMIT = 30                      # seconds for an answer
ENTRIES_256 = 8 << 56           # in a buffer's base: log2 of how many
COMMANDS, EVENTS, DEVICES, TABLE = 0x100000, 0x200000, 0x300000, 0x400000
REQUESTS = 0x500000
ENABLED = 1 << 0 | 1 << 2 | 1 << 12     # IOMMU, event log, command buffer
PAGE_FAULT, ILLEGAL_COMMAND = 2, 5
# an entry of a device (valid, translated) and of a page table
VALID, PRESENT, LEVEL_4, READ_WRITE = 3, 1, 4 << 9, 3 << 61
SCSI_BAR, SCSI_DSP = 0xE0000000, 0x2C   # it begins to fetch when that is set


class Iommu(Machine):
    def __init__(self, binary, dirs):
        super().__init__(binary, dirs, argv=[
            "-device", "amd-iommu", "-device", "lsi53c895a,addr=5.0"])

    def quad(self, address, value=None):
        if value is not None:
            self.ask(f"writeq {address:#x} {value:#x}")
        return self.ask(f"readq {address:#x}")

    def io(self, register, value=None):
        return self.quad(MMIO + register, value)

    def start(self):
        self.io(CMD_BASE, COMMANDS | ENTRIES_256)
        self.io(EVT_BASE, EVENTS | ENTRIES_256)
        self.io(CONTROL, ENABLED)

    def illegal(self, number):
        """Has the command of this number, an opcode that is none, executed."""
        at = COMMANDS + number * 16
        self.quad(at, 0xF << 60)
        self.quad(at + 8, 0)
        self.io(CMD_TAIL, (number + 1) * 16)


def events(m):
    m.start()
    m.illegal(0)
    check(m.io(EVT_TAIL) == 16, "the tail counts one event")
    check(m.quad(EVENTS) >> 60 == ILLEGAL_COMMAND, "it is in the log")
    check(m.quad(EVENTS + 8) == COMMANDS, "and says where the command was")
    check(m.io(STATUS) & 2 != 0, "the status says that there is one")
    m.io(STATUS, 2)
    check(m.io(STATUS) & 2 == 0, "and can be told that it was read")


def no_size(m):
    m.io(CONTROL, ENABLED)
    m.io(CMD_TAIL, 16)
    check(m.io(CONTROL) == ENABLED, "it answers")


def endless(m):
    m.quad(TABLE, TABLE | PRESENT | LEVEL_4 | READ_WRITE)
    m.quad(DEVICES + DEVFN * 32, TABLE | VALID | LEVEL_4 | READ_WRITE)
    m.io(DEV_BASE, DEVICES)
    m.start()
    m.config(0x14, SCSI_BAR)
    m.config(4, 6)                      # memory, bus master
    m.ask(f"writel {SCSI_BAR + SCSI_DSP} 0")
    check(m.io(CONTROL) == ENABLED, "it answers")
    check(m.quad(EVENTS) >> 60 == PAGE_FAULT, "and logs a fault")
    check(m.quad(EVENTS) & 0xFFFF == DEVFN, "of the device")


def save(m):
    """What the machine is saved as, or None and why not"""
    with tempfile.TemporaryDirectory() as where:
        file = pathlib.Path(where) / "state"
        answer = m.qmp("migrate", uri=f"file:{file}")
        if "error" in answer:
            return None, answer
        while True:
            status = m.qmp("query-migrate")["return"].get("status")
            if status == "completed":
                return Stream(file.read_bytes()), None
            if status == "failed":
                return None, status


def saved(m):
    stream, why = save(m)
    check(stream is not None, f"refused: {why}")


def reset(m):
    m.io(PPR_BASE, REQUESTS | ENTRIES_256)
    m.qmp("system_reset")               # asked for; done by the main loop
    check(any(m.io(PPR_BASE) == 0 for _ in range(1000)), "its register")
    stream, why = save(m)
    check(stream is not None, f"refused: {why}")
    if stream:
        at, size = stream.find("amd-iommu", "ppr_log")
        check(not any(stream.data[at:at + size]), "what stands for it")


def late(_signal, _frame):
    raise TimeoutError


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGALRM, late)
    argv, only = sys.argv[1:], None
    if argv[0].startswith("--only="):
        only = argv.pop(0)[7:]

    def on(case):
        def run():
            m = Iommu(argv[0], argv[1:])
            signal.alarm(LIMIT)
            try:
                case(m)
            except TimeoutError:
                check(False, f"no answer in {LIMIT} s")
            finally:
                signal.alarm(0)
                m.close()
        return run

    cases = [("the event log", on(events)),
             ("a command buffer without a size", on(no_size)),
             ("a page table that names itself", on(endless)),
             ("an IOMMU can be saved", on(saved)),
             ("a reset IOMMU knows no log", on(reset))]
    return ktap.run([c for c in cases if only in (None, c[0])])


if __name__ == "__main__":
    sys.exit(main())
