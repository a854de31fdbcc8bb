# SPDX-License-Identifier: GPL-2.0-or-later
"""Breakage on purpose. lab/breakage/ holds patches to this tree, each of which
removes one check, and each of which a case must notice:

    Breaks: what is removed
    Case: the case that fails then
    Says: a regular expression its failure must match

The case runs on a copy of the tree and of what is built in out/: overlays in
a mount namespace of its own, so that nothing here changes and only what the
patch concerns is built again."""

import collections
import pathlib
import re
import shutil
import subprocess

from lab import needs, paths, say

PATCHES = paths.LAB / "breakage"
TOP = paths.OUT / "break"
CHANGES = 10                    # lines a patch may add and remove, together
# What a build or a case may write below out/, logs aside.
WRITTEN = ("machine", "machine-tests", "linux", "kernel", "selftests", "stamp",
           "guest")
FIELDS = ("Breaks", "Case", "Says")
# What a host says that dies for whatever reason: not what a patch may name.
CRASHES = ("the host died: Kernel panic - not syncing: Fatal exception",
           "the host died: BUG: unable to handle page fault for address: "
           "0000000000000008",
           "the host died: BUG: kernel NULL pointer dereference, address: 0",
           "host: no warning: Oops: 0002 [#1] PREEMPT SMP NOPTI",
           "host: no warning: WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1",
           "the machine ended by signal 11 (Segmentation fault)")

Broken = collections.namedtuple("Broken", "name file breaks case says files")


def read(file):
    """One patch; AssertionError says what is wrong with it."""
    text = file.read_text()
    head, found, diff = text.partition("\n--- a/")
    assert found, f"{file.name} has no diff"
    fields = dict(re.findall(r"^(\w+): (.*)$", head, re.M))
    assert set(fields) == set(FIELDS), f"{file.name}: {sorted(fields)}"
    body = ("--- a/" + diff).splitlines()
    n = sum(x[:1] in ("+", "-") and x[:3] not in ("+++", "---") for x in body)
    assert 0 < n <= CHANGES, f"{file.name}: {n} lines, at most {CHANGES}"
    crash = [x for x in CRASHES if re.search(fields["Says"], x)]
    assert not crash, f"{file.name}: any crash will do: {crash[0]}"
    files = sorted(set(re.findall(r"^\+\+\+ b/(\S+)", "\n".join(body), re.M)))
    return Broken(file.stem, file, *(fields[f] for f in FIELDS), files)


def every():
    return [read(f) for f in sorted(PATCHES.glob("*.patch"))]


def overlay(lower, where):
    """Commands that lay a writable copy over a directory."""
    up = where / str(lower.relative_to(lower.anchor)).replace("/", "-")
    for part in ("up", "work"):
        (up / part).mkdir(parents=True)
    return (f"mount -t overlay lab -o lowerdir={lower},upperdir={up / 'up'},"
            f"workdir={up / 'work'} {lower}")


def run(broken, timeout=3600):
    """Runs the case on the broken tree. Returns (status, its output)."""
    needs.root()
    where = TOP / broken.name
    shutil.rmtree(where, ignore_errors=True)
    (where / "log").mkdir(parents=True)
    tops = {pathlib.PurePath(f).parts[0] for f in broken.files}
    lines = ["set -e", "mount --make-rprivate /"]
    lines += [overlay(paths.ROOT / t, where) for t in sorted(tops)]
    lines += [overlay(paths.OUT / w, where) for w in WRITTEN
              if (paths.OUT / w).is_dir()]
    lines += [f"mount --bind {where / 'log'} {paths.LOG}",
              f"patch -d {paths.ROOT} -p1 -f -s --no-backup-if-mismatch "
              f"-i {broken.file}",
              f"exec {paths.LAB / 'snp'} check {broken.case}"]
    log = say.log_path(f"breakage-{broken.name}")
    try:
        with open(log, "wb") as sink:
            status = subprocess.run(
                ["unshare", "--mount", "bash", "-c", "\n".join(lines)],
                stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, check=False,
                timeout=timeout).returncode
    finally:
        for p in where.iterdir():
            if p.name != "log":
                shutil.rmtree(p, ignore_errors=True)
    return status, log.read_text(errors="replace")


def judge(broken, status, text):
    """The line that says why the case failed; None, and what is wrong."""
    if not re.search(rf"^not ok \d+ {re.escape(broken.case)}$", text, re.M):
        return None, (f"{broken.case} does not fail although broken: "
                      f"{broken.breaks}" if status == 0 else
                      "the case did not run: " + "; ".join(
                          text.strip().splitlines()[-3:]))
    if re.search(r"nothing more after|: timeout, status", text):
        return None, "it fails by time-out"
    m = re.search(f".*{broken.says}.*", text)
    return (m.group().lstrip("# ").strip(), None) if m else \
        (None, f"it fails, and says nothing of '{broken.says}'")
