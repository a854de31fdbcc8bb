# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host tells by sysfs which mitigations the firmware has and which
are in force, and has one verified that is not, before SNP is on and after."""

from lab import counts, host, judge, kernels, machine
from lab.cases import Case, CaseFailed
from lab.cases.life import same

DIR = "/sys/firmware/sev/vulnerabilities"
# what the firmware has: two mitigations
VECTOR = 0x11

SCRIPT = f"""
modprobe ccp || exit 9
[ -d {DIR} ] && say "there" || say "none"
look() {{ say "$1 $(cat {DIR}/supported_mitigations) $(cat {DIR}/verified_mitigations)"; }}
verify() {{ (echo $1 > {DIR}/verified_mitigations) 2> /tmp/error &&
	say "$2 done" || say "$2 $(grep -o 'Invalid argument' /tmp/error)"; }}
if [ -d {DIR} ]; then
	mark begun
	look cold
	verify 1 first
	look one
	verify 0x11 two
	verify 0 nothing
	verify 2 unknown
	verify nonsense words
	look still
	mark asked
	modprobe kvm_amd || exit 8
	look on
	verify 0x10 again
	audit on
	say "mode $(stat -c %a {DIR}/supported_mitigations {DIR}/verified_mitigations | tr '\\n' ' ')"
	modprobe -r kvm_amd && modprobe -r ccp || exit 7
	[ -d /sys/firmware/sev ] && say "left" || say "gone"
fi
"""


def boot(name, psp):
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get("ours"), machine.build().binary, thread="single",
                  psp=psp)
    r = h.run(name, SCRIPT, timeout=400, on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    return r, sides


def judged():
    without, _ = boot("mitigations-none", ["mitigations=0"])
    r, sides = boot("mitigations", [f"mitigations={VECTOR}"])
    said = [sides[m]["stats"].get("firmware", {})
            .get("SNP_VERIFY_MITIGATION", {}) for m in ("begun", "asked")]
    commands = {x: said[1].get(x, 0) - said[0].get(x, 0) for x in said[1]}
    return same(
        without=("none" in without.says, True),
        there=("there" in r.says, True),
        cold=(judge.first(r, "cold"), "0x11 0x0"),
        first=(judge.first(r, "first"), "done"),
        one=(judge.first(r, "one"), "0x11 0x1"),
        # more than one, and none, do not get to the firmware
        two=(judge.first(r, "two"), "Invalid argument"),
        nothing=(judge.first(r, "nothing"), "Invalid argument"),
        unknown=(judge.first(r, "unknown"), "Invalid argument"),
        words=(judge.first(r, "words"), "Invalid argument"),
        still=(judge.first(r, "still"), "0x11 0x1"),
        commands=(commands, {"SUCCESS": 7, "INVALID_PARAM": 1}),
        # an RMP that is made anew has all of them in force
        on=(judge.first(r, "on"), "0x11 0x11"),
        again=(judge.first(r, "again"), "done"),
        audit=(judge.said(r, "audit-on")[-1:], ["BALANCED"]),
        mode=(judge.first(r, "mode").split(), ["400", "600"]),
        gone=("gone" in r.says, True))


CASES = [
    Case("mitigations.ours", "our host tells which mitigations the firmware has, "
         "which are in force, and has one verified, before SNP is on and after; "
         "what is none is refused, and a firmware without the command asked "
         "nothing", judged, order=44),
]
