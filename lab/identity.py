# SPDX-License-Identifier: GPL-2.0-or-later
"""Is a file what its Debian package holds? The .deb's own digest is that of
lab/versions; the file's is taken from inside the .deb."""

import hashlib
import json
import os
import subprocess
import tarfile

from lab import paths, say, sources, stamp

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
            tmp = CACHE.with_suffix(f".{os.getpid()}")
            tmp.write_text(json.dumps(cache, indent=1))
            tmp.replace(CACHE)
        if cache[key]:
            return cache[key]
    return None


def _extract(deb, inside):
    """None: the package has no such file. Failed: it cannot be read to its
    end, so that nothing is known."""
    found = None
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        try:
            with tarfile.open(fileobj=child.stdout, mode="r|") as tar:
                for member in tar:
                    if member.name == f"./{inside}" and member.isfile():
                        found = hashlib.file_digest(tar.extractfile(member),
                                                    "sha256").hexdigest()
            why = ""
        except tarfile.TarError as e:
            why = str(e)
        # what follows the archive's end, else the child ends by SIGPIPE
        while child.stdout.read(1 << 20):
            pass
        why = child.stderr.read().decode("utf-8", "replace").strip() or why
    if child.returncode or why:
        raise say.Failed(f"{deb.name} cannot be read: "
                         f"{why or f'status {child.returncode}'}")
    return found


def of(role, file, inside):
    """What a run says of one file: name, version, digest, and whether the
    package has the same."""
    digest = stamp.file_digest(file)
    row = sources.rows(role)[0]
    return {"name": row.package, "version": row.version, "sha256": digest,
            "as_packaged": digest == packaged(role, inside)}


def in_host(said, role, package, version, inside):
    """The same of a file in the host image. said: what the host itself says
    of its digest, in the words of sha256sum; nothing, if it says nothing."""
    digest = (said.split() or [None])[0]
    return {"name": package, "version": version, "sha256": digest,
            "as_packaged": bool(digest) and digest == packaged(role, inside)}


def named(said, shown, file):
    """The same of a file that the user named. shown: how he named it."""
    digest = (said.split() or [None])[0]
    return {"name": str(shown), "version": "unknown", "sha256": digest,
            "as_named": bool(digest) and digest == stamp.file_digest(file)}


def checks(ids, launched=True):
    """(name, holds, seen) of all that can be compared. launched: the host got
    as far as to say what it launches; else what it did not say is left out."""
    out = []
    for name, one in ids.items():
        for key, what in (("as_packaged", "as in its package"),
                          ("as_named", "the one that was named")):
            if key in one and (launched or one["sha256"]):
                out.append((f"identity: {name} {what}", one[key],
                            f"{one['name']} {one['version']}" +
                            ", and the host says no digest" *
                            (not one["sha256"])))
    return out
