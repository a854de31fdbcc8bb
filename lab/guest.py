# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: its initramfs, its disk of fresh random data, and the command
line stock QEMU starts it with."""

import collections
import hashlib
import os

from lab import image, kernels, paths

MODULES = ["virtio_pci", "virtio_blk", "tsm", "sev-guest"]
DISK_BYTES = 64 << 20

# What a guest may be: its launch object in QEMU, its policy, its features as
# its kernel names them. A policy of SEV_POLICY: no debugging; of SEV-ES: and
# its registers are encrypted, too.
Kind = collections.namedtuple("Kind", "object policy features what")
KINDS = {
    "snp": Kind("sev-snp-guest", None, ["SEV", "SEV-ES", "SEV-SNP"], "an SNP"),
    "sev-es": Kind("sev-guest", 0x5, ["SEV", "SEV-ES"], "a SEV-ES"),
    "sev": Kind("sev-guest", 0x1, ["SEV"], "a SEV"),
    "plain": Kind(None, None, [], "an ordinary"),
}


def initramfs(modules, name="guest"):
    """modules: image.Modules of the guest's kernel. Returns the archive."""
    where = paths.OUT / "guest"
    where.mkdir(parents=True, exist_ok=True)
    return image.initramfs(where / f"{name}.cpio", paths.LAB / "guest" / "init",
                           modules, MODULES)


def with_shell(initrd, out):
    """The same archive, told to give a shell instead of the usual work."""
    flag = image.Cpio()
    flag.text("shell", "", 0o644)
    flag.write(out)
    data = initrd.read_bytes()
    out.write_bytes(data + b"\0" * (-len(data) % 512) + out.read_bytes())
    return out


def fresh_disk(path, size=DISK_BYTES):
    """Writes random data; returns its sha256, which the guest never gets."""
    h = hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(size // (1 << 20)):
            block = os.urandom(1 << 20)
            h.update(block)
            f.write(block)
    return h.hexdigest()


def kernel():
    return kernels.guest()


def command(smp, memory, kind="snp", qemu="qemu-system-x86_64",
            ovmf="/usr/share/ovmf/OVMF.fd", cbitpos=51, reduced=1):
    """argv of the inner QEMU, as stock users start it. The console goes to
    standard output; QEMU's own events, where asked for, to the same stream,
    so that the order of both is theirs."""
    argv = [qemu, "-enable-kvm", "-cpu", "EPYC-v4", "-smp", str(smp),
            "-m", str(memory), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio"]
    one = KINDS[kind]
    if one.object:
        policy = "" if one.policy is None else f",policy={one.policy:#x}"
        argv += ["-machine", "q35,confidential-guest-support=sev0,"
                 "memory-backend=ram1",
                 "-object", f"memory-backend-memfd,id=ram1,size={memory},"
                 "share=true",
                 "-object", f"{one.object},id=sev0,cbitpos={cbitpos},"
                 f"reduced-phys-bits={reduced}{policy}"]
        for event in ("kvm_convert_memory", "kvm_sev_snp_launch_update",
                      "kvm_sev_launch_update_data"):
            argv += ["-trace", event]
    else:
        argv += ["-machine", "q35"]
    iommu = "disable-legacy=on,iommu_platform=on"
    argv += ["-bios", ovmf,
             "-kernel", "/lab/guest/vmlinuz", "-initrd", "/lab/guest/initrd",
             "-append", "console=ttyS0 panic=-1",
             "-drive", "if=none,id=disk,file=/lab/guest/disk,format=raw,"
             "read-only=on,file.locking=off",
             "-device", f"virtio-blk-pci,drive=disk,{iommu}",
             "-device", f"virtio-serial-pci,max_ports=31,{iommu}"]
    return argv
