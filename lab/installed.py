# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian 12 as an operator has it: a disk with GRUB in its MBR, systemd, our
kernel's packages installed by dpkg, QEMU of bookworm-backports and OVMF of
Debian 13, and the modprobe.d snippet of the operator's guide. The machine boots
it from that disk, by its own firmware."""

import re
import shutil
import struct

from lab import (apt, debs, host, lock, machine, needs, observe,
                 paths, platform, say, sources, stamp)

TOP = paths.OUT / "installed"
BASE = TOP / "base"
DISK = TOP / "disk"
PACKAGES = TOP / "packages"
GUIDE = paths.ROOT / "Documentation/virt/kvm/x86/snp-operation.rst"

INCLUDE = ["systemd-sysv", "udev", "dbus", "kmod", "initramfs-tools", "zstd",
           "grub-common", "grub-pc-bin", "procps"]
LABEL = "snp-host"
SIZE = 4 << 30          # of the file system; the file is sparse
START = 2048            # its first sector
CORE = ("biosdisk part_msdos ext2 normal linux configfile serial terminal test "
        "regexp echo")

# What update-grub would write of one kernel, for whatever dpkg put into /boot.
GRUB_CFG = """\
serial --unit=0 --speed=115200
terminal_output serial
for kernel in /boot/vmlinuz-*; do
	regexp --set=1:release '/boot/vmlinuz-(.*)' "$kernel"
	echo "GRUB boots $kernel"
	linux "$kernel" root=LABEL=%s ro console=ttyS0 panic=-1
	initrd "/boot/initrd.img-$release"
	boot
done
""" % LABEL

# Debian's 4194304 is more than a kernel without CONFIG_BASE_FULL has.
PID_MAX = "# 32768 processes are enough for the small kernel\n"

UNIT = """\
[Unit]
Description=What the lab has this host do
RequiresMountsFor=/lab
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /lab/start
StandardOutput=null
StandardError=journal+console
[Install]
WantedBy=multi-user.target
"""

FSTAB = f"""\
LABEL={LABEL} / ext4 errors=remount-ro 0 1
/dev/disk/by-id/virtio-files /lab ext4 ro,nofail,x-systemd.device-timeout=20 0 0
"""

# $0: base, $1: upper, $2: disk. Runs with mounts of its own.
INSTALL = """
set -e
top=$1; disk=$2; root=$1/root
mount -t overlay lab -o "lowerdir=$0,upperdir=$top/upper,workdir=$top/work" "$root"
mount -t proc proc "$root/proc"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
	HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
inside sh -c 'dpkg -i /root/debs/*.deb'
rm -r "$root/root/debs"
inside systemctl enable lab.service
inside systemctl mask getty@tty1.service apt-daily.timer apt-daily-upgrade.timer
inside dpkg-query -W -f '${Package} ${Version}\\n' > "$top/packages"
inside grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /core.img %s
mv "$root/core.img" "$top/core.img"
cp "$root/usr/lib/grub/i386-pc/boot.img" "$top/boot.img"
umount "$root/proc"
mke2fs -q -t ext4 -L %s -b 4096 -m 0 -E "offset=%d,root_owner=0:0" \\
	-d "$root" "$disk" %dk
umount "$root"
""" % (CORE, LABEL, START * 512, SIZE >> 10)


def snippet():
    """The modprobe.d file as the operator's guide has it."""
    m = re.search(r"^\t# /etc/modprobe\.d/snp-host\.conf\n((?:\t.*\n|\n)*)",
                  GUIDE.read_text(), re.M)
    if not m:
        raise say.Failed(f"{paths.shown(GUIDE)} has no modprobe.d snippet")
    return re.sub(r"^\t", "", m.group(1), flags=re.M).strip() + "\n"


def _base_key():
    return stamp.digest(INCLUDE, sources.rows("installed.qemu"), "1")


@lock.alone
def base():
    """A Debian 12 without any kernel, with QEMU of its backports."""
    if stamp.current("installed.base", _base_key(), BASE):
        return BASE
    needs.root()
    row = sources.usable("installed.qemu")[0]
    stamp.clear("installed.base")
    shutil.rmtree(BASE, ignore_errors=True)
    cache = paths.OUT / "host" / "cache"
    for d in (TOP, cache):
        d.mkdir(parents=True, exist_ok=True)
    with say.Step("install Debian 12 into a directory") as step:
        apt.fetch(["debootstrap", "--variant=minbase", "--arch=amd64",
                   f"--cache-dir={cache}", f"--keyring={apt.KEYRING}",
                   "--include=" + ",".join(INCLUDE), "bookworm", BASE,
                   apt.mirrors()[0]], "installed-base", step,
                  progress=say.Lines(say.PACKAGES),
                  hint="check the network; then the same command again")
    with say.Step(f"install QEMU {row.version} there") as step:
        _qemu(row, step)
    stamp.write("installed.base", _base_key())
    return BASE


