# SPDX-License-Identifier: GPL-2.0-or-later
"""Does the series fit another source of Linux 6.1? Which hooks do not apply any
more, and which apply only where patch has to guess."""

import collections
import pathlib
import re
import shutil

from lab import apt, linux, paths, say, sources, tree

TOP = paths.OUT / "rebase"
FAMILY = "bookworm-proposed"

# how: "gone": it does not apply; "guessed": with lines of its context changed.
Hook = collections.namedtuple("Hook", "patch file where how")


class Trial(tree.Tree):
    """Notes each hunk that is not where, and as, the patch has it."""

    def __init__(self, source, work):
        super().__init__(source, work, linux.overlay(), linux.SERIES)
        self.hooks = []

    def said(self, name, touched, output, status):
        found = list(_hooks(name, self.patches / name, output))
        self.hooks += found
        if status and not any(h.how == "gone" for h in found):
            self.hooks.append(Hook(name, ", ".join(touched), "",
                                   "gone: " + " ".join(output.split())[:200]))
        return super().said(name, touched, output, status)


def _hunks(patch):
    """{file: [what each hunk says of its place]} of a patch."""
    out, file = collections.defaultdict(list), None
    for line in pathlib.Path(patch).read_text(errors="replace").splitlines():
        m = re.match(r"\+\+\+ b/(\S+)", line) or \
            re.match(r"--- a/(\S+)", line)
        if m:
            file = m[1]
        elif line.startswith("@@ ") and file:
            out[file].append(re.sub(r"^@@ -(\d+)\S* \S+ @@ ?", r"line \1 ",
                                    line).strip())
    return out


def _hooks(name, patch, output):
    hunks, file = _hunks(patch), None
    for line in output.splitlines():
        m = re.match(r"(?:patching file '?|\|\+\+\+ b/)([^\s']+)", line)
        if m:
            file = m[1]
        m = re.match(r"Hunk #(\d+) (FAILED|ignored|succeeded .*with fuzz)",
                     line)
        if m:
            where = hunks.get(file, [])
            n = int(m[1])
            yield Hook(name, file, where[n - 1] if n <= len(where) else
                       f"hunk {n}", "guessed" if m[2].startswith("succ")
                       else "gone")
        m = re.match(r"(\d+) out of \d+ hunks? ignored", line)
        if m:       # none of them was tried: the file is not there
            for where in hunks.get(file, []):
                yield Hook(name, file, where, "gone")


def version_of(source):
    """What a source's Makefile says it is; Stop if it is no Linux 6.1."""
    make = pathlib.Path(source) / "Makefile"
    text = make.read_text(errors="replace") if make.is_file() else ""
    part = [re.search(rf"^{k} = (\d+)$", text, re.M)
            for k in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    if not all(part):
        raise say.Stop(f"{source} is no source of Linux",
                       "give the directory with its Makefile")
    found = ".".join(m[1] for m in part)
    if not found.startswith("6.1."):
        raise say.Stop(f"{source} is Linux {found}", "the series is for 6.1")
    return found


def offered():
    """The newest version of the source package that Debian's archive has."""
    apt.update()
    found = apt.versions_of("linux-source-6.1", FAMILY)
    if not found:
        raise say.Failed("the archive has no linux-source-6.1")
    return found[0]


def fetched(version):
    """Directory with that version's source."""
    where = TOP / version
    if (where / "Makefile").exists():
        return where
    fields = apt.show("linux-source-6.1", version)
    if not fields:
        raise say.Stop(f"the archive has no linux-source-6.1 {version}",
                       "leave out the version")
    shutil.rmtree(TOP, ignore_errors=True)
    apt.download("linux-source-6.1", version, TOP / "deb")
    deb = next((TOP / "deb").glob("*.deb"))
    apt.unpack(deb, TOP / "package")
    tar = next((TOP / "package").glob("usr/src/linux-source-*.tar.xz"))
    half = TOP / "half"
    half.mkdir()
    with say.Step(f"unpack Linux {version}") as step:
        say.run(["tar", "-xf", tar, "-C", half, "--strip-components=1"],
                "unpack-rebase", step)
    for name in ("deb", "package"):
        shutil.rmtree(TOP / name)
    half.rename(where)
    return where


def hooks(source):
    """(hooks that do not stand there as they are, files that the series hooks
    and that differ from what it was made for)."""
    TOP.mkdir(parents=True, exist_ok=True)
    trial = Trial(source, TOP / "none")
    trial.misfits()
    base = linux.unpack()
    touched = {f for name in trial.series()
               for f in tree.touched_by(linux.SERIES / name)}
    differ = [f for f in sorted(touched) if (base / f).exists() and (
        not (source / f).exists() or
        (source / f).read_bytes() != (base / f).read_bytes())]
    return trial.hooks, differ


def made_for():
    return sources.rows("host.ours")[0].version
