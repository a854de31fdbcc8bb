# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that no page that hardware holds while a guest runs begins 2 MiB: some
thousand vCPUs are made and run once each, so many that an allocator which does
not look would meet such pages, and the machine counts VMRUNs that hold one."""

from lab import counts, host, judge, kernels, machine
from lab.cases import Case, CaseFailed
from lab.cases.cpu import differences

VMS, VCPUS = 4, 800

# A page of memory, since KVM wants some; none where a vCPU begins: it leaves at
# its first instruction.
RUN = r"""
$memory = "\0" x 8192;
$at = (unpack("Q", pack("P", $memory)) + 4095) & ~4095;
open(K, "+<", "/dev/kvm") or die("kvm: $!");
for $v (1 .. $ARGV[0]) {
    $fd = ioctl(K, 0xae01, 0) or die("VM $v: $!");
    open($vm[$v], "+<&=", $fd) or die("$!");
    ioctl($vm[$v], 0x4020ae46, pack("LLQQQ", 0, 0, 0, 4096, $at))
        or die("memory: $!");
    for $n (0 .. $ARGV[1] - 1) {
        $fd = ioctl($vm[$v], 0xae41, $n) or die("vCPU $n: $!");
        open($cpu, "+<&=", $fd) or die("$!");
        push(@cpu, $cpu);
        ioctl($cpu, 0xae80, 0) or die("run $n: $!");
    }
}
print(scalar(@cpu), "\n");
"""
SCRIPT = f"""
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
ulimit -n 8192
mark up
say "ran $(perl /lab/run {VMS} {VCPUS} 2>&1)"
mark ran
"""


def aligned(kernel):
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)["stats"]

    h = host.Host(kernels.get(kernel), machine.build().binary, smp=2,
                  thread="single")
    r = h.run(f"aligned-{kernel}", SCRIPT, {"run": RUN}, timeout=900,
              on_mark=on_mark)
    if not r.ok() or r.bad_lines() or set(sides) != {"up", "ran"}:
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    ran = sides["ran"]["vmexit"] - sides["up"]["vmexit"]
    differences(
        snp=(judge.first(r, "snp"), "Y"),
        ran=(judge.first(r, "ran"), str(VMS * VCPUS)),
        entered=(min(ran, VMS * VCPUS), VMS * VCPUS),
        aligned=(sides["ran"]["vmrun-holds-aligned"], 0))
    return f"{VMS * VCPUS} vCPUs, {ran} exits"


CASES = [
    Case("pages.ours", "none of the VMCBs of some thousand vCPUs on our host "
         "with SNP on begins 2 MiB", lambda: aligned("ours"), full=True,
         order=55),
]
