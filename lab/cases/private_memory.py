# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves private memory on our host kernel, on an ordinary computer without
SNP: by the unmodified selftests of Debian 13's kernel, and by our own."""

import re

from lab import host, linux, machine, selftests
from lab.cases import Case, CaseFailed

# What is asked for, and how: all of it has to pass with nothing skipped.
UPSTREAM = [
    "guest_memfd_test",
    "set_memory_region_test",
    "x86_64/private_mem_kvm_exits_test",
    "pre_fault_memory_test",
    "x86_64/private_mem_conversions_test",
    "x86_64/private_mem_conversions_test -n 2",
    "x86_64/private_mem_conversions_test -n 2 -m 2",
]
MISTAKES = "private_mem_mistakes_test"


def on_host(name, commands, files, flavour="", pristine=False, small=False):
    """Runs commands on our host, an ordinary computer. Returns what each
    printed with its exit status, after the host proved healthy. flavour: of
    the kernel, a key of linux.FLAVOURS. pristine: the computer is QEMU without
    our changes, not the machine without its secure processor. small: private
    memory in pages of 4K only."""
    lines = ["modprobe kvm gmem_huge=0 || exit 9"] * small + \
        ["modprobe kvm_amd || exit 9", "cd /lab"]
    for n, command in enumerate(commands):
        lines += [f"echo; echo '@@ begin {n}'", f"{command} 2>&1",
                  f"echo; echo '@@ end {n}' $?"]
    m = machine.build(pristine)
    h = host.Host(linux.build(flavour), m.binary, snp=False)
    r = h.run(name + flavour + "-unpatched" * pristine + "-small" * small,
              "\n".join(lines) + "\n", files,
              timeout=3000 if flavour else 600)
    if not r.ok():
        raise CaseFailed("\n".join(r.failure()))
    if r.bad_lines():
        raise CaseFailed("\n".join(r.bad_lines()))
    out = []
    for n in range(len(commands)):
        m = re.search(rf"^@@ begin {n}\n(.*?)\n@@ end {n} (\d+)$", r.control,
                      re.M | re.S)
        if not m:
            raise CaseFailed(f"{commands[n]} left no result")
        out.append((m[1], int(m[2])))
    return out


def upstream(flavour="", pristine=False, small=False):
    built = selftests.build("tests.debian-13")
    names = sorted({c.split()[0] for c in UPSTREAM})
    lost = [n for n in names if not (built / n).exists()]
    if lost:
        raise CaseFailed("not built: " + " ".join(lost))
    seen = on_host("private-upstream", ["./" + c for c in UPSTREAM],
                   {n: built / n for n in names}, flavour, pristine, small)
    bad = []
    for command, (text, status) in zip(UPSTREAM, seen):
        skips = re.findall(r"^.*skip.*$", text, re.M | re.I)
        if status or skips:
            last = skips or text.strip().splitlines()[-4:]
            bad += [f"{command}: status {status}"] + ["    " + x for x in last]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(UPSTREAM)} runs, nothing skipped"


def ktap(text, least):
    """The number of top-level results; CaseFailed unless all are ok."""
    bad = re.findall(r"^\s*not ok.*$|^.*# SKIP.*$", text, re.M)
    good = re.findall(r"^\s*ok \d+.*$", text, re.M)
    if bad or len(good) < least:
        raise CaseFailed("\n".join(bad) or f"{len(good)} results, at least "
                         f"{least} expected:\n{text[-800:]}")
    return len(good)


def mistakes(flavour="", pristine=False, small=False):
    binary = selftests.ours(MISTAKES)
    [(text, status)] = on_host("private-mistakes", [f"./{MISTAKES}"],
                               {MISTAKES: binary}, flavour, pristine, small)
    n = ktap(text, 17)
    if status:
        raise CaseFailed(f"status {status}")
    return f"{n} cases"


def unpatched():
    """Private memory needs nothing of the machine."""
    return "\n".join([upstream(pristine=True), mistakes(pristine=True)])


def small():
    """The same in pages of 4K only."""
    return "\n".join([upstream(small=True), mistakes(small=True)])


CASES = [
    Case("private.upstream", "the unmodified selftests of 6.12 for private "
         "memory pass on our kernel, nothing skipped", upstream, order=30),
    Case("private.mistakes", "what private memory invites to get wrong is not "
         "wrong here", mistakes, order=30),
    Case("private.small", "the same tests pass with kvm.gmem_huge=0", small,
         order=30),
    Case("private.unpatched", "the same tests pass on QEMU without our changes: "
         "private memory needs nothing of the machine", unpatched, full=True,
         order=53, inputs=("linux",)),
] + [
    Case(f"{name}.debug", "the same on a kernel that checks itself "
         "(KASAN, lockdep, sleeping while atomic), without a splat",
         lambda run=run: run("debug"), full=True, order=56)
    for name, run in (("private.upstream", upstream),
                      ("private.mistakes", mistakes))
]
