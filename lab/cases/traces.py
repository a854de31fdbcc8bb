# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host's tracepoints of confidential guests say what was: faults
of the RMP as the machine counts them, changes of memory attributes as they were
asked for."""

import json
import re

from lab import counts, host, judge, kernels, machine
from lab.cases import Case, CaseFailed
from lab.cases.cpu import differences, tests
from lab.cases.kvm_selftests import SMT

FAULTS = 40

# KVM_SET_MEMORY_ATTRIBUTES of a VM with private memory: (address, size,
# attributes), the second refused
ASKED = ((0x100000, 0x200000, 8), (0x100800, 0x1000, 8),
         (0x180000, 0x1000, 0), (0x40000000, 0x1000, 8))
ATTRIBUTES = r"""
open(K, "+<", "/dev/kvm") or die("kvm: $!");
$fd = ioctl(K, 0xae01, 1) or die("KVM_CREATE_VM: $!");
open(V, "+<&=", $fd) or die("vm: $!");
while (@ARGV) {
	$arg = pack("Q4", splice(@ARGV, 0, 3), 0);
	print ioctl(V, 0x4020aed2, $arg) ? "done\n" : "refused\n";
}
"""
SCRIPT = SMT + """
modprobe ccp && modprobe kvm_amd || exit 9
ev=/sys/kernel/tracing/events/kvm
echo "hist:keys=psmash_ret,rmp_level" > $ev/kvm_rmp_fault/trigger || exit 8
mark on
timeout 600 /lab/smoke 2>&1 || { say "status $?"; exit 7; }
mark off
echo "@hist kvm_rmp_fault"; cat $ev/kvm_rmp_fault/hist; echo "@hist-end"
echo 1 > $ev/kvm_vm_set_mem_attributes/enable || exit 6
perl /lab/attributes %s | while read -r line; do say "asked $line"; done
grep kvm_vm_set_mem_attributes /sys/kernel/tracing/trace |
	while read -r line; do say "event $line"; done
"""


def judged():
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)
        monitor.command("qom-set", path="/machine/peripheral/psp",
                        property="inject",
                        value=f"NPF:1-{FAULTS}" if mark == "on" else "")

    h = host.Host(kernels.get("ours"), machine.build().binary,
                  thread="single")
    r = h.run("traces", SCRIPT % " ".join(str(x) for one in ASKED
                                          for x in one),
              {"smoke": tests()["smoke"], "attributes": ATTRIBUTES},
              timeout=900, on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    faults = counts.histograms(r.control).get("kvm_rmp_fault", {})
    machines = sides["off"]["stats"]["npf-rmp"] - \
        sides["on"]["stats"]["npf-rmp"]
    events = [re.search(r": (\w+) -- (\w+) \[(\w+)\]", x)
              for x in judge.said(r, "event")]
    if None in events:
        raise CaseFailed(json.dumps(judge.said(r, "event")))
    differences(
        # each was one that the host has nothing to do for
        faults=(sum(faults.values()), machines),
        injected=(machines >= FAULTS, True),
        asked=(judge.said(r, "asked"),
               ["refused" if a % 4096 else "done" for a, _, _ in ASKED]),
        events=([tuple(int(x, 16) for x in m.groups()) for m in events],
                [(a >> 12, (a + n) >> 12, what) for a, n, what in ASKED
                 if not a % 4096]))
    return f"{machines} faults, {len(events)} changes"


CASES = [Case("traces.ours", "on our host the tracepoint kvm_rmp_fault tells "
              "each fault of the RMP that the machine counts, and "
              "kvm_vm_set_mem_attributes each change that was made, and none "
              "that was refused", judged, order=48)]
