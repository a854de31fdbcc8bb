# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what the lab does in trouble: files that are not what they are said
to be are noticed."""

import contextlib
import hashlib
import pathlib
import subprocess
import tempfile

from lab import identity, say
from lab.cases import Case, CaseFailed


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


CASES = [
    Case("lab.identity", "a host that does not say what QEMU and firmware it "
         "launched, or says another, is not taken for one with the package's; "
         "a package cut short has no digest", identities, order=2),
]
