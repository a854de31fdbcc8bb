# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds our host kernel: Debian's linux-source-6.1, our files, our hooks."""

import os
import pathlib
import re
import shutil

from lab import image, kernels, lock, paths, say, sources, stamp, tree

TOP = paths.OUT / "linux"
PRISTINE = TOP / "source"
WORK = TOP / "src"
PARTS = ("arch", "drivers", "include", "virt", "Documentation", "tools")
SERIES = paths.ROOT / "patches"

FLAVOURS = {
    "": ["linux.config", "linux-test.config"],
    "debug": ["linux.config", "linux-test.config", "linux-debug.config"],
    "nosnp": ["linux.config", "linux-nosnp.config"],
}


# What make says of each object and archive, and of how many when it builds a
# kernel from nothing. A config that has more or fewer makes the bar less true,
# nothing else.
OBJECT = rb"^  [A-Z]+ .*\.[oa]$"
OBJECTS = 1700


def _to_make(b):
    """How many of them are still to be made; None where it is not known:
    which of them a change concerns."""
    if (b.build / "vmlinux").exists():
        return None
    return max(1, OBJECTS - sum(1 for _ in b.build.rglob(".*.[oa].cmd")))


class Build:
    """flavour: a key of FLAVOURS. pristine: Debian's source without our
    files and hooks, for comparison."""

    def __init__(self, flavour="", pristine=False):
        self.flavour, self.pristine = flavour, pristine
        self.name = ("pristine" if pristine else "ours") + \
            (f"-{flavour}" if flavour else "")
        self.src = PRISTINE if pristine else WORK
        self.build = TOP / self.name
        self.root = TOP / f"{self.name}.root"

    def kernel(self):
        row = sources.rows("host.ours")[0]
        return kernels.Kernel(self.name, self.build / "arch/x86/boot/bzImage",
                              image.Modules(self.root), row.version,
                              row.package)


@lock.alone
def unpack():
    row = sources.rows("host.ours")[0]
    key = stamp.digest(row)
    if stamp.current("linux.source", key, PRISTINE):
        return PRISTINE
    top = sources.unpacked("host.ours")
    row = sources.rows("host.ours")[0]
    tar = sorted(top.glob("usr/src/linux-source-*.tar.xz"))
    if not tar:
        raise say.Failed(f"{row.package} holds no source archive")
    stamp.clear("linux.source")
    shutil.rmtree(PRISTINE, ignore_errors=True)
    PRISTINE.mkdir(parents=True)
    with say.Step(f"unpack Linux {row.version}") as step:
        say.run(["tar", "-xf", tar[0], "-C", PRISTINE,
                 "--strip-components=1"], "unpack-linux", step)
    stamp.write("linux.source", stamp.digest(row))
    return PRISTINE


def overlay():
    return [(paths.ROOT / p, p) for p in PARTS if (paths.ROOT / p).is_dir()]


@lock.alone
def lay():
    """Our files and hooks in the source, none if one hook does not fit. No
    kernel that was built before a change counts as built."""
    unpack()
    if tree.Tree(PRISTINE, WORK, overlay(), SERIES).sync():
        for flavour in FLAVOURS:
            stamp.clear(f"linux.{Build(flavour).name}")


@lock.alone
def build(flavour="", pristine=False):
    """Builds what is out of date. Returns the kernels.Kernel."""
    b = Build(flavour, pristine)
    if pristine:
        unpack()
    else:
        lay()
    # make needs many seconds to find that there is nothing to do
    made = _made_from(b)
    if current(b, made):
        return b.kernel()
    stamp.clear(f"linux.{b.name}")
    _configure(b)
    env = _env()
    jobs = f"-j{os.cpu_count()}"
    log = f"linux-{b.name}"
    with say.Step(f"build Linux ({b.name})", quiet=5) as step:
        say.run(["make", "-C", b.src, f"O={b.build}", jobs, "bzImage",
                 "modules"], log, step, env=env,
                progress=say.Lines(OBJECT, _to_make(b)),
                hint=f"make -C {paths.shown(b.build)}")
    release = (b.build / "include/config/kernel.release").read_text().strip()
    key = stamp.digest(release, b.build / "arch/x86/boot/bzImage",
                       [(str(p.relative_to(b.build)), p.stat().st_mtime_ns)
                        for p in sorted(b.build.rglob("*.ko"))])
    if not stamp.current(f"linux.{b.name}.root", key, b.root):
        stamp.clear(f"linux.{b.name}.root")
        shutil.rmtree(b.root, ignore_errors=True)
        b.root.mkdir(parents=True)
        say.run(["make", "-C", b.src, f"O={b.build}", "modules_install",
                 f"INSTALL_MOD_PATH={b.root}", "INSTALL_MOD_STRIP=1"],
                f"{log}-modules", env=env)
        for name in ("build", "source"):
            (b.root / "lib/modules" / release / name).unlink(missing_ok=True)
        stamp.write(f"linux.{b.name}.root", key)
    stamp.write(f"linux.{b.name}", made)
    return b.kernel()


