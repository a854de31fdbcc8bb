# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's series as QEMU's maintainers would try it: other targets, and
QEMU's own tests, each against QEMU without our changes."""

import re

from lab import lock, machine, needs, paths, say, sources, tree

# What is built of QEMU's other targets. 32 and 64 bits of i386, and its user
# mode, share files with what we change.
SYSTEMS = ("aarch64", "riscv64", "s390x", "i386")
USERS = ("x86_64",)
BINARIES = [f"qemu-system-{x}" for x in SYSTEMS] + [f"qemu-{x}" for x in USERS]
TARGETS = [f"{x}-softmmu" for x in SYSTEMS] + [f"{x}-linux-user" for x in USERS]

TOP = machine.TOP / "targets"
# A hook that every target compiles, and what only i386 has.
COMMON = "accel/tcg/cputlb.c"
FOREIGN = """
int lab_foreign(CPUArchState *env);
int lab_foreign(CPUArchState *env)
{
    return env->hflags2;
}
"""


@lock.alone
def targets():
    """Builds TARGETS with our patches and files. Returns what the build of one
    says if a hook in common code wants a member that only i386 has."""
    needs.install(needs.TARGETS)
    ours = tree.Tree(machine.unpack(), TOP / "src", machine.overlay(),
                     machine.SERIES)
    ours.sync()
    title, where = "machine's other targets", TOP / "build"
    machine.configure("targets", title, TOP / "src", where,
                      ["--target-list=" + ",".join(TARGETS),
                       "--enable-linux-user", "--enable-fdt=system"])
    machine.ninja("targets", title, where, *BINARIES)
    file = TOP / "src" / COMMON
    with open(file, "a", encoding="utf-8") as f:
        f.write(FOREIGN)
    try:
        machine.ninja("foreign", title, where, "qemu-system-s390x")
    except say.Failed:
        pass
    finally:
        ours.sync()
    return say.log_path("machine-foreign-build").read_text(errors="replace")


NEXT = paths.LAB / "lists/next-qemu.tsv"
NEXT_PATCHES = machine.SERIES / "next"
WITHOUT = NEXT_PATCHES / "without"


def without():
    """{patch that the newer QEMU is built without: why}"""
    rows = [line.split("\t") for line in WITHOUT.read_text().splitlines()
            if line and not line.startswith("#")]
    return {name: why for name, why in rows if why.strip()}


def laid():
    """What is laid on the newer QEMU: the series, but for without(); a patch of
    next/ in place of the one of its name, behind the number; at the end those
    that are in nobody's place, from 9000 on."""
    here = {p.name[5:]: f"next/{p.name}" for p in NEXT_PATCHES.glob("*.patch")}
    series, out = tree.series(machine.SERIES), without()
    names = [here.pop(n[5:], n) for n in series if n not in out]
    odd = [n for n in out if n not in series]
    odd += [n for n in here.values() if not n.startswith("next/9")]
    if odd:
        raise say.Failed("in place of no patch of the series: " +
                         ", ".join(odd))
    return names + sorted(here.values())


class _Next(tree.Tree):
    """The newer QEMU, and what is laid on it."""

    def series(self):
        return laid()


@lock.alone
def build_newer():
    """The machine, made of the newer QEMU: its binary."""
    top, title = machine.TOP / "next.build", "machine of a newer QEMU"
    _Next(machine.unpack("machine.next", "next"), top / "src",
          machine.overlay(), machine.SERIES).sync()
    machine.configure("next", title, top / "src", top / "build")
    machine.ninja("next", title, top / "build", "qemu-system-x86_64")
    return top / "build/qemu-system-x86_64"


def newer():
    """(version of a newer QEMU, {(patch, file): hunks that it does not take,
    as "N of M"})."""
    source = machine.unpack("machine.next", "next")
    return sources.rows("machine.next")[0].version, _misfits(source)


def newest():
    """The same of the newest that the archive lists; None in place of the hooks
    if it has not the source that it lists."""
    try:
        source = machine.unpack("machine.newest", "newest")
    except say.Failed:
        return sources.rows("machine.newest")[0].version, None
    return sources.rows("machine.newest")[0].version, _misfits(source)


def _misfits(source):
    bad = tree.Tree(source, machine.TOP / "next.none", machine.overlay(),
                    machine.SERIES).misfits()
    out = {}
    for line in bad:
        m = re.match(r"(\S+): (\S+): (\d+) out of (\d+) hunks? ", line)
        if m:
            out[m[1], m[2]] = f"{m[3]} of {m[4]}"
        else:
            out[tuple(line.split(": ", 2)[:2])] = "all"
    return out


def listed(text=None):
    """(version, misfits as newer()'s) of the list; a line without a reason is
    an error."""
    version, out = None, {}
    for line in (text or NEXT.read_text()).splitlines():
        if line.startswith("version\t"):
            version = line.split("\t")[1]
        elif line and not line.startswith("#"):
            patch, file, hunks, why = line.split("\t")
            if not why.strip():
                raise ValueError(f"no reason: {line}")
            out[patch, file] = hunks
    return version, out
