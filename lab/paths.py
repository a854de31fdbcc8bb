# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAB = ROOT / "lab"
OUT = pathlib.Path(os.environ.get("SNP_OUT") or ROOT / "out").resolve()
LOG = OUT / "log"
APT = OUT / "apt"
DEBS = OUT / "debs"
UNPACKED = OUT / "unpacked"
RUNS = OUT / "run"
STAMPS = OUT / "stamp"


def shown(path):
    """A path as a reader wants it: relative to where he stands, if below."""
    path = pathlib.Path(path)
    try:
        return str(path.resolve().relative_to(pathlib.Path.cwd()))
    except ValueError:
        return str(path)
