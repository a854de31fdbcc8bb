# SPDX-License-Identifier: GPL-2.0-or-later
"""Does every prefix of the host series build, in each corner of lab/corners.py,
and boot? One working tree is taken from commit to commit, so that make sees what
changed; what was built is remembered by the hashes of what it was made from, so
that a patch that changes documents alone costs nothing."""

import os
import subprocess

from lab import (corners, host, image, kernels, linux, lock, machine, paths,
                 say, series, sources, stamp)

TOP = paths.OUT / "prefix"
SRC, DONE = TOP / "src", TOP / "built"
# What of a tree no object of a corner is made from.
APART = ("Documentation", "tools", "samples", "arch", "drivers")
BOOTS = "modules"       # the corner that is booted


def _checkout(commit):
    if not (SRC / ".git").exists():
        subprocess.run(["git", "-C", series.GIT, "worktree", "prune"],
                       check=False)
        series._git("worktree", "add", "-q", "-f", "--detach", SRC, commit)
    r = subprocess.run(["git", "-C", SRC, "checkout", "-q", "-f", "--detach",
                        commit], check=False, text=True,
                       stderr=subprocess.PIPE)
    if r.returncode:
        raise say.Failed(f"git checkout: {r.stderr.strip()}")


def _made_from(commit, corner):
    """Hashes of what of a commit's tree a corner's objects are made from."""
    lines = series._git("ls-tree", commit).splitlines()
    own = [f"{commit}:arch/{corner.arch}"]
    if corner.arch == "x86":
        own.append(f"{commit}:drivers")
    return [x for x in lines if x.split("\t")[1] not in APART] + \
        series._git("rev-parse", *own).split()


def commits():
    """[(commit, subject)] of the series, in order."""
    series.make()
    base = f"base-{sources.rows('host.ours')[0].version}"
    log = series._git("log", "--reverse", "--format=%H %s",
                      f"{base}..{series.BRANCH}")
    return [tuple(line.split(" ", 1)) for line in log.splitlines()]


def _todo(names, boot):
    """[(commit, subject, corner or None, key)]: None is the boot."""
    out = []
    for commit, subject in commits():
        for c in corners.ALL:
            if names and c.name not in names:
                continue
            made = _made_from(commit, c)
            out.append((commit, subject, c,
                        stamp.digest(made, corners.inputs(c))))
            if c.name == BOOTS and boot:
                out.append((commit, subject, None, stamp.digest(
                    "boot", made, corners.inputs(c))))
    return out


def build(names=None, boot=True):
    """Builds what is not built yet; names: of corners, all if none. boot: and
    boots it. Returns [(subject, what is wrong, a line each)] of all."""
    TOP.mkdir(parents=True, exist_ok=True)
    done = set(DONE.read_text().split()) if DONE.exists() else set()
    todo, out = _todo(names, boot), []
    with say.Step("build each prefix of the series") as step:
        for n, (commit, subject, corner, key) in enumerate(todo):
            what = corner.name if corner else "boot"
            step.tick(n / len(todo), f"{what}: {subject[:40]}")
            if key in done:
                out.append((subject, []))
                continue
            with lock.building():
                _checkout(commit)
                wrong = corners.build(corner, SRC, TOP, of=key) if corner \
                    else _boot()
            out.append((subject, wrong))
            if not wrong:
                done.add(key)
                DONE.write_text("\n".join(sorted(done)) + "\n")
    return out


def _boot():
    """What is wrong with the kernel of this tree, on the machine."""
    corner = corners.get(BOOTS)
    make = corners.make(corner, SRC, TOP / corner.name)
    root = TOP / "root"
    try:
        say.run([*make, "bzImage", "modules"], "prefix-boot",
                env=linux._env())
        subprocess.run(["rm", "-rf", root], check=True)
        say.run([*make, "modules_install", f"INSTALL_MOD_PATH={root}",
                 "INSTALL_MOD_STRIP=1"], "prefix-boot", env=linux._env(),
                append=True)
    except say.Failed as e:
        return [f"boot: {e}"]
    for name in ("build", "source"):
        for link in root.glob(f"lib/modules/*/{name}"):
            os.unlink(link)
    k = kernels.Kernel("prefix", TOP / corner.name / "arch/x86/boot/bzImage",
                       image.Modules(root), "of a prefix")
    r = host.Host(k, machine.Machine().binary, smp=2, thread="single").run(
        "prefix", "modprobe kvm_amd && ls /dev/kvm && modprobe -r kvm_amd",
        {}, 300)
    bad = r.bad_lines()
    return [] if r.ok() and not bad else \
        [f"boot: {x}" for x in [*r.failure(), *bad]]
