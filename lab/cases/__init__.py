# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases. Each file here says what it proves; a case is a function that
raises CaseFailed, or Skip, or returns."""

import dataclasses
import importlib
import pathlib
import pkgutil
import re
from typing import Any, Callable

from lab import paths


class CaseFailed(Exception):
    """What did not hold, in one or more lines."""


class Skip(Exception):
    """Cannot be run here yet; says why. Never counts as passed."""


@dataclasses.dataclass(frozen=True)
class Case:
    name: str           # words joined by dots
    proves: str         # one sentence
    run: Callable
    full: bool = False  # only in `check --full`
    order: int = 50     # fast ones first
    alone: bool = False     # no other case may run beside it
    inputs: tuple = ("machine", "linux")    # see record.PARTS
    source: Any = None  # the file the case stands in


def all_cases():
    out = []
    for module in pkgutil.iter_modules(__path__):
        m = importlib.import_module(f"lab.cases.{module.name}")
        out += [dataclasses.replace(c, source=pathlib.Path(m.__file__))
                for c in m.CASES]
    names = [c.name for c in out]
    twice = {n for n in names if names.count(n) > 1}
    assert not twice, f"cases of the same name: {twice}"
    return sorted(out, key=lambda c: (c.order, c.name))


def promised(text=None):
    """The cases SPECIFICATION.md, or text, says enforce a promise: a list of
    (name, is it marked as one of `check --full` only)."""
    if text is None:
        text = (paths.ROOT / "SPECIFICATION.md").read_text()
    out = []
    for line in text.splitlines():
        m = re.match(r"\| *[A-Z]+\d+ *\|.*\|([^|]*)\| *$", line)
        if m:
            out += [(name, bool(full)) for name, full in
                    re.findall(r"`([^`]+)`( \(full\))?", m.group(1))]
    return out


def show():
    for c in all_cases():
        print(f"{c.name:34} {c.proves}" + (" [full]" if c.full else ""))
