# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that whoever has no SNP guest gets nothing worse by the series: an
ordinary guest costs the host what it costs on 6.1 as it is, with SNP on and
off; and without CONFIG_AMD_SNP_HOST KVM's modules differ from those of 6.1 as
it is in functions that a list names."""

import re

from lab import alone, counted, functions, linux, machine, say
from lab.cases import Case, CaseFailed

HOWS = ("other", "fields", "gone", "new")
# The same function twice, then with a field, a size, a call and a step that are
# others.
ONE = """
Disassembly of section .text:
0000000000000010 <one>:
  10:	push   %rbp
  11:	je     19 <one+0x9>
  13:	call   30 <two>
			14: R_X86_64_32S	.rodata+0x20
  18:	nopl   0x0(%rax)
  19:	ret
  1a:	nop
0000000000000030 <two>:
  30:	mov    0x18(%rdi),%rax
			32: R_X86_64_32S	.text+0x10
  34:	call   38 <two+0x8>
			35: R_X86_64_PLT32	other-0x4
"""
SAME = """
Disassembly of section .text:
0000000000000120 <one>:
 120:	push   %rbp
 121:	je     127 <one+0x7>
 122:	call   140 <two>
			123: R_X86_64_32S	.rodata+0x28
 127:	ret
0000000000000140 <two>:
 140:	mov    0x18(%rdi),%rax
			142: R_X86_64_32S	.text+0x120
 144:	call   148 <two+0x8>
			145: R_X86_64_PLT32	other-0x4
