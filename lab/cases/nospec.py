# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that an index which a guest may have chosen is not speculated past the
RMP: in the code that looks an entry up, as it was built, each of its two indices
goes through the mask that array_index_nospec() makes. What a processor makes of
it is for no case to see."""

import re

from lab import linux, say
from lab.cases import Case, CaseFailed

OBJECT, FUNCTION = "arch/x86/virt/svm/rmp_segment.o", "rmp_segment_of"
INDICES = 2             # the segment, the entry in it


def masks(listing, function):
    """How many masks objdump's listing has in a function: of all ones or none,
    by the carry of a comparison, then taken with an index."""
    m = re.search(rf"^\w+ <{function}>:\n(.*?)(?:\n\n|\Z)", listing, re.M | re.S)
    if not m:
        raise CaseFailed(f"no {function}")
    code = re.findall(r"^ *\w+:\s+(\w+)\s*(.*)$", m[1], re.M)
    made = [n for n, (op, args) in enumerate(code)
            if op == "sbb" and len(set(args.split(","))) == 1]
    return sum(any(op == "and" and args.startswith(code[n][1].split(",")[0])
                   for op, args in code[n + 1:n + 5]) for n in made)


def judged():
    text = ("0000000000000000 <f>:\n   0:\tcmp    %rsi,%rax\n"
            "   3:\tsbb    %rdx,%rdx\n   6:\tand    %rdx,%rax\n\n"
            "0000000000000010 <g>:\n  10:\tsbb    %rdx,%rax\n  13:\tret\n")
    seen = [masks(text, "f"), masks(text, "g"),
            masks(text.replace("and ", "or  "), "f")]
    if seen != [1, 0, 0]:
        raise CaseFailed(f"misread: {seen}")


def masked():
    judged()
    linux.build()
    listing = say.capture(["objdump", "-d", "--no-show-raw-insn",
                           str(linux.Build().build / OBJECT)])
    n = masks(listing, FUNCTION)
    if n != INDICES:
        raise CaseFailed(f"{FUNCTION}: {n} indices are masked, not {INDICES}")
    return f"{n} indices"


CASES = [Case("rmp.nospec", "in the code that looks an entry of the RMP up both "
              "indices, which may be a guest's choice, are masked against "
              "speculation", masked, order=21, inputs=("linux",))]
