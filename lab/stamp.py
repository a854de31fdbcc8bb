# SPDX-License-Identifier: GPL-2.0-or-later
"""What was built from what.

A stamp is written only after its product is complete; it holds a digest of
everything the product was made from. A product without its stamp, or with
another one, is made again: an interrupted build is never trusted.
"""

import hashlib
import os
import pathlib

from lab import paths


def digest(*inputs):
    """One digest of strings, files and trees (by content and mode)."""
    h = hashlib.sha256()
    for item in inputs:
        if isinstance(item, pathlib.Path):
            if item.is_dir():
                for top, dirs, files in os.walk(item):
                    dirs.sort()
                    dirs[:] = [d for d in dirs if d != "__pycache__"]
                    for name in sorted(files):
                        p = pathlib.Path(top) / name
                        h.update(str(p.relative_to(item)).encode() + b"\0")
                        h.update(file_digest(p).encode())
                        h.update(oct(p.stat().st_mode & 0o111).encode())
            elif item.exists():
                h.update(item.name.encode() + b"\0")
                h.update(file_digest(item).encode())
            else:
                h.update(b"absent\0" + item.name.encode())
        else:
            h.update(repr(item).encode())
        h.update(b"\0\0")
    return h.hexdigest()


def file_digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _file(name):
    return paths.STAMPS / name


def current(name, value, *products):
    try:
        return (_file(name).read_text() == value and
                all(pathlib.Path(p).exists() for p in products))
    except OSError:
        return False


def clear(name):
    _file(name).unlink(missing_ok=True)


def write(name, value):
    paths.STAMPS.mkdir(parents=True, exist_ok=True)
    tmp = _file(name).with_suffix(".tmp")
    tmp.write_text(value)
    tmp.replace(_file(name))
