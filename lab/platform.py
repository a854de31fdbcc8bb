# SPDX-License-Identifier: GPL-2.0-or-later
"""The one place that says what computer the host runs on."""

import subprocess

from lab import stamp

# What stock TCG offers an ordinary hypervisor.
CPU_PLAIN = "EPYC-Milan-v1,phys-bits=48,+svm,+npt"
# An SNP-capable EPYC on bare metal.
CPU_SNP = ("EPYC-Milan-v1,-hypervisor,phys-bits=48,min-xlevel=0x80000021,"
           "+svm,+npt,+nrip-save,+lbrv,+flushbyasid,+decodeassists,+xsavec")

PSP = "amd-psp"


def has_psp(binary):
    """Does this QEMU have the PSP device, that is: is it the SNP machine?"""
    r = subprocess.run([binary, "-device", "help"], check=False, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return f'name "{PSP}"' in r.stdout


def arguments(binary, smp=2, memory="3G", thread="multi", snp=True, psp=()):
    """Command line of the outer machine, without kernel, disks and ports.
    psp: properties of the secure processor's device, "name=value"."""
    snp = snp and has_psp(binary)
    out = ["-machine", "q35,smm=off,dump-guest-core=off",
           "-accel", f"tcg,thread={thread},tb-size=512",
           "-cpu", CPU_SNP if snp else CPU_PLAIN,
           "-smp", str(smp), "-m", str(memory),
           "-nodefaults", "-no-user-config", "-display", "none",
           "-no-reboot", "-action", "shutdown=pause",
           "-device", "amd-iommu,intremap=on"]
    if snp:
        out += ["-device", ",".join([PSP, "id=psp", *psp])]
    return out


def identity(binary):
    r = subprocess.run([binary, "--version"], check=False, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return {"version": r.stdout.splitlines()[0] if r.stdout else "",
            "sha256": stamp.file_digest(binary)}