"""
OTHERS = {
    ("0x18(%rdi)", "(%rdi)"): {"two": "fields"},
    ("0x18(%rdi)", "0x18(%rsi)"): {"two": "other"},
    (".text+0x10\n", ".text+0x11\n"): {"two": "other"},
    ("other-", "another-"): {"two": "other"},
    ("19 <one+0x9>", "10 <one>"): {"one": "other"},
    (".rodata", ".data"): {"one": "other"},
    # what a relocation is for is no address yet
    ("call   30 <two>", "call   10 <one>"): {},
    ("<one>:", "<three>:"): {"one": "gone", "three": "new", "two": "other"},
    ("  19:	ret\n", ""): {"one": "other"},
}


def told_apart():
    """What is wrong with the comparison itself."""
    same = functions.parse(SAME)
    out = [] if functions.parse(ONE) == same else ["a function that lies "
                                                   "elsewhere is another"]
    for (what, other), want in OTHERS.items():
        seen = functions.differing(functions.parse(ONE.replace(what, other)),
                                   same)
        if seen != want or what not in ONE:
            out.append(f"{other!r} for {what!r}: {seen}, not {want}")
    return out


def modules():
    """By the objects that the modules are linked of, both by the same compiler
    and configuration."""
    bad = told_apart()
    named = functions.listed()
    lines = []
    for obj, (seen, all_) in functions.found().items():
        want = named.get(obj, {})
        bad += [f"{obj}: {f} is {how}, and named {want.get(f, 'nowhere')}"
                for f, how in sorted(seen.items()) if want.get(f) != how]
        bad += [f"{obj}: {f} is named, and the same"
                for f in sorted(set(want) - set(seen))]
        lines.append(f"{obj}: of {all_} functions " + ", ".join(
            f"{list(seen.values()).count(how)} {how}" for how in HOWS))
    if bad:
        raise CaseFailed("\n".join([*bad, "lab/snp list --functions --write"]))
    return "\n".join(lines)


PAGES, EXITS = 16384, 20000
# A clear page takes one instruction of the processor (ERMS), of which a machine
# that counts counts each byte: it is left out.
ZEROED = {"touched": PAGES << 12, "again": PAGES << 12}
# exits that a part has at least: by its pages, and how often it leaves
LEAST = {"touched": PAGES, "again": PAGES, "logged": PAGES, "left": EXITS,
         "stored": EXITS, "asked": EXITS}
MOST = 0.005
# Instructions that a page that is touched, or an exit, may cost more than on 6.1:
# what the series asks of every VM at each entry, exit and fault, and of what frees
# memory, which comes and goes by itself, some more.
MORE = {"touched": 100, "again": 180, "logged": 62, "left": 56, "stored": 80,
        "asked": 25}
ALONE = ("0016-kvm-gfn-invalidation.patch",
         "0017-kvm-x86-64-bit-error-code.patch")


def cost(name, kernel, cmdline=""):
    """{part: (instructions, exits)} of an ordinary guest on a host that has SNP
    if its kernel and command line let it."""
    log = say.log_path(f"unchanged.cost.{name}.console")
    stats = counted.run(
        machine.build().binary, kernel,
        counted.initrd(kernel, "plain", PAGES=PAGES, EXITS=EXITS), log,
        cmdline)
    text = log.read_text(errors="replace")
    seen = {part: (int(clock) - ZEROED.get(part, 0), int(exits))
            for part, clock, exits in
            re.findall(r"^counted: (\w+) (\d+) (\d+)\r?$", text, re.M)}
    bad = []
    if ("SEV-SNP enabled" in text) != (name == "on"):
        bad.append("SNP is on, or off, against what was said")
    if not re.search(r"^counted: status 0\r?$", text, re.M) or \
            list(seen) != list(LEAST):
        bad.append(f"it says: {text[-300:]}")
    bad += [f"{part}: {n} exits, at least {LEAST[part]} wanted"
            for part, (_, n) in seen.items() if n < LEAST[part]]
    # KVM's own count of all is the machine's
    m = re.search(r"^counted: all (\d+)\r?$", text, re.M)
    if not m or int(m[1]) != stats["vmexit"]:
        bad.append(f"{m and m[1]} exits by KVM, {stats['vmexit']} by the "
                   "machine")
    if bad:
        raise CaseFailed("\n".join([f"{name}: ", *bad]))
    return seen


def costs_other(name, seen, base, more=None):
    """What costs more or less than MOST beside the base. more: how many
    instructions more each page or exit of a part may cost."""
    out = []
    for part, (a, b) in ((p, (seen[p], base[p])) for p in base):
        if abs(a[1] / b[1] - 1) > MOST:
            out.append(f"{name}: {part}: {a[1]:,} exits, {b[1]:,} on 6.1 as it "
                       "is")
        up = b[0] * MOST if more is None else more[part] * LEAST[part]
        if not b[0] * (1 - MOST) <= a[0] <= b[0] + up:
            out.append(f"{name}: {part}: {a[0]:,} instructions, {b[0]:,} on "
                       f"6.1 as it is ({a[0] / b[0] - 1:+.2%}, "
                       f"{(a[0] - b[0]) / LEAST[part]:+.1f} each)")
    return out


def _beside(seen, base):
    """For people: how many instructions more each part takes, and each of its
    pages or exits; how many more exits."""
    return ", ".join(f"{part} {seen[part][0] / base[part][0] - 1:+.3%} "
                     f"{(seen[part][0] - base[part][0]) / LEAST[part]:+.1f} "
                     f"{seen[part][1] - base[part][1]:+}" for part in base)


def compared_wrongly(base):
    """What is wrong with the comparison itself."""
    n, exits = base["left"]
    more = MORE["left"] * LEAST["left"]
    return [f"{x} beside {base['left']}: not told apart"
            for x, allowed, want in (
                ((n * 1.006, exits), None, 1), ((n * 0.994, exits), None, 1),
                ((n, exits * 0.994), None, 1), ((n, exits * 1.006), MORE, 1),
                ((n * 1.004, exits * 0.996), None, 0),
                ((n + more - 1, exits), MORE, 0),
                ((n + more + 1, exits), MORE, 1), ((n * 0.994, exits), MORE, 1))
            if len(costs_other("", {**base, "left": x}, base, allowed)) != want]


def costs():
    base = cost("pristine", linux.build(pristine=True))
    ours = linux.build()
    bad, lines = [], ["6.1 as it is: " + ", ".join(
        f"{part} {n:,} {exits:,}" for part, (n, exits) in base.items())]
    for name, cmdline in (("off", "sev=nosnp"), ("on", "")):
        seen = cost(name, ours, cmdline)
        bad += costs_other(name, seen, base, MORE)
        lines.append(f"SNP {name}: {_beside(seen, base)}")
    bad += compared_wrongly(base)
    if bad:
        raise CaseFailed("\n".join([*bad, *lines]))
    return "\n".join(lines)


def one_by_one():
    """Patches that change how KVM works for every guest, each by itself on 6.1
    as it is."""
    base = cost("pristine", linux.build(pristine=True))
    bad, lines = [], []
    for patch in ALONE:
        seen = cost(f"alone-{patch[:4]}", alone.build(patch))
        bad += costs_other(patch, seen, base)
        lines.append(f"{patch}: {_beside(seen, base)}")
    if bad:
        raise CaseFailed("\n".join([*bad, *lines]))
    return "\n".join(lines)


CASES = [
    Case("unchanged.cost", "an ordinary guest that touches memory, gets it "
         "again after it was taken away, writes where that is logged, leaves "
         "for its VMM by a port and by memory that is not there, and for the "
         "kernel, costs our host the instructions and exits that it costs 6.1 "
         "as it is, with SNP off and on, within 0.5 % of each", costs,
         full=True, order=56),
    Case("unchanged.alone", "by itself on 6.1 as it is neither the patch that "
         "keeps what is invalidated by gfn nor that of 64-bit error codes has "
         "an ordinary guest cost other instructions or exits, within 0.5 %",
         one_by_one, full=True, order=56, inputs=("linux", "machine")),
    Case("unchanged.modules", "without SNP hosts in the configuration the "
         "functions of kvm.ko and kvm-amd.ko that differ from those of 6.1 as "
         "it is are those of a list", modules, full=True, order=52,
         inputs=("linux",)),
]
