# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's root file system: Debian 13 with its stock QEMU and OVMF."""

import shutil

from lab import apt, image, lock, needs, paths, say, sources, stamp

TOP = paths.OUT / "host"
ROOT = TOP / "root"
IMAGE = TOP / "root.ext4"
LIST = TOP / "packages"

# The last two are what sid's snphost wants of Debian 13; cases install it.
INCLUDE = ["qemu-system-x86", "ovmf", "kmod", "libcurl4t64", "libssl3t64"]


def _key():
    want = [sources.rows(role) for role in sources.MAIN]
    return stamp.digest(INCLUDE, want, "2")


@lock.alone
def build():
    """Builds the image if lab/versions asks for another QEMU or OVMF."""
    if stamp.current("host.image", _key(), IMAGE, LIST):
        return IMAGE
    needs.root()
    # what the archive has no more gives way now, before it is installed
    for role in sources.MAIN:
        sources.usable(role)
    stamp.clear("host.image")
    shutil.rmtree(ROOT, ignore_errors=True)
    TOP.mkdir(parents=True, exist_ok=True)
    cache = TOP / "cache"
    cache.mkdir(exist_ok=True)
    with say.Step("install Debian 13 into the host image") as step:
        apt.fetch(["debootstrap", "--variant=minbase", "--arch=amd64",
                   f"--cache-dir={cache}", f"--keyring={apt.KEYRING}",
                   "--include=" + ",".join(INCLUDE), "trixie", ROOT,
                   apt.mirrors()[0]], "host-image", step,
                  progress=say.Lines(say.PACKAGES),
                  hint="check the network; then the same command again")
        shutil.rmtree(ROOT / "var/cache/apt", ignore_errors=True)
        shutil.rmtree(ROOT / "var/lib/apt/lists", ignore_errors=True)
        for name in ("lab", "lib/modules"):
            (ROOT / name).mkdir(parents=True, exist_ok=True)
    text = say.capture(["dpkg-query", f"--admindir={ROOT}/var/lib/dpkg",
                        "-W", "-f", "${Package} ${Version}\n"])
    have = dict(line.split() for line in text.splitlines())
    for role in sources.MAIN:
        for row in sources.rows(role):
            if have.get(row.package) != row.version:
                say.note(f"Debian 13 now has {row.package} "
                         f"{have.get(row.package)}, lab/versions says "
                         f"{row.version}; `lab/snp update` records it")
    with say.Step("make the host image"):
        image.ext4(ROOT, IMAGE, "host-image-ext4")
    LIST.write_text(text)
    stamp.write("host.image", _key())
    return IMAGE


def packages():
    return dict(line.split() for line in LIST.read_text().splitlines())
