# SPDX-License-Identifier: GPL-2.0-or-later
"""Small configurations in which what the series touches is built with W=1:
with and without what it depends on, by another compiler, for other
architectures.

A warning counts unless Debian's source without the series has it, too. make
says it once, when it builds the object: what a corner said is kept until it is
judged, and objects of one that failed are built again.
"""

import collections
import dataclasses
import json
import os
import re
import shutil

from lab import linux, needs, paths, say, sources, stamp

TOP = paths.OUT / "corner"
X86 = ("arch/x86/coco/", "arch/x86/kernel/", "arch/x86/kvm/", "arch/x86/mm/",
       "arch/x86/virt/", "drivers/crypto/ccp/", "drivers/iommu/", "virt/")

WARNING = re.compile(
    r"^(?:In file included from )?(?P<file>[^\s:]+):(?:\d+:)*\s*(?:fatal )?"
    r"(?P<kind>warning|error): (?P<text>.*)$", re.M)
# What the linker of a module or of vmlinux says, and make itself.
OTHER = re.compile(r"^(?:(?:ERROR|WARNING): modpost: .*|.*ld: .*undefined .*|"
                   r".*: undefined reference to .*|make.*: \*\*\* .*)$", re.M)


@dataclasses.dataclass(frozen=True)
class Corner:
    """set: options over linux.config's, of what it is to hold in the result
    each. tools: packages it needs beside those of all."""
    name: str
    set: dict
    arch: str = "x86"
    make: tuple = ()
    tools: tuple = ()
    targets: tuple = X86
    fragments: bool = True      # linux.config first
    base: str = "allnoconfig"


ALL = [
    Corner("modules", {"KVM_AMD": "m", "AMD_SNP_HOST": "y"}),
    Corner("no-kvm-amd", {"KVM_AMD": "n", "KVM_INTEL": "m",
                          "AMD_SNP_HOST": "n"}),
    Corner("builtin", {"KVM": "y", "KVM_AMD": "y", "CRYPTO_DEV_CCP_DD": "y",
                       "AMD_SNP_HOST": "y", "KVM_SNP_PSC_KUNIT_TEST": "y",
                       "NUMA": "n", "DEBUG_FS": "n", "KEXEC_FILE": "n",
                       "KEXEC": "n", "CRASH_DUMP": "n", "PROC_KCORE": "n",
                       "KUNIT_DEBUGFS": "n", "PROC_VMCORE": "n"}),
    Corner("no-sev", {"KVM_AMD_SEV": "n", "AMD_SNP_HOST": "n"}),
    Corner("no-mem-encrypt", {"AMD_MEM_ENCRYPT": "n", "KVM_AMD_SEV": "y",
                              "AMD_SNP_HOST": "n"}),
    Corner("i386", {"64BIT": "n", "KVM_AMD": "m", "AMD_SNP_HOST": "n"}),
    Corner("clang", {"KVM_AMD": "m", "AMD_SNP_HOST": "y"},
           make=("CC=clang",), tools=("clang",)),
    Corner("arm64", {"VIRTUALIZATION": "y", "KVM": "y"}, "arm64",
           ("CROSS_COMPILE=aarch64-linux-gnu-",), ("gcc-aarch64-linux-gnu",),
           ("arch/arm64/kvm/",), False),
    Corner("s390", {"VIRTUALIZATION": "y", "KVM": "y"}, "s390",
           ("CROSS_COMPILE=s390x-linux-gnu-",), ("gcc-s390x-linux-gnu",),
           ("arch/s390/kvm/",), False),
]

# Of the end of the series only, by hand: a day on two cores, 20 GB of disk.
ALLMOD = Corner("allmodconfig", {"WERROR": "n", "DEBUG_INFO_NONE": "y",
                                 "AMD_SNP_HOST": "y"},
                targets=("vmlinux", "modules"), fragments=False,
                base="allmodconfig")


def get(name):
    return next(c for c in [*ALL, ALLMOD] if c.name == name)


def _fragment(corner):
    want = {}
    if corner.fragments:
        for f in linux.FLAVOURS[""]:
            for key, value in re.findall(r"^CONFIG_(\w+)=(.*)$", (
                    paths.LAB / "config" / f).read_text(), re.M):
                want[key] = value
    want.update(corner.set)
    return "".join(f"CONFIG_{k}={v}\n" for k, v in want.items())


def inputs(corner):
    """What, beside the source, the outcome depends on."""
    return stamp.digest(_fragment(corner), corner.arch, corner.make,
                        corner.targets, corner.base)


def make(corner, src, build):
    """make's command line for a corner."""
    return ["make", "-C", src, f"O={build}", f"-j{os.cpu_count()}",
            f"ARCH={corner.arch}", *corner.make]


