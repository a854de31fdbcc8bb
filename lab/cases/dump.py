# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what a host prints of a vCPU with encrypted registers that it cannot
enter: if the guest's policy lets it be debugged, the registers that the guest
gave it, which the firmware deciphers; else none. The newest stock host does,
so does ours; memory is enciphered, so that nobody reads them otherwise."""

import re

from lab import counts, host, kernels, machine
from lab.cases import Case, CaseFailed, bare
from lab.cases.cpu import differences

TEST = "snp_debug_test"
# what the test gives them
RIP, RAX = 0x5ec0de123000, 0x5ec0de456000

SCRIPT = f"""
modprobe ccp && modprobe kvm_amd dump_invalid_vmcb=1 || exit 9
mark before
cd /lab; echo '@@ begin'; timeout -k 5 {bare.LIMIT} ./{TEST} 2>&1
echo; echo '@@ end' $?
mark after
"""


def dumped(kernel):
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get(kernel), machine.build().binary, smp=2,
                  thread="single", psp=["encrypt=on"])
    r = h.run(f"dump.{kernel}", SCRIPT, bare.stripped(TEST), timeout=600,
              on_mark=on_mark)
    m = re.search(r"^@@ begin\n(.*?)\n@@ end (\d+)$", r.control, re.M | re.S)
    if not r.ok() or r.bad_lines() or not m:
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure()]))
    bad = bare.problems(TEST, m[1], int(m[2]))
    if bad:
        raise CaseFailed("\n".join(bad))

    def printed(name):
        # 7.2 prints some of them twice
        return [int(x, 16) for x in
                re.findall(rf"\b{name}: +([0-9a-f]{{16}})\b", r.console)]
    after = sides["after"]["stats"]
    differences(
        entries=(len(printed("vmsa_pa")), 2),
        rip=(set(printed("rip")), {RIP}), rax=(set(printed("rax")), {RAX}),
        decrypted=(counts.firmware(after, "SNP_DBG_DECRYPT"), 1),
        guests=(sides["after"]["rmp-summary"]["states"],
                sides["before"]["rmp-summary"]["states"]))
    return f"rip {RIP:x}"


CASES = [
    Case(f"dump.{kernel}", f"{kernel}: of a vCPU that it cannot enter it "
         "prints the registers that the guest gave it, deciphered by the "
         "firmware, if the guest's policy says DEBUG, and none otherwise",
         lambda kernel=kernel: dumped(kernel), order=48,
         inputs=("machine", "linux")[:1 + (kernel == "ours")])
    for kernel in ("debian-backports", "ours")
]
