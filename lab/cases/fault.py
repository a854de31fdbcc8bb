# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what our kernel says when it writes to a page that is not its own: an
oops that names the violation and shows the page's entry, and the host goes on."""

import re

from lab import counts, host, judge, kernels, linux, machine, paths, rmp
from lab.cases import Case, CaseFailed, bare
from lab.cases.life import same

TEST = "snp_memory_test"
# The guest's page, as its frame: of snp_bare.h's pool the fourth.
GFN = "40003"
WRITE = f"""
modprobe ccp && modprobe kvm_amd && modprobe msr || exit 9
mark up
pa=0x$(dmesg | sed -n 's/.*RMP table physical range \\[0x\\([0-9a-f]*\\) .*/\\1/p')
tracing=/sys/kernel/tracing
echo 1 > $tracing/events/kvmmmu/kvm_tdp_mmu_spte_changed/enable || exit 8
timeout 300 /lab/{TEST} --wait /tmp/go > /tmp/out 2>&1 &
for try in $(seq 600); do
	grep -q waits /tmp/out && break
	sleep 0.1
done
echo 0 > $tracing/events/kvmmmu/kvm_tdp_mmu_spte_changed/enable
spte=$(sed -n '/ gfn {GFN} level 1 /s/.* new_spte //p' $tracing/trace | tail -n 1)
guest=$(printf '%#x' $(( 0x$spte & 0x7fffffffff000 )))  # its C-bit is bit 51
say "guest $guest"
insmod /lab/rmp_write.ko pa=$pa,$guest; say "ended $?"
touch /tmp/go
wait $!; say "test $?"
cat /tmp/out
audit after
"""


def write():
    """The first page of the RMP is the processor's, and entry 0 of none; the
    other is one that a guest has validated, and which it keeps."""
    side = {}

    def on_mark(_mark, _text, monitor):
        side.update(counts.machine(monitor))

    h = host.Host(kernels.get("ours"), machine.build().binary, smp=1,
                  thread="single")
    module = linux.module(paths.LAB / "rmp_write.c")
    r = h.run("fault", WRITE, {"rmp_write.ko": module, **bare.stripped(TEST)},
              timeout=400,
              on_mark=on_mark, panics=True)
    if not r.ok():
        raise CaseFailed("\n".join([*r.says, *r.failure()]))
    first = side["rmp-summary"]["base"] // rmp.PAGE
    theirs = int(judge.first(r, "guest", "0"), 16) // rmp.PAGE
    entry, guest = (re.search(
        rf"PFN {pfn:#x}, RMP entry: \[0x(\w+) - 0x(\w+)\] state (\d+) "
        r"asid (\d+)", r.console) for pfn in (first, theirs))
    return same(
        oops=(len(re.findall("BUG: unable to handle page fault", r.console)),
              2),
        why=(r.console.count("#PF: error_code(0x80000003) - RMP violation"), 2),
        written=("was written to" in r.console, False),
        entry=(bool(entry), True),
        shown=(entry and (int(entry[1], 16) & 1, entry[4]), (1, "0")),
        theirs=(bool(guest), True),
        owned=(guest and (int(guest[1], 16) & 1, int(guest[4]) > 0), (1, True)),
        test=(judge.first(r, "test"), "0"),
        ended=(judge.first(r, "ended") != "0", True),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


CASES = [
    Case("fault.ours", "our kernel, made to write to pages that are not its "
         "own, the RMP's and a guest's, dies of no more than the task: its oops "
         "says that it was the RMP, and what the page's entry is; the guest "
         "finds its page as it was", write, order=44),
]
