# SPDX-License-Identifier: GPL-2.0-or-later
"""The one place that says what computer the host runs on."""

import dataclasses
import subprocess

from lab import stamp

# What stock TCG offers an ordinary hypervisor.
CPU_PLAIN = "EPYC-Milan-v1,phys-bits=48,+svm,+npt"
# On bare metal, with what SVM has to have for SEV-ES and SNP.
BARE = ("-hypervisor,+svm,+npt,+nrip-save,+lbrv,+flushbyasid,+decodeassists,"
        "+xsavec")


@dataclasses.dataclass(frozen=True)
class Preset:
    """An SNP-capable EPYC. cpu: for -cpu; psp: properties of the secure
    processor's device that go with it."""
    cpu: str
    psp: tuple = ()


# Of SEV_FEATURES, what all of them have that the machine has.
FEATURES = ("debug-swap=on", "secure-tsc=on", "restricted-injection=on")

PRESETS = {
    "milan": Preset("EPYC-Milan-v1,phys-bits=48,min-xlevel=0x80000021,"
                    "+no-nested-data-bp", FEATURES),
    # 5-level page tables are not tried yet. The microcode is one that has
    # what kernels look for.
    "genoa": Preset("EPYC-Genoa-v1,stepping=1,phys-bits=52,-la57,"
                    "min-xlevel=0x80000022,ucode-rev=0xa101154",
                    ("max-asid=1006", "phys-reduction=6", "rmpread=on",
                     "rmpquery=on", *FEATURES)),
    # QEMU has no model of one: what a Genoa has, and more of SNP.
    "turin": Preset("EPYC-Genoa-v1,family=26,model=2,stepping=1,phys-bits=52,"
                    "-la57,min-xlevel=0x80000025,ucode-rev=0xb00215a,"
                    "model-id=AMD EPYC-Turin Processor",
                    ("max-asid=1006", "phys-reduction=6", "rmpread=on",
                     "rmpquery=on", "opaque-rmp=on", "rmp-segment-shift=31",
                     *FEATURES, "allowed-sev-features=on",
                     "ciphertext-hiding=on", "write-in-use=on",
                     "x86-shutdown=on")),
}
CPU = "milan"

PSP = "amd-psp"
# The machine enciphers guests' memory unless told otherwise. All that runs here
# tells it so, but where that is the subject: pages that change hands cost less.
ENCRYPT = "off"
# Options of a virtio device whose accesses go by the IOMMU.
BEHIND = ",disable-legacy=on,iommu_platform=on"


def has_psp(binary):
    """Does this QEMU have the PSP device, that is: is it the SNP machine?"""
    r = subprocess.run([binary, "-device", "help"], check=False, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return f'name "{PSP}"' in r.stdout


def arguments(binary, smp=2, memory="3G", thread="multi", snp=True, psp=(),
              cpu=CPU):
    """Command line of the outer machine, without kernel, disks and ports.
    cpu: name of a preset. psp: more properties of the secure processor's
    device, "name=value"."""
    preset = PRESETS[cpu]
    snp = snp and has_psp(binary)
    out = ["-machine", "q35,smm=off,dump-guest-core=off",
           "-accel", f"tcg,thread={thread},tb-size=512",
           "-cpu", f"{preset.cpu},{BARE}" if snp else CPU_PLAIN,
           "-smp", str(smp), "-m", str(memory),
           "-nodefaults", "-no-user-config", "-display", "none",
           "-no-reboot", "-action", "shutdown=pause",
           "-device", "amd-iommu,intremap=on"]
    if snp:
        if not any(x.startswith("encrypt=") for x in psp):
            psp = (f"encrypt={ENCRYPT}", *psp)
        out += ["-device", ",".join([PSP, "id=psp", *preset.psp, *psp])]
    return out


def identity(binary):
    r = subprocess.run([binary, "--version"], check=False, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return {"version": r.stdout.splitlines()[0] if r.stdout else "",
            "sha256": stamp.file_digest(binary)}
