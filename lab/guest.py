# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: its initramfs, its disk of fresh random data, and the command
line stock QEMU starts it with."""

import collections
import hashlib
import os

from lab import image, kernels, paths, sources

MODULES = ["virtio_pci", "virtio_blk", "tsm", "sev-guest"]
DISK_BYTES = 64 << 20
NET_BYTES = 4 << 20

# How a guest gets its disk, or what else it reads: modules beside MODULES.
DEVICES = {"blk": [], "scsi": ["virtio_scsi", "sd_mod"],
           "net": ["virtio_net"], "vhost-net": ["virtio_net"]}
BOOTS = ("direct", "disk")
PORTS = 31                      # of the device that it takes from its driver

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


def initramfs(modules, name="guest", device="blk"):
    """modules: image.Modules of the guest's kernel. Returns the archive."""
    where = paths.OUT / "guest"
    where.mkdir(parents=True, exist_ok=True)
    more = DEVICES[device]
    name = "-".join([name, *more])
    return image.initramfs(where / f"{name}.cpio", paths.LAB / "guest" / "init",
                           modules, MODULES + more)


def with_shell(initrd, out):
    """The same archive, told to give a shell instead of the usual work."""
    flag = image.Cpio()
    flag.text("shell", "", 0o644)
    flag.write(out)
    data = initrd.read_bytes()
    out.write_bytes(data + b"\0" * (-len(data) % 512) + out.read_bytes())
    return out


APPEND = "console=ttyS0 panic=-1"


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


GRUB = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
GRUB_CFG = f"""\
linux /vmlinuz {APPEND}
initrd /initrd
boot
"""


def system_partition(kernel, initrd):
    """{path: file or text} of the directory that a guest's EFI boots from: the
    boot loader as Debian installs it, where no variable names one."""
    return {"EFI/BOOT/BOOTX64.EFI": sources.unpacked("guest.grub") / GRUB,
            "EFI/debian/grub.cfg": GRUB_CFG, "vmlinuz": kernel,
            "initrd": initrd}


def command(smp, memory, kind="snp", qemu="qemu-system-x86_64",
            ovmf="/usr/share/ovmf/OVMF.fd", cbitpos=51, reduced=1,
            boot="direct", device="blk"):
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
    argv += ["-bios", ovmf]
    if boot == "disk":
        argv += ["-drive", "if=none,id=esp,format=raw,read-only=on,"
                 "file=fat:/lab/guest/esp",
                 "-device", f"virtio-blk-pci,drive=esp,bootindex=0,{iommu}"]
    else:
        argv += ["-kernel", "/lab/guest/vmlinuz",
                 "-initrd", "/lab/guest/initrd", "-append", APPEND]
    argv += ["-drive", "if=none,id=disk,file=/lab/guest/disk,format=raw,"
             "read-only=on,file.locking=off"]
    if device == "scsi":
        argv += ["-device", f"virtio-scsi-pci,{iommu}",
                 "-device", "scsi-hd,drive=disk"]
    else:
        argv += ["-device", f"virtio-blk-pci,drive=disk,{iommu}"]
    if device == "net":
        argv += ["-netdev", "user,id=net"]
    if device == "vhost-net":
        argv += ["-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no,"
                 "vhost=on"]
    if device in ("net", "vhost-net"):
        # no option ROM: Debian has it in another package
        argv += ["-device", f"virtio-net-pci,netdev=net,romfile=,{iommu}"]
    argv += ["-device", f"virtio-serial-pci,max_ports={PORTS},{iommu}"]
    return argv
