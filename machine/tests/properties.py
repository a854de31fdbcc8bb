#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Properties that the machine must refuse, and their neighbours that it must not.

    properties.py QEMU-BINARY [-L DIR]...

A machine that refuses says why in one line, with a hint at most, and ends with
status 1; one that starts is told to quit. Prints KTAP; the exit status says
whether all cases passed."""

import json
import os
import subprocess
import sys
import tempfile

import ktap
from ktap import check

PC, TCG = "q35,max-ram-below-4g=1G", "tcg"
BASE = ["-nodefaults", "-display", "none", "-S", "-qmp", "stdio"]
QUIT = '{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'
# The RMP of 4 GiB and a bit takes 18 MiB; 2 MiB on either side are the least.
LEAST = 1024 + 18 + 4

# made for this test
KEY = b"""-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDAGudPa0uG4wcBbGYdbZln03iPDtmvyl7qapHdAeHE32JbVck5McKgl
+HLJ6mDS7fWgBwYFK4EEACKhZANiAARa5DLGAIkXlFi1fJ4CT3w4sYTe4I1Fb7rn
msv2hCF8J5eivgXxBXwM3T3G1UakNQ+zADUlVMn09rG4ZSOamzApcIyGwIaLwoXl
tCpmLge6dkyo6gbtHAUQVOgRc0dthBM=
-----END EC PRIVATE KEY-----
"""

NUMBERS = [                     # property, worst accepted, refused, what is said
    ("max-asid", "1023", "1024", "max-asid"),
    ("max-asid", "100", "99", "max-asid"),
    ("min-sev-asid", "1", "0", "min-sev-asid"),
    ("min-sev-asid", "509", "510", "min-sev-asid"),
    ("max-asid", "0x3ff", "4294967296", "max-asid"),
    ("api-major", "255", "256", "api-major"),
    ("api-minor", "0", "-1", "api-minor"),
    ("build", "255", "256", "build"),
    ("committed-build", "24", "25", "committed-build"),
    ("committed-tcb", "0x4818000000000007", "0x4818000000000008",
     "committed-tcb"),
    # one part above what runs, all others below
    ("committed-tcb", "0x4800000000000000", "0x4900000000000000",
     "committed-tcb"),
    ("committed-tcb", "0x0018000000000000", "0x0019000000000000",
     "committed-tcb"),
    ("report-version", "2", "1", "report-version"),
    ("report-version", "3", "4", "report-version"),
    ("report-version", "5", "6", "report-version"),
    ("report-version", "0", "256", "report-version"),
    ("rmp-segment-shift", "30", "29", "rmp-segment-shift"),
    ("rmp-segment-shift", "39", "40", "rmp-segment-shift"),
    ("rmp-segment-shift", "0", "1", "rmp-segment-shift"),
    ("rmp-offset", "0x100000", "0x200000", "rmp-offset"),
    ("rmp-offset", "0", "0x80000", "rmp-offset"),
    ("mem-encrypt", "off", "23", "mem-encrypt"),
    ("smm-lock", "off", "2", "smm-lock"),
    ("rmp-coverage", "0x11f000000", "0x120001000", "rmp-coverage"),
    ("rmp-coverage", "0x11f000000", "0xffe00000", "rmp-coverage"),
    ("rmp-coverage", "0x11f000000", "0x101000000", "memory above 4 GiB"),
    ("rmpquery", "on", "6", "rmpquery"),
    ("opaque-rmp", "off", "on", "rmpread"),
    ("ciphertext-hiding", "on", "40", "ciphertext-hiding"),
    ("tio", "on", "40", "tio"),
    ("x86-shutdown", "on", "3", "x86-shutdown"),
    ("secure-tsc", "on", "2000", "secure-tsc"),
    ("debug-swap", "off", "2", "debug-swap"),
    ("allowed-sev-features", "off", "1", "allowed-sev-features"),
    ("restricted-injection", "on", "3", "restricted-injection"),
    ("write-in-use", "on", "30", "write-in-use"),
    ("phys-reduction", "8", "9", "phys-reduction"),
    ("dram-alias", "0x400000000000", "0x400000000001", "2 MiB"),
    ("dram-alias", "0x400000000000", "0x800000000000", "1 << 47"),
    ("dram-alias", "0x400000000000", "0x100000000", "memory already"),
    ("inject", "SHUTDOWN:1:ACTIVE", "SHUTDOWN:1:NO_STATUS",
     "'SHUTDOWN:1:NO_STATUS': neither the name of a status"),
    ("inject", "SHUTDOWN:1:ACTIVE", "SHUTDOWN:0:ACTIVE", "from 1"),
    ("inject", "NPF:1-2", "NPF:1-2;NPF:2", "'NPF:2' contradicts 'NPF:1-2'"),
    ("tcb", "1", "latest", "tcb"),
    ("seed", "18446744073709551615", "18446744073709551616", "seed"),
    ("seed", "7", "/dev/null", "seed"),
    ("encrypt", "on", "maybe", "encrypt"),
    ("self-check", "off", "2", "self-check"),
    ("loose", "all", "everything", "'everything' is no rule"),
    ("loose", "none", "", "is no rule"),
    ("loose", "RMP-UPDATE-RSVD:RMP-CHECK-SIZE", "RMP-UPDATE-RSVD:",
     "is no rule"),
]


class Starter:
    def __init__(self, binary, dirs):
        self.argv = [binary, *dirs, *BASE]

    def start(self, device, memory="2G", *more, machine=PC, accel=TCG):
        return subprocess.run([*self.argv, "-machine", machine, "-accel",
                               accel, "-m", memory, *more, "-device", device],
                              text=True, input=QUIT, capture_output=True,
                              timeout=300, check=False)

    def good(self, *args):
        done = self.start(*args)
        check(done.returncode == 0 and '"QMP"' in done.stdout,
              f"{args}: status {done.returncode}: {done.stderr.strip()}")

    def bad(self, said, *args, **kwargs):
        done = self.start(*args, **kwargs)
        # what there is to choose from stands indented below
        lines = [x for x in done.stderr.splitlines() if x.strip() and
                 not x.startswith("  ") and "TCG doesn't support" not in x]
        check(done.returncode == 1 and 1 <= len(lines) <= 2 and
              said in lines[0],
              f"{args} {kwargs}: status {done.returncode}: "
              f"{done.stderr.strip()}")


def numbers(s):
    for name, good, bad, said in NUMBERS:
        s.good(f"amd-psp,{name}={good}")
        s.bad(said, f"amd-psp,{name}={bad}")


def names(s):
    s.bad("no-such", "amd-psp,no-such=1")
    s.bad("amd-pspx", "amd-pspx")
    s.bad("one amd-psp", "amd-psp", "2G", "-device", "amd-psp")
    # of two contradictions the first is told
    s.bad("max-asid", "amd-psp,max-asid=1024,report-version=1")


def memory(s):
    s.good("amd-psp", f"{LEAST}M")
    s.bad(f"needs {LEAST - 1024} MiB of memory above 4 GiB", "amd-psp",
          f"{LEAST - 2}M")
    s.bad("above 4 GiB for the RMP", "amd-psp", "1G")
    s.bad("above 4 GiB for the RMP", "amd-psp", "64M")


def platforms(s):
    s.bad("PCI", "amd-psp", machine="none")
    s.bad("tcg", "amd-psp", accel="qtest")


def chips(s):
    with tempfile.TemporaryDirectory() as top:
        def path(name):
            return os.path.join(top, name)

        def write(name, data):
            with open(path(name), "wb") as f:
                f.write(data)

        device = f"amd-psp,chip={top}"
        s.bad("gone", f"amd-psp,chip={top}/gone")
        write("file", b"")
        s.bad("file", f"amd-psp,chip={top}/file")
        s.bad("chip-id", device)
        os.mkdir(path("chip-id"))               # there, and not to be read
        s.bad("chip-id", device)
        os.rmdir(path("chip-id"))
        for size in (63, 65):
            write("chip-id", bytes(size))
            s.bad(f"{size} bytes", device)
        write("chip-id", bytes(64))
        s.bad("secret", device)
        os.symlink("secret", path("secret"))    # to itself
        s.bad("secret", device)
        os.unlink(path("secret"))
        write("secret", bytes(32))
        s.bad("firmware-key", device)
        for size in (95, 97):
            write("firmware-key", bytes(size))
            s.bad(f"{size} bytes", device)
        write("firmware-key", bytes(96))
        s.bad("no vcek-", device)
        for name in ("vcek-1.pem", "vcek-481500000000000G.pem"):
            write(name, KEY)
            s.bad("no vcek-", device)
        vcek = "vcek-4818000000000007.pem"
        os.mkdir(path(vcek))
        s.bad(vcek, device)
        os.rmdir(path(vcek))
        write(vcek, KEY[:100])
        s.bad("not a private key of P-384", device)
        write(vcek, os.urandom(1 << 20))
        s.bad("not a private key of P-384", device)
        write(vcek, KEY)
        s.good(device)
        for tcb in range(8):
            write(f"vcek-{tcb:016x}.pem", KEY)
        s.bad("more than 8", device)


def described(s):
    """Each property of the device's own, as management software sees it"""
    ask = [{"execute": "qmp_capabilities"}] + [
        {"execute": how, "arguments": {"typename": name}} for how, name in
        (("device-list-properties", "amd-psp"),
         ("qom-list-properties", "pci-device"))]
    said = subprocess.run(
        [*s.argv, "-machine", "none"], text=True, check=False,
        capture_output=True, timeout=60,
        input="".join(map(json.dumps, ask)) + '{"execute":"quit"}').stdout
    answers = [json.loads(x) for x in said.splitlines()]
    own, every = (x["return"] for x in answers if x.get("return"))
    shared = {p["name"] for p in every}
    names = [p for p in own if p["name"] not in shared]
    check(len(names) > 20, f"properties: {len(names)}")
    for p in names:
        check(p.get("description", "").strip(),
              f"{p['name']} has no description")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    s = Starter(sys.argv[1], sys.argv[2:])
    cases = [("properties: numbers and switches", numbers),
             ("properties: names, and devices that are too many", names),
             ("properties: memory that the RMP does not fit in", memory),
             ("properties: machines without PCI or TCG", platforms),
             ("properties: the chip's directory", chips),
             ("properties: descriptions", described)]
    return ktap.run(cases, s)


if __name__ == "__main__":
    sys.exit(main())
