# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Debian packages are used: lab/versions, read, fetched, moved on.

lab/versions has one row a package: role, deb or src, family of suites,
package, version, sha256 (of the .deb or the .dsc). Builds take exactly these
while the archive has them; when it has not, the newest of the same family is
taken instead, and said so: a new upload must not stop anybody.
"""

import collections
import json
import re

from lab import apt, lock, paths, say, stamp

FILE = paths.LAB / "versions"
FALLBACK = paths.OUT / "versions.fallback"

Row = collections.namedtuple("Row", "role kind family package version sha256")

# role -> (kind, family, package). "kernel": what a linux-image-* metapackage
# stands for; from 6.19 on a binary and a modules package. "deb": a package or
# more, of one source.
ROLES = {
    "machine.qemu": ("src", "trixie", "qemu"),
    "machine.next": ("src", "sid", "qemu"),
    "machine.newest": ("src", "trixie-backports", "qemu"),
    "machine.meson": ("deb", "trixie", "meson"),
    "machine.seabios": ("deb", "trixie", "seabios"),
    "machine.data": ("deb", "trixie", "qemu-system-data"),
    "machine.roms": ("deb", "trixie", "ipxe-qemu"),
    "host.debian-13": ("kernel", "trixie", "linux-image-amd64"),
    "host.debian-backports": ("kernel", "trixie-backports",
                              "linux-image-amd64"),
    "host.ours": ("deb", "bookworm", "linux-source-6.1"),
    "host.config": ("deb", "bookworm", "linux-config-6.1"),
    "installed.qemu": ("deb", "bookworm-backports", "qemu-system-x86"),
    "host.qemu": ("deb", "trixie", "qemu-system-x86"),
    "host.ovmf": ("deb", "trixie", "ovmf"),
    "host.qemu-backports": ("deb", "trixie-backports",
                            "qemu-system-x86 qemu-system-data"),
    "host.ovmf-sid": ("deb", "sid", "ovmf-generic"),
    "host.snphost": ("deb", "sid", "snphost"),
    "guest.kernel": ("kernel", "trixie", "linux-image-cloud-amd64"),
    "guest.debian-12": ("kernel", "bookworm", "linux-image-cloud-amd64"),
    "guest.grub": ("deb", "trixie", "grub-efi-amd64-signed"),
    "guest.busybox": ("deb", "trixie", "busybox-static"),
    "verify.go-sev-guest": ("deb", "trixie",
                            "golang-github-google-go-sev-guest-dev"),
    "verify.go-sev-guest-sid": ("deb", "sid",
                                "golang-github-google-go-sev-guest-dev"),
    "tests.debian-13": ("deb", "trixie", "linux-source-6.12"),
    "tests.debian-backports": ("source-of", "trixie-backports",
                               "linux-image-amd64"),
}


# What debootstrap installs, which takes the suite alone: never the newer
# version of its security, which would not be what the image holds.
MAIN = ("host.qemu", "host.ovmf")


def recorded():
    rows = collections.defaultdict(list)
    for line in FILE.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            row = Row(*line.split())
            rows[row.role].append(row)
    return rows


def _fallbacks():
    try:
        return json.loads(FALLBACK.read_text())
    except (OSError, ValueError):
        return {}


def rows(role):
    """The packages of a role as they are to be used now."""
    want = recorded().get(role)
    if not want:
        raise say.Stop(f"lab/versions has no row for {role}",
                       "lab/snp update")
    kept = _fallbacks().get(role)
    if kept and kept["instead_of"] == [list(r) for r in want]:
        return [Row(*r) for r in kept["rows"]]
    return want


def deb_name(row):
    version = row.version.replace(":", "%3a")
    return f"{row.package}_{version}"


def _cached(row):
    for path in paths.DEBS.glob(f"{glob_safe(deb_name(row))}_*.deb"):
        if not row.sha256 or stamp.file_digest(path) == row.sha256:
            return path
    return None


def glob_safe(name):
    return re.sub(r"([\[\]*?])", r"[\1]", name)


def _available(row):
    if row.kind == "src":
        return apt.show_source(row.package, row.version) is not None
    if row.role in MAIN and row.version not in apt.versions_of(
            row.package, row.family, main=True):
        return False
    fields = apt.show(row.package, row.version)
    return fields is not None and fields.get("SHA256") == row.sha256


@lock.alone
def usable(role):
    """rows(), after making sure the archive has them; falls back if not."""
    want = rows(role)
    if not apt.have_lists():
        apt.update()
    if all(map(_available, want)):
        return want
    apt.update()
    if all(map(_available, want)):
        return want
    found = newest(role)
    for old, new in zip(want, found):
        say.note(f"{old.package} {old.version} is no longer in Debian's "
                 f"archive; taking {new.package} {new.version}. "
                 "`lab/snp update` records it in lab/versions")
    keep = _fallbacks()
    keep[role] = {"instead_of": [list(r) for r in recorded()[role]],
                  "rows": [list(r) for r in found]}
    paths.OUT.mkdir(parents=True, exist_ok=True)
    FALLBACK.write_text(json.dumps(keep, indent=1))
    return found


def debs(role):
    """Paths of the role's .debs, fetched if they are not yet here."""
    here = [_cached(r) for r in rows(role)]
    return here if all(here) else _fetch(role)


