# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what becomes of a guest's memory in blocks of 2 MiB when others do not
play along: a VMM that changes it while the guest is killed, a firmware that
refuses it."""

import re

from lab import host, kernels, machine, selftests, soak
from lab.cases import Case, CaseFailed
from lab.cases import bare

REFUSED = """
modprobe ccp; modprobe kvm_amd || exit 9
coproc test { exec /lab/test refused 2>&1; }
in=${test[0]} out=${test[1]} pid=$test_PID
while read -r line <&"$in"; do
	[ "$line" != refuse ] || { mark refuse; echo go >&"$out"; }
	echo "$line"
done
wait "$pid"
echo "@@ end $?"
"""


def refused():
    """One LAUNCH_UPDATE fails: the first of a block."""
    fired = []

    def on_mark(_mark, _text, monitor):
        monitor.command("qom-set", path="/machine/peripheral/psp",
                        property="inject",
                        value="SNP_LAUNCH_UPDATE:1:INVALID_PAGE_SIZE")
        fired.append(True)

    h = host.Host(kernels.get("ours"), machine.build().binary, smp=2)
    r = h.run("launch-refused", REFUSED, {"test": bare.stripped(
        "snp_huge_test")["snp_huge_test"]}, timeout=600, on_mark=on_mark)
    m = re.search(r"^(.*)^@@ end (\d+)$", r.control, re.M | re.S)
    bad = (bare.problems("snp_huge_test", m[1], int(m[2])) if m else
           ["left no result"]) + r.bad_lines()
    if not fired:
        bad.append("nothing was refused")
    if bad or not r.ok():
        raise CaseFailed("\n".join(bad + ([] if r.ok() else r.failure())))
    return "one block by pages"


def chaos(with_=None):
    """Seeds in one boot."""
    soak.judge_itself()
    bad, good = soak.boot("ours", machine.build().binary,
                          selftests.for_any_host(soak.TEST), [1, 2],
                          bare.PARAMETERS.get(with_, ""))
    if bad:
        raise CaseFailed("\n".join(f"seed {n}: {why}"
                                   for n, why in bad.items()))
    return f"{len(good)} seeds, {soak.ROUNDS} guests each"


def soaked():
    failed, passed = soak.go("ours-debug")
    if failed:
        raise CaseFailed("\n".join(f"seed {n}: {why}"
                                   for n, why in failed.items()))
    return f"{passed * soak.ROUNDS} guests"


CHAOS = "A VMM that punches, binds and kills at once leaves the audit BALANCED"

CASES = [
    Case("chaos.ours", CHAOS, chaos, order=48),
    Case("chaos.ours.nx", f"{CHAOS}, also with kvm.nx_huge_pages=force",
         lambda: chaos(bare.NX), order=48),
    Case("launch.refused.ours", "A block of 2 MiB that the firmware refuses at "
         "launch is launched by pages, and what was given to it comes back "
         "first", refused, order=48),
    Case("soak.ours.debug", "200 guests of all sizes, with memory that is "
         "converted, punched, bound again, scarce and in pieces, killed in the "
         "midst of it on our host with a kernel that checks itself (KASAN, "
         "lockdep, sleeping while atomic): the audit is BALANCED after each, "
         "nothing leaked, without a splat", soaked, order=58, full=True),
]
