# SPDX-License-Identifier: GPL-2.0-or-later
"""Does every prefix of the host series build? One working tree is taken from
commit to commit, so that make sees what changed; a tree that was built is
remembered by its git hash, with the configuration."""

import os
import subprocess

from lab import linux, paths, say, series, stamp

TOP = paths.OUT / "prefix"
SRC, BUILD, DONE = TOP / "src", TOP / "build", TOP / "built"
TARGETS = ("arch/x86/", "drivers/crypto/ccp/", "drivers/iommu/", "virt/")


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


def build():
    """Builds what is not built yet. Returns [(subject, None or what make
    said)] of all."""
    series.make()
    fragments = [paths.LAB / "config" / f for f in linux.FLAVOURS[""]]
    TOP.mkdir(parents=True, exist_ok=True)
    BUILD.mkdir(exist_ok=True)
    done = set(DONE.read_text().split()) if DONE.exists() else set()
    log = series._git("log", "--reverse", "--format=%H %T %s",
                      f"base-{series.sources.rows('host.ours')[0].version}.."
                      f"{series.BRANCH}")
    todo = [line.split(" ", 2) for line in log.splitlines()]
    out = []
    with say.Step(f"build {len(todo)} prefixes of the series") as step:
        for n, (commit, tree, subject) in enumerate(todo):
            step.tick(n / len(todo), subject[:40])
            key = stamp.digest(tree, *fragments, TARGETS)
            if key in done:
                out.append((subject, None))
                continue
            wrong = _one(commit, fragments)
            out.append((subject, wrong))
            if not wrong:
                done.add(key)
                DONE.write_text("\n".join(sorted(done)) + "\n")
    return out


def _one(commit, fragments):
    """What make said of the tree of a commit; None if it built."""
    _checkout(commit)
    merged = TOP / "fragment.config"
    merged.write_text("".join(f.read_text() for f in fragments))
    make = ["make", "-C", SRC, f"O={BUILD}", f"-j{os.cpu_count()}"]
    name = "prefix"
    try:
        say.run([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={merged}"], name,
                env=linux._env())
        say.run([*make, *TARGETS], name, env=linux._env(), append=True)
    except say.Failed:
        text = say.log_path(name).read_text(errors="replace")
        lines = [x for x in text.splitlines() if "error" in x.lower()]
        return "\n".join(lines[:3] or text.splitlines()[-3:])
    return None
