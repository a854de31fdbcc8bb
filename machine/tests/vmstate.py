#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is all that the machine keeps saved? Each member of each structure of
state, and each variable of a file, is in a VMState, or stands in vmstate.list
with the reason why not.

    vmstate.py QEMU-TREE-WITHOUT-OURS QEMU-TREE-WITH-OURS

By reading the source. Prints KTAP; the exit status says whether all is
found."""

import pathlib
import re
import sys

import ktap
from ktap import check

HERE = pathlib.Path(__file__).parent
LIST = HERE / "vmstate.list"
OURS = ("hw/snp", "include/hw/snp", "target/i386/snp")
HOOKED = ("target/i386/cpu.h", "hw/i386/amd_iommu.h", "target/i386/machine.c",
          "hw/i386/amd_iommu.c")
# What is state, with all structures that lie in them
ROOTS = ("AmdPspState", "SnpPlatform", "SnpCounters", "X86SnpState",
         "X86SnpWatch", "AMDVIState", "AMDVIPCIState", "World")
# Of these our members only: all else is QEMU's to save
SHARED = ("CPUArchState",)


def plain(path):
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"//.*", "", text)


def files(tree):
    out = [tree / x for x in HOOKED]
    for top in OURS:
        out += sorted((tree / top).glob("*.[ch]"))
    return {p.relative_to(tree).as_posix(): plain(p) for p in out}


def block(text, start):
    """What is between the brace at start and its match, and where that is."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if not depth:
            return text[start + 1:i], i
    raise ValueError("no end of a block")


def declared(body):
    """[(type, name)] of the members of a structure"""
    out = []
    # anonymous ones inside: their members count as members
    while m := re.search(r"\b(?:struct|union)\s*\w*\s*\{", body):
        inner, end = block(body, m.end() - 1)
        rest = re.match(r"[^;]*;", body[end + 1:]).group()
        name = re.match(r"\s*(\w+)", rest)
        out += [("struct", name[1])] if name else declared(inner)
        body = body[:m.start()] + body[end + 1 + len(rest):]
    for line in body.split(";"):
        line = " ".join(x for x in line.split("\n")
                        if not x.lstrip().startswith("#"))
        line = " ".join(re.sub(r"\[[^]]*\]", "", line).split())
        if not line:
            continue
        if m := re.match(r".*\(\*(\w+)\)\(", line):
            out.append(("function", m[1]))
        elif m := re.match(r"QLIST_HEAD\(.*\) (\w+)$", line):
            out.append(("list", m[1]))
        elif m := re.match(r"((?:const |struct |unsigned |enum )*\w+) (.*)$",
                           line):
            for name in m[2].split(","):
                pointer = "*" in name
                name = name.replace("*", "").split(":")[0].strip()
                out.append(("pointer" if pointer else m[1].split()[-1], name))
    return out


def structures(texts):
    out = {}
    for text in texts.values():
        for m in re.finditer(r"\b(?:typedef )?struct (?:QEMU_PACKED )?(\w+)\s*"
                             r"\{", text):
            body, end = block(text, m.end() - 1)
            also = re.match(r"\s*(\w+)\s*;", text[end + 1:])
            for name in {m[1], also[1] if also else m[1]}:
                out[name] = declared(body)
    return out


def typed(members, name):
    return dict((b, a) for a, b in members).get(name)


def saved(texts, known):
    """{(structure, member)} that a VMState has, those on the way to it too"""
    out = set()
    for text in texts.values():
        text = re.sub(r"#define.*?(?<!\\)\n", "\n", text, flags=re.S)
        for path, kind in re.findall(
                r"\b(?:VMSTATE_(?!WITH_TMP)\w+|BYTES|TALLY)\(\s*([\w.]+),"
                r"\s*(\w+)\s*[,)]", text):
            kind = {"X86CPU": "ArchCPU"}.get(kind, kind)
            for part in path.split("."):
                if kind == "ArchCPU":
                    kind = "CPUArchState"
                    continue
                out.add((kind, part))
                kind = typed(known.get(kind, ()), part)
    return out


def variables(texts):
    """Of our files: FILE:NAME of what is neither constant nor a function"""
    out = set()
    for path, text in texts.items():
        if not path.endswith(".c") or path in HOOKED:
            continue
        for m in re.finditer(r"^[ \t]*static (?!inline)(?!G_NORETURN)"
                             r"([^;={(]*)(?:=|;|\{|\()", text, re.M):
            last = text[m.end() - 1]
            what = re.sub(r"\[[^]]*\]", "", m[1]).strip()
            if last == "(" or re.match(r"(?:\w+ )*const\b", what):
                continue
            if last == "{":             # a structure without a name
                end = block(text, m.end() - 1)[1]
                what = "struct " + re.match(r"\s*(\w+)", text[end + 1:])[1]
            for name in what.split(","):
                name = name.split()[-1].lstrip("*")
                out.add(f"{path.rsplit('/', 1)[-1]}:{name}")
        for m in re.finditer(r"^(\w+) \*?(\w+);$", text, re.M):
            if m[1] not in ("return", "typedef"):
                out.add(f"{path.rsplit('/', 1)[-1]}:{m[2]}")
    return out


def reasons():
    out = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition("\t")
            out[name] = reason.strip()
    return out


def wanted(known, before):
    """{(structure, member)} that has to be saved or excused"""
    out, todo, seen = set(), list(ROOTS), set()
    for name in SHARED:
        theirs = {n for _, n in before.get(name, ())}
        for kind, member in known[name]:
            if member not in theirs:
                out.add((name, member))
                todo.append(kind)
    while todo:
        name = todo.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        for kind, member in known[name]:
            out.add((name, member))
            todo.append(kind)
    return out


def run(pristine, tree):
    texts = files(tree)
    known = structures(texts)
    before = structures({"cpu.h": plain(pristine / "target/i386/cpu.h")})
    have, why = saved(texts, known), reasons()
    need = wanted(known, before)
    used = set()

    def excused(name):
        for key in (name, name.split(".")[0] + ".*"):
            if key in why:
                used.add(key)
                return True
        return False

    def members():
        for name in ROOTS + SHARED:
            check(len(known.get(name, ())) > 1, f"no structure {name}")
        for one in sorted(need):
            name = ".".join(one)
            check((one in have) != excused(name),
                  f"{name} is saved, and yet in {LIST.name}" if one in have
                  else f"{name} is neither saved nor in {LIST.name}")

    def files_():
        for name in sorted(variables(texts)):
            check(excused(name), f"the variable {name} is not in {LIST.name}")

    def listed():
        for name, reason in sorted(why.items()):
            check(bool(reason), f"{LIST.name}: {name}: no reason")
            check(name in used, f"{LIST.name}: there is no {name}")

    def in_place():
        """What is loaded of the platform beside it is put in its place."""
        text = texts["hw/snp/vmstate.c"]
        put = text[text.index("put_in_place(PspSaved"):]
        for path in re.findall(r"\((platform[\w.]*), PspSaved", text):
            path = path.split(".", 1)[1]
            tops = [path.rsplit(".", n)[0] for n in range(path.count(".") + 1)]
            check(any(f"p->{t} = t->platform.{t};" in put for t in tops),
                  f"platform.{path} is loaded, and forgotten")

    return ktap.run([("saved: members of structures", members),
                     ("saved: variables", files_),
                     ("saved: what is put in place", in_place),
                     ("saved: the list", listed)])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(run(*map(pathlib.Path, sys.argv[1:])))
