# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what our kernel says when it writes to a page that is not its own: an
oops that names the violation and shows the page's entry, and the host goes on."""

import re

from lab import counts, host, judge, kernels, linux, machine, paths, rmp
from lab.cases import Case, CaseFailed
from lab.cases.life import same

WRITE = """
modprobe ccp && modprobe kvm_amd || exit 9
mark up
pa=0x$(dmesg | sed -n 's/.*RMP table physical range \\[0x\\([0-9a-f]*\\) .*/\\1/p')
insmod /lab/rmp_write.ko pa=$pa; say "ended $?"
modprobe msr || exit 8
audit after
"""


def write():
    """The first page of the RMP is the processor's, and entry 0 of none."""
    side = {}

    def on_mark(_mark, _text, monitor):
        side.update(counts.machine(monitor))

    h = host.Host(kernels.get("ours"), machine.build().binary, smp=1,
                  thread="single")
    module = linux.module(paths.LAB / "rmp_write.c")
    r = h.run("fault", WRITE, {"rmp_write.ko": module}, timeout=400,
              on_mark=on_mark, panics=True)
    if not r.ok():
        raise CaseFailed("\n".join([*r.says, *r.failure()]))
    first = side["rmp-summary"]["base"] // rmp.PAGE
    entry = re.search(rf"PFN {first:#x}, RMP entry: \[0x(\w+) - 0x(\w+)\] "
                      r"state (\d+) asid (\d+)", r.console)
    return same(
        oops=(len(re.findall("BUG: unable to handle page fault", r.console)),
              1),
        why=("#PF: error_code(0x80000003) - RMP violation" in r.console, True),
        entry=(bool(entry), True),
        shown=(entry and (int(entry[1], 16) & 1, entry[4]), (1, "0")),
        ended=(judge.first(r, "ended") != "0", True),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


CASES = [
    Case("fault.ours", "our kernel, made to write to a page that is not its "
         "own, dies of no more than the task: its oops says that it was the "
         "RMP, and what the page's entry is", write, order=44),
]
