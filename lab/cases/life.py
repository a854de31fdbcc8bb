# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves when our host has SNP and when it does not: what the command line
says, CPUs that are missing when SNP is to come up, memory that the RMP does not
cover, VMs that come meanwhile, and CPUs that come and go, or a suspend, while it
is on."""

import re

from lab import counts, host, judge, kernels, machine, selftests
from lab.cases import Case, CaseFailed

SNP = "/sys/module/kvm_amd/parameters/sev_snp"
CPU = "/sys/devices/system/cpu/cpu1/online"

OFF = f"""
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat {SNP})"
say "flag $(grep -c -w sev_snp /proc/cpuinfo)"
say "sev $(cat /sys/module/kvm_amd/parameters/sev_es)"
mark up
"""
# $? of a write that is refused is 1
HOTPLUG = f"""
set_cpu() {{ echo $1 > {CPU} 2> /tmp/error; say "$2 $? $(cat {CPU}) $(cat {SNP})"; }}
modprobe ccp || exit 9
echo 0 > {CPU} || exit 8
modprobe kvm_amd || exit 7
say "missing $(cat {SNP})"
mark missing
echo 1 > {CPU} || exit 6
say "busy $(perl -e 'open(K, "+<", "/dev/kvm") && ioctl(K, 0xae01, 0) or die;
    open(S, "+<", "/dev/sev") or die;  # PDH_CERT_EXPORT brings SEV up
    $data = "\\0" x 32; $cmd = pack("LPL", 5, $data, 0);
    print ioctl(S, 0xc0105300, $cmd) ? "up" : $!')"
