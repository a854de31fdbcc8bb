#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The secure processor's PCI function, register by register.

    device.py QEMU-BINARY [-L DIR]...

Drives the function of a machine whose CPUs never run, through QEMU's qtest
protocol: mailbox, interrupt, and properties that can be asked for.
Prints KTAP; the exit status says whether all cases passed.
"""

import json
import socket
import subprocess
import sys
import tempfile

import ktap
from ktap import check

MACHINE = ["-machine", "q35,max-ram-below-4g=1G", "-m", "2G", "-nodefaults",
           "-display", "none", "-accel", "tcg", "-S"]
DEVFN = 5 << 3
BAR2 = 0xE0000000
BAR4 = 0xE0200000
CMDRESP, BUF_LO, BUF_HI = 0x10980, 0x109E0, 0x109E4
FEATURE, INTEN, INTSTS = 0x109FC, 0x10690, 0x10694
BUFFER = 0x100000
MSI_TARGET = 0x200000
TABLE_END = 0x140000000         # 2G, 1G of it below 4G


class Machine:
    """A stopped machine with the function at 00:05.0, BARs mapped; or, without
    it, with what argv says."""

    def __init__(self, binary, dirs, options="", argv=None):
        self.tmp = tempfile.TemporaryDirectory()
        where = f"{self.tmp.name}/qtest"
        listen = socket.socket(socket.AF_UNIX)
        listen.bind(where)
        listen.listen(1)
        listen.settimeout(60)
        self.proc = subprocess.Popen(
            [binary, *dirs, *MACHINE, "-qtest", f"unix:{where}", "-qtest-log",
             "none", "-qmp", "stdio", *(argv or [
                 "-device", f"amd-psp,id=psp,addr=5.0,seed=1{options}"])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.qtest = listen.accept()[0].makefile("rw")
        listen.close()
        self.proc.stdout.readline()
        self.qmp("qmp_capabilities")
        if argv is None:
            self.config(0x18, BAR2)         # BAR 2, 64 bits or not
            self.config(0x20, BAR4)
            self.config(4, 6)               # memory, bus master

    def close(self):
        self.qtest.close()
        self.proc.kill()
        self.proc.wait()
        self.tmp.cleanup()

    def ask(self, line):
        self.qtest.write(line + "\n")
        self.qtest.flush()
        while True:
            answer = self.qtest.readline().split()
            if not answer:
                raise EOFError("the machine ended")
            if answer[0] == "OK":
                return int(answer[1], 0) if len(answer) > 1 else None
            if answer[0] != "IRQ":
                raise ValueError(f"{line}: {answer}")

    def qmp(self, command, **arguments):
        self.proc.stdin.write(json.dumps({"execute": command,
                                          "arguments": arguments}) + "\n")
        self.proc.stdin.flush()
        while True:
            answer = json.loads(self.proc.stdout.readline())
            if "return" in answer or "error" in answer:
                return answer

    def get(self, name):
        answer = self.qmp("qom-get", path="/machine/peripheral/psp",
                          property=name)
        return json.loads(answer["return"])

    def inject(self, text):
        """None, or what the machine said against it."""
        answer = self.qmp("qom-set", path="/machine/peripheral/psp",
                          property="inject", value=text)
        return answer.get("error", {}).get("desc")

    def injected(self):
        return self.get("stats")["inject"]

    def msix(self):
        """Has vector 0 written to MSI_TARGET from now on."""
        cap = self.config(0x34) & 0xFF
        while cap and self.config(cap) & 0xFF != 0x11:
            cap = self.config(cap) >> 8 & 0xFF
        check(cap != 0, "MSI-X")
        self.config(cap, self.config(cap) | 1 << 31)
        for n, word in enumerate((MSI_TARGET, 0, 0x1234, 0)):
            self.word(BAR4 + 4 * n, word)
        self.word(MSI_TARGET, 0)
        return cap

    def told(self):
        """Was there an interrupt? Forgets it, as a driver would."""
        seen = self.word(MSI_TARGET) == 0x1234
        self.word(MSI_TARGET, 0)
        self.reg(INTSTS, 2)
        return seen

    def config(self, offset, value=None):
        self.ask(f"outl 0xcf8 {0x80000000 | DEVFN << 8 | offset}")
        if value is not None:
            self.ask(f"outl 0xcfc {value}")
        return self.ask("inl 0xcfc")

    def reg(self, offset, value=None):
        if value is not None:
            self.ask(f"writel {BAR2 + offset} {value}")
        return self.ask(f"readl {BAR2 + offset}")

    def word(self, address, value=None):
        if value is not None:
            self.ask(f"writel {address} {value}")
        return self.ask(f"readl {address}")

    def command(self, number, buffer=0, ioc=False):
        self.reg(BUF_LO, buffer & 0xFFFFFFFF)
        self.reg(BUF_HI, buffer >> 32)
        return self.reg(CMDRESP, number << 16 | ioc)


def identity(new):
    m = new()
    check(m.config(0) == 0x14CA1022, "vendor and device")
    check(m.config(8) >> 8 == 0x108000, "class")
    check(m.reg(FEATURE) == 1, "SEV, and nothing else")
    check(m.reg(0x109EC) == 0 and m.reg(0x10544) == 0, "the rest reads 0")
    check(m.reg(FEATURE, 0xFF) == 1, "read-only")
    m.close()


def mailbox(new):
    m = new()
    check(m.command(4, BUFFER) == 0x80040000, "PLATFORM_STATUS")
    check(m.word(BUFFER) & 0xFFFFFF == 0x003701, "API 1.55, uninitialised")
    check(m.word(BUFFER + 4) >> 24 == 24, "build")
    check(m.command(0x7FF) == 0x87FF0011, "INVALID_COMMAND")
    check(m.command(0xD0, BUFFER) == 0x80D00011, "TIO_STATUS: none")
    check(m.command(0xCE, BUFFER) == 0x80CE0004, "FEATURE_INFO of no length")
    check(m.command(4, 0xFEE00000) == 0x80040009, "a device is no buffer")
    check(m.command(4, 0xFFFF0000) == 0x80040009, "ROM is no buffer")
    check(m.command(4, 1 << 40) == 0x80040009, "nor is nothing")
    check(m.command(0x93, BUFFER) == 0x80930001, "INVALID_PLATFORM_STATE")
    # what has the response bit is not a command
    check(m.reg(CMDRESP, 0x80040000) == 0x80040000, "written back")
    check(m.get("stats")["firmware"]["PLATFORM_STATUS"] ==
          {"SUCCESS": 1, "INVALID_ADDRESS": 3}, "counted")
    check(m.get("stats")["psp-commands"] == 8, "counted")
    # no CPU has set SNP_EN
    check(m.command(0x81) == 0x80810003, "SNP_INIT: INVALID_CONFIG")
    check(m.get("guests")["snp-state"] == "uninit", "still uninitialised")
    check(m.command(1, BUFFER + 64) == 0x80010000, "INIT")
    check(m.get("guests")["sev-state"] == "init", "initialised")
    m.qmp("system_reset")               # asked for; done by the main loop
    check(any(m.get("guests")["sev-state"] == "uninit" for _ in range(1000)),
          "reset")
    m.close()


def interrupt(new):
    m = new()
    cap = m.msix()
    check(m.config(cap) >> 16 & 0x7FF == 1, "two vectors")
    check(m.config(cap + 4) & 7 == 4, "in BAR 4")

    m.command(4, BUFFER, ioc=True)
    check(m.reg(INTSTS) == 2 and m.word(MSI_TARGET) == 0, "not enabled")
    check(m.reg(INTSTS, 1) == 2, "write one to clear")
    check(m.reg(INTSTS, 2) == 0, "cleared")
    m.reg(INTEN, 0xFFFFFFFF)
    check(m.command(4, BUFFER) == 0x80040000, "polled")
    check(m.reg(INTSTS) == 0 and m.word(MSI_TARGET) == 0, "no interrupt")
    check(m.command(4, BUFFER, ioc=True) == 0x80040000, "with interrupt")
    check(m.reg(INTSTS) == 2 and m.word(MSI_TARGET) == 0x1234, "interrupt")
    m.close()


def inject_status(new):
    m = new(",inject=PLATFORM_STATUS:2-3:HWERROR_UNSAFE")
    m.word(BUFFER, 0)
    check(m.command(1, BUFFER + 64) == 0x80010000, "another command")
    check(m.command(4, BUFFER) == 0x80040000, "the first")
    m.word(BUFFER, 0)
    check(m.command(4, BUFFER) == 0x80040014, "the second")
    check(m.command(4, BUFFER) == 0x80040014, "the third")
    check(m.word(BUFFER) == 0, "not carried out")
    check(m.command(4, BUFFER) == 0x80040000, "the fourth")
    seen = m.injected()
    check(seen["firmware"] == 2 and seen["rules"] ==
          {"PLATFORM_STATUS:2-3:HWERROR_UNSAFE": {"seen": 4, "fired": 2}},
          f"counted: {seen}")
    check(m.get("stats")["firmware"]["PLATFORM_STATUS"] ==
          {"SUCCESS": 2, "HWERROR_UNSAFE": 2}, "as the driver sees it")
    # set anew while the machine runs; what is no list changes nothing
    check(m.inject("SHUTDOWN:1:NO_STATUS") is not None, "no such status")
    check(m.injected()["rules"] == seen["rules"], "the list stays")
    check(m.inject("any:1:SUCCESS") is None, "another list")
    check(m.command(0x7FF) == 0x87FF0000, "even what is no command")
    check(m.command(0x7FF) == 0x87FF0011, "once")
    check(m.injected()["firmware"] == 3, "of all lists")
    check(m.inject("") is None and m.injected()["rules"] == {}, "none")
    check(m.command(4, BUFFER) == 0x80040000, "as ever")
    m.close()


def inject_late(new):
    m = new()
    m.msix()
    m.reg(INTEN, 0xFFFFFFFF)
    check(m.inject("PLATFORM_STATUS:1:late-polls=3;"
                   "PLATFORM_STATUS:2:no-interrupt") is None, "set")
    # the command is carried out at once; the first read is command()'s
    m.word(BUFFER, 0)
    check(m.command(4, BUFFER, ioc=True) == 0x00040001, "no answer yet")
    check(m.word(BUFFER) & 0xFFFFFF == 0x003701, "carried out")
    check(m.command(1, BUFFER + 64) == 0x00010000, "not heard")
    check(not m.told(), "no interrupt yet")
    check(m.reg(CMDRESP) == 0x80040000, "the third read")
    check(m.told(), "with interrupt")
    check(m.get("guests")["sev-state"] == "uninit", "was not heard indeed")
    check(m.command(4, BUFFER, ioc=True) == 0x80040000, "the second")
    check(m.reg(INTSTS) == 2 and not m.told(), "nobody is told")
    check(m.command(4, BUFFER, ioc=True) == 0x80040000 and m.told(),
          "the third is told")
    m.close()


def inject_dead(new):
    m = new()
    m.msix()
    m.reg(INTEN, 0xFFFFFFFF)
    check(m.inject("any:2:dead") is None, "set")
    check(m.command(4, BUFFER, ioc=True) == 0x80040000 and m.told(), "alive")
    check(m.command(1, BUFFER + 64, ioc=True) == 0x00010001, "dead")
    check(m.command(4, BUFFER, ioc=True) == 0x00040001, "and stays so")
    check(m.inject("") is None, "though nothing is injected")
    check(m.command(4, BUFFER, ioc=True) == 0x00040001 and not m.told(),
          "and stays so")
    check(m.get("guests")["sev-state"] == "uninit", "carried nothing out")
    check(m.get("stats")["psp-commands"] == 1, "counted nothing")
    m.qmp("system_reset")
    check(any(m.reg(CMDRESP) == 0 for _ in range(1000)), "reset")
    m.config(0x18, BAR2)
    m.config(0x20, BAR4)
    m.config(4, 6)
    check(m.command(4, BUFFER) == 0x80040000, "alive again")
    m.close()


def table(new):
    m = new()
    rmp = m.get("rmp-summary")
    size = rmp["end"] + 1 - rmp["base"]
    check(rmp["end"] + 1 == TABLE_END, "at the top of memory")
    check(rmp["base"] % (2 << 20) == 0 and size % (2 << 20) == 0, "2M")
    check(size >= 0x4000 + TABLE_END // 4096 * 16, "covers itself")
    check(rmp["pages"] == (size - 0x4000) // 16, "pages")
    check(sum(rmp["states"].values()) == rmp["pages"], "every page a state")

    # an entry as software would see it, made by hand
    slot = rmp["base"] + 0x4000 + (BUFFER >> 12) * 16
    entry = 1 | 0x7000 | 3 << 51 | 1 << 62
    m.word(slot, entry & 0xFFFFFFFF)
    m.word(slot + 4, entry >> 32)
    m.word(slot + 8, 0x1F)
    path = {"path": "/machine/peripheral/psp", "property": "rmp-entry"}
    m.qmp("qom-set", value=hex(BUFFER), **path)
    seen = m.get("rmp-entry")
    check(seen["state"] == "guest-valid" and seen["asid"] == 3 and
          seen["gpa"] == 0x7000 and seen["perms"] == [31, 0, 0, 0], "entry")
    rmp = m.get("rmp-summary")
    check(rmp["asids"] == {"3": 1} and rmp["states"]["guest-valid"] == 1,
          "summary")
    check("error" in m.qmp("qom-set", value="here", **path), "not a number")
    m.close()


def segments(new):
    """1G at 0 and 1G at 4G, in segments of 1G, entries in our own layout."""
    m = new(",rmpread=on,opaque-rmp=on,rmp-segment-shift=30")
    rmp = m.get("rmp-summary")
    base = rmp["base"]
    check(rmp["end"] + 1 == TABLE_END and base % (2 << 20) == 0, "where")
    check(rmp["opaque"] and rmp["pages"] == TABLE_END // 4096, "coverage")
    check(rmp["segments"] == [
        {"covers": 0, "pages": 1 << 18, "at": base + 0x600000},
        {"covers": 4 << 30, "pages": 1 << 18, "at": base + 0x200000}],
        f"segments: {rmp['segments']}")
    rst = [m.word(base + 0x4000 + 4 * i) | m.word(base + 0x4004 + 4 * i) << 32
           for i in range(0, 128, 2)]
    check(rst == [1 | base + 0x600000, 0, 0, 0, 1 | base + 0x200000] +
          [0] * 59, f"segment table: {rst[:6]}")
    path = {"path": "/machine/peripheral/psp", "property": "rmp-entry"}
    entry = 1 | 0x7000 | 3 << 51 | 1 << 62
    turned = (entry << 13 | entry >> 51) & (1 << 64) - 1
    for spa, at in ((BUFFER, 0x600000), (0x100001000, 0x200000)):
        slot = base + at + (spa % (1 << 30) >> 12) * 16
        m.word(slot, 0x1F)
        m.word(slot + 8, turned & 0xFFFFFFFF)
        m.word(slot + 12, turned >> 32)
        m.qmp("qom-set", value=hex(spa), **path)
        seen = m.get("rmp-entry")
        check(seen["covered"] and seen["state"] == "guest-valid" and
              seen["asid"] == 3 and seen["gpa"] == 0x7000 and
              seen["perms"] == [31, 0, 0, 0], f"entry of {spa:#x}: {seen}")
    m.qmp("qom-set", value=hex(1 << 30), **path)
    check(not m.get("rmp-entry")["covered"], "the hole")
    check(m.get("rmp-summary")["asids"] == {"3": 2}, "summary")
    # a reset finds the segment table as the BIOS leaves it
    m.word(base + 0x4000, 0)
    m.qmp("system_reset")
    m.qmp("query-status")
    check(m.word(base + 0x4000) == rst[0] & 0xFFFFFFFF, "reset")
    m.close()


def alias(new):
    m = new(",dram-alias=0x400000000000")
    m.word(BUFFER, 0x12345678)
    check(m.word(0x400000000000 + BUFFER) == 0x12345678, "read there")
    m.word(0x400000000000 + BUFFER, 0x9ABCDEF0)
    check(m.word(BUFFER) == 0x9ABCDEF0, "written there")
    m.close()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, dirs = sys.argv[1], sys.argv[2:]

    def new(options=""):
        return Machine(binary, dirs, options)

    cases = [("psp: identity", identity), ("psp: mailbox", mailbox),
             ("psp: interrupt", interrupt), ("psp: RMP in memory", table),
             ("psp: RMP in segments", segments),
             ("psp: a status on demand", inject_status),
             ("psp: an answer late, or without interrupt", inject_late),
             ("psp: dead till reset", inject_dead),
             ("psp: memory that answers twice", alias)]
    return ktap.run(cases, new)


if __name__ == "__main__":
    sys.exit(main())
