# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of an object file, and which differ from those of another: by what
they do, not by where they lie. Which of KVM's do by the series is a list.

What a function is made of is its instructions and their relocations, each
address within code by the function and the instruction that is there. Padding is
left out, and where in a section of data something lies; what alternatives()
puts in an instruction's place is not looked at."""

import os
import re

from lab import linux, lock, paths, say

LIST = paths.LAB / "lists" / "kvm-functions.tsv"

SECTION = re.compile(r"^Disassembly of section (\S+):$")
HEAD = re.compile(r"^[0-9a-f]+ <(.+)>:$")
CODE = re.compile(r"^\s+([0-9a-f]+):\s+(.*)$")
RELOCATION = re.compile(r"^\s+[0-9a-f]+: (R_X86_64_\w+)\s+(\S+)$")
PADDING = re.compile(r"(data16 |cs )*(nop[wl]?\b|xchg\s+%ax,%ax$)")
PLACE = re.compile(r"\b([0-9a-f]+) <[^>]+>")
# A section of code or data and an offset in it; constants of the compiler's.
PART = re.compile(r"(\.[\w.]+?)(?:([+-])0x([0-9a-f]+))?$")
# No functions, and what is in them depends on all before it.
NAMELESS = (".altinstr_replacement", ".altinstr_aux")

# Of an instruction, or the symbol of a relocation: where a field lies, or how
# large a structure is. On the stack all is the function's own.
FIELD = re.compile(r"(?:-?0x[0-9a-f]+)?\((?=%)(?!%rsp)")
SIZE = re.compile(r"^(add|sub|imul)([bwlq]?\s+)\$-?0x[0-9a-f]+")
INSIDE = re.compile(r"[+-]0x[0-9a-f]+$")


class _Object:
    """What objdump printed of one."""

    def __init__(self, text):
        self.functions = {}     # name: [(section, what an instruction is)]
        self.places = {}        # (section, address): (function, instruction)
        section, name = "", ""
        for line in text.splitlines():
            if m := SECTION.match(line):
                section = m[1]
            elif m := HEAD.match(line):
                name = self._new(m[1])
            elif m := RELOCATION.match(line):
                if self.functions[name]:
                    self.functions[name][-1][1].append((m[1], m[2]))
            elif (m := CODE.match(line)) and name:
                lines = self.functions[name]
                self.places[section, int(m[1], 16)] = name, len(lines)
                what = m[2].split("#")[0].strip()
                if not PADDING.match(what):
                    lines.append((section, [what]))

    def _new(self, name):
        """Two files of an object may each have one of that name."""
        n, one = 1, name
        while one in self.functions:
            n += 1
            one = f"{name}({n})"
        self.functions[one] = []
        return one

    def _place(self, section, address):
        where = self.places.get((section, address))
        return f"<{where[0]}+{where[1]}>" if where else f"<{section}>"

    def _relocation(self, kind, symbol):
        m = PART.match(symbol)
        if not m:
            return f"{kind} {symbol}"
        if not m[1].startswith((".text", ".noinstr", ".init.text",
                                ".exit.text")):
            return f"{kind} {re.sub('^[.]LC.*', '.LC', m[1])}"
        address = int((m[2] or "+") + (m[3] or "0"), 16)
        # relative to the end of the four bytes
        return kind + " " + self._place(
            m[1], address + 4 * (kind != "R_X86_64_32S"))

    def _line(self, section, what):
        text, *relocations = what
        return " ".join([
            # what a relocation is for is no address yet
            PLACE.sub(lambda m: "" if relocations else
                      self._place(section, int(m[1], 16)), text).strip(),
            *(self._relocation(*r) for r in relocations)])

    def lines(self):
        """{function: what it is made of}"""
        return {name: [self._line(*x) for x in lines]
                for name, lines in self.functions.items()
                if name not in NAMELESS}


def parse(text):
    """{function: its lines} of what objdump -dr printed."""
    return _Object(text).lines()


def of(file):
    """parse() of an object file."""
    return parse(say.capture(["objdump", "-dr", "--no-show-raw-insn", file]))


def _shape(lines):
    """Without where fields of structures lie and how large those are."""
    return [SIZE.sub(r"\1\2$N", INSIDE.sub("", FIELD.sub("N(", x)))
            for x in lines]


def differing(a, b):
    """{function: how} between {function: lines} and those of another: "new" or
    "gone"; "fields": it finds fields elsewhere, and does the same with them;
    "other"."""
    out = {f: "new" for f in a.keys() - b.keys()}
    out.update({f: "gone" for f in b.keys() - a.keys()})
    out.update({f: "fields" if _shape(a[f]) == _shape(b[f]) else "other"
                for f in a.keys() & b.keys() if a[f] != b[f]})
    return out


@lock.alone
def built(pristine):
    """{name: file} of the objects that KVM's modules are linked of, where SNP
    guests cannot be hosted; nothing else of that kernel is built."""
    b = linux.Build("nosnp", pristine)
    if pristine:
        linux.unpack()
    else:
        linux.lay()
    linux._configure(b)
    with say.Step(f"build KVM ({b.name})", quiet=5) as step:
        say.run(["make", "-C", b.src, f"O={b.build}", f"-j{os.cpu_count()}",
                 "arch/x86/kvm/"], f"linux-{b.name}", step, env=linux._env())
    return {name: b.build / "arch/x86/kvm" / name
            for name in ("kvm.o", "kvm-amd.o")}


def found():
    """{object: ({function: how it differs}, how many there are)} of KVM's
    modules with the series and without, where neither can host SNP guests."""
    ours, theirs = ({o: of(file) for o, file in built(pristine).items()}
                    for pristine in (False, True))
    return {o: (differing(ours[o], theirs[o]), len(theirs[o]))
            for o in sorted(theirs)}


def page():
    """The list's text, as things are."""
    rows = (f"{o}\t{f}\t{how}\n" for o, (seen, _) in found().items()
            for f, how in sorted(seen.items()))
    return ("# object, function, and how it differs from 6.1's without SNP "
            "hosts: new, gone,\n"
            "# fields (the same with fields that lie elsewhere) or other.\n"
            "# Written by `lab/snp list --functions --write`.\n" +
            "".join(rows))


def listed():
    """{object: {function: how}} of the list."""
    out = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            obj, function, how = line.split("\t")
            out.setdefault(obj, {})[function] = how
    return out
