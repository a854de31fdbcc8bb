# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the processors of which the machine is one, beyond the default: stock
hosts take the ways that they have for what each announces, or do without SNP
where they have none. What a kernel makes of a segmented RMP is held against
where the machine has put it."""

import re
import subprocess

from lab import (counts, host, judge, kernels, machine, platform, rmp, run,
                 selftests, sources)
from lab.cases import Case, CaseFailed
from lab.cases.kvm_selftests import SMT
from lab.cases.plain import explain, judged

NEWEST = "debian-backports"
SMOKE = "sev_smoke_test"

SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat /sys/module/kvm_amd/parameters/sev_snp)"
say "model $(grep -m1 '^cpu family' /proc/cpuinfo | tr -dc 0-9)" \
    "$(grep -m1 '^model' /proc/cpuinfo | tr -dc 0-9)"
say "features $(perl -e 'open(K, "+<", "/dev/kvm") or die; $v = "\\0" x 8;
    $attr = pack("LLQP", 0, 1, 0, $v);  # the features that VMMs may ask for
    ioctl(K, 0x4018aee2, $attr) or die; printf("%x", unpack("Q", $v));')"
mark up
"""
# The last is the first once more, its guests with all SEV_FEATURES there are.
TEST = SMT + """
timeout 600 /lab/smoke 2>&1 || { say "status $?"; exit 8; }
say "status 0"
timeout 600 /lab/init2 2>&1 || { say "init2 $?"; exit 8; }
mark tested
VMSA_FEATURES=%s timeout 600 /lab/features 2>&1 ||
    { say "features $?"; exit 8; }
mark featured
"""
# of our host
AUDIT = """
audit after
"""
# AVIC without its CPUID bit, and no guest that would use it: the kernel asks
# first what else it needs.
AVIC = """
modprobe -r kvm_amd && modprobe kvm_amd avic=1 force_avic=1 || exit 7
"""
# A SEV VM then takes it back for itself: reason 9 of 6.1's.
INHIBITED = """
trace=/sys/kernel/tracing
echo 1 > $trace/events/kvm/kvm_apicv_inhibit_changed/enable
perl -e 'open(K, "+<", "/dev/kvm") && open(S, "+<", "/dev/sev") or die;
    $fd = ioctl(K, 0xae01, 2) or die("VM: $!"); open($vm, "+<&=", $fd);
    $data = "\\0" x 64;                             # KVM_SEV_INIT2
    ioctl($vm, 0xc008aeba, pack("LLPLL", 22, 0, $data, 0, fileno(S)))
        or die("INIT2: $!")' || exit 6
say "inhibited $(grep -c 'set reason=9,' $trace/trace)"
"""
# what the newest stock host says of it, with HvInUseWrAllowed and without; ours
AVIC_SAID = r"kvm_amd: (AVIC (?:enabled|disabled.*))"
NO_AVIC = "AVIC disabled: missing HvInUseWrAllowed on SNP-enabled system"
OUR_AVIC_SAID = r"(AVIC is .*)"
OUR_AVIC = "AVIC is not supported in CPUID but force enabled"
OUR_NO_AVIC = ("AVIC is off: with SEV-SNP this CPU lets nobody write to pages "
               "in use")
HIDE_TEST = SMT + """
timeout 600 /lab/smoke 2>&1 || { say "status $?"; exit 8; }
mark tested
"""
HIDDEN = 40                     # ASIDs of guests whose ciphertext is hidden,
LAST = 99                       # of those that SNP and SEV-ES guests have
# SEV_FEATURES, beside SNP's own: bits that KVM sets if a VMM asks for them
DEBUG_SWAP = 1 << 5
SNP_ONLY = 1 << 9               # Secure TSC
FEATURES = DEBUG_SWAP | SNP_ONLY


def tests():
    """The newest kernel's own tests of SEV, SEV-ES and SNP guests."""
    built = selftests.newest()
    out = {"features": selftests.with_features(built, SMOKE)}
    for name, test in (("smoke", SMOKE), ("init2", "sev_init2_tests")):
        out[name] = built / "x86" / f"{test}.stripped"
        subprocess.run(["strip", "-o", out[name], built / "x86" / test],
                       check=True)
    return out


