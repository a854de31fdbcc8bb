#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The IOMMU of an ordinary machine, where QEMU without our changes is wrong.

    iommu.py QEMU-BINARY [-L DIR]...

Drives amd-iommu through QEMU's qtest protocol; there is no secure processor.
Prints KTAP; the exit status says whether all cases passed. Each of them fails
on QEMU without our changes.
"""

import signal
import sys
import tempfile

import ktap
from device import Machine
from ktap import check

MMIO = 0xFED80000
CMD_BASE, EVT_BASE, CONTROL = 0x08, 0x10, 0x18
CMD_TAIL, EVT_TAIL = 0x2008, 0x2018
STATUS = 0x2020
LIMIT = 30                      # seconds for an answer
ENTRIES_256 = 8 << 56           # in a buffer's base: log2 of how many
COMMANDS, EVENTS = 0x100000, 0x200000
ENABLED = 1 << 0 | 1 << 2 | 1 << 12     # IOMMU, event log, command buffer
ILLEGAL_COMMAND = 5


class Iommu(Machine):
    def __init__(self, binary, dirs):
        super().__init__(binary, dirs, argv=["-device", "amd-iommu"])

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


def saved(m):
    with tempfile.TemporaryDirectory() as where:
        answer = m.qmp("migrate", uri=f"file:{where}/state")
        check("error" not in answer, f"refused: {answer}")


def late(_signal, _frame):
    raise TimeoutError


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGALRM, late)

    def on(case):
        def run():
            m = Iommu(sys.argv[1], sys.argv[2:])
            signal.alarm(LIMIT)
            try:
                case(m)
            except TimeoutError:
                check(False, f"no answer in {LIMIT} s")
            finally:
                signal.alarm(0)
                m.close()
        return run

    return ktap.run([("the event log", on(events)),
                     ("a command buffer without a size", on(no_size)),
                     ("an IOMMU can be saved", on(saved))])


if __name__ == "__main__":
    sys.exit(main())
