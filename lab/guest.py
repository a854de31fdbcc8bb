# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: its initramfs, its disk of fresh random data, and the command
line stock QEMU starts it with."""

import hashlib
import os

from lab import image, kernels, paths

MODULES = ["virtio_pci", "virtio_blk", "tsm", "sev-guest"]
DISK_BYTES = 64 << 20


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


def command(smp, memory, confidential, qemu="qemu-system-x86_64",
            ovmf="/usr/share/ovmf/OVMF.fd", cbitpos=51, reduced=1):
    """argv of the inner QEMU, as stock users start it. The console goes to
    standard output; QEMU's own events, where asked for, to the same stream,
    so that the order of both is theirs."""
    argv = [qemu, "-enable-kvm", "-cpu", "EPYC-v4", "-smp", str(smp),
            "-m", str(memory), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", "stdio"]
    if confidential:
        argv += ["-machine", "q35,confidential-guest-support=sev0,"
                 "memory-backend=ram1",
                 "-object", f"memory-backend-memfd,id=ram1,size={memory},"
                 "share=true",
                 "-object", f"sev-snp-guest,id=sev0,cbitpos={cbitpos},"
                 f"reduced-phys-bits={reduced}",
                 "-trace", "kvm_convert_memory",
                 "-trace", "kvm_sev_snp_launch_update"]
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
