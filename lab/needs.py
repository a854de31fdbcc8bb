# SPDX-License-Identifier: GPL-2.0-or-later
"""What a plain Debian 12 has to install before anything is built."""

import os
import shutil
import subprocess

from lab import apt, lock, say

PACKAGES = {
    "fetch and unpack": ["debian-archive-keyring", "dpkg-dev", "patch",
                         "xz-utils", "zstd"],
    "build QEMU": ["build-essential", "ninja-build", "pkg-config",
                   "python3-venv", "libglib2.0-dev", "libpixman-1-dev",
                   "libgnutls28-dev", "nettle-dev", "libgmp-dev", "libattr1-dev",
                   "flex", "bison"],
    "build Linux": ["bc", "cpio", "kmod", "libelf-dev", "libssl-dev",
                    "rsync"],
    "make images": ["debootstrap", "e2fsprogs"],
    "make certificates": ["openssl"],
    "keep history": ["git"],
}


# What only the cases `fuzz.*` of `check --full` use: libFuzzer comes with clang.
FUZZER = ["clang"]
# What only `machine.targets` uses: boards of other targets want it.
TARGETS = ["libfdt-dev"]


def missing(want=None):
    want = want or [p for group in PACKAGES.values() for p in group]
    r = subprocess.run(["dpkg-query", "-W", "-f",
                        "${Package} ${db:Status-Abbrev}\n", *want],
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, check=False)
    here = {line.split()[0] for line in r.stdout.splitlines()
            if line.split()[1:2] == ["ii"]}
    return [p for p in want if p not in here]


def fuzzer():
    install(FUZZER)


@lock.alone
def install(packages=None):
    """Installs what is missing, of these or of what builds need, from the
    machine's own sources."""
    want = missing(packages)
    if not want:
        return
    prefix = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise say.Stop("these packages are missing: " + " ".join(want),
                           "install them as root, or run as root")
        prefix = ["sudo"]
    with say.Step("install " + " ".join(want)) as step:
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
        env.pop("APT_CONFIG", None)
        log, shown = "install", {"progress": say.Lines(say.PACKAGES)}
        argv = ["apt-get", "install", "-y", "--no-install-recommends", *want]
        try:
            say.run(prefix + argv, log, step, env=env, **shown)
        except say.Failed:
            # The lists of a fresh machine may be absent or old.
            apt.fetch(prefix + ["apt-get", "update"], log, step, env=env,
                      **shown, append=True, hint="check /etc/apt/sources.list")
            apt.fetch(prefix + argv, log, step, env=env, **shown, append=True)


def root():
    """Images with owners and device nodes need root."""
    if os.geteuid() != 0:
        raise say.Stop("this builds a root file system and needs root",
                       "run it as root or with sudo")


def openssl():
    if not shutil.which("openssl"):
        raise say.Stop("openssl makes the chip's certificates and is missing",
                       "lab/snp build --install")
