# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that is not ours and judges our reports: `attest` and `check` of
Debian 13's go-sev-guest, which knows versions 2 to 4, and of sid's, which knows
5, compiled as they are in a Debian 13 root, which goes when they are made."""

import pathlib
import shutil
import subprocess
import tarfile

from lab import apt, lock, needs, paths, say, sources, stamp

TOP = paths.OUT / "go"
ROLE = "verify.go-sev-guest"
SID = "verify.go-sev-guest-sid"
PACKAGE = "golang-github-google-go-sev-guest"
INCLUDE = ["golang-go", f"{PACKAGE}-dev",
           "golang-github-google-go-configfs-tsm-dev"]
IMPORT = "github.com/google/go-sev-guest"
TOOLS = ("attest", "check")
GOCODE = "usr/share/gocode"
# where sid's lies in the root; its dependencies are Debian 13's
NEWER = "root/sid"

BUILD = """
mount -t proc proc "$0/proc" || exit 1
for gopath in /%s /%s/%s:/%s; do
	out=/root/out/${gopath%%%%:*}
	mkdir -p "$0$out"
	for tool in %s; do
		chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root \\
			GOPATH=$gopath GO111MODULE=off CGO_ENABLED=0 \\
			GOCACHE=/root/cache GOTOOLCHAIN=local \\
			go build -o "$out/$tool" %s/tools/$tool || exit 1
	done
done
""" % (GOCODE, NEWER, GOCODE, GOCODE, " ".join(TOOLS), IMPORT)


def tool(name, newer=False):
    """Path of a tool, static, for build machine and guest alike; newer: of
    sid's package."""
    return TOP / ("sid" if newer else "") / name


@lock.alone
def build():
    """Builds the tools if lab/versions asks for another version."""
    row = sources.rows(ROLE)[0]
    key = stamp.digest(row, sources.rows(SID), INCLUDE, BUILD, "1")
    if stamp.current("go-sev-guest", key,
                     *(tool(t, n) for t in TOOLS for n in (False, True))):
        return
    needs.root()
    stamp.clear("go-sev-guest")
    root = TOP / "root"
    shutil.rmtree(root, ignore_errors=True)
    cache = paths.OUT / "host" / "cache"
    for d in (TOP, cache):
        d.mkdir(parents=True, exist_ok=True)
    try:
        _compile(root, cache, row)
    finally:
        # 650 MB that nothing needs again
        shutil.rmtree(root, ignore_errors=True)
    stamp.write("go-sev-guest", key)


def _compile(root, cache, row):
    """The tools, from a Debian 13 root made at root."""
    if not apt.have_lists():
        apt.update()
    with say.Step("install Go and go-sev-guest in a Debian 13 root") as step:
        apt.fetch(["debootstrap", "--variant=minbase", "--arch=amd64",
                   f"--cache-dir={cache}", f"--keyring={apt.KEYRING}",
                   "--include=" + ",".join(INCLUDE), "trixie", root,
                   apt.mirrors()[0]], "go-root", step,
                  progress=say.Lines(say.PACKAGES),
                  hint="check the network; then the same command again")
    have = say.capture(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W",
                        "-f", "${Version}", f"{PACKAGE}-dev"]).strip()
    if have != row.version:
        say.note(f"Debian 13 now has {PACKAGE} {have}, lab/versions says "
                 f"{row.version}; `lab/snp update` records it")
        # debootstrap read newer lists than ours may be
        apt.update()
    (deb,) = sources.debs(SID)
    say.run(["dpkg-deb", "-x", deb, root / NEWER], "go-unpack")
    for top in (GOCODE, f"{NEWER}/{GOCODE}"):
        _missing_data(have, root / top / "src" / IMPORT)
    with say.Step("compile go-sev-guest's tools") as step:
        say.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                 BUILD, root], "go-build", step)
    (TOP / "sid").mkdir(exist_ok=True)
    for t in TOOLS:
        for top, newer in ((GOCODE, False), (f"{NEWER}/{GOCODE}", True)):
            shutil.copy2(root / "root/out" / top / t, tool(t, newer))


def _missing_data(version, where):
    """The -dev packages lack the files their sources embed; they come from
    the source package of Debian 13's version. They are AMD's own roots, which
    no check here goes by, and have the same names in both."""
    with say.Step(f"fetch the source of {PACKAGE} {version}"):
        apt.fetch(["apt-get", "source", "--download-only", "--tar-only",
                   f"{PACKAGE}={version}"], f"fetch-{PACKAGE}", env=apt.env(),
                  cwd=paths.DEBS, hint="lab/snp update")
    upstream = version.rsplit("-", 1)[0]
    found = list(paths.DEBS.glob(f"{PACKAGE}_{upstream}.orig.tar.*"))
    if not found:
        raise say.Failed(f"{PACKAGE} {version} came without its source")
    with tarfile.open(found[0]) as tar:
        for member in tar.getmembers():
            name = pathlib.PurePosixPath(member.name)
            if member.isfile() and name.suffix == ".pem":
                out = where.joinpath(*name.parts[1:])
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_bytes(tar.extractfile(member).read())


def check(blob, ca, expect, newer=False):
    """Has go-sev-guest judge a report with its certificate table. expect:
    options of its `check`. Returns (exit status, its last words)."""
    argv = [tool("check", newer), "-in", "-", "-inform", "bin",
            "-network=false", "-product_key_path", ca]
    for name, value in expect.items():
        argv += [f"-{name}", str(value)]
    r = subprocess.run([str(x) for x in argv], input=blob, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60)
    words = r.stdout.decode(errors="replace").strip().splitlines()
    return r.returncode, words[-1] if words else ""
