# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that whoever has no SNP guest gets nothing worse by the series:
without CONFIG_AMD_SNP_HOST KVM's modules differ from those of 6.1 as it is in
functions that a list names."""

from lab import functions
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


CASES = [
    Case("unchanged.modules", "without SNP hosts in the configuration the "
         "functions of kvm.ko and kvm-amd.ko that differ from those of 6.1 as "
         "it is are those of a list", modules, full=True, order=52,
         inputs=("linux",)),
]
