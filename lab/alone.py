# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's 6.1 with one patch of the series, and no other: of KVM's alone, so
that the kernel itself stays as it is. Built over what is there, by overlays in a
mount namespace, of which the modules are kept."""

import shutil

from lab import breakage, image, kernels, linux, lock, needs, say

TOP = linux.TOP / "alone"

# $1: source, $2: build, $3: patch, $4: where the modules go; the others: what
# lays overlays over the first two.
BUILD = """
set -e
mount --make-rprivate /
for lay in "${@:5}"; do eval "$lay"; done
patch -d "$1" -p1 -f -s --no-backup-if-mismatch -i "$3"
make -C "$1" O="$2" -j$(nproc) modules
cp "$2/arch/x86/kvm/kvm.ko" "$2/arch/x86/kvm/kvm-amd.ko" "$4"
"""


@lock.alone
def build(patch):
    """Returns a kernels.Kernel, good until the next is asked for."""
    needs.root()
    kernel = linux.build(pristine=True)
    b = linux.Build(pristine=True)
    made = TOP / "made"
    shutil.rmtree(TOP, ignore_errors=True)
    made.mkdir(parents=True)
    with say.Step(f"build KVM with {patch} alone", quiet=5) as step:
        say.run(["unshare", "--mount", "bash", "-c", BUILD, "bash", b.src,
                 b.build, linux.SERIES / patch, made,
                 *(breakage.overlay(x, TOP) for x in (b.src, b.build))],
                f"linux-alone-{patch[:4]}", step, env=linux._env())
    for p in TOP.iterdir():
        if p != made:
            shutil.rmtree(p)
    shutil.copytree(b.root, TOP / "root", symlinks=True)
    for module in made.iterdir():
        [old] = (TOP / "root").rglob(module.name)
        say.run(["strip", "--strip-debug", "-o", old, module], "linux-alone")
    return kernels.Kernel(f"alone-{patch[:4]}", kernel.vmlinuz,
                          image.Modules(TOP / "root"), kernel.version)