def boot(name, kernel, cpu, script, files=()):
    """Returns (Result, the machine's counts by mark)."""
    sides = {}

    def on_mark(mark, _text, monitor):
        sides[mark] = counts.machine(monitor)

    h = host.Host(kernels.get(kernel), machine.build().binary, thread="single",
                  cpu=cpu)
    r = h.run(name, script, dict(files), timeout=3000, on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    return r, sides


def kernel_segments(console):
    """What 7.2 says of the segments, as rmp-summary does."""
    out = []
    for at, end, covers, last in re.findall(
            r"SEV-SNP: RMP segment \d+ physical address \[0x(\w+) - 0x(\w+)\] "
            r"covering \[0x(\w+) - 0x(\w+)\]", console):
        at, end, covers, last = (int(x, 16) for x in (at, end, covers, last))
        if end + 1 - at != (last + 1 - covers) // rmp.PAGE * rmp.ENTRY:
            raise CaseFailed(f"the kernel's own: {at:x} - {end:x}")
        out.append({"covers": covers, "pages": (last + 1 - covers) // rmp.PAGE,
                    "at": at})
    return out


def differences(**pairs):
    """name=(seen, wanted). CaseFailed with those that differ."""
    bad = [f"{name}: {seen!r}, not {want!r}"
           for name, (seen, want) in pairs.items() if seen != want]
    if bad:
        raise CaseFailed("\n".join(bad))


def features(r, sides, allowed):
    """What KVM offers of SEV_FEATURES, and with which guests ran: those of the
    test as it is, then those that got all. allowed: the VMCB says which."""
    before, after = (sides[m]["stats"] for m in ("tested", "featured"))
    differences(
        offered=(judge.first(r, "features"), f"{FEATURES:x}"),
        plain=(sorted(before["sev-features"]), ["0x0", "0x1"]),
        featured=(sorted(set(after["sev-features"]) -
                         set(before["sev-features"])),
                  sorted([hex(FEATURES & ~SNP_ONLY), hex(FEATURES | 1)])),
        # each entry of each of them, and of nobody else
        allowed=(after["vmrun-allowed-features"],
                 sum(after["sev-features"].values()) if allowed else 0))


def used(cpu, model, segmented, kernel=NEWEST):
    """A host on this processor: SNP on, RMPREAD used, all three kinds of guest
    tested."""
    ours = kernel in kernels.OURS
    r, sides = boot(f"cpu.{cpu}" + ".ours" * ours, kernel, cpu,
                    SCRIPT + TEST % hex(FEATURES) + AUDIT * ours + AVIC +
                    INHIBITED * ours, tests())
    writes = "write-in-use=on" in platform.PRESETS[cpu].psp
    if ours:
        differences(
            audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]),
            avic=(re.findall(OUR_AVIC_SAID, r.console),
                  [OUR_AVIC if writes else OUR_NO_AVIC]),
            inhibited=(judge.first(r, "inhibited"), str(int(writes))))
    else:
        differences(avic=(re.findall(AVIC_SAID, r.console),
                          ["AVIC enabled" if writes else NO_AVIC]))
    summary = sides["up"]["rmp-summary"]
    reads = sides["tested"]["stats"]["rmpread"]
    features(r, sides, segmented)
    differences(
        model=(judge.first(r, "model"), model),
        snp=(judge.first(r, "snp"), "Y"),
        # once more when its modules are loaded for AVIC
        enabled=(sorted(re.findall(r"\b(SEV[-A-Z]*) enabled \(ASIDs",
                                   r.console)),
                 sorted([*judge.ENABLED.values()] * 2)),
        opaque=(summary["opaque"], segmented),
        rmpread=(reads > 0, True),
        # three kinds of guest came and went
        launched=(counts.firmware(sides["tested"]["stats"],
                                  "SNP_LAUNCH_FINISH") > 0, True))
    said = kernel_segments(r.console)
    if segmented:
        differences(
            base=(f"Segmented RMP base table physical range "
                  f"[0x{summary['base']:016x} - " in r.console, True),
            segments=(said, summary["segments"]),
            several=(len(said) > 1, True))
    else:
        differences(
            base=(f"RMP table physical range [0x{summary['base']:016x} - "
                  in r.console, True),
            segments=(said, []))
    return f"{reads} RMPREADs" + f", {len(said)} segments" * segmented


