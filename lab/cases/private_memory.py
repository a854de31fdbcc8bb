# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves private memory on our host kernel, on an ordinary computer without
SNP: by the unmodified selftests of Debian 13's kernel, and by our own."""

import re

from lab import host, linux, machine, selftests
from lab.cases import Case, CaseFailed

# What is asked for, and how: all of it has to pass with nothing skipped.
UPSTREAM = [
    # not guest_memfd_test: it wants every flag refused, and there are two since
    "set_memory_region_test",
    "x86_64/private_mem_kvm_exits_test",
    "pre_fault_memory_test",
    "x86_64/private_mem_conversions_test",
    "x86_64/private_mem_conversions_test -n 2",
    "x86_64/private_mem_conversions_test -n 2 -m 2",
]
# The newest kernel's own: the same, and files that user space maps. Not
# set_memory_region_test: that delivers an event by way of MMIO, too, which KVM
# of 6.1 tries again for ever.
NEWEST = [
    "guest_memfd_test",
    "pre_fault_memory_test",
    "private_mem_kvm_exits_test",
    "private_mem_conversions_test -n 2 -m 2",
]
# Two nodes, without which no test of theirs looks where pages lie.
NODES = ("-object", "memory-backend-ram,id=near,size=2G",
         "-object", "memory-backend-ram,id=far,size=1G",
         "-numa", "node,cpus=0,memdev=near", "-numa", "node,cpus=1,memdev=far")
MISTAKES = "private_mem_mistakes_test"
# Wants a kernel with reverse maps, which private memory does without.
REGIONS = "private_mem_region_test"
WITH_RMAPS = "modprobe -r kvm_amd kvm && modprobe kvm tdp_mmu=0 && " \
    "modprobe kvm_amd"


def on_host(name, commands, files, flavour="", pristine=False, small=False,
            nodes=False):
    """Runs commands on our host, an ordinary computer. Returns what each
    printed with its exit status, after the host proved healthy. flavour: of
    the kernel, a key of linux.FLAVOURS. pristine: the computer is QEMU without
    our changes, not the machine without its secure processor. small: private
    memory in pages of 4K only. nodes: the computer has two, of a CPU each."""
    lines = ["modprobe kvm gmem_huge=0 || exit 9"] * small + \
        ["modprobe kvm_amd || exit 9", "cd /lab"]
    for n, command in enumerate(commands):
        lines += [f"echo; echo '@@ begin {n}'", f"{command} 2>&1",
                  f"echo; echo '@@ end {n}' $?"]
    m = machine.build(pristine)
    more = {"smp": "2,sockets=2", "extra": NODES} if nodes else {}
    h = host.Host(linux.build(flavour), m.binary, snp=False, **more)
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
    return passed(UPSTREAM, seen)


def newest(flavour="", small=False):
    built = selftests.newest()
    files = {t.rpartition("/")[2]: built / t for t in selftests.MEMORY}
    commands = ["grep -c . /sys/devices/system/node/has_memory && "
                "ls -d /sys/devices/system/node/node1",
                *("./" + c for c in NEWEST)]
    files[MISTAKES] = selftests.ours(MISTAKES)
    *seen, (text, _status) = on_host(
        "private-newest", [*commands, f"./{MISTAKES} nodes"], files, flavour,
        small=small, nodes=True)
    return f"{passed(commands, seen)}; of two nodes {ktap(text, 1)}"


def passed(commands, seen):
    """CaseFailed unless each ended well, and skipped nothing."""
    bad = []
    for command, (text, status) in zip(commands, seen):
        skips = re.findall(r"^.*skip.*$", text, re.M | re.I)
        if status or skips:
            last = skips or text.strip().splitlines()[-4:]
            bad += [f"{command}: status {status}"] + ["    " + x for x in last]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(commands)} runs, nothing skipped"


def ktap(text, least):
    """The number of top-level results; CaseFailed unless all are ok."""
    bad = re.findall(r"^\s*not ok.*$|^.*# SKIP.*$", text, re.M)
    good = re.findall(r"^\s*ok \d+.*$", text, re.M)
    if bad or len(good) < least:
        raise CaseFailed("\n".join(bad) or f"{len(good)} results, at least "
                         f"{least} expected:\n{text[-800:]}")
    return len(good)


def mistakes(flavour="", pristine=False, small=False):
    seen = on_host("private-mistakes",
                   [f"./{MISTAKES}", f"{WITH_RMAPS} && ./{REGIONS}"],
                   {t: selftests.ours(t) for t in (MISTAKES, REGIONS)},
                   flavour, pristine, small)
    for _, status in seen:
        if status:
            raise CaseFailed(f"status {status}")
    n = sum(ktap(text, least) for (text, _), least in zip(seen, (17, 1)))
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
    Case("private.newest", "those of the newest kernel pass, too, on a host of "
         "two NUMA nodes: files that user space maps, and whose pages lie where "
         "it said, each, in blocks of 2 MiB, too", newest, order=30),
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