mark busy
modprobe -r kvm_amd && modprobe kvm_amd || exit 6
say "there $(cat {SNP})"
set_cpu 0 down
say "why $(cat /tmp/error | tail -n 1)"
modprobe -r kvm_amd || exit 5
echo 0 > {CPU}; say "after $? $(cat {CPU})"
modprobe kvm_amd || exit 4
say "again $(cat {SNP})"
audit after
mark up
"""

SUSPEND = f"""
suspend() {{ # STATE WORD
	echo $1 > /sys/power/state 2> /tmp/error
	say "$2 $? $(cat /sys/devices/system/cpu/online) $(tail -n 1 /tmp/error)"
}}
modprobe ccp || exit 9
say "states $(cat /sys/power/state)"
modprobe kvm_amd || exit 8
say "snp $(cat {SNP})"
audit up
mark up
suspend freeze idle
suspend mem ram
modprobe -r kvm_amd || exit 7
suspend mem without
modprobe kvm_amd || exit 6
say "again $(cat {SNP})"
audit after
mark after
"""
LATE = f"""
modprobe ccp || exit 9
echo 0 > {CPU} || exit 8
modprobe kvm_amd || exit 7
echo 1 > {CPU} || exit 6
mark begun
/lab/snp_late_test | while read -r line; do say "test $line"; done
audit late
modprobe -r kvm_amd && modprobe kvm_amd || exit 5
say "again $(cat {SNP})"
mark up
"""
UNCOVERED = f"""
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat {SNP})"
say "es $(cat /sys/module/kvm_amd/parameters/sev_es)"
audit up
mark up
"""
# Of memory, which ends at 5 GiB, less than that: tables come in 2 MiB, each for
# 512 MiB of it.
COVERAGE, MEM = 0x11f000000, "mem=4592M"


def boot(name, script, cmdline="", psp=(), on="ours", thread="single",
         files=()):
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get(on), machine.build().binary,
                  thread=thread, psp=psp)
    r = h.run(name, script, dict(files), timeout=400, on_mark=on_mark, cmdline=cmdline)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    return r, sides


def same(**pairs):
    """name=(seen, wanted). CaseFailed with those that differ."""
    bad = [f"{n}: {seen!r}, not {want!r}" for n, (seen, want) in pairs.items()
           if seen != want]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(pairs)} answers"


def _init(side):
    """How often firmware was asked, and be it in vain."""
    return counts.asked(side["stats"], "SNP_INIT", "SNP_INIT_EX")


def nosnp():
    r, sides = boot("life.nosnp", OFF, "sev=nosnp")
    side = sides["up"]
    return same(
        said=("SEV-SNP: off by sev=nosnp" in r.console, True),
        snp=(judge.first(r, "snp"), "N"),
        flag=(judge.first(r, "flag"), "0"),
        sev=(judge.first(r, "sev"), "Y"),
        init=(_init(side), 0),
        updates=(sum(side["stats"]["rmpupdate"].values()), 0))


def hotplug():
    r, sides = boot("life.hotplug", HOTPLUG)
    return same(
        missing=(judge.first(r, "missing"), "N"),
        line=("not all CPUs are online (0 of 0-1)" in r.console, True),
        untouched=(_init(sides["missing"]), 0),
        busy=(judge.first(r, "busy"), "Device or resource busy"),
        busy_line=("init failed: VMs run already" in r.console, True),
        no_init=(_init(sides["busy"]), 0),
        there=(judge.first(r, "there"), "Y"),
        down=(judge.first(r, "down"), "1 1 Y"),
        why=("Device or resource busy" in judge.first(r, "why"), True),
        # the processors check the RMP until they are reset
        after=(judge.first(r, "after"), "1 1"),
        again=(judge.first(r, "again"), "Y"),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


BUSY = "Device or resource busy"
LATE_TEST = "snp_late_test"


def late():
    """The RMP is large enough to be cleared for longer than there is no VM."""
    r, sides = boot("life.late", LATE, thread="multi",
                    files={LATE_TEST: selftests.ours(LATE_TEST)})
    return same(
        untouched=(_init(sides["begun"]), 0),
        oks=([x for x in r.says if re.match(r"test (not )?ok ", x)],
             ["test ok 1 VMs run while SNP comes up",
              "test ok 2 SNP comes up without VMs"]),
        # it was tried when there was none, and then there was one
        meanwhile=("init failed: a VM was created meanwhile" in r.console, True),
        # a VM that came later still has firmware refuse, and nothing happens
        once=(sum(counts.firmware(sides["up"]["stats"], c)
                  for c in ("SNP_INIT", "SNP_INIT_EX")), 2),
        again=(judge.first(r, "again"), "Y"),
        audit=(judge.said(r, "audit-late")[-1:], ["BALANCED"]))


def suspend():
    r, sides = boot("life.suspend", SUSPEND)
    up, after = (s["rmp-summary"]["states"] for s in
                 (sides["up"], sides["after"]))

    def refused(word):
        seen = judge.first(r, word)
        return seen.startswith("1 0-1 ") and seen.endswith(BUSY)
    return same(
        states=(judge.first(r, "states"), "freeze mem"),
        snp=(judge.first(r, "snp"), "Y"),
        idle=(refused("idle"), True),
        ram=(refused("ram"), True),
        # the processors check the RMP until they are reset
        without=(refused("without"), True),
        line=(r.console.count("no suspend while SNP is on"), 3),
        # it was refused before anything was suspended
        entered=(r.console.count("PM: suspend entry"), 3),
        frozen=(r.console.count("Freezing user space processes"), 0),
        again=(judge.first(r, "again"), "Y"),
        pages=(after, up),
        audit=([judge.said(r, f"audit-{x}")[-1:] for x in ("up", "after")],
               [["BALANCED"]] * 2))


def uncovered(on="ours"):
    name = "life.uncovered" + f".{on}" * (on != "ours")
    psp = (f"rmp-coverage={COVERAGE:#x}",)
    r, sides = boot(name, UNCOVERED, psp=psp, on=on)
    side = sides["up"]
    answers = dict(
        line=("does not cover full system RAM" in r.console, True),
        snp=(judge.first(r, "snp"), "N"),
        es=(judge.first(r, "es"), "Y"), init=(_init(side), 0),
        updates=(sum(side["stats"]["rmpupdate"].values()), 0))
    if on == "ours":
        # what the guide says is to be done then
        r, sides = boot(name, UNCOVERED, MEM, psp)
        side = sides["up"]
        answers |= dict(
            less=(judge.first(r, "snp"), "Y"), now=(_init(side), 1),
            audit=(judge.said(r, "audit-up")[-1:], ["BALANCED"]))
    return same(**answers)


CASES = [
    Case("life.suspend", "with SNP on, and while the processors check the RMP, "
         "our host refuses to suspend, to idle or to RAM, before anything is "
         "stopped, says why, and goes on", suspend, order=44),
    Case("life.late", "SNP that is brought up by an ioctl of /dev/sev while VMs "
         "come and go waits for a moment without any; none of them is harmed",
         late, order=44),
    Case("life.uncovered", "where the RMP covers less than all memory our host "
         "says so and does without SNP; told to use no more memory than that, "
         "it has SNP", uncovered, order=44),
    Case("life.uncovered.debian-backports", "the newest stock host refuses SNP "
         "there, too", lambda: uncovered("debian-backports"), full=True,
         order=56, inputs=("machine",)),
    Case("life.nosnp", "our host with sev=nosnp says so and does without SNP: "
         "no SNP_INIT, no RMPUPDATE, SEV and SEV-ES as ever", nosnp, order=44),
    Case("life.hotplug", "with a CPU offline our host does without SNP, says "
         "why, and has touched nothing, nor does it once VMs run; with all "
         "online it has SNP, and CPUs stay where they are, without kvm_amd "
         "too", hotplug, order=44),
]
