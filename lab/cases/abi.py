# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host answers user space as the newest stock host does: one
program (lab/abi.c) asks both all that concerns confidential guests, with good
input and with bad. Where they differ lab/lists/abi-differences.tsv has to say
so, and why. Of our host it also asks whether what was refused to an SNP guest's
VMM has changed the RMP, by the kernel's own audit."""

import re

from lab import host, kernels, machine, paths, say
from lab import judge as judging
from lab.cases import Case, CaseFailed

STOCK = "debian-backports"
LIST = paths.LAB / "lists" / "abi-differences.tsv"
SCRIPT = """
modprobe ccp && modprobe kvm_amd || exit 9
echo '@@ begin'
timeout 1200 /lab/abi 2>&1
printf '\\n@@ end %s\\n' $?
say "tainted $(cat /proc/sys/kernel/tainted)"
exit 0
"""
# what each has to say, or it was not asked
LEAST = 1000


def program():
    where = paths.OUT / "abi"
    where.mkdir(exist_ok=True)
    say.run(["gcc", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1",
             "-static", "-s", "-o", where / "abi", paths.LAB / "abi.c"], "abi")
    return where / "abi"


def answers(text):
    """{question: answer}; one that is asked twice has a number."""
    out = {}
    for line in text.splitlines():
        m = re.match(r"(.*?) (?:= |is |: at )(.*)$", line)
        if m:
            key = m[1]
            while key in out:
                key += " again"
            out[key] = m[2]
    return out


def ask(on):
    h = host.Host(kernels.get(on), machine.build().binary, thread="single")
    r = h.run(f"abi-{on}", SCRIPT, {"abi": program()}, timeout=1500)
    m = re.search(r"^@@ begin\n(.*?)\n@@ end (\d+)$",
                  r.control.replace("\r", ""), re.M | re.S)
    if not m or m[2] != "0" or not m[1].rstrip().endswith("end") or not r.ok():
        raise CaseFailed("\n".join([f"{on}: the program did not end",
                                    *(m[1] if m else "").splitlines()[-3:],
                                    *r.failure()]))
    if r.bad_lines() or judging.tainted(r):
        raise CaseFailed("\n".join([f"{on}:", *r.bad_lines()[:3],
                                    judging.tainted(r)]))
    out = answers(m[1])
    saw = re.search(r"^the audit noticed (\d+) calls$", m[1], re.M)
    if not saw or (int(saw[1]) > 0) != (on in kernels.OURS):
        raise CaseFailed(f"{on}: {saw and saw[0]}")
    if len(out) < LEAST:
        raise CaseFailed(f"{on}: {len(out)} answers")
    return out


def read(text):
    """[(pattern of questions, stock's answers, ours, why)]"""
    rows = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            fields = line.split("\t")
            assert len(fields) == 4 and all(fields), line
            rows.append(fields)
    return rows


def judge(stock, ours, rows):
    """(differences with their reasons, what does not hold)"""
    told, bad, used = [], [], set()
    for key in sorted(set(stock) | set(ours)):
        a, b = stock.get(key, "not asked"), ours.get(key, "not asked")
        if a == b:
            continue
        why = [n for n, (q, x, y, _) in enumerate(rows)
               if re.fullmatch(q, key) and re.fullmatch(x, a) and
               re.fullmatch(y, b)]
        used.update(why)
        line = f"{key}: {a}, ours {b}"
        if why:
            told.append(f"differs: {line}: {rows[why[0]][3]}")
        else:
            bad.append(line)
    bad += [f"nothing differs so: {' | '.join(r)}" for n, r in enumerate(rows)
            if n not in used]
    return told, bad


def judged():
    """The judgement itself."""
    rows = [("a.*", "1", "2", "so")]
    for stock, ours, good in (({"a": "1"}, {"a": "2"}, True),
                              ({"a": "1"}, {"a": "1"}, False),
                              ({"a": "1"}, {"a": "3"}, False),
                              ({"b": "1"}, {"b": "2"}, False),
                              ({"a": "1", "b": "1"}, {"a": "2"}, False)):
        if (not judge(stock, ours, rows)[1]) != good:
            raise CaseFailed(f"misjudged: {stock} {ours}")
    if answers("x = 1\nx = 2\ny is 0x3\n") != {"x": "1", "x again": "2",
                                               "y": "0x3"}:
        raise CaseFailed("answers are misread")


def same():
    judged()
    stock, ours = ask(STOCK), ask("ours")
    told, bad = judge(stock, ours, read(LIST.read_text()))
    if bad:
        raise CaseFailed("\n".join(bad + told))
    return "\n".join([f"{len(ours)} answers, {len(told)} differ", *told])


CASES = [Case("abi.ours", "our host answers a program that asks all of KVM's "
              "and /dev/sev's ABI of confidential guests, with good input and "
              "bad, as the newest stock host, but for what a list gives a "
              "reason for", same, full=True, order=59)]
