# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a stock host's kdump works: it panics while it has SNP on and a
stock SNP guest runs, its crash kernel, which is the same one again, comes up
with the IOMMU as it is then, sees the memory of the panicked one as a file,
reads all of it, and reads a disk through the IOMMU. So it does where the
firmware refused to take SNP down, on a kernel that knows how; one that does not
panics, as was published of real hardware. The crash kernel is loaded by the system
call that `kexec -p -s` makes. Then our host, in both."""

import re
import shlex

from lab import counts, guest, host, image, judge, kernels, machine, paths
from lab.cases import Case, CaseFailed
from lab.cases.cpu import differences

STOCK = ("debian-13", "debian-backports")
RESERVED = 256                  # MiB, for the crash kernel
MEMORY = 3 << 30                # of the machine, as host.Host has it
MODULES = ("virtio_pci", "virtio_blk")
# Ours is tempted, too: the drivers that would bring SNP and SEV up.
DRIVERS = {"ours": ("ccp", "kvm_amd")}
INITS = ("SNP_INIT", "SNP_INIT_EX", "INIT", "INIT_EX")

# Keeps a page of random bytes for the crash kernel to find, and says where.
KEEP = r"""
open(R, "/dev/urandom"); sysread(R, $s, 8192);
$at = unpack("Q", pack("P", $s));
$page = ($at + 4095) & ~4095;
open(F, ">", "/run/page"); syswrite(F, substr($s, $page - $at, 4096)); close(F);
open(M, "/proc/self/pagemap") or die("pagemap: $!"); sysseek(M, $page / 4096 * 8, 0);
sysread(M, $e, 8);
printf("%d\n", (unpack("Q", $e) & (1 << 55) - 1) * 4096);
close(STDOUT);
sleep(1) while (1);
"""
LOAD = r"""
open(K, "/lab/vmlinuz") && open(I, "/lab/crash.cpio") or die("open: $!");
$line = "$ARGV[0]\0";
# kexec_file_load() of a kernel for the case of a panic
syscall(320, fileno(K), fileno(I), length($line), $line, 2) == 0
    or die("kexec_file_load: $!\n");
"""

SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
say "sev_snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
disk=/dev/$(grep -lx root /sys/block/vd*/serial | cut -d/ -f4)
say "disk $(dd if="$disk" bs=1M count=4 2>/dev/null | sha256sum | cut -c-64)"
perl /lab/keep > /run/at &
while [ ! -s /run/at ]; do sleep 0.1; done
say "page $(sha256sum < /run/page | cut -c-64)"
perl /lab/load "console=ttyS0 panic=-1 lab_page=$(cat /run/at)" || exit 8
say "loaded $(cat /sys/kernel/kexec_crash_loaded)"
mkfifo /run/serial
stty -F /dev/ttyS1 raw
%s < /dev/null > /run/serial 2>&1 &
exec 7< /run/serial
while read -r -u 7 line; do
	echo "$line" > /dev/ttyS1
	case $line in *"lab-guest: reading"*) break ;; esac
done
cat <&7 > /dev/ttyS1 &
mark up
echo 1 > /proc/sys/kernel/sysrq
echo c > /proc/sysrq-trigger
sleep 60
"""

# What the newest kernel says when it takes over what the IOMMU had.
REUSED = ("Re-using CWB buffers from the previous kernel",
          "Re-using command buffer from the previous kernel",
          "Re-using event buffer from the previous kernel",
          "trying to reuse translation structures")
COPIED = ("Translation is already enabled - trying to copy translation "
          "structures", "Copied DEV table from previous kernel.")
# Ours says so at once, and of the device table what 6.1 says.
KEPT = ("SNP: was on: going on with the buffers of the kernel that crashed",
        *COPIED)
TAKES = {"debian-13": COPIED, "debian-backports": REUSED, "ours": KEPT}
REFUSED = "SNP_SHUTDOWN_EX:1-9:HWERROR_PLATFORM"
SHUTDOWN_FAILED = "SEV-SNP firmware shutdown failed"


def crash(name, kernel, inject=None, cpu=None):
    """Boots, panics, boots the crash kernel. Returns (Result, the console
    after the panic, the machine's counts at "up" and "end"). inject: what the
    machine fails with from "up" on. cpu: the one that panics."""
    sides = {}
    k, g = kernels.get(kernel), guest.kernel()

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)
        if inject:
            monitor.command("qom-set", path="/machine/peripheral/psp",
                            property="inject", value=inject)

    def on_end(monitor):
        sides["end"] = counts.machine(monitor)

    archive = image.initramfs(k.slug() / "crash.cpio",
                              paths.LAB / "hostfs" / "crash", k.modules,
                              MODULES + DRIVERS.get(kernel, ()),
                              ("proc", "sys"))
    files = {"vmlinuz": k.vmlinuz, "crash.cpio": archive, "keep": KEEP,
             "load": LOAD, "guest/vmlinuz": g.vmlinuz,
             "guest/initrd": guest.initramfs(g.modules),
             "guest/disk": bytes(guest.DISK_BYTES)}
    script = SCRIPT % shlex.join(guest.command(1, "512M"))
    if cpu is not None:
        script = script.replace("echo c >",
                                f"taskset -pc {cpu} $$ > /dev/null; echo c >")
    h = host.Host(k, machine.build().binary, thread="single")
    r = h.run(name, script, files, timeout=900, on_mark=on_mark,
              on_end=on_end, panics=True, cmdline=f"crashkernel={RESERVED}M")
    before, panic, after = r.console.partition(host.CRASH)
    before = [x.strip() for x in before.splitlines()
              if host.BAD_LINES.search(x)]
    if before or not panic or set(sides) != {"up", "end"}:
        raise CaseFailed("\n".join([*before[:3], f"asked at {sorted(sides)}",
                                    *r.says, *r.failure()]))
    return r, after, sides


