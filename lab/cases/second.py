# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a second run begins at once: with everything built, getting
ready for it builds nothing, fetches nothing, and asks no network."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from lab import linux, machine, needs, paths, run
from lab.cases import Case, CaseFailed

# What a run is made from, below out/. Ninja notes the start of each build.
PRODUCTS = ("apt", "debs", "guest", "host/root.ext4", "host/packages",
            "kernel", "linux/ours", "linux/ours.root", "machine/snp/build",
            "stamp")
NOTES = {"machine/snp/build/.ninja_log", "machine/snp/build/.ninja_deps"}

READY = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from lab import run
run.stage(run.Request()).tmp.cleanup()
"""


def _files():
    """What identifies each file of the products, by its path below out/."""
    out = {}
    for product in PRODUCTS:
        top = paths.OUT / product
        found = [top] if top.is_file() else [
            pathlib.Path(here) / name
            for here, _, names in os.walk(top) for name in names]
        for p in found:
            st = p.lstat()
            out[str(p.relative_to(paths.OUT))] = (st.st_ino, st.st_size,
                                                  st.st_mtime_ns)
    # the selftests are no part of a run, and a check beside may build them
    return {k: v for k, v in out.items() if "stamp/selftests." not in k}


def _changes_count():
    """A kernel is made anew if a patch, a file or an option changes."""
    b = linux.Build()
    before, keep = linux._made_from(b), linux.SERIES
    with tempfile.TemporaryDirectory() as tmp:
        linux.SERIES = pathlib.Path(tmp) / "patches"
        try:
            shutil.copytree(keep, linux.SERIES)
            if linux._made_from(b) != before:
                raise CaseFailed("the same patches elsewhere are others")
            with open(linux.SERIES / "series", "a") as series:
                series.write("9999-x.patch\n")
            if linux._made_from(b) == before:
                raise CaseFailed("one more patch is no change")
        finally:
            linux.SERIES = keep
    bz = b.build / "arch/x86/boot/bzImage"
    away = bz.with_name("bzImage.away")
    bz.rename(away)
    try:
        if linux.current(b, before):
            raise CaseFailed("a lost kernel is not noticed")
    finally:
        away.rename(bz)
    if not linux.current(b, before):
        raise CaseFailed("a kernel that was just built is not known")


def ready():
    needs.root()
    run.stage(run.Request()).tmp.cleanup()
    before = _files()
    if not machine.Machine().binary.is_file() or len(before) < 1000:
        raise CaseFailed(f"only {len(before)} files are known")
    r = subprocess.run(["unshare", "--net", sys.executable, "-c", READY,
                        paths.ROOT], stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       check=False)
    if r.returncode:
        raise CaseFailed("without a network it does not get ready:\n" +
                         r.stdout[-1500:])
    after = _files()
    changed = sorted(p for p in {*before, *after} - NOTES
                     if before.get(p) != after.get(p))
    if changed:
        raise CaseFailed(f"{len(changed)} files were made again: " +
                         " ".join(changed[:8]))
    _changes_count()
    return f"{len(before)} files, none made again"


CASES = [
    Case("lab.second", "getting ready for a second run builds nothing, and "
         "needs no network", ready, order=49, alone=True),
]
