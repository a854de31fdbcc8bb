# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the SNP machine, and the same QEMU without it for comparison."""

import os
import shutil

from lab import lock, paths, say, sources, stamp, tree

TOP = paths.OUT / "machine"
SERIES = paths.ROOT / "machine/patches"

CONFIGURE = [
    "--target-list=x86_64-softmmu", "--without-default-features",
    "--enable-system", "--enable-tcg", "--enable-pixman", "--enable-gnutls",
    "--enable-attr", "--disable-docs", "--disable-install-blobs",
    "--disable-download", "--enable-trace-backends=log",
]


class Machine:
    def __init__(self, pristine=False):
        self.name = "pristine" if pristine else "snp"
        self.dir = TOP / self.name
        self.src = TOP / "source" if pristine else self.dir / "src"
        self.build = self.dir / "build"
        self.binary = self.build / "qemu-system-x86_64"
        self.pristine = pristine

    def title(self):
        return "pristine QEMU" if self.pristine else "SNP machine"


@lock.alone
def unpack():
    """The Debian source, Debian's own patches applied; nothing of ours."""
    where = TOP / "source"
    row = sources.rows("machine.qemu")[0]
    key = stamp.digest(row)
    if stamp.current("machine.source", key, where):
        return where
    dsc = sources.dsc("machine.qemu")
    row = sources.rows("machine.qemu")[0]
    stamp.clear("machine.source")
    shutil.rmtree(where, ignore_errors=True)
    where.parent.mkdir(parents=True, exist_ok=True)
    with say.Step(f"unpack QEMU {row.version}") as step:
        say.run(["dpkg-source", "--no-check", "-x", dsc, where],
                "unpack-qemu", step, hint="apt-get install dpkg-dev")
    stamp.write("machine.source", stamp.digest(row))
    return where


def overlay():
    """(our directory, its path in QEMU's tree) for every part of machine/."""
    top = paths.ROOT / "machine"
    if not top.is_dir():
        return []
    return [(d, d.name) for d in sorted(top.iterdir())
            if d.is_dir() and d.name not in ("patches", "tests")]


def firmware():
    """Directories in which QEMU finds its firmware, all from packages."""
    dirs = []
    for role, inside in (("machine.seabios", "usr/share/seabios"),
                         ("machine.data", "usr/share/qemu")):
        dirs.append(sources.unpacked(role) / inside)
    return dirs


@lock.alone
def lay():
    """Our files and hooks in the source, none if one hook does not fit."""
    tree.Tree(unpack(), Machine().src, overlay(), SERIES).sync()


@lock.alone
def build(pristine=False):
    """Builds what is out of date. Returns the Machine."""
    m = Machine(pristine)
    if pristine:
        unpack()
    else:
        lay()
    meson = sources.unpacked("machine.meson")
    env = dict(os.environ)
    env["PYTHONPATH"] = str(meson / "usr/lib/python3/dist-packages")
    env.pop("APT_CONFIG", None)
    key = stamp.digest(CONFIGURE, str(m.src), sources.rows("machine.qemu"),
                       sources.rows("machine.meson"))
    if not stamp.current(f"machine.{m.name}.configure", key,
                         m.build / "build.ninja"):
        stamp.clear(f"machine.{m.name}.configure")
        shutil.rmtree(m.build, ignore_errors=True)
        m.build.mkdir(parents=True)
        with say.Step(f"configure the {m.title()}") as step:
            say.run([m.src / "configure", "--python=/usr/bin/python3",
                     *CONFIGURE], f"machine-{m.name}-configure", step,
                    cwd=m.build, env=env, hint="lab/snp build --install")
        stamp.write(f"machine.{m.name}.configure", key)
    # Ninja always asks for QEMU's version; said only if more comes of it.
    with say.Step(f"build the {m.title()}", quiet=3) as step:
        say.run(["ninja", "qemu-system-x86_64"],
                f"machine-{m.name}-build", step, cwd=m.build, env=env)
    firmware()
    return m