@lock.alone
def module(source):
    """A file of C as a module of our kernel. Returns the module."""
    b = Build()
    build()
    where = TOP / source.stem
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    shutil.copy(source, where)
    (where / "Kbuild").write_text(f"obj-m := {source.stem}.o\n")
    say.run(["make", "-C", b.build, f"M={where.absolute()}", "modules"],
            f"module-{source.stem}", env=_env())
    return where / f"{source.stem}.ko"


def current(b, made):
    """Is the kernel there, and the one that is made from this?"""
    return stamp.current(f"linux.{b.name}", made,
                         b.build / "arch/x86/boot/bzImage", b.root)


def _made_from(b):
    """Digest of all a kernel is made from, the tools included."""
    ours = [] if b.pristine else [SERIES, *(top for top, _ in overlay())]
    return stamp.digest(
        sources.rows("host.ours"), str(b.src), *ours,
        *(paths.LAB / "config" / f for f in FLAVOURS[b.flavour]),
        *(say.capture([tool, "--version"]) for tool in ("gcc", "ld", "make")))


def _env():
    env = dict(os.environ, KBUILD_BUILD_USER="lab", KBUILD_BUILD_HOST="lab",
               LC_ALL="C")
    env.pop("APT_CONFIG", None)
    return env


def _configure(b):
    """allnoconfig with our fragments over it. A line that does not hold in
    the result fails, unless no Kconfig of this tree knows the option yet."""
    fragments = [paths.LAB / "config" / f for f in FLAVOURS[b.flavour]]
    kconfigs = [p for p in _ours("Kconfig")]
    key = stamp.digest(sources.rows("host.ours"), *fragments, *kconfigs,
                       str(b.src))
    if stamp.current(f"linux.{b.name}.config", key, b.build / ".config"):
        return
    stamp.clear(f"linux.{b.name}.config")
    b.build.mkdir(parents=True, exist_ok=True)
    want = {}
    for f in fragments:
        for line in f.read_text().splitlines():
            m = re.match(r"(CONFIG_\w+)=(.*)", line)
            if m:
                want[m.group(1)] = m.group(2)
    merged = b.build / "fragment.config"
    merged.write_text("".join(f"{k}={v}\n" for k, v in want.items()))
    with say.Step(f"configure Linux ({b.name})", quiet=5) as step:
        say.run(["make", "-C", b.src, f"O={b.build}", "allnoconfig",
                 f"KCONFIG_ALLCONFIG={merged}"], f"linux-{b.name}-config",
                step, env=_env(), hint="lab/snp build --install")
    have = dict(re.findall(r"^(CONFIG_\w+)=(.*)$",
                           (b.build / ".config").read_text(), re.M))
    lost = [k for k, v in want.items() if have.get(k, "n") != v]
    known = _known(b.src, lost)
    for k in lost:
        if k not in known:
            say.note(f"{k}: this tree has no such option")
    if known:
        (b.build / ".config").unlink()
        raise say.Failed("these options did not take: " +
                         " ".join(f"{k}={want[k]}" for k in known))
    stamp.write(f"linux.{b.name}.config", key)


def _ours(name):
    """Our files and hooks that can change what options there are."""
    out = [p for top, _ in overlay() for p in sorted(top.rglob(f"{name}*"))]
    for patch in sorted(SERIES.glob("*")) if SERIES.is_dir() else []:
        if patch.is_file() and name in patch.read_text(errors="replace"):
            out.append(patch)
    return out


def _known(src, options):
    if not options:
        return []
    names = "|".join(o[7:] for o in options)
    found = set()
    pattern = re.compile(rf"^\s*(?:menu)?config ({names})$", re.M)
    for top, dirs, files in os.walk(src):
        dirs[:] = [d for d in dirs if d not in (".git", "Documentation")]
        for f in files:
            if f.startswith("Kconfig"):
                text = (pathlib.Path(top) / f).read_text(errors="replace")
                found.update("CONFIG_" + x for x in pattern.findall(text))
    return [o for o in options if o in found]


def kernel():
    return build()
