# SPDX-License-Identifier: GPL-2.0-or-later
"""Our host kernel as packages of Debian's: image and headers, by the kernel's
own bindeb-pkg. "debian" has Debian's own configuration of 6.1 (linux-config-6.1)
with SNP, and takes hours; "small" what the lab's kernel has, and what a Debian 12
needs to boot it from its own disk."""

import lzma
import os
import re

from lab import linux, lock, paths, say, series, sources, stamp

TOP = paths.OUT / "deb"
FLAVOURS = ("debian", "small")
SMALL = ["linux.config", "linux-deb.config"]

# What differs from Debian's own configuration, and why.
CHANGED = {
    "LOCALVERSION": '"-snp-amd64"',     # installed beside Debian's
    "BUILD_SALT": '"6.1-snp-amd64"',
    "SYSTEM_TRUSTED_KEYS": '""',        # Debian's certificates are not at hand
    "MODULE_SIG_KEY": '"certs/signing_key.pem"',
    "DEBUG_INFO_NONE": "y",             # 20 GB of disk, and hours
    "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT": "n",
    "AMD_MEM_ENCRYPT": "y",
    "CRYPTO_DEV_SP_PSP": "y",
    "KVM_AMD_SEV": "y",
    "AMD_SNP_HOST": "y",
    "KVM_AMD_SNP": "y",
}
# What goes with these by itself.
FOLLOWS = re.compile(r"DEBUG_INFO|PAHOLE|MODULE_ALLOW_BTF|GDB_SCRIPTS|"
                     r"(?:CC|AS|LD|GCC|CLANG)_|RUSTC|TOOLS_SUPPORT")
TOOLS = ["rsync", "dpkg-dev"]
OBJECTS = {"debian": 21000, "small": 2050}


class Package:
    def __init__(self, flavour):
        self.flavour = flavour
        self.name = f"deb-{flavour}"
        self.top = TOP / flavour
        self.build = self.top / "build"

    def files(self):
        """{"image": path, "headers": path} of what was built last."""
        release = (self.build / "include/config/kernel.release").read_text() \
            .strip()
        return {kind: next(iter(self.top.glob(
            f"linux-{kind}-{release}_{version()}_amd64.deb")), None)
            for kind in ("image", "headers")}


def version():
    """Newer than Debian's package of the same source, older than its next."""
    return f"{sources.rows('host.ours')[0].version}+snp1"


def made_from(p):
    return stamp.digest(
        linux._made_from(linux.Build()), p.flavour, version(), CHANGED,
        sources.rows("host.config") if p.flavour == "debian" else
        [paths.LAB / "config" / f for f in SMALL][-1])


@lock.alone
def build(flavour):
    """Builds what is out of date; goes on where it was interrupted. Returns
    the Package."""
    p = Package(flavour)
    linux.lay()
    made = made_from(p)
    if stamp.current(p.name, made, p.build) and all(p.files().values()):
        return p
    stamp.clear(p.name)
    p.build.mkdir(parents=True, exist_ok=True)
    (_debian if flavour == "debian" else _small)(p)
    for old in p.top.glob("*.*"):       # packages, .changes, .buildinfo
        if old.is_file():
            old.unlink()
    who = "%s <%s>" % tuple(series._me())
    env = dict(linux._env(), KDEB_PKGVERSION=version(), KBUILD_PKG_ROOTCMD="env",
               KDEB_CHANGELOG_DIST="bookworm", DEBFULLNAME=series._me()[0],
               DEBEMAIL=series._me()[1], EMAIL=who)
    done = sum(1 for _ in p.build.rglob(".*.[oa].cmd"))
    with say.Step(f"build the packages ({flavour})") as step:
        say.run(["make", "-C", linux.WORK, f"O={p.build}",
                 f"-j{os.cpu_count()}", "DPKG_FLAGS=-d", "bindeb-pkg"],
                p.name, step, env=env, progress=say.Lines(
                    linux.OBJECT, max(1, OBJECTS[flavour] - done)),
                hint=f"lab/snp deb{' --small' * (flavour == 'small')}, which "
                "goes on")
    for other in [*p.top.glob("linux-libc-dev_*"), *p.top.glob("*.changes"),
                  *p.top.glob("*.buildinfo")]:
        other.unlink()      # our UAPI for all programs is nobody's wish
    lacking = [k for k, f in p.files().items() if not f]
    if lacking:
        raise say.Failed(f"no package {' '.join(lacking)} in "
                         f"{paths.shown(p.top)}")
    stamp.write(p.name, made)
    return p


def _options(text):
    """{option: value}, with "n" for those that are not set."""
    text = re.sub(r"^# (CONFIG_\w+) is not set$", r"\1=n", text, flags=re.M)
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))


def _small(p):
    """allnoconfig with fragments, each line of which has to hold."""
    want = {}
    for f in SMALL:
        want.update(_options((paths.LAB / "config" / f).read_text()))
    _make(p, "allnoconfig", want)
    _hold(p, want, {})


def _debian(p):
    """Debian's own, with what CHANGED says; nothing else may differ."""
    packed = sources.unpacked("host.config") / \
        "usr/src/linux-config-6.1/config.amd64_none_amd64.xz"
    theirs = _options(lzma.decompress(packed.read_bytes()).decode())
    want = {**theirs, **CHANGED}
    if not (p.build / ".config").exists() or \
            not _same(want, _options((p.build / ".config").read_text())):
        (p.build / ".config").write_text("".join(
            f"CONFIG_{k}={v}\n" for k, v in want.items()))
    _make(p, "olddefconfig", {})
    _hold(p, CHANGED, theirs)


def _same(want, have):
    return all(have.get(k, "n") == v for k, v in want.items()
               if not FOLLOWS.match(k))


def _make(p, target, want):
    argv = ["make", "-C", linux.WORK, f"O={p.build}", target]
    if want:
        merged = p.build / "fragment.config"
        merged.write_text("".join(f"CONFIG_{k}={v}\n"
                                  for k, v in want.items()))
        argv.append(f"KCONFIG_ALLCONFIG={merged}")
    say.run(argv, f"{p.name}-config", env=linux._env())


def _hold(p, want, theirs):
    """Fails unless what was asked for holds, and, of an option of theirs that
    was not, what it was."""
    have = _options((p.build / ".config").read_text())
    lost = [f"{k}={v}" for k, v in want.items() if have.get(k, "n") != v]
    lost += [f"{k}={v}, Debian's" for k, v in theirs.items()
             if k not in want and have.get(k, "n") != v and
             not FOLLOWS.match(k)]
    if lost:
        (p.build / ".config").unlink()
        raise say.Failed("these options did not take: " + " ".join(lost))
