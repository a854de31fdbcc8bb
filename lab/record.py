# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cases passed, and from what they were made: an interrupted `check --full`
goes on where it was, a change runs again what it concerns."""

import functools
import json
import re

from lab import paths, stamp

FILE = paths.OUT / "check-full.json"
BESIDE = re.compile(r"^from lab\.cases(?:\.(\w+))? import (\([^)]*\)|.*)", re.M)

# What a case can depend on; lab/ itself, less the other cases, always counts.
PARTS = {
    "machine": ("machine",),
    "linux": ("arch", "drivers", "include", "virt", "tools", "patches",
              "lab/config"),
}


@functools.lru_cache(maxsize=None)
def _part(name):
    return stamp.digest(*(paths.ROOT / p for p in PARTS[name]))


@functools.lru_cache(maxsize=None)
def _lab():
    files = [p for p in sorted(paths.LAB.rglob("*"))
             if p.is_file() and "__pycache__" not in p.parts and
             p.relative_to(paths.LAB).parts[0] not in ("cases", "config",
                                                       "README.md")]
    return stamp.digest([str(p.relative_to(paths.LAB)) for p in files], *files)


def sources(file):
    """The file that a case stands in, and those beside it that it takes
    functions from, as do these."""
    found, todo = set(), [file]
    while todo:
        file = todo.pop()
        if file in found or not file.is_file():
            continue
        found.add(file)
        for module, names in BESIDE.findall(file.read_text()):
            todo += [file.with_name(name + ".py")
                     for name in [module] * bool(module) or
                     re.findall(r"\w+", names)]
    return sorted(found)


def inputs(case):
    """One digest of all the case's outcome can depend on."""
    return stamp.digest(_lab(), *sources(case.source),
                        *(_part(p) for p in case.inputs))


class Record:
    def __init__(self, file=FILE):
        self.file = file
        self._read()

    def _read(self):
        try:
            self.passed = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self.passed = {}

    def has(self, case):
        """What is recorded of a case that passed with these inputs."""
        entry = self.passed.get(case.name)
        return entry if entry and entry["inputs"] == inputs(case) else None

    def note(self, case, seconds, text):
        self._read()            # others write to it, too
        self.passed[case.name] = {"inputs": inputs(case), "text": text,
                                  "seconds": round(seconds, 1)}
        self._write()

    def forget(self, case):
        self._read()
        if self.passed.pop(case.name, None):
            self._write()

    def _write(self):
        tmp = self.file.with_suffix(".tmp")
        tmp.write_text(json.dumps(self.passed, indent=1) + "\n")
        tmp.replace(self.file)