def hides(kernel=NEWEST):
    """A host told to hide ciphertext: it has read that the firmware can, splits
    the ASIDs, and its guests get them so."""
    name = "cpu.turin.hides" + ".ours" * (kernel in kernels.OURS)
    script = SCRIPT.replace("modprobe kvm_amd", "modprobe kvm_amd "
                            f"ciphertext_hiding_asids={HIDDEN}") + HIDE_TEST
    r, sides = boot(name, kernel, "turin", script, tests())
    stats = sides["tested"]["stats"]
    asids = {int(a, 0) for a in stats["vmexit-asid"]}
    differences(
        hides=("kvm_amd: SEV-SNP ciphertext hiding enabled" in r.console,
               True),
        asids=(sorted(re.findall(r"kvm_amd: (SEV-\S+ enabled \(.*?\))",
                                 r.console)),
               [f"SEV-ES enabled (ASIDs {HIDDEN + 1} - {LAST})",
                f"SEV-SNP enabled (ASIDs 1 - {HIDDEN})"]),
        asked=(counts.firmware(stats, "SNP_FEATURE_INFO") > 0, True),
        snp=(any(1 <= a <= HIDDEN for a in asids), True),
        sev_es=(any(HIDDEN < a <= LAST for a in asids), True),
        launched=(counts.firmware(stats, "SNP_LAUNCH_FINISH") > 0, True))
    return f"ASIDs 1 to {HIDDEN} are SNP's, of {LAST}"


def hides_all():
    """Our host told to hide more than there is: no ASID is left for SEV-ES,
    and it does not offer it."""
    script = SCRIPT.replace("modprobe kvm_amd", "modprobe kvm_amd "
                            f"ciphertext_hiding_asids={10 * LAST}") + """
say "types $(perl -e 'open(K, "+<", "/dev/kvm") or die;  # KVM_CAP_VM_TYPES
    print ioctl(K, 0xae03, 235);')"
"""
    r, _ = boot("cpu.turin.hides.all.ours", "ours", "turin", script)
    differences(
        asids=(sorted(re.findall(r"kvm_amd: (SEV-\S+ \w+ \(.*?\))",
                                 r.console)),
               [f"SEV-ES unusable (ASIDs {LAST + 1} - {LAST})",
                f"SEV-SNP enabled (ASIDs 1 - {LAST})"]),
        # by their numbers: SEV, SEV-ES, SNP
        types=([int(judge.first(r, "types")) >> n & 1 for n in (2, 3, 4)],
               [1, 0, 1]))
    return judge.first(r, "types")


def refused():
    """6.12 knows no segments: it finds no end of the RMP, says so, and does
    without SNP; nothing of the RMP is touched."""
    r, sides = boot("cpu.turin.debian-13", "debian-13", "turin", SCRIPT)
    stats = sides["up"]["stats"]
    said = re.search(r"SEV-SNP: Memory for the RMP table has not been "
                     r"reserved by BIOS", r.console)
    differences(
        model=(judge.first(r, "model"), "26 2"),
        refusal=(bool(said), True),
        snp=(judge.first(r, "snp"), "N"),
        enabled=("SEV-SNP enabled" in r.console, False),
        init=(sum(counts.firmware(stats, c)
                  for c in ("SNP_INIT", "SNP_INIT_EX")), 0),
        updates=(sum(stats["rmpupdate"].values()), 0))
    return said.group()


STATUS = "SEV: Status: SEV SEV-ES SEV-SNP DebugSwap SecureTSC"


