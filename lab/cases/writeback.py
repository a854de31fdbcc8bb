# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves whose caches are written back for a VM with encrypted memory: those of
the CPU that ran it, and no other's; for an SNP guest, whose private memory is
not where an MMU notifier looks, once, when it goes; and once when pages of a guest_memfd
that a guest with SEV alone has are punched. The machine counts WBINVD
and WBNOINVD by CPU."""

from lab import counts, host, kernels, machine
from lab.cases import Case, CaseFailed, bare
from lab.cases.cpu import differences, tests
from lab.cases.kvm_selftests import SMT

TEST = "snp_ap_test"
PUNCH = "sev_punch_test"
# CPU 1 alone: the machine's second
SCRIPT = SMT + f"""
modprobe ccp && modprobe kvm_amd || exit 9
cd /lab
mark begin
taskset 2 timeout 600 ./smoke > /tmp/out 2>&1 || {{ cat /tmp/out; exit 8; }}
mark all
taskset 2 timeout 600 ./{TEST} > /tmp/out 2>&1 || {{ cat /tmp/out; exit 7; }}
mark snp
taskset 2 timeout 600 ./{PUNCH} > /tmp/out 2>&1 || {{ cat /tmp/out; exit 6; }}
mark whole
taskset 2 timeout 600 ./{PUNCH} punch > /tmp/out 2>&1 || {{ cat /tmp/out; exit 5; }}
mark punched
"""


def judged(kernel):
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)["stats"]

    files = {"smoke": tests()["smoke"], **bare.stripped(TEST, PUNCH)}
    h = host.Host(kernels.get(kernel), machine.build().binary, smp=2,
                  thread="single")
    r = h.run(f"writeback.{kernel}", SCRIPT, files, timeout=1400,
              on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.failure(),
                                    r.control[-1500:]]))

    def more(a, b):
        return [sides[b]["writebacks"].get(cpu, 0) -
                sides[a]["writebacks"].get(cpu, 0) for cpu in ("0x0", "0x1")]
    everyone, snp = more("begin", "all"), more("all", "snp")
    whole, punched = more("snp", "whole"), more("whole", "punched")
    gone = counts.firmware(sides["snp"], "SNP_DECOMMISSION") - \
        counts.firmware(sides["all"], "SNP_DECOMMISSION")
    differences(other=(everyone[0], 0), some=(everyone[1] > 0, True),
                guests=(gone > 0, True), snp=(snp, [0, gone]),
                whole=(whole[1] > 0, True),
                punched=(punched, [0, whole[1] + 1]))
    return f"{everyone[1]} of all kinds, {snp[1]} of {gone} SNP guests"


CASES = [Case("writeback.ours", "our host has the CPU that ran a VM with "
              "encrypted memory write back its caches, no other, and for an "
              "SNP guest once, at its end", lambda: judged("ours"), order=48)]
