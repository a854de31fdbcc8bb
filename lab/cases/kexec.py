# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host starts another kernel by kexec after SNP guests have run:
the one that goes takes SNP down, the one that comes has SNP and runs them again.
Where SNP is on in the CPUs meanwhile, it does not make the RMP anew; where the
firmware turned it off there, it does. Loaded as `kexec -s` does."""

import re

from lab import counts, host, judge, kernels, machine
from lab.cases import Case, CaseFailed
from lab.cases.cpu import SMOKE, differences, tests
from lab.cases.kvm_selftests import SMT

LOAD = r"""
open(K, "/lab/vmlinuz") && open(I, "/lab/initrd") or die("open: $!");
$line = "$ARGV[0]\0";
syscall(320, fileno(K), fileno(I), length($line), $line, 0) == 0
    or die("kexec_file_load: $!\n");
"""
# reboot(2), LINUX_REBOOT_CMD_KEXEC: devices are shut down, nothing is killed
GO = "syscall(169, 0xfee1dead, 672274793, 0x45584543, 0); die('kexec: $!')"

SCRIPT = SMT + f"""
# before SNP is up: where it is on in the CPUs already, they stay
cpu=/sys/devices/system/cpu/cpu1/online
offline="$(echo 0 2>&1 > $cpu) $(cat $cpu)"
echo 1 > $cpu
modprobe ccp && modprobe kvm_amd || exit 9
grep -q lab_second /proc/cmdline && boot=second || boot=first
say "$boot $(cat /sys/module/kvm_amd/parameters/sev_snp)"
say "offline-$boot $offline"
timeout 600 /lab/smoke 2>&1 || {{ say "status $?"; exit 8; }}
audit $boot
mark $boot
[ $boot = first ] || exit 0
perl /lab/load "console=ttyS0 panic=-1 no_timer_check lab_second" || exit 7
say "loaded $(cat /sys/kernel/kexec_loaded)"
sync
echo '<6>lab: kexec' > /dev/kmsg
perl -e "{GO}"
exit 6
"""
KEPT = "on since before kexec, the RMP is kept"


def again(cpu, off):
    """off: the firmware turns SNP off in the CPUs, too."""
    sides = {}
    k = kernels.get("ours")

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    def on_end(monitor):
        sides["end"] = counts.machine(monitor)

    files = {"vmlinuz": k.vmlinuz, "initrd": k.initramfs(), "load": LOAD,
             "smoke": tests()["smoke"]}
    h = host.Host(k, machine.build().binary, thread="single", cpu=cpu)
    r = h.run(f"kexec.{cpu}", SCRIPT, files, timeout=900, on_mark=on_mark,
              on_end=on_end, cmdline="no_timer_check")
    if not r.ok() or r.bad_lines() or \
            set(sides) != {"first", "second", "end"}:
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    before, _, after = r.console.partition("lab: kexec")

    def done(side, *commands):
        return sum(counts.firmware(sides[side]["stats"], c) for c in commands)
    differences(
        snp=([judge.first(r, x) for x in ("first", "second")], ["Y", "Y"]),
        loaded=(judge.first(r, "loaded"), "1"),
        # a CPU was taken offline and came back, where it may
        offline=([judge.first(r, f"offline-{x}")[-1:]
                  for x in ("first", "second")], ["0", "0" if off else "1"]),
        kernels=([len(re.findall("Linux version", x))
                  for x in (before, after)], [1, 1]),
        kept=([KEPT in x for x in (before, after)], [False, not off]),
        init=([done(x, "SNP_INIT_EX") for x in ("first", "second", "end")],
              [1, 2, 2]),
        down=([done(x, "SNP_SHUTDOWN_EX") for x in
               ("first", "second", "end")], [0, 1, 2]),
        guests=([done(x, "SNP_LAUNCH_FINISH") > 0 for x in
                 ("first", "second")], [True, True]),
        ran=(done("second", "SNP_LAUNCH_FINISH"),
             2 * done("first", "SNP_LAUNCH_FINISH")),
        audits=([judge.said(r, f"audit-{x}")[-1:] for x in
                 ("first", "second")], [["BALANCED"]] * 2))
    return f"{SMOKE} twice"


CASES = [
    Case("kexec.ours", "our host runs SNP guests, starts itself anew by kexec "
         "and runs them again: SNP was taken down, the RMP is kept, as SNP is "
         "on in the CPUs, and its audit is balanced",
         lambda: again("milan", False), order=48,
         inputs=("machine", "linux")),
    Case("kexec.ours.turin", "the same on Turin, where the firmware turns SNP "
         "off in the CPUs, too, so that the RMP is made anew",
         lambda: again("turin", True), order=48, full=True,
         inputs=("machine", "linux")),
]
