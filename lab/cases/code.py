# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine generates the same code whether an RMP is active or
not, and, as an ordinary computer, the code that QEMU without our changes does:
a stock kernel boots on each, and what TCG's optimizer leaves of each block of
its text is compared, from which the back end makes code."""

import collections
import difflib
import re

from lab import host, kernels, machine, paths
from lab.cases import Case, CaseFailed

# Of the kernel's text without KASLR: entry, exceptions, memory, locks, timers.
TEXT, LENGTH = 0xffffffff81000000, 0x400000
LEAST = 10000           # blocks of either that make a comparison

SEPARATOR = "-" * 16 + "\nIN: "
HEAD = re.compile(r"(?:.*\n)?(0x[0-9a-f]+): *\n((?:OBJD-T: \w+\n)+)\n"
                  r"OP after .*\n")
# TCG says so when it begins a block anew, anywhere in the log.
AGAIN = re.compile(r"Restarting code generation[^\n]*?(?:pages|overflow)")
# What is of a process and not of its code: addresses of its own memory.
POINTER = re.compile(r"\$0x(?:7[0-9a-f]|5[56])[0-9a-f]{10}\b")
# A discarded value has no register; what is noted of it was never written.
UNWRITTEN = re.compile(r"^( discard \S+) .*$", re.M)
# What is noted of each instruction, for who has to find out where it was: the
# machine adds its length. It makes no code.
LENGTH_NOTED = re.compile(r"^( ---- \w+ \w+) \w+$", re.M)
# The end of a block that begins with EFLAGS.RF set: which block an exception
# returns to is chance.
RESUMED = "$0xfffffffffffeffff"

# Instructions with another helper: RDTSCP has an intercept of its own, WBINVD is
# noted for firmware that asks whether it was done.
REPAIRED = re.compile(r"^ call (?:wbinvd|rdtscp?),.*\n", re.M)


def blocks(text):
    """{(address, bytes): the ops of each translation of it}. A block has
    several if the CPU's mode was not the same each time."""
    out = collections.defaultdict(set)
    for part in AGAIN.sub("", text).split(SEPARATOR)[1:]:
        head = HEAD.match(part)
        if not head:
            raise CaseFailed(f"not a block of TCG's log: {part[:200]!r}")
        ops = part[head.end():].rstrip()
        if RESUMED not in ops:
            for what, by in ((POINTER, "$POINTER"), (UNWRITTEN, r"\1"),
                             (LENGTH_NOTED, r"\1")):
                ops = what.sub(by, ops)
            out[head[1], head[2]].add(ops)
    return out


def booted(name, binary, snp):
    """What is generated while Debian 13's host boots."""
    log = paths.LOG / f"{name}.ops"
    log.unlink(missing_ok=True)
    h = host.Host(kernels.get("debian-13"), binary, smp=1, thread="single",
                  snp=snp, extra=["-d", "in_asm,op_opt", "-D", str(log),
                                  "-dfilter", f"{TEXT:#x}+{LENGTH:#x}"])
    try:
        r = h.run(name, "modprobe kvm_amd\n", cmdline="nokaslr", timeout=600)
        if not r.ok():
            raise CaseFailed("\n".join(r.failure()))
        if ("SEV-SNP enabled" in r.console) != snp:
            raise CaseFailed(f"SNP is {'not ' * snp}on")
        return blocks(log.read_text(errors="replace"))
    finally:
        log.unlink(missing_ok=True)     # 100 MB and more


def unlike(one, other):
    """(how many blocks both translate, those of which they have nothing in
    common). A mode that only one of them met has no fellow."""
    both = one.keys() & other.keys()
    return len(both), sorted(b for b in both if not one[b] & other[b])


def judge(one, other, repaired=False):
    """repaired: an instruction may have another helper."""
    count, bad = unlike(one, other)
    theirs = [b for b in bad if repaired and
              {REPAIRED.sub("", x) for x in one[b]} &
              {REPAIRED.sub("", x) for x in other[b]}]
    bad = [b for b in bad if b not in theirs]
    if bad:
        first = bad[0]
        raise CaseFailed("\n".join(
            [f"{len(bad)} of {count} blocks differ; {first[0]}:",
             *difflib.unified_diff(min(one[first]).splitlines(),
                                   min(other[first]).splitlines(), n=1,
                                   lineterm="")]))
    if count < LEAST:
        raise CaseFailed(f"only {count} blocks could be compared")
    return (f"{count} blocks, the same code" +
            f"; but for the helpers of {len(theirs)}" * repaired)


def _log(first="mov_i64 rax,$0x1", noted="", count=LEAST):
    """A log as TCG's, whose first block does this."""
    ops = [first] + ["call rdtsc,$0x0,$0,env"] * (count - 1)
    return "".join(f"{SEPARATOR}\n{n:#x}:  \nOBJD-T: 90\n\nOP after it:\n"
                   f" ---- 0 1{noted}\n {op}\n goto_tb $0x0\n exit_tb "
                   f"$0x7f00000{n:05x}\n\n" for n, op in enumerate(ops))


def judged():
    """What is the same code, and what must not be taken for it."""
    plain = blocks(_log())
    for log in (_log(noted=" 2"),
                _log().replace("$0x7f0", "$0x7e0").replace(
                    SEPARATOR, "Restarting code generation with re-locked "
                    "pages" + SEPARATOR)):
        judge(plain, blocks(log))
    judge(blocks(_log("call rdtsc,$0x0,$0,env")),
          blocks(_log("call rdtscp,$0x0,$0,env")), True)
    for one, other, repaired in (
            ("mov_i64 rax,$0x1", "mov_i64 rax,$0x2", True),
            ("st_i64 rax,env,$0x8", "st_i64 rax,env,$0x10", True),
            ("call rdtsc,$0x0,$0,env", "call wbinvd,$0x0,$0,env", False),
            ("call rdtsc,$0x0,$0,env", "call check_rmp,$0x0,$0,env", True)):
        try:
            judge(blocks(_log(one)), blocks(_log(other)), repaired)
        except CaseFailed:
            continue
        raise CaseFailed(f"'{one}' was taken for '{other}'")
    try:
        judge(plain, blocks(_log(count=LEAST - 1)))
    except CaseFailed:
        return
    raise CaseFailed("too few blocks are a comparison")


def active():
    judged()
    binary = machine.build().binary
    return judge(booted("code-snp", binary, True),
                 booted("code-plain", binary, False))


def unpatched():
    return judge(booted("code-unpatched", machine.build(True).binary, False),
                 booted("code-plain", machine.build().binary, False), True)


CASES = [
    Case("code.active", "of each block of a stock kernel's text the machine "
         "makes the same code with an RMP and as an ordinary computer", active,
         order=44, inputs=("machine",)),
    Case("code.unpatched", "as an ordinary computer it makes the code that QEMU "
         "without our changes does, but for the helpers of RDTSCP and WBINVD",
         unpatched, full=True, order=59, inputs=("machine",)),
]