def _qemu(row, step):
    """QEMU and what it needs, of Debian 12 and its backports alone."""
    suites = [*apt.FAMILIES["bookworm"], *apt.FAMILIES["bookworm-backports"]]
    apt.configure()
    lines = [x for x in (paths.APT / "sources.list").read_text().splitlines()
             if x.startswith("deb ") and x.split()[-2] in suites]
    (TOP / "sources.list").write_text("\n".join(lines) + "\n")
    archives = BASE / "root/debs"
    (archives / "partial").mkdir(parents=True)
    apt.fetch(["apt-get", "install", "-y", "--download-only",
               "--no-install-recommends",
               "-o", f"Dir::Etc::sourcelist={TOP}/sources.list",
               "-o", f"Dir::State::status={BASE}/var/lib/dpkg/status",
               "-o", f"Dir::Cache::archives={archives}",
               "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
               "-t", "bookworm-backports", f"{row.package}={row.version}"],
              "installed-qemu", step, env=apt.env(),
              progress=say.Lines(say.PACKAGES))
    say.run(["chroot", BASE, "/usr/bin/env", "-i",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
             "DEBIAN_FRONTEND=noninteractive", "sh", "-c",
             "dpkg -i /root/debs/*.deb"], "installed-qemu", step, append=True)
    shutil.rmtree(archives)


def _key():
    p = debs.Package("small")
    return stamp.digest(_base_key(), *p.files().values(), GRUB_CFG, UNIT,
                        PID_MAX, FSTAB, INSTALL, snippet(), sources.rows("host.ovmf"))


@lock.alone
def build():
    """The disk, made anew if a package or a file on it changed."""
    p = debs.build("small")
    base()
    if stamp.current("installed.disk", _key(), DISK, PACKAGES):
        return DISK
    needs.root()
    stamp.clear("installed.disk")
    top = TOP / "new"
    shutil.rmtree(top, ignore_errors=True)
    for name in ("upper/root/debs", "upper/boot/grub", "upper/lab",
                 "upper/etc/systemd/system", "upper/etc/modprobe.d",
                 "upper/etc/sysctl.d",
                 "upper/usr/share/ovmf", "work", "root"):
        (top / name).mkdir(parents=True)
    up = top / "upper"
    (up / "root").chmod(0o700)
    for deb in p.files().values():
        shutil.copy2(deb, up / "root/debs")
    shutil.copy2(sources.unpacked("host.ovmf") / "usr/share/ovmf/OVMF.fd",
                 up / "usr/share/ovmf/OVMF.fd")
    (up / "boot/grub/grub.cfg").write_text(GRUB_CFG)
    (up / "etc/systemd/system/lab.service").write_text(UNIT)
    (up / "etc/fstab").write_text(FSTAB)
    (up / "etc/hostname").write_text("snp-host\n")
    (up / "etc/sysctl.d/50-pid-max.conf").write_text(PID_MAX)
    (up / "etc/modprobe.d/snp-host.conf").write_text(snippet())
    with open(top / "disk", "wb") as f:
        f.truncate(START * 512 + SIZE)
    with say.Step("install our packages there, and GRUB on a disk") as step:
        say.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 INSTALL, BASE, top, top / "disk"], "installed-disk", step)
    _boot_sector(top)
    (top / "packages").replace(PACKAGES)
    (top / "disk").replace(DISK)
    shutil.rmtree(top)
    stamp.write("installed.disk", _key())
    return DISK


def _boot_sector(top):
    """GRUB's first sector and, behind it, its core, as grub-bios-setup puts
    them; one partition."""
    core = (top / "core.img").read_bytes()
    if len(core) > (START - 1) * 512:
        raise say.Failed(f"GRUB's core has {len(core)} bytes: no room")
    mbr = bytearray((top / "boot.img").read_bytes()[:446])
    mbr += struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83,
                       b"\xfe\xff\xff", START, SIZE // 512)
    mbr += bytes(48) + b"\x55\xaa"
    with open(top / "disk", "r+b") as f:
        f.write(mbr)
        f.write(core)


def packages():
    return dict(line.split() for line in PACKAGES.read_text().splitlines())


class Installed(host.Host):
    """The machine that boots that disk; what it writes there is forgotten."""

    def __init__(self, binary, **kwargs):
        super().__init__(None, binary, **kwargs)

    def command(self, where, cmdline=""):
        argv = [str(self.binary),
                *platform.arguments(self.binary, self.smp, self.memory,
                                    self.thread, self.snp, self.psp, self.cpu)]
        for directory in machine.firmware():
            argv += ["-L", str(directory)]
        for n, (name, file) in enumerate((("disk", DISK),
                                          ("files", where / "files.ext4"))):
            argv += ["-drive", f"if=none,id={name},file={file},format=raw,"
                     "snapshot=on,file.locking=off",
                     "-device", f"virtio-blk-pci,drive={name},serial={name},"
                     f"bootindex={n}{platform.BEHIND}"]
        return [*argv, "-qmp", f"unix:{observe.SOCKET},server=on,wait=off",
                *self.extra]