def featured(on=NEWEST):
    """The newest stock kernel as guest, too: a second vCPU's VMSA is the
    guest's own, with the clock that the firmware told it of."""
    k = kernels.get(NEWEST)
    verdict = run.go(run.Request(
        host=on, smp=2, cpu="turin",
        name="cpu.turin.features" + ".ours" * (on in kernels.OURS),
        features=FEATURES, guest_kernel=k.vmlinuz,
        guest_modules=sources.unpacked(f"host.{NEWEST}"), timeout=1200))
    if not verdict.ok():
        raise CaseFailed(explain(verdict))
    text = verdict.result.logs["guest"].read_text(errors="replace")
    stats = verdict.summary["counts"]
    differences(
        status=(STATUS in text, True),
        # each entry, of the guest's own VMSA too; TSC_INFO was answered
        features=(list(stats["sev-features"]), [hex(FEATURES | 1)]),
        asked=(counts.firmware(stats, "SNP_GUEST_REQUEST") > 0, True))
    return f"{len(verdict.checks)} checks, {STATUS}"


def guest(cpu, full):
    name = f"cpu.{cpu}.guest"
    return Case(name, f"the newest stock host on {cpu} hosts the stock SNP "
                "guest of snp.*: its promises, the counts of machine, KVM and "
                "QEMU agree, the RMP is as before",
                lambda: judged(host=NEWEST, smp=2, cpu=cpu, name=name,
                               timeout=900), order=46, full=full,
                inputs=("machine",))


CASES = [
    Case("cpu.genoa", "the newest stock host on Genoa reads the RMP by "
         "RMPREAD, passes its own test of SEV, SEV-ES and SNP guests, and "
         "refuses AVIC for want of HvInUseWrAllowed",
         lambda: used("genoa", "25 17", False), order=44,
         inputs=("machine",)),
    Case("cpu.turin", "the newest stock host on Turin finds each segment of "
         "the RMP where the machine has put it, reads entries, whose layout "
         "it does not know, by RMPREAD, passes its own test of SEV, "
         "SEV-ES and SNP guests, and has what AVIC needs of SNP",
         lambda: used("turin", "26 2", True), order=44,
         inputs=("machine",)),
    Case("cpu.turin.debian-13", "Debian 13's host on Turin, whose segmented "
         "RMP it does not know, says so and does without SNP", refused,
         order=44, inputs=("machine",)),
    Case("cpu.turin.hides", "the newest stock host on Turin, told to hide "
         "ciphertext, says that it does, splits the ASIDs for SNP and SEV-ES, "
         "and passes its own test of SEV, SEV-ES and SNP guests", hides,
         order=44, inputs=("machine",)),
    Case("cpu.turin.features", "the newest stock host on Turin hosts a guest "
         "of the newest stock kernel with debug swap and a secure TSC, "
         "launched by stock QEMU: it says so, has asked the firmware for its "
         "clock, and all of snp.* holds", featured, order=46,
         inputs=("machine",)),
    Case("cpu.turin.features.ours", "the same guest on our host",
         lambda: featured("ours"), full=True, order=59),
    guest("genoa", True), guest("turin", False),
    Case("cpu.genoa.ours", "our host on Genoa reads the RMP by RMPREAD, passes "
         "the newest kernel's own test of SEV, SEV-ES and SNP guests, with "
         "debug swap and a secure TSC too, its audit is balanced, and it "
         "refuses AVIC for want of HvInUseWrAllowed",
         lambda: used("genoa", "25 17", False, "ours"), full=True, order=59),
    Case("cpu.turin.ours", "our host on Turin finds each segment of the RMP "
         "where the machine has put it, reads entries by RMPREAD, passes the "
         "same tests, its audit is balanced, and it has what AVIC needs of SNP",
         lambda: used("turin", "26 2", True, "ours"), order=48),
    Case("cpu.turin.hides.all.ours", "our host on Turin, told to hide "
         "ciphertext for more ASIDs than there are, has none for SEV-ES, says "
         "so and offers no such VM", hides_all, full=True, order=58,
         inputs=("machine", "linux")),
    Case("cpu.turin.hides.ours", "our host on Turin, told to hide ciphertext, "
         "does as the newest stock host", lambda: hides("ours"), full=True,
         order=59),
]