@lock.alone
def _fetch(role):
    out = []
    for row in usable(role):
        path = _cached(row)
        if not path:
            apt.download(row.package, row.version, paths.DEBS)
            path = _cached(row)
        if not path:
            raise say.Failed(f"{row.package} {row.version} was fetched but "
                             "does not have the recorded sha256")
        out.append(path)
    return out


def _names(role):
    return ",".join(f"{r.package}={r.version}={r.sha256}" for r in rows(role))


def unpacked(role):
    """Directory with the role's .debs unpacked into it, one beside another."""
    where = paths.UNPACKED / role
    if stamp.current(f"unpacked.{role}", _names(role), where):
        return where
    return _unpack(role, where)


@lock.alone
def _unpack(role, where):
    files = debs(role)
    name = _names(role)
    if stamp.current(f"unpacked.{role}", name, where):
        return where            # made by whom this waited for
    stamp.clear(f"unpacked.{role}")
    with say.Step(f"unpack {role}") as step:
        apt.unpack(files[0], where, step)
        for extra in files[1:]:
            say.run(["dpkg-deb", "-x", extra, where], f"unpack-{role}",
                    step)
    stamp.write(f"unpacked.{role}", name)
    return where


@lock.alone
def dsc(role):
    """Path of the role's .dsc, all its parts beside it."""
    def cached():
        row = rows(role)[0]
        plain = re.sub(r"^\d+:", "", row.version)
        path = paths.DEBS / f"{row.package}_{plain}.dsc"
        good = path.exists() and stamp.file_digest(path) == row.sha256
        return path if good else None
    if not cached():
        row = usable(role)[0]
        if not cached():
            apt.source(row.package, row.version, paths.DEBS)
    path = cached()
    if not path:
        raise say.Failed(f"the source of {role} does not have the recorded "
                         "sha256")
    return path


def newest(role):
    """The rows of a role from the newest the archive's lists hold."""
    kind, family, packages = ROLES[role]
    package = packages.split()[0]
    found = apt.versions_of(package, family, kind == "src",
                            role in MAIN)
    if not found:
        raise say.Failed(f"{package} is in none of {apt.FAMILIES[family]}")
    version = found[0]
    if kind == "src":
        digest = apt.dsc_digest(apt.show_source(package, version))
        return [Row(role, "src", family, package, version, digest)]
    names = [(p, version) for p in packages.split()]
    if kind == "kernel":
        names = _kernel(package, version)
    elif kind == "source-of":
        series = re.match(r"\d+\.\d+", version).group()
        names = [(f"linux-source-{series}", version)]
    return [Row(role, "deb", family, n, v, apt.show(n, v)["SHA256"])
            for n, v in names]


def _kernel(package, version):
    deps = _exact(apt.show(package, version)["Depends"])
    image = [d for d in deps if re.match(r"linux-image-\d", d[0])]
    if not image:
        raise say.Failed(f"{package} {version} names no kernel package")
    inner = _exact(apt.show(*image[0]).get("Depends", ""))
    split = [d for d in inner
             if re.match(r"linux-(binary|modules)-\d", d[0])]
    return split or image[:1]


def _exact(depends):
    return re.findall(r"([a-z0-9.+~-]+) \(= ([^)]+)\)", depends)


def update():
    """Writes lab/versions anew from the newest of every family."""
    apt.update()
    old = recorded() if FILE.exists() else {}
    lines = ["# Every Debian package in use. role, deb or src, family of "
             "suites,\n# package, version, sha256 of the .deb or .dsc. "
             "Written by `lab/snp update`.\n"]
    for role in ROLES:
        fresh = newest(role)
        for row in fresh:
            lines.append("\t".join(row) + "\n")
        if fresh != old.get(role, []):
            for row in fresh:
                print(f"{role}: {row.package} {row.version}")
    tmp = FILE.with_suffix(".tmp")
    tmp.write_text("".join(lines))
    tmp.replace(FILE)
    FALLBACK.unlink(missing_ok=True)
