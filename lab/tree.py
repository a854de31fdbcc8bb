# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian source with our files laid over it and our hooks patched in.

The pristine source is unpacked once and never written to. The working tree is
a copy that is brought up to date file by file: a file is written only if its
content changes, so that an incremental build sees exactly what changed.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess

from lab import paths, say


class Tree:
    """pristine: unpacked source. work: the tree to build. overlay: list of
    (directory, path inside the source). patches: directory with `series`."""

    def __init__(self, pristine, work, overlay, patches):
        self.pristine = pathlib.Path(pristine)
        self.work = pathlib.Path(work)
        self.overlay = overlay
        self.patches = pathlib.Path(patches) if patches else None
        self.manifest = self.work.with_name(self.work.name + ".ours.json")
        self.stage = self.work.with_name(self.work.name + ".stage")

    def series(self):
        return series(self.patches) if self.patches else []

    def sync(self):
        """Brings the working tree up to date; returns the changed paths.
        Nothing in it is touched unless every patch applies."""
        with self._staged() as (ours, bad):
            if bad:
                raise say.Failed("the source package does not take these "
                                 "hooks; nothing was built:\n" +
                                 "\n".join("    " + b for b in bad))
            return self._update(ours)

    def misfits(self):
        """The hooks that the source does not take: a line each, patch, file,
        how many hunks. The working tree is not touched."""
        with self._staged() as (_, bad):
            return bad

    @contextlib.contextmanager
    def _staged(self):
        """Our files and what patches touch, patched, as they are to be, in a
        directory of its own meanwhile: (their paths, misfits)."""
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir(parents=True)
        try:
            ours = self._lay_overlay()
            more, bad = self._apply_patches()
            yield ours | more, bad
        finally:
            shutil.rmtree(self.stage, ignore_errors=True)

    def _lay_overlay(self):
        ours = set()
        for top, inside in self.overlay:
            top = pathlib.Path(top)
            for here, dirs, files in os.walk(top):
                dirs[:] = sorted(d for d in dirs if d != "__pycache__")
                for name in files:
                    src = pathlib.Path(here) / name
                    rel = pathlib.Path(inside) / src.relative_to(top)
                    if (self.pristine / rel).exists():
                        raise say.Failed(
                            f"{paths.shown(src)} would replace a file of the "
                            "source package; change that by a patch")
                    dst = self.stage / rel
                    dst.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(src, dst)
                    ours.add(str(rel))
        return ours

    def _apply_patches(self):
        ours, bad = set(), []
        for name in self.series():
            patch = self.patches / name
            touched = touched_by(patch)
            if not touched and re.search(r"^Adds: ", patch.read_text(), re.M):
                continue        # a message, for new files only
            for rel in touched:
                dst = self.stage / rel
                if not dst.exists() and (self.pristine / rel).exists():
                    dst.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(self.pristine / rel, dst)
            r = subprocess.run(
                ["patch", "-p1", "-f", "--no-backup-if-mismatch",
                 "-r", "-", "-i", patch], cwd=self.stage, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            bad += self.said(name, touched, r.stdout, r.returncode)
            ours |= set(touched)
        return ours, bad

    def said(self, name, touched, output, status):
        """What is wrong, by patch's output and exit status, a line each."""
        return _rejects(name, touched, output) if status else []

    def _update(self, ours):
        if not self.work.exists():
            tmp = self.work.with_name(self.work.name + ".tmp")
            shutil.rmtree(tmp, ignore_errors=True)
            shutil.copytree(self.pristine, tmp, symlinks=True)
            tmp.rename(self.work)
            self.manifest.unlink(missing_ok=True)
        try:
            before = set(json.loads(self.manifest.read_text()))
        except (OSError, ValueError):
            before = set()
        # written first: what is about to be touched is known even if cut short
        self._note(ours | before)
        changed = []
        for rel in sorted(ours | before):
            new, old = self.stage / rel, self.work / rel
            if not new.exists() and rel not in ours:
                new = self.pristine / rel
            if not new.exists():
                if old.exists():
                    old.unlink()
                    changed.append(rel)
            elif not old.exists() or old.read_bytes() != new.read_bytes():
                old.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(new, old)
                shutil.copymode(new, old)
                changed.append(rel)
        self._note(ours)
        return changed

    def _note(self, ours):
        """Whole or not at all: what it forgets would stay in the tree."""
        tmp = self.manifest.with_suffix(".tmp")
        tmp.write_text(json.dumps(sorted(ours)))
        tmp.replace(self.manifest)


def series(patches):
    """Names of the patches in a directory, in the order of its `series`."""
    file, names = pathlib.Path(patches) / "series", []
    if not file.exists():
        return names
    for line in file.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            names.append(line)
    for name in names:
        if not (file.parent / name).is_file():
            raise say.Failed(f"{paths.shown(file)} names {name}, which is not "
                             "there")
    return names


def touched_by(patch):
    """Files a patch writes, in its order."""
    out = []
    text = pathlib.Path(patch).read_text(errors="replace")
    for line in re.findall(r"^(?:\+\+\+|---) (?:a|b)/(\S+)", text, re.M):
        if line not in out:
            out.append(line)
    return out


def _rejects(name, touched, output):
    lines, file = [], None
    for text in output.splitlines():
        m = re.match(r"(?:patching file '?|\|\+\+\+ b/)([^\s']+)", text)
        if m:
            file = m.group(1)
        m = re.search(r"(\d+ out of \d+ hunks?) (FAILED|ignored)", text)
        if m:
            lines.append(f"{name}: {file}: {m.group(1)} do not apply")
    if not lines:
        what = " ".join(output.split())[:200]
        lines.append(f"{name}: {', '.join(touched)}: {what}")
    return lines
