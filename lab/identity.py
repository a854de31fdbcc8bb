# SPDX-License-Identifier: GPL-2.0-or-later
"""Is a file what its Debian package holds? The .deb's own digest is that of
lab/versions; the file's is taken from inside the .deb."""

import hashlib
import json
import subprocess

from lab import paths, sources, stamp

CACHE = paths.OUT / "identity.json"


def packaged(role, inside):
    """sha256 of a file as the role's packages hold it, or None."""
    for row, deb in zip(sources.rows(role), sources.debs(role)):
        key = f"{stamp.file_digest(deb)} {inside}"
        if row.sha256 and not key.startswith(row.sha256):
            continue
        try:
            cache = json.loads(CACHE.read_text())
        except (OSError, ValueError):
            cache = {}
        if key not in cache:
            cache[key] = _extract(deb, inside)
            CACHE.write_text(json.dumps(cache, indent=1))
        if cache[key]:
            return cache[key]
    return None


def _extract(deb, inside):
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                          stdout=subprocess.PIPE) as tar:
        with subprocess.Popen(["tar", "-xOf", "-", f"./{inside}"],
                              stdin=tar.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as out:
            h, size = hashlib.sha256(), 0
            for block in iter(lambda: out.stdout.read(1 << 20), b""):
                h.update(block)
                size += len(block)
        tar.stdout.close()
    return h.hexdigest() if size else None


def of(role, file, inside):
    """What a run says of one file: name, version, digest, and whether the
    package has the same."""
    digest = stamp.file_digest(file)
    row = sources.rows(role)[0]
    return {"name": row.package, "version": row.version, "sha256": digest,
            "as_packaged": digest == packaged(role, inside)}