def configure(corner, src, build, log):
    """Options that the corner is about, and that this source knows, have to
    hold."""
    build.mkdir(parents=True, exist_ok=True)
    merged = build / "fragment.config"
    merged.write_text(_fragment(corner))
    say.run([*make(corner, src, build), corner.base,
             f"KCONFIG_ALLCONFIG={merged}"], log, env=linux._env(),
            append=True)
    text = (build / ".config").read_text()
    have = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))
    lost = [k for k, v in corner.set.items() if have.get(k, "n") != v]
    lost = [k[7:] for k in linux._known(src, ["CONFIG_" + k for k in lost])]
    if lost:
        raise say.Failed("these options did not take: " +
                         " ".join(f"{k}={corner.set[k]}" for k in lost))


def _inside(file, src):
    """A file's path in the source, as make of another directory names it."""
    file = file.removeprefix(f"{src}/")
    file = re.sub(rf"^(?:\.\./)+(?:.*?\b{re.escape(src.name)}/)?", "", file)
    return os.path.normpath(file)


def compiled(text, src):
    """{header that is warned of: a file that was compiled with it}."""
    out, chain = {}, None
    for line in text.splitlines():
        m = re.match(r"(?:In file included)?\s+from (\S+\.c):", line) or \
            re.match(r"In file included from (\S+\.c):", line)
        chain = m[1] if m else chain
        m = WARNING.match(line)
        if m and m["file"].endswith(".h") and chain:
            out.setdefault(_inside(m["file"], src), _inside(chain, src))
    return out


def warnings(text, src):
    """Counter of (file, text) of what a make said against the source."""
    out = collections.Counter()
    seen = set()
    for m in WARNING.finditer(text):
        if m.group() in seen:       # a header's, once for each that has it
            continue
        seen.add(m.group())
        out[_inside(m["file"], src), f"{m['kind']}: {m['text']}"] += 1
    for m in OTHER.finditer(text):
        out["-", m.group()] += 1
    return out


def _theirs(corner, files, within):
    """What Debian's source says of these files itself. within: as
    compiled()'s."""
    src = linux.unpack()
    row = sources.rows("host.ours")[0]
    note = TOP / f"{corner.name}.pristine.json"
    key = [row.version, inputs(corner)]
    try:
        kept = json.loads(note.read_text())
    except (OSError, ValueError):
        kept = {}
    if kept.get("key") != key:
        kept = {"key": key, "files": {}}
    todo = [f for f in files if f not in kept["files"] and
            (src / f).exists()]
    if todo:
        where, log = TOP / "pristine", f"corner-{corner.name}-pristine"
        shutil.rmtree(where, ignore_errors=True)
        say.log_path(log).unlink(missing_ok=True)
        configure(corner, src, where, log)
        objects = sorted({within.get(f, f)[:-2] + ".o" for f in todo})
        try:
            say.run([*make(corner, src, where), "-k", "W=1", *objects], log,
                    env=linux._env(), append=True)
        except say.Failed:
            pass            # some may be in no object of this configuration
        said = warnings(say.log_path(log).read_text(errors="replace"), src)
        for f in todo:
            kept["files"][f] = [[t, n] for (g, t), n in said.items()
                                if g == f]
        TOP.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(kept, indent=1))
        shutil.rmtree(where)
    return collections.Counter({(f, t): n for f in files
                                for t, n in kept["files"].get(f, [])})


def build(corner, src, where, link=False, of=""):
    """Builds what the series touches of a source, below where/<corner>. link:
    vmlinux and modules, too. of: names what is in the source now. Returns what is
    wrong, a line each."""
    if corner.tools:
        needs.install([*corner.tools])
    out, log = where / corner.name, f"corner-{corner.name}"
    half = where / f"{corner.name}.unjudged"
    key = stamp.digest(inputs(corner), str(src), link, of)
    if not half.exists() or half.read_text() != key:
        say.log_path(log).unlink(missing_ok=True)
        where.mkdir(parents=True, exist_ok=True)
        half.write_text(key)
    targets = [*corner.targets]
    if link and corner.arch == "x86":
        targets += ["vmlinux", "modules"]
    try:
        configure(corner, src, out, log)
        say.run([*make(corner, src, out), "-k", "W=1", *targets], log,
                env=linux._env(), append=True)
        failed = ""
    except say.Failed as e:
        failed = str(e)
    text = say.log_path(log).read_text(errors="replace")
    said = warnings(text, src)
    new = said - _theirs(corner, sorted({f for f, _ in said if f != "-"}),
                         compiled(text, src))
    if any(f != "-" for f, _ in new):       # what make says follows from it
        new = {k: n for k, n in new.items() if k[0] != "-"}
    bad = sorted(f"{corner.name}: {f}: {text}" for f, text in new)
    if failed and not bad:
        bad = [f"{corner.name}: {failed}"]
    if bad:
        shutil.rmtree(out, ignore_errors=True)
    half.unlink()
    return bad
