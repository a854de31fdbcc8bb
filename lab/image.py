# SPDX-License-Identifier: GPL-2.0-or-later
"""File-system images and initramfs archives, made without mounting."""

import lzma
import os
import pathlib
import stat
import subprocess

from lab import lock, paths, say, sources, stamp


def ext4(tree, image, log, spare=16 << 20):
    """A read-only ext4 image of a directory; complete or absent."""
    image = pathlib.Path(image)
    size = spare
    files = 0
    for top, dirs, names in os.walk(tree):
        for name in names + dirs:
            st = os.lstat(os.path.join(top, name))
            size += (st.st_size + 4095 & ~4095) + 512
            files += 1
    size += size // 16
    tmp = image.with_name(image.name + ".tmp")
    tmp.unlink(missing_ok=True)
    say.run(["mke2fs", "-q", "-t", "ext4", "-b", "4096",
             "-O", "^has_journal,^metadata_csum", "-m", "0",
             "-N", str(files + 1024), "-E", "root_owner=0:0", "-d", tree, tmp,
             f"{size // 1024}K"], log, hint="is the disk full?")
    tmp.replace(image)


class Cpio:
    """An initramfs in the newc format. Concatenated archives add up."""

    def __init__(self):
        self.parts = []
        self.ino = 1
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.lstrip("/")
        head = "070701" + "".join(
            f"{v:08X}" for v in (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0,
                                 rdev[0], rdev[1], len(name) + 1, 0))
        self.ino += 1
        out = head.encode() + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4)
        out += data + b"\0" * (-len(data) % 4)
        self.parts.append(out)

    def _parents(self, name):
        parent = pathlib.PurePosixPath(name.lstrip("/")).parent
        for p in list(parent.parents)[::-1] + [parent]:
            if str(p) != "." and str(p) not in self.dirs:
                self.directory(str(p))

    def directory(self, name):
        if name.lstrip("/") in self.dirs:
            return
        self._parents(name)
        self.dirs.add(name.lstrip("/"))
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self._parents(name)
        if isinstance(data, (str, pathlib.Path)):
            data = pathlib.Path(data).read_bytes()
        self._entry(name, stat.S_IFREG | mode, data)

    def text(self, name, text, mode=0o755):
        self.file(name, text.encode(), mode)

    def link(self, name, target):
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._parents(name)
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path):
        path = pathlib.Path(path)
        self._entry("TRAILER!!!", 0)
        data = b"".join(self.parts)
        tmp = path.with_name(path.name + ".tmp")
        tmp.write_bytes(data + b"\0" * (-len(data) % 512))
        tmp.replace(path)


@lock.alone
def initramfs(out, init, modules, names, directories=()):
    """An archive with busybox, an init script, and the modules of these names
    with all they need, which `modules/order` lists in the order to load
    them. modules: a Modules. Made again only if one of these changed."""
    out = pathlib.Path(out)
    top = sources.unpacked("guest.busybox")
    busybox = top / "usr/bin/busybox"
    if not busybox.exists():
        busybox = top / "bin/busybox"
    mods = modules.needed(names)
    key = stamp.digest(init, busybox, list(directories), [str(m) for m in mods],
                       [m.stat().st_mtime_ns for m in mods])
    name = "initramfs." + str(out.relative_to(paths.OUT)).replace("/", ".")
    if stamp.current(name, key, out):
        return out
    stamp.clear(name)
    cpio = Cpio()
    for d in ("dev", "bin", *directories):
        cpio.directory(d)
    cpio.device("dev/console", 5, 1)
    cpio.file("bin/busybox", busybox, 0o755)
    cpio.text("init", init.read_text())
    order = []
    for m in mods:
        order.append(m.name.split(".ko")[0] + ".ko")
        cpio.file(f"modules/{order[-1]}", content(m))
    cpio.text("modules/order", "\n".join(order) + "\n", 0o644)
    cpio.write(out)
    stamp.write(name, key)
    return out


class Modules:
    """The modules of one kernel: lib/modules/<release> below a directory."""

    def __init__(self, top):
        top = pathlib.Path(top)
        found = sorted(p for base in ("lib/modules", "usr/lib/modules")
                       for p in top.glob(f"{base}/*") if p.is_dir())
        if not found:
            raise say.Stop(f"{paths.shown(top)} holds no lib/modules/<release>",
                           "give the directory above lib/modules")
        if len({p.name for p in found}) > 1:
            raise say.Stop(f"{paths.shown(top)} holds modules of several "
                           "kernels: " + " ".join(p.name for p in found),
                           "give a directory with one")
        self.dir = found[0]
        self.release = found[0].name
        self.files = {}
        for p in self.dir.rglob("*.ko*"):
            self.files[_key(p.name)] = p

    def index(self):
        """Makes modules.dep and the like, if the package has none."""
        if not (self.dir / "modules.dep").exists():
            base = self.dir.parent.parent.parent
            if self.dir.parent.parent.name == "lib" and base.name == "usr":
                base = base / "."
            say.run(["depmod", "-b", base, self.release], "depmod",
                    hint="apt-get install kmod")

    def needed(self, names):
        """Modules in the order to load them; built-in names are left out."""
        order = []

        def add(key):
            path = self.files.get(key)
            if path is None or path in order:
                return
            for dep in _depends(path):
                add(_key(dep))
            order.append(path)
        for name in names:
            add(_key(name))
        return order


def _key(name):
    return name.split(".ko")[0].replace("-", "_")


def content(path):
    """A module's ELF bytes, whatever it is compressed with."""
    data = pathlib.Path(path).read_bytes()
    if path.name.endswith(".xz"):
        return lzma.decompress(data)
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    if path.name.endswith(".gz"):
        return subprocess.run(["gzip", "-dcq"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def _depends(path):
    for field in content(path).split(b"\0"):
        if field.startswith(b"depends="):
            return [d for d in field[8:].decode().split(",") if d]
    return []
