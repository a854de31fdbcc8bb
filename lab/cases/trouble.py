# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what the lab does in trouble: files that are not what they are said
to be are noticed, hooks that do not fit before anything is built."""

import argparse
import concurrent.futures
import contextlib
import errno
import hashlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from lab import (apt, build, cli, do_check, do_update, hostimage, identity,
                 image, linux, lock, machine, needs, paths, run, say,
                 sources)
from lab.cases import Case, CaseFailed, lab_self


@contextlib.contextmanager
def instead(module, **values):
    """Other values of a module's names, for a while."""
    keep = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in keep.items():
            setattr(module, name, value)


def _deb(top, content):
    """A package that holds usr/bin/x, and something after it."""
    tree = top / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\n"
        "Description: x\n")
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/x").write_bytes(content)
    (tree / "usr/bin/y").write_bytes(content[::-1])
    subprocess.run(["dpkg-deb", "-b", tree, top / "x.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    return top / "x.deb"


def _read(deb):
    try:
        return identity._extract(deb, "usr/bin/x")
    except say.Failed as e:
        return str(e)


def _packages(top):
    """What is read of a package, whole and cut short."""
    content = b"".join(hashlib.sha256(bytes([n])).digest() * 256
                       for n in range(256))
    right = hashlib.sha256(content).hexdigest()
    deb = _deb(top, content)
    bad = []
    if _read(deb) != right or identity._extract(deb, "usr/bin/z") is not None:
        bad.append("a whole package is not read as it is")
    whole = deb.read_bytes()
    for cut in (len(whole) - 64, len(whole) * 2 // 3, 200):
        deb.write_bytes(whole[:cut])
        if "cannot be read" not in (_read(deb) or ""):
            bad.append(f"{cut} of {len(whole)} bytes of a package: "
                       f"{_read(deb)}")
    # a child that ends well, although the archive does not
    tar = subprocess.run(["tar", "-cf", "-", "-C", top / "tree", "./usr"],
                         check=True, stdout=subprocess.PIPE).stdout
    (top / "short").write_bytes(tar[:len(content) // 2])
    (top / "dpkg-deb").write_text(f"#!/bin/sh\nexec cat {top / 'short'}\n")
    (top / "dpkg-deb").chmod(0o755)
    popen = subprocess.Popen
    with instead(subprocess, Popen=lambda argv, **kw: popen(
            [top / argv[0], *argv[1:]], **kw)):
        if "cannot be read" not in (_read(deb) or ""):
            bad.append(f"half of a file: {_read(deb)}")
    return bad


def identities():
    """A digest that is missing, another one, one of no package."""
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp)
        bad += _packages(top)
        right, other = "ab" * 32, "ac" * 32
        file = top / "file"
        file.write_bytes(b"x")
        mine = identity.stamp.file_digest(file)
        for said, packaged, held in (
                (f"{right}  -", right, True), (f"{other}  -", right, False),
                ("", right, False), ("", None, False), (right, None, False)):
            with instead(identity, packaged=lambda *_, p=packaged: p):
                one = identity.in_host(said, "r", "qemu", "1", "usr/bin/x")
            got = identity.checks({"QEMU": one})
            if [ok for _, ok, _ in got] != [held]:
                bad.append(f"the host says '{said}', its package holds "
                           f"{packaged}: {got}")
            if bool(identity.checks({"QEMU": one}, False)) != bool(said):
                bad.append(f"without a launch, '{said}'")
        for said, held in ((mine, True), (right, False), ("", False)):
            got = identity.checks({"QEMU": identity.named(said, "q", file)})
            if [ok for _, ok, _ in got] != [held]:
                bad.append(f"a file of the user's, the host says '{said}': "
                           f"{got}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return "14 of what may be said"


def before_builds():
    """A hook that does not fit stops everything that builds before it does
    so, whichever source does not take it."""
    def built(*_, **__):
        raise AssertionError("something was built or run")

    asks = {"run": lambda: run.stage(run.Request(host="ours")),
            "build": lambda: build.parts(["machine", "linux", "host",
                                          "guest"]),
            "check": lambda: do_check.do(argparse.Namespace(
                case=[], full=False, again=False, jobs=1))}
    bad = []
    for which in ("machine", "linux"):
        with tempfile.TemporaryDirectory() as tmp, \
                contextlib.ExitStack() as stack:
            top = pathlib.Path(tmp)
            for part in ("machine", "linux"):
                lab_self._tree(top / part, lab_self.PATCH.replace(
                    "-two", "-deux" if part == which else "-two"))
            for module, values in (
                    (paths, {"STAMPS": top / "stamp"}),
                    (build, {"prepare": lambda: None, "memory": lambda _: None}),
                    (lock, {"building": contextlib.nullcontext}),
                    (machine, {"TOP": top / "machine", "overlay": list,
                               "SERIES": top / "machine/patches",
                               "unpack": lambda: top / "machine/pristine"}),
                    (linux, {"PRISTINE": top / "linux/pristine",
                             "WORK": top / "linux/work", "overlay": list,
                             "SERIES": top / "linux/patches",
                             "unpack": lambda: None}),
                    (say, {"run": built}), (say, {"capture": built}),
                    (hostimage, {"build": built}),
                    (machine.sources, {"unpacked": built}),
                    (do_check, {"choose": lambda *_: [
                        Case("x", "", built)]})):
                stack.enter_context(instead(module, **values))
            for name, ask in asks.items():
                try:
                    ask()
                    bad.append(f"{name}, {which}: it goes on")
                except say.Failed as e:
                    if "0001-x.patch: a/x.c: 1 out of 1 hunk" not in str(e):
                        bad.append(f"{name}, {which}: {e}")
                except AssertionError as e:
                    bad.append(f"{name}, {which}: {e}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{2 * len(asks)} ways"


# Runs one step of a build through the command line's own ends. Its archive
# is one that no network has; all it writes is below SNP_OUT.
STEP = """
import os, pathlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from lab import apt, cli, do_update, hostimage, needs, paths
ARCHIVE = "http://archive.invalid/debian"
apt.mirrors = lambda: (ARCHIVE, ARCHIVE + "-security")
with open(apt.configure(), "a") as conf:
    conf.write('Acquire::Retries "0";\\n')     # each waits for a while
(paths.APT / "sources.list").write_text("".join(
    f"{kind} [trusted=yes] {ARCHIVE} trixie main\\n"
    for kind in ("deb", "deb-src")))
LISTS = paths.APT / "lists" / "archive.invalid_debian_dists_trixie_main_"
X = "Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\n"
FILES = {
    "binary-amd64_Packages": X + "Filename: pool/x.deb\\nSize: 9\\nSHA256: " +
    "0" * 64 + "\\nDescription: x\\n",
    "source_Sources": X + "Binary: x\\nDirectory: pool\\n"
    "Format: 3.0 (native)\\nChecksums-Sha256:\\n " + "0" * 64 +
    " 9 x_1.dsc\\n " + "1" * 64 + " 9 x_1.tar.xz\\n"}
for name, text in FILES.items():
    pathlib.Path(str(LISTS) + name).write_text(text + "\\n")

def install():
    # the system's own apt, but with this archive and nothing installed
    shim = paths.OUT / "bin"
    shim.mkdir()
    (shim / "apt-get").write_text(
        f"#!/bin/sh\\nAPT_CONFIG={paths.APT}/apt.conf exec "
        '/usr/bin/apt-get "$@"\\n')
    (shim / "apt-get").chmod(0o755)
    os.environ["PATH"] = f"{shim}:{os.environ['PATH']}"
    needs.missing = lambda *_: ["x"]
    needs.install()

do_update.do = lambda args: {
    "install": install, "update": apt.update, "image": hostimage.build,
    "download": lambda: apt.download("x", "1", paths.DEBS),
    "source": lambda: apt.source("x", "1", paths.DEBS)}[sys.argv[2]]()
sys.exit(cli.main(["update"]))
"""
NETWORK = ("install", "update", "image", "download", "source")


def _apart(tmp, argv, steps, more=()):
    """[(step, how it ended)] of all steps at once, each with an out/ of its
    own."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(zip(steps, pool.map(lambda step: subprocess.run(
            [*argv, step, *more], text=True, check=False, timeout=300,
            env=dict(os.environ, SNP_OUT=f"{tmp}/{step}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE), steps)))


def no_network():
    needs.root()
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        done = _apart(tmp, ["unshare", "--net", sys.executable, "-c", STEP,
                            paths.ROOT], NETWORK)
    for step, r in done:
        lines = [x for x in r.stderr.splitlines()
                 if not re.search(r" (\.\.\.|FAILED \d+:\d\d)$", x)]
        if (r.returncode != 2 or len(lines) != 1 or
                not lines[0].startswith("lab/snp: Debian's archive cannot be "
                                        "reached (") or
                "archive.invalid" not in lines[0] or
                "check the network" not in lines[0]):
            bad.append(f"{step}: status {r.returncode}: {r.stderr[-400:]}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(NETWORK)} steps"


# Steps on a disk of 1 MiB, which `room 64` makes larger, through the command
# line's own ends. argv: where lab/ is, the step, a package, its file's digest.
FULL = """
import os, pathlib, subprocess, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from lab import apt, cli, do_update, paths, say, stamp, tree
step, deb, right = sys.argv[2:]
out = paths.OUT
out.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lab", out],
               check=True)

def room(size):
    for p in out.glob("filler"):
        p.unlink()
    subprocess.run(["mount", "-o", f"remount,size={size}m", out], check=True)

def fill():
    with open(out / "filler", "wb", buffering=0) as f:
        try:
            while f.write(bytes(4096)):
                pass
        except OSError:
            pass

def unpack():
    apt.unpack(deb, out / "x")

def child():                    # says nothing, as a log on that disk would
    say.run(["sh", "-c", f"cat /dev/zero > {out}/filler 2>&-; exit 1"], "x")

def other():                    # fails with room enough
    room(64)
    say.run(["sh", "-c", "echo why; exit 1"], "x")

def mark():
    fill()
    stamp.write("x", "y" * 9000)

def forget():
    try:
        t.sync()
    finally:
        room(64)
        t.overlay.clear()
        t.sync()

if step == "forget":
    for name in ("pristine", "ours", "work"):
        (out / name).mkdir()
    for n in range(400):
        (out / f"ours/{'n' * 200}{n}").touch()
    t = tree.Tree(out / "pristine", out / "work", [(out / "ours", "")], None)
    room(64)
    t.sync()
    room(1)
    for n in range(40):
        (out / f"ours/{'m' * 200}{n}").touch()
    fill()
do_update.do = lambda args: globals()[step]()
status = cli.main(["build", "--install"] if step == "prepare" else ["update"])
room(64)
for p in (out / "x", out / "stamp/x"):
    assert not p.exists(), p
assert step != "forget" or not any((out / "work").iterdir())
if step == "unpack":
    unpack()
    assert stamp.file_digest(out / "x/usr/bin/x") == right
sys.exit(status)
"""
FULL_ENDS = {"unpack": (2, "the disk is full; free some space"),
             "child": (2, "the disk is full; free some space"),
             "mark": (2, "the disk is full; free some space"),
             "forget": (2, "the disk is full; free some space"),
             "other": (1, "sh failed"),
             "prepare": (2, "0 GiB free below")}


def full_disk():
    needs.root()
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        deb = _deb(pathlib.Path(tmp), os.urandom(1 << 20))
        right = identity._extract(deb, "usr/bin/x")
        done = _apart(tmp, ["unshare", "--mount", sys.executable, "-c", FULL,
                            paths.ROOT], FULL_ENDS, [deb, right])
        for step, r in done:
            status, text = FULL_ENDS[step]
            lines = r.stderr.splitlines()
            if r.returncode != status or not lines or not lines[0].startswith(
                    f"lab/snp: {text}") or status == 2 and len(lines) != 1:
                bad.append(f"{step}: status {r.returncode}: "
                           f"{r.stderr[-400:]}")
    for number in (errno.EACCES, errno.ENOENT, errno.EDQUOT, errno.EIO):
        def fails(_, number=number):
            raise OSError(number, "why", "where")
        told = io.StringIO()
        with instead(do_update, do=fails), contextlib.redirect_stderr(told):
            status = cli.main(["update"])
        if status != 2 or told.getvalue().count("\n") != 1 or not re.match(
                r"lab/snp: (why: where|the disk is full); \w+",
                told.getvalue()):
            bad.append(f"{errno.errorcode[number]}: status {status}: "
                       f"{told.getvalue()}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(FULL_ENDS)} steps, 4 errors of the system's"


def options():
    """Each option of each part, and what the help says of it."""
    parts = next(a for a in cli.parser()._actions
                 if isinstance(a, argparse._SubParsersAction)).choices
    bad, number = [], 0
    for name, part in parts.items():
        for action in part._actions:
            number += 1
            if not action.help or action.help == argparse.SUPPRESS:
                bad.append(f"lab/snp {name}: nothing is said of "
                           f"{action.option_strings or action.dest}")
        part.format_help()
    if set(parts) != set(cli.PARTS) or number < 50:
        bad.append(f"{len(parts)} parts, {number} options")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{number} options"


MADISON = """\
 {0} | 2 | http://x/debian-security trixie-security/main amd64 Packages
 {0} | 1 | http://x/debian trixie/main amd64 Packages
"""


def host_versions():
    """QEMU and OVMF of the host image are its suite's, whatever security has
    on top and lab/versions recorded, and the image is built for them once."""
    bad = []
    for recorded in ("0", "1", "2"):
        installed, told = [], io.StringIO()

        def capture(argv, **_):
            if argv[0] == "apt-cache":
                return MADISON.format(argv[2])
            return "qemu-system-x86 1\novmf 1\n"

        with tempfile.TemporaryDirectory() as tmp, \
                contextlib.ExitStack() as stack:
            top = pathlib.Path(tmp)
            rows = {role: [sources.Row(role, *sources.ROLES[role][:2],
                                       sources.ROLES[role][2], recorded, "s")]
                    for role in sources.ROLES}
            for module, values in (
                    (paths, {"STAMPS": top / "stamp"}),
                    (sources, {"recorded": lambda rows=rows: rows,
                               "FALLBACK": top / "fallback"}),
                    (apt, {"have_lists": lambda: True, "update": lambda: None,
                           "env": dict, "mirrors": lambda: ("x", "x"),
                           "show": lambda *_: {"SHA256": "s"},
                           "fetch": lambda *_, **__: installed.append(1)}),
                    (say, {"capture": capture}),
                    (image, {"ext4": lambda _, file, __: file.touch()}),
                    (hostimage, {"TOP": top, "ROOT": top / "root",
                                 "IMAGE": top / "image",
                                 "LIST": top / "list"})):
                stack.enter_context(instead(module, **values))
            stack.enter_context(contextlib.redirect_stderr(told))
            for _ in range(2):
                hostimage.build()
            have = [r.version for role in sources.MAIN
                    for r in sources.rows(role)]
            other = sources.newest("guest.busybox")[0].version
        if have != ["1", "1"] or len(installed) != 1 or other != "2":
            bad.append(f"recorded {recorded}: {have}, installed "
                       f"{len(installed)} times, others {other}")
        if ("lab/snp update" in told.getvalue()) != (recorded != "1"):
            bad.append(f"recorded {recorded}: {told.getvalue()}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return "3 versions"


class Shown(say.Step):
    """A step that notes what it would draw."""

    def __init__(self):
        super().__init__("x", io.StringIO())
        self.seen = []

    def tick(self, fraction=None, detail=None):
        super().tick(fraction, detail)
        self.seen.append((self.fraction, self.detail))


def _shown(top, script, **kwargs):
    """What a step shows while a child says this."""
    with instead(paths, LOG=top, OUT=top), Shown() as step:
        say.run(["sh", "-c", script], "x", step, **kwargs)
    return step.seen


def progress():
    """make's, ninja's and debootstrap's lines, as they are drawn."""
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp)
        # half a line must count once, when it is whole
        make = ("echo '  CC      a/b.o'; echo '  CC [M]  c.o'; "
                "echo 'make: Entering'; printf '  AR      d'; sleep 1.3; "
                "echo '.a'; echo '  LD [M]  c.ko'; sleep 1.3")
        seen = _shown(top, make, progress=say.Lines(linux.OBJECT, 4))
        if (0.5, "2 of about 4") not in seen or \
                seen[-1] != (0.75, "3 of about 4"):
            bad.append(f"make: {seen}")
        seen = _shown(top, make, progress=say.Lines(linux.OBJECT, 2))
        if seen[-1] != (0.99, "3 of about 2"):
            bad.append(f"more than there should be: {seen}")
        seen = _shown(top, "echo 'I: Unpacking x...'; echo y; sleep 1.2",
                      progress=say.Lines(say.PACKAGES))
        if seen[-1] != (None, "I: Unpacking x..."):
            bad.append(f"debootstrap: {seen}")
        seen = _shown(top, "echo '[3/4] x'; sleep 1.3")
        if seen[-1] != (0.75, "3/4"):
            bad.append(f"ninja: {seen}")
        # from nothing, gone on with, changed
        with instead(linux, TOP=top):
            b = linux.Build()
            b.build.mkdir()
            todo = [linux._to_make(b)]
            for name in (".a.o.cmd", ".built-in.a.cmd", ".x.ko.cmd"):
                (b.build / name).touch()
            todo.append(linux._to_make(b))
            (b.build / "vmlinux").touch()
            todo.append(linux._to_make(b))
        if todo != [linux.OBJECTS, linux.OBJECTS - 2, None]:
            bad.append(f"objects to make: {todo}")
    # each step that builds, fetches or unpacks is handed on to what it runs
    for file in ("apt", "hostimage", "linux", "machine", "needs", "sources"):
        text = (paths.LAB / f"{file}.py").read_text()
        for m in re.finditer(r"with say\.Step\([^\n]*(?<! as step):\n"
                             r"\s+(?:say\.run|apt\.\w+|fetch)\(", text):
            bad.append(f"{file}.py: no progress: {m.group()}")
    if bad:
        raise CaseFailed("\n".join(bad))
    return "4 kinds of log"


CASES = [
    Case("lab.progress", "a long step shows how far it is: of Linux's build, "
         "of ninja's, of what debootstrap and apt install", progress,
         order=2),
    Case("lab.versions.host", "QEMU and OVMF of the host image are the "
         "suite's, as debootstrap takes them, whatever its security has",
         host_versions, order=2),
    Case("lab.options", "--help says something of each option of each part",
         options, order=2),
    Case("lab.disk-full", "with the disk full a step ends with one line that "
         "says so and what to do, and status 2; nothing half-made is trusted "
         "then", full_disk, order=3),
    Case("lab.network", "without a network each step that fetches ends with "
         "one line that says so, and status 2", no_network, order=3),
    Case("lab.hooks.first", "a hook that either source does not take is "
         "reported before anything is built, by run, build and check",
         before_builds, order=2),
    Case("lab.identity", "a host that does not say what QEMU and firmware it "
         "launched, or says another, is not taken for one with the package's; "
         "a package cut short has no digest", identities, order=2),
]
