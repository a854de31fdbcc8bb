#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Links fuzz targets with all of QEMU behind them.

    link.py QEMU-BUILD OUT {replay|fuzz} TARGET...

What hostile hosts and guests reach, and the targets, are compiled with
sanitizers (fuzz: by clang, with libFuzzer; replay: by gcc, to run given
inputs); all else is taken as QEMU's build has it, whose main() is left out. Needs
that build and what ninja knows of it; makes OUT/{replay,fuzz}-TARGET.
"""

import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BINARY = "qemu-system-x86_64"

# Compiled anew: ours, with all that the compilers can look for...
OURS = r"(target/i386|hw)/snp/[\w-]+\.c"
# ... and those of QEMU's that go by what these load, for memory only: QEMU's
# own idea of what arithmetic is defined is another.
THEIRS = (r"target/i386/tcg/system/(svm|excp|misc|seg)_helper\.c|"
          r"target/i386/tcg/(excp|fpu|misc|seg|mem|cc)_helper\.c|"
          r"target/i386/(helper|cpu)\.c|hw/i386/amd_iommu\.c")
TARGETS = {"vmsa": ["ground"], "insn": ["ground"], "mailbox": [],
           "iommu": []}

# clang does not know all of gcc's warnings, and wants to be asked twice for
# variables that begin as zero, as they do in the machine
CC = {"replay": ["cc"], "fuzz": [
    "clang", "-Wno-unknown-warning-option", "-Qunused-arguments",
    "-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang"
]}
SANITIZE = {"ours": ["-fsanitize=address,undefined",
                     "-fno-sanitize-recover=all"],
            "theirs": ["-fsanitize=address"]}
FLAGS = ["-O1", "-fno-omit-frame-pointer"]


def compdb(build, *rules):
    text = subprocess.run(["ninja", "-C", str(build), "-t", "compdb", "-x",
                           *rules], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    return json.loads(text[text.index("["):])


def compile_line(entry, source, obj, how, kind):
    """QEMU's own command, for another compiler, source and object."""
    words = entry["command"]
    words = re.sub(r" -M[QF] \S+", "", words).replace(" -MD ", " ")
    words = re.sub(r" -o \S+ -c \S+$", "", words)
    words = re.sub(r" -(O2|Werror|fzero-call-used-regs=\S+)(?= )", "", words)
    words = re.sub(r"^\S+", " ".join(CC[how]), words)
    more = SANITIZE[kind] + FLAGS
    if how == "fuzz":
        more = more + ["-fsanitize=fuzzer-no-link"]
    return (f"{words} {' '.join(more)} -MD -MF {obj}.d -o {obj} -c {source}")


def escape(text):
    return text.replace("$", "$$")


def write(build, out, how, targets):
    """The file for ninja; returns what it is to make."""
    lines = compdb(build, "c_COMPILER", "c_LINKER_RSP", "c_LINKER")
    cc = {e["output"]: e for e in lines if e["file"].endswith(".c") and
          e["output"].endswith(".o")}
    link = [e for e in lines if e["output"] == BINARY][-1]
    model = [e for e in cc.values()
             if e["file"].endswith("target/i386/snp/vmsa.c")][0]
    where = out / how
    rules, swap = [], {}

    def rule(source, obj, entry, kind):
        rules.append(f"build {obj}: run {source}\n  command = cd {build} && "
                     f"{escape(compile_line(entry, source, obj, how, kind))}\n"
                     f"  depfile = {obj}.d\n  deps = gcc\n")

    for obj, e in cc.items():
        source = (build / e["file"]).resolve()
        name = re.sub(r"^.*/(?=(target/i386|hw)/)", "", str(source))
        kind = ("ours" if re.fullmatch(OURS, name) else
                "theirs" if re.fullmatch(THEIRS, name) else None)
        if kind and obj in link["command"].split():
            swap[obj] = where / obj.replace("/", "_")
            rule(source, swap[obj], e, kind)
    if len(swap) < 40:
        raise SystemExit(f"{BINARY} is not linked from what was expected")
    own = {"world", *(x for t in targets for x in [t, *TARGETS[t]])}
    for name in sorted(own):
        rule(HERE / f"{name}.c", where / f"{name}.o", model, "ours")
    if how == "replay":
        rule(HERE.parent / "replay.c", where / "replay.o", model, "ours")

    made = []
    for t in targets:
        words = []
        for w in link["command"].split()[1:]:
            if w == BINARY:
                w = str(out / f"{how}-{t}")
            elif w.endswith("system_main.c.o"):
                w = " ".join(str(where / f"{x}.o") for x in
                             ["world", t, *TARGETS[t],
                              *(["replay"] if how == "replay" else [])])
            words.append(str(swap.get(w, w)))
        sanitizer = "fuzzer,address,undefined" if how == "fuzz" else \
            "address,undefined"
        first = [str(x) for x in swap.values()] + \
                [str(where / f"{x}.o") for x in [*sorted(own)]]
        if how == "replay":
            first.append(str(where / "replay.o"))
        made.append(str(out / f"{how}-{t}"))
        rules.append(f"build {made[-1]}: link {' '.join(first)} | "
                     f"{build / BINARY}\n  words = {escape(' '.join(words))} "
                     f"-fsanitize={sanitizer}\n")
    where.mkdir(parents=True, exist_ok=True)
    file = where / "build.ninja"
    file.write_text(f"builddir = {where}\nrule run\n  command = $command\n"
                    "  description = $out\n"
                    f"rule link\n  command = cd {build} && {CC[how][0]} "
                    "@$out.rsp\n  rspfile = $out.rsp\n"
                    "  rspfile_content = $words\n  description = $out\n" +
                    "\n".join(rules))
    return file, made


def main():
    if len(sys.argv) < 5 or sys.argv[3] not in CC or \
            set(sys.argv[4:]) - set(TARGETS):
        sys.exit(__doc__)
    build, out = (pathlib.Path(x).resolve() for x in sys.argv[1:3])
    how, targets = sys.argv[3], sys.argv[4:]
    file, made = write(build, out, how, targets)
    sys.exit(subprocess.run(["ninja", "-f", str(file), *made],
                            check=False).returncode)


if __name__ == "__main__":
    main()