def boots(r, after):
    """What the crash kernel printed, from its first line on."""
    boot = after.partition("Linux version")[2]
    if not boot:
        raise CaseFailed("\n".join(["no crash kernel", *r.says,
                                    *r.failure()]))
    return boot


def dumped(kernel, refused=False):
    """refused: the firmware does not take SNP down."""
    name = f"kdump.{kernel}" + ".enforced" * refused
    r, after, sides = crash(name, kernel, REFUSED if refused else None)
    boot = boots(r, after)
    lines = [x.strip() for x in boot.splitlines() if host.BAD_LINES.search(x)]
    if not r.ok() or lines:
        raise CaseFailed("\n".join([*lines[:3], *r.says, *r.failure()]))
    release = kernels.get(kernel).release
    core = judge.first(r, "crash-vmcore") or "0"
    up, end = (sides[s] for s in ("up", "end"))
    differences(
        snp=(judge.first(r, "sev_snp"), "Y"),
        guest=(up["rmp-summary"]["states"]["guest-valid"] > 0, True),
        down=(counts.firmware(end["stats"], "SNP_SHUTDOWN_EX"),
              0 if refused else 1),
        refused=(SHUTDOWN_FAILED in after, refused),
        release=(judge.first(r, "crash-release"), release),
        of=(judge.first(r, "crash-of"), f"OSRELEASE={release}"),
        core=(int(core) > MEMORY - (RESERVED + 128 << 20), True),
        # as dd counts: blocks of 1 MiB, and one that is shorter
        read=(judge.first(r, "crash-read").split()[:1],
              [f"{int(core) >> 20}+{int(int(core) % (1 << 20) > 0)}"]),
        page=(judge.first(r, "crash-page"), judge.first(r, "page")),
        disk=(judge.first(r, "crash-disk"), judge.first(r, "disk")),
        iommu=([x for x in TAKES[kernel] if x not in boot], []),
        drivers=([x for x in DRIVERS.get(kernel, ()) if x not in
                  judge.first(r, "crash-modules").split()], []),
        inits=tuple(counts.asked(x["stats"], *INITS) for x in (end, up)),
        events=(re.findall(r"AMD-Vi: .*(?:Event logged|timed out).*", boot),
                []))
    return f"{int(core) >> 20} MiB read"


# What a kernel says that gets no timer interrupt by its IO-APIC.
NO_TIMER = ("Kernel panic - not syncing: timer doesn't work through "
            "Interrupt-remapped IO-APIC")


def lost():
    """A kernel that knows no locked registers, where the firmware did not take
    SNP down: by the table of the panicked kernel, which stays in force, the
    interrupt of its timer goes to a CPU that it does not run on."""
    name = "kdump.debian-13.enforced"
    r, after, sides = crash(name, "debian-13", REFUSED, cpu=1)
    boot = boots(r, after)
    differences(
        snp=(judge.first(r, "sev_snp"), "Y"),
        down=(counts.firmware(sides["end"]["stats"], "SNP_SHUTDOWN_EX"), 0),
        refused=(SHUTDOWN_FAILED in after, True),
        iommu=([x for x in COPIED if x not in boot], []),
        panic=(re.findall(r"Kernel panic.*", boot), [NO_TIMER]))
    return NO_TIMER


CASES = [
    *(Case(f"kdump.{kernel}", f"{kernel} panics with SNP on and a guest that "
           "runs: SNP is taken down, its crash kernel sees and reads all its "
           "memory, and reads a disk by the IOMMU that it took over",
           lambda kernel=kernel: dumped(kernel), order=46, full=True,
           inputs=("machine",)) for kernel in STOCK),
    Case("kdump.debian-backports.enforced", "the same where the firmware fails "
         "to take SNP down: the crash kernel goes on with the IOMMU's tables "
         "and buffers as they are, the registers being locked",
         lambda: dumped("debian-backports", True), order=46, full=True,
         inputs=("machine",)),
    Case("kdump.debian-13.enforced", "Debian 13's crash kernel, which knows no "
         "locked registers, panics there for want of its timer's interrupt, as "
         "of real hardware", lost, order=46, full=True, inputs=("machine",)),
    Case("kdump.ours", "our host panics with SNP on and a guest that runs: as "
         "the stock ones, with the buffers that the IOMMU has",
         lambda: dumped("ours"), order=48, full=True,
         inputs=("machine", "linux")),
    Case("kdump.ours.enforced", "the same where the firmware fails to take SNP "
         "down, so that devices are held to the RMP and the IOMMU's registers "
         "locked", lambda: dumped("ours", True), order=48,
         inputs=("machine", "linux")),
]
