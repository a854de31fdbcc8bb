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
def unpack(role="machine.qemu", name="source"):
    """The Debian source, Debian's own patches applied; nothing of ours."""
    where = TOP / name
    row = sources.rows(role)[0]
    key = stamp.digest(row)
    if stamp.current(f"machine.{name}", key, where):
        return where
    dsc = sources.dsc(role)
    row = sources.rows(role)[0]
    stamp.clear(f"machine.{name}")
    shutil.rmtree(where, ignore_errors=True)
    where.parent.mkdir(parents=True, exist_ok=True)
    with say.Step(f"unpack QEMU {row.version}") as step:
        say.run(["dpkg-source", "--no-check", "-x", dsc, where],
                "unpack-qemu", step, hint="apt-get install dpkg-dev")
    stamp.write(f"machine.{name}", stamp.digest(row))
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


def environment():
    """Debian 12's meson is too old: Debian 13's, without installing it."""
    meson = sources.unpacked("machine.meson")
    env = dict(os.environ)
    env["PYTHONPATH"] = str(meson / "usr/lib/python3/dist-packages")
    env.pop("APT_CONFIG", None)
    return env


def configure(name, title, src, where, options=()):
    """Configures src in the directory where, if it is not yet: as CONFIGURE
    has it, with more options, later ones win."""
    how = [*CONFIGURE, *options]
    key = stamp.digest(how, str(src), sources.rows("machine.qemu"),
                       sources.rows("machine.meson"))
    if stamp.current(f"machine.{name}.configure", key, where / "build.ninja"):
        return
    stamp.clear(f"machine.{name}.configure")
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    with say.Step(f"configure the {title}") as step:
        say.run([src / "configure", "--python=/usr/bin/python3", *how],
                f"machine-{name}-configure", step, cwd=where, env=environment(),
                hint="lab/snp build --install")
    stamp.write(f"machine.{name}.configure", key)


def ninja(name, title, where, *targets, more=()):
    """Builds targets. Ninja always asks for QEMU's version; said only if more
    comes of it."""
    with say.Step(f"build the {title}", quiet=3) as step:
        say.run(["ninja", *more, *targets], f"machine-{name}-build", step,
                cwd=where, env=environment())


@lock.alone
def build(pristine=False):
    """Builds what is out of date. Returns the Machine."""
    m = Machine(pristine)
    if pristine:
        unpack()
    else:
        lay()
    configure(m.name, m.title(), m.src, m.build)
    ninja(m.name, m.title(), m.build, "qemu-system-x86_64")
    firmware()
    return m
