# SPDX-License-Identifier: GPL-2.0-or-later
"""Host kernels: Debian's unmodified ones, ours, or any the user names."""

import pathlib

from lab import image, lock, paths, say, sources, stamp

STOCK = ("debian-13", "debian-backports")
# ours-debug: with KASAN, lockdep and the like.
OURS = {"ours": "", "ours-debug": "debug"}
NAMES = tuple(OURS) + STOCK

# What the initramfs needs to reach the host image. Built-in ones are skipped.
MOUNT = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "overlay"]


class Kernel:
    """vmlinuz: path. modules: image.Modules. version: Debian's, or what is
    known of its origin."""

    def __init__(self, name, vmlinuz, modules, version, package=None):
        self.name = name
        self.vmlinuz = pathlib.Path(vmlinuz)
        self.modules = modules
        self.release = modules.release
        self.version = version
        self.package = package

    def slug(self):
        """Directory under out/ for what is derived from this kernel."""
        where = paths.OUT / "kernel" / f"{self.name}-{self.release}"
        where.mkdir(parents=True, exist_ok=True)
        return where

    @lock.alone
    def modules_image(self):
        """ext4 image whose top directory is <release>/."""
        where = self.slug() / "modules.ext4"
        key = stamp.digest(str(self.modules.dir), self.version,
                           _mtimes(self.modules.dir))
        name = f"modules.{self.name}"
        if not stamp.current(name, key, where):
            stamp.clear(name)
            self.modules.index()
            key = stamp.digest(str(self.modules.dir), self.version,
                               _mtimes(self.modules.dir))
            with say.Step(f"make the modules image of {self.release}"):
                image.ext4(self.modules.dir.parent, where, name)
            stamp.write(name, key)
        return where

    def initramfs(self):
        """The small archive that mounts the host image and hands over."""
        return image.initramfs(self.slug() / "initramfs",
                               paths.LAB / "hostfs" / "init", self.modules,
                               MOUNT, ("proc", "sys", "new", "lower"))


def _mtimes(top):
    """Cheap identity of a module tree: what a package or build last wrote."""
    return sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns)
                  for p in top.glob("modules.*")) + [
        (p.name, p.stat().st_size, p.stat().st_mtime_ns)
        for p in sorted(top.rglob("*.ko*"))]


def stock(name):
    """Debian's own kernel, its packages unpacked and nothing else."""
    top = sources.unpacked(f"host.{name}")
    return _from_tree(name, top, sources.rows(f"host.{name}"))


def _from_tree(name, top, rows):
    found = sorted(top.glob("boot/vmlinuz-*")) + \
        sorted(top.glob("usr/lib/modules/*/vmlinuz")) + \
        sorted(top.glob("lib/modules/*/vmlinuz"))
    if not found:
        raise say.Failed(f"{paths.shown(top)} holds no kernel image")
    return Kernel(name, found[0], image.Modules(top), rows[0].version,
                  rows[0].package)


# Guests' kernels: Debian's for clouds, of backports the one for all.
GUESTS = {"debian-13": "guest.kernel", "debian-12": "guest.debian-12",
          "debian-backports": "host.debian-backports"}


def guest(name="debian-13"):
    """A guest's kernel, one of GUESTS."""
    top = sources.unpacked(GUESTS[name])
    return _from_tree("guest", top, sources.rows(GUESTS[name]))


def named(vmlinuz, modules):
    """A kernel of the user's own."""
    vmlinuz, modules = pathlib.Path(vmlinuz), pathlib.Path(modules)
    for p in (vmlinuz, modules):
        if not p.exists():
            raise say.Stop(f"{p} is not there", "check the path")
    return Kernel("named", vmlinuz, image.Modules(modules), "unknown")


def get(name):
    if name in OURS:
        from lab import linux
        return linux.build(OURS[name])
    if name in STOCK:
        return stock(name)
    raise say.Stop(f"unknown host '{name}'", "one of " + ", ".join(NAMES))
