# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what our host does where BIOS, IOMMU or firmware have not done their
part: it has no SNP, says why, and goes on as a host without; and where the BIOS
has put the RMP anywhere, or the processor has automatic IBRS."""

import re

from lab import counts, host, judge, kernels, machine, selftests
from lab.cases import Case, CaseFailed
from lab.cases.cpu import SMOKE
from lab.cases.kvm_selftests import SMT
from lab.cases.life import SNP, same

BLOCK = 2 << 20
OFFSET = 1 << 20

LOOK = f"""
modprobe ccp && modprobe kvm_amd || exit 9
say "snp $(cat {SNP})"
say "flag $(grep -c -w sev_snp /proc/cpuinfo)"
say "branches $(cat /sys/devices/system/cpu/vulnerabilities/spectre_v2)"
mark up
"""
EDGES = LOOK + SMT + """
cat /proc/iomem
timeout 600 /lab/smoke 2>&1 || exit 8
audit after
"""


def boot(name, psp=(), cmdline="", script=LOOK, cpu="milan", files=()):
    """Returns (Result, what the machine counted at its mark)."""
    side = {}

    def on_mark(_mark, _text, monitor):
        side.update(counts.machine(monitor))

    h = host.Host(kernels.get("ours"), machine.build().binary, thread="single",
                  psp=psp, cpu=cpu)
    r = h.run(name, script, dict(files), timeout=900, on_mark=on_mark,
              cmdline=cmdline)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    return r, side


def untouched(side):
    """Neither firmware nor the RMP was asked for SNP."""
    stats = side["stats"]
    return counts.asked(stats, "SNP_INIT", "SNP_INIT_EX"), \
        sum(stats["rmpupdate"].values())


def without(name, line, flag="0", **kwargs):
    """A host that has no SNP, and says so in a line."""
    r, side = boot(name, **kwargs)
    return same(
        said=(line in r.console or r.console[-800:], True),
        snp=(judge.first(r, "snp"), "N"),
        flag=(judge.first(r, "flag"), flag),
        untouched=(untouched(side), (0, 0)))


def forgotten():
    """Of what SNP needs of the BIOS one thing is missing, then the other."""
    for what, line in (("mem-encrypt", "memory encryption (SMEE)"),
                       ("smm-lock", "the lock of SMM")):
        without(f"bios.{what}", f"SEV-SNP: off: the BIOS lacks {line}",
                psp=(f"{what}=off",))
    return "2 hosts"


# The IOMMU's registers, said to be somebody's: its driver cannot have them.
TAKEN = "memmap=16K#0xfed80000"
NO_IOMMU = {
    "taken": (TAKEN, "SNP: the IOMMU does not work (-12): enable it"),
    "off": ("amd_iommu=off", "SNP: the IOMMU does not work (-22): enable it"),
    "through": ("iommu=pt", "SNP: the IOMMU cannot do SNP: take iommu=pt from "
                "the command line"),
}
NEEDS = "SEV-SNP needs "


def iommu():
    """The IOMMU's driver fails half-way, or is told not to translate."""
    for what, (cmdline, line) in NO_IOMMU.items():
        without(f"bios.iommu.{what}", line, flag="2", cmdline=cmdline)
    # it is told to use page tables that SNP does not go with: it does not
    r, _ = boot("bios.iommu.v2", cmdline="amd_iommu=pgtbl_v2",
                script=LOOK + "audit after\n")
    return same(
        said=("Force to using AMD IOMMU v1 page table due to SNP" in r.console,
              True),
        snp=(judge.first(r, "snp"), "Y"),
        needs=(NEEDS in r.console, False),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


# Parameters of kvm and kvm_amd, each with what SNP then lacks.
LACKS = (
    ("", "npt=0", "nested paging: load kvm_amd with npt=1"),
    ("tdp_mmu=0", "", "the TDP MMU: load kvm with tdp_mmu=1"),
    ("mmio_caching=0", "", "caching of MMIO: load kvm with mmio_caching=1"),
    ("", "sev=0", "SEV: load kvm_amd with sev=1"),
    ("", "sev_es=0", "SEV-ES: load kvm_amd with sev_es=1"),
    ("", "sev_snp=0", "its parameter: load kvm_amd with sev_snp=1"),
)
HIDES = "ciphertext_hiding_asids=5"
NOT_HIDDEN = f"{HIDES}: nothing is hidden, for the firmware cannot"
# Values that no parameter takes, by module.
WRONG = (("kvm_amd", "snp_request_interval", "0"),
         ("kvm_amd", "snp_request_interval", "3601"),
         ("kvm_amd", "snp_request_burst", "-1"),
         ("kvm_amd", "sev_snp", "2"),
         ("kvm_amd", HIDES.partition("=")[0], "x"),
         ("kvm", "gmem_huge", "2"))


def parameters():
    """kvm_amd is loaded with one parameter after the other that takes SNP
    something it needs, and with values that are none."""
    lines = ["modprobe ccp || exit 9"]
    for kvm, amd, _ in (*LACKS, ("", HIDES, "")):
        lines += [f"modprobe kvm {kvm} && modprobe kvm_amd {amd} || exit 8",
                  f'say "loaded $(cat {SNP})"',
                  "modprobe -r kvm_amd && modprobe -r kvm || exit 7"]
    for module, name, value in WRONG:
        lines += ["modprobe kvm || exit 6"] * (module != "kvm") + [
            f"modprobe {module} {name}={value} 2> /tmp/error",
            f'say "wrong $? $(tail -n 1 /tmp/error)"',
            "modprobe -r kvm"]
    r, _ = boot("bios.parameters", script="\n".join(lines) + "\n" + LOOK +
                "audit after\n")
    wrong = judge.said(r, "wrong")
    return same(
        loaded=(judge.said(r, "loaded"), ["N"] * len(LACKS) + ["Y"]),
        lacks=(re.findall(rf"kvm_amd: {NEEDS}(.*)", r.console.replace("\r", "")),
               [x for *_, x in LACKS]),
        hidden=(NOT_HIDDEN in r.console, True),
        wrong=([x.split()[0] for x in wrong], ["1"] * len(WRONG)),
        why=(re.findall(r"`(\S*)' invalid for parameter `(\w+)'", r.console),
             [(v, n) for _, n, v in WRONG]),
        snp=(judge.first(r, "snp"), "Y"),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


def few():
    """The BIOS leaves SEV-ES no ASID; a processor has no RMPREAD where it has
    to have it."""
    r, _ = boot("bios.asids", ("min-sev-asid=1",))
    without("bios.rmpread", "SEV-SNP: family 0x1a has no RMPREAD: update the "
            "BIOS", cpu="turin", psp=("rmpread=off", "opaque-rmp=off"))
    return same(
        said=(f"{NEEDS}ASIDs of SEV-ES: have the BIOS raise the minimum SEV "
              "ASID" in r.console, True),
        snp=(judge.first(r, "snp"), "N"))


# A SEV VM of the new type: its INIT2 brings up SEV, and nothing before.
LATER = """
modprobe ccp psp_init_on_probe=0 && modprobe kvm_amd || exit 9
say "snp $(cat {SNP})"
mark up
say "init2 $(perl -e 'open(K, "+<", "/dev/kvm") && open(S, "+<", "/dev/sev") or die;
    $vm = ioctl(K, 0xae01, 2) or die; open(V, "+<&=", $vm) or die;
    $init = "\\0" x 64; $cmd = pack("LLPLL", 22, 0, $init, 0, fileno(S));
    print ioctl(V, 0xc008aeba, $cmd) ? "done" : $!')"
mark later
audit after
""".replace("{SNP}", SNP)


def commands(side):
    """How often each command that brings something up went well."""
    return {c: counts.firmware(side["stats"], c)
            for c in ("SNP_INIT", "SNP_INIT_EX", "INIT", "INIT_EX")}


def comes_up():
    """The oldest firmware that there is SNP with has another command; SEV
    comes up when somebody wants it, if that is asked for."""
    r, side = boot("bios.oldest", ("api-minor=51",), script=LOOK +
                   "audit after\n")
    old = commands(side)
    sides = {}
    h = host.Host(kernels.get("ours"), machine.build().binary, thread="single")
    later = h.run("bios.later", LATER, timeout=400,
                  on_mark=lambda m, _t, q: sides.update({m: counts.machine(q)}))
    if not later.ok() or later.bad_lines():
        raise CaseFailed("\n".join([*later.bad_lines()[:3], *later.failure()]))
    up, then = commands(sides["up"]), commands(sides["later"])
    return same(
        old=(old["SNP_INIT"], 1), new=(old["SNP_INIT_EX"], 0),
        snp=([judge.first(x, "snp") for x in (r, later)], ["Y", "Y"]),
        init2=(judge.first(later, "init2"), "done"),
        first=(up, {**up, "SNP_INIT_EX": 1, "INIT": 0, "INIT_EX": 0}),
        then=(then["SNP_INIT_EX"], then["INIT"] + then["INIT_EX"]),
        once=(then["SNP_INIT_EX"], 1),
        audit=([judge.said(x, "audit-after")[-1:] for x in (r, later)],
               [["BALANCED"]] * 2))


def edges():
    """Neither edge of the RMP is aligned: the 2 MiB around them are nobody's."""
    built = selftests.newest()
    r, side = boot("bios.edges", (f"rmp-offset={OFFSET:#x}",), script=EDGES,
                   files={"smoke": built / "x86" / SMOKE})
    rmp = side["rmp-summary"]
    low = rmp["base"] // BLOCK * BLOCK
    high = (rmp["end"] + 1) // BLOCK * BLOCK
    ram = [(int(a, 16), int(b, 16)) for a, b in re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) : System RAM$", r.control, re.M)]
    # what is left to the host on either side of both edges
    near = [(f"{a:x}", f"{b:x}") for a, b in ram for at in (low, high)
            if a < at + BLOCK and at <= b]
    said = re.findall(r"Reserving start/end of RMP table on a 2MB boundary "
                      r"\[0x(\w+)\]", r.console)
    return same(
        offset=((rmp["base"] % BLOCK, (rmp["end"] + 1) % BLOCK),
                (OFFSET, OFFSET)),
        ram=(len(ram) > 1, True),
        near=(near, []),
        said=(sorted(int(x, 16) for x in said), [low, high]),
        snp=(judge.first(r, "snp"), "Y"),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


def branches():
    """Automatic IBRS of the processor, with SNP and without."""
    with_snp, _ = boot("bios.branches", cpu="genoa", cmdline="mitigations=auto")
    none, _ = boot("bios.branches.none", ("smm-lock=off",), cpu="genoa",
                   cmdline="mitigations=auto")
    seen = [judge.first(r, "branches") for r in (with_snp, none)]
    return same(
        snp=([judge.first(r, "snp") for r in (with_snp, none)], ["Y", "N"]),
        automatic=(["Automatic IBRS" in x for x in seen], [False, True]))


# What firmware refuses is not copied to a user: each command of the platform
# fails once, and is then asked again. 0xaa is what a buffer has before.
ASK = r"""
open(S, "+<", "/dev/sev") or die("sev: $!");
sub ask {                       # command, its structure by pack
    my ($id, $form, @to) = @_;
    my @out = map { "\xaa" x $_ } @to;
    my $data = pack($form, map { (unpack("Q", pack("P", $out[$_])), $to[$_]) }
                    0 .. $#to);
    my $cmd = pack("LPL", $id, $data, 0);
    my $ok = ioctl(S, 0xc0105300, $cmd) ? "done" : "failed";
    my $same = grep({ $_ =~ /[^\xaa]/ } @out) ? "changed" : "same";
    return "$ok-$same";
}
for (["csr", 3, "QL", 2084], ["pdh", 5, "QLQL", 2084, 6252],
     ["id", 8, "QL", 64]) {
    my ($name, @what) = @$_;
    print("$name ", join(" ", map { ask(@what) } 1 .. 2), "\n");
}
"""
CONFIG, STATUS = "INVALID_CONFIG", "HWERROR_PLATFORM"
MORE = "0x00012345006789ab"
FAILS = (f"inject=SNP_INIT_EX:1:{CONFIG};SNP_INIT_EX:2:{STATUS}={MORE};" +
         ";".join(
    f"{c}:1:{STATUS}" for c in ("PEK_CSR", "PDH_CERT_EXPORT", "GET_ID")))
AGAIN = LOOK + f"""
for turn in 1 2; do
modprobe -r kvm_amd && modprobe kvm_amd || exit 8
say "again $(cat {SNP})"
done
perl /lab/ask | while read -r line; do say "$line"; done
audit after
"""


def init():
    """SNP_INIT fails: SEV does not come up instead. Once more, and it does."""
    r, side = boot("bios.init", (FAILS,), script=AGAIN, files={"ask": ASK})
    asked = "failed-same done-changed"
    return same(
        said=(re.findall(r"SEV-SNP: INIT failed -5, error (0x\w+): ([^:]*): "
                         r"update the BIOS", r.console),
              [("0x3", "the RMP, or a CPU, is not as firmware wants it"),
               ("0x13", "its firmware is too old, or not in order")]),
        needs=(r.console.count(f"{NEEDS}its firmware: see what ccp says"), 2),
        more=(f"failed, firmware adds {MORE}" in r.console, True),
        snp=(judge.first(r, "snp"), "N"),
        sev=(counts.asked(side["stats"], "INIT", "INIT_EX"), 0),
        again=(judge.said(r, "again"), ["N", "Y"]),
        csr=(judge.first(r, "csr"), asked),
        pdh=(judge.first(r, "pdh"), asked),
        id=(judge.first(r, "id"), asked),
        audit=(judge.said(r, "audit-after")[-1:], ["BALANCED"]))


# Firmware as the modules are loaded: in the wrong state, slow, answering what no
# such command can, silent. {row: what fails, has the host SNP, what it says}; the
# last two leave firmware that the next load could not use.
GIVES_UP = "timed out, disabling PSP"
ORDER = "its firmware is too old, or not in order: update the BIOS"
LOADS = {
    "good": ("", "Y", []),
    "state": ("SNP_INIT_EX:1:INVALID_PLATFORM_STATE", "N",
              [f"SEV-SNP: INIT failed -5, error 0x1: {ORDER}"]),
    "odd": ("SNP_INIT_EX:1:BAD_MEASUREMENT", "N",
            [f"SEV-SNP: INIT failed -5, error 0xb: {ORDER}"]),
    "slow": ("SNP_INIT_EX:1:late-interrupts=5", "Y", []),
    "flush": ("SNP_DF_FLUSH:1:HWERROR_PLATFORM", "N",
              [f"SEV-SNP: DF_FLUSH failed -5, error 0x13: {ORDER}"]),
    "probe": ("PLATFORM_STATUS:1:HWERROR_PLATFORM", "N",
              ["SEV: failed to get status. Error: 0x13"]),
    "unheard": ("PLATFORM_STATUS:1:no-interrupt", "N",
                [f"sev command 0x4 {GIVES_UP}",
                 "SEV: failed to get status. Error: 0x0"]),
    "silent": ("SNP_INIT_EX:1:dead", "N",
               [f"sev command 0x85 {GIVES_UP}",
                "SEV-SNP: INIT failed -110, error 0x0: the secure processor is "
                "silent: update the BIOS"]),
}
LOADED = "".join(f"""
echo "<6>lab: begin {name}" > /dev/kmsg
mark {name}
modprobe ccp psp_cmd_timeout=15 psp_probe_timeout=5 && modprobe kvm_amd || exit 9
say "{name} $(cat {SNP}) $(perl -e 'open(K, "+<", "/dev/kvm") or die;
    print ioctl(K, 0xae01, 0) ? "VM" : $!')"
modprobe -r kvm_amd && modprobe -r ccp || exit 8
""" for name in LOADS) + "echo '<6>lab: end' > /dev/kmsg\n"
OURS_SAYS = re.compile(r"ccp \S+: ((?:sev command|SEV-SNP: |SEV: |SNP).*)")


def firmware():
    """One boot: the modules are loaded, and taken out, once for each row."""
    def on_mark(name, _text, monitor):
        monitor.command("qom-set", path="/machine/peripheral/psp",
                        property="inject", value=LOADS[name][0])

    h = host.Host(kernels.get("ours"), machine.build().binary, thread="single")
    r = h.run("bios.firmware", LOADED, timeout=600, on_mark=on_mark)
    if not r.ok() or r.bad_lines():
        raise CaseFailed("\n".join([*r.bad_lines()[:3], *r.says,
                                    *r.failure()]))
    seen, rows = {}, {}
    for name, text in re.findall(r"lab: begin (\w+)$(.*?)(?=lab: (?:begin|end))",
                                 r.console, re.M | re.S):
        rows[name] = [x.strip() for x in OURS_SAYS.findall(text)
                      if "failed" in x or "timed out" in x]
    for name, (_, snp, lines) in LOADS.items():
        seen[name] = ((judge.first(r, name), rows.get(name)),
                      (f"{snp} VM", lines))
    return same(**seen)


CASES = [
    Case("bios.forgets.ours", "where the BIOS has left memory encryption off or "
         "SMM unlocked our host says which, and has no SNP", forgotten,
         order=44),
    Case("bios.iommu.ours", "where the IOMMU's driver fails half-way, is off, or "
         "lets devices through our host says so, and has no SNP; told to use "
         "other page tables, it uses those of SNP", iommu, order=44),
    Case("bios.parameters.ours", "each parameter of KVM's that takes SNP what it "
         "needs is named in the log, with what to do; one out of range is "
         "refused with a line, or said to be none", parameters, order=44),
    Case("bios.few.ours", "where the BIOS leaves no ASID, or the processor has "
         "no RMPREAD and needs it, our host says so and has no SNP", few,
         order=44),
    Case("bios.up.ours", "our host brings SNP up with the oldest firmware, by "
         "its command, and SEV later, if so told", comes_up, order=44),
    Case("bios.edges.ours", "where the RMP is aligned at neither edge our host "
         "uses nothing of the 2 MiB around them, and runs the newest kernel's "
         "test of SEV, SEV-ES and SNP guests", edges, order=44),
    Case("bios.branches.ours", "our host does without automatic IBRS where it "
         "has SNP, and only there", branches, order=44),
    Case("bios.firmware.ours", "where firmware is in the wrong state, silent, or "
         "answers what it cannot when the modules are loaded our host has no "
         "SNP, says so in a line of each command, runs VMs, and gives its "
         "modules back; where it is slow it waits, and has SNP", firmware,
         order=44),
    Case("bios.init.ours", "where SNP_INIT fails our host brings up no SEV in "
         "its place, says why, with what the firmware adds, and has SNP at the "
         "next try; what the firmware refuses leaves users' buffers as they "
         "were", init, order=44),
]
