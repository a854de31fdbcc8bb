# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves by SNP guests of a few instructions, our own selftests, what a guest
and its VMM may ask of KVM, good and bad: launch, GHCB protocol, page state
changes, AP creation and reset hold, memory about which they disagree, and what
a hostile one does to vCPUs. Stock hosts first: they are what makes the machine
and the tests believed. Then, with the same binaries, our own."""

import re
import subprocess

from lab import host, kernels, machine, selftests
from lab.cases import Case, CaseFailed

TESTS = ["snp_launch_test", "snp_ghcb_test", "snp_ap_test", "snp_memory_test",
         "snp_hostile_test", "snp_request_test"]
# What counts by our own kernel's audit, or was seen to pass there only.
OURS = ["snp_huge_test", "sev_map_test"]
# Parameters of KVM, by the name of the case that has them: private memory in
# pages of 4K only; nothing executable in more than 4K.
SMALL, NX = "small", "nx"
PARAMETERS = {SMALL: "gmem_huge=0", NX: "nx_huge_pages=force"}
# Seconds of one of them, which takes a few; on a kernel that checks itself.
LIMIT, LIMIT_DEBUG = 240, 1200


# What may differ on our own host from the answer our own host is to give: KVM
# of 6.1 lets the first SIPI of a vCPU go by.
KNOWN = re.compile(r"SIPI 0 ended the hold and was not told")


def differences(text):
    return re.findall(r"^# (differs: .*)$", text, re.M)


def problems(name, text, status):
    """What is wrong with a test's KTAP and exit status."""
    bad = re.findall(r"^(?:not ok.*|ok .*# SKIP.*|Bail out!.*)$", text,
                     re.M | re.I)
    good = re.findall(r"^ok \d+ .*$", text, re.M)
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    if not plan or not int(plan[1]) or int(plan[1]) != len(good):
        bad.append(f"{len(good)} results, "
                   f"{plan[1] if plan else 'none'} planned")
    if status:
        bad.append(f"status {status}")
    if bad:
        # what each failed check had to say
        bad += re.findall(r"^# \w+:\d+: .*$", text, re.M)
        m = re.search(r"==== Test Assertion Failure ====\n(.*)", text, re.S)
        bad += m[1].splitlines()[:6] if m else []
    return [f"{name}: {x.strip()}" for x in bad]


def judged():
    """The judgement itself: all but the first has to be refused."""
    if problems("t", "TAP version 13\n1..2\nok 1 a\nok 2 b\n", 0):
        raise CaseFailed("a pass refused")
    for text, status in (("1..2\nok 1 a\nok 2 b\n", 254), ("", 0),
                         ("1..2\nok 1 a\n", 0), ("1..0 # SKIP no\n", 4),
                         ("1..2\nok 1 a\nnot ok 2 b\n", 0),
                         ("1..2\nok 1 a\nok 2 b # SKIP no\n", 0)):
        if not problems("t", text, status):
            raise CaseFailed(f"taken for a pass: {text!r}, {status}")


# KVM without the TDP MMU: last, as it takes the modules out.
NONE = "snp_launch_test --none"
RELOAD = ["modprobe -r kvm_amd && modprobe -r kvm || exit 9",
          "modprobe kvm tdp_mmu=0 && modprobe kvm_amd || exit 9"]


def stripped(*names):
    """{name: binary that any host runs} of tests of ours."""
    out = {}
    for t in names:
        binary = selftests.for_any_host(t)
        out[t] = binary.with_name(f"{t}.stripped")
        subprocess.run(["strip", "-o", out[t], binary], check=True)
    return out


def on(name, option="", thread="single", psp=(), with_=None):
    """Runs the tests on the host of that name. thread, psp: host.Host's.
    with_: a key of PARAMETERS; with NX only what such blocks matter to."""
    judged()
    tests = TESTS * (with_ != NX) + OURS * (name in kernels.OURS)
    files = stripped(*tests)
    limit = LIMIT_DEBUG if kernels.OURS.get(name) else LIMIT
    script = ["modprobe ccp"]
    if with_:
        script.append(f"modprobe kvm {PARAMETERS[with_]} || exit 9")
    script += ["modprobe kvm_amd && modprobe msr || exit 9", "cd /lab"]
    listed = [*tests, *[NONE] * (with_ != NX)]
    for t in listed:
        if t == NONE:
            script += RELOAD
        script += [f"echo '<6>lab: {t}' > /dev/kmsg", f"echo '@@ begin {t}'",
                   f"timeout -k 5 {limit} ./{t} {option} 2>&1",
                   f"echo; echo '@@ end {t}' $?"]
    h = host.Host(kernels.get(name), machine.build().binary, smp=2,
                  thread=thread, psp=psp)
    r = h.run(f"bare-{name}" + (f"-{with_}" if with_ else ""),
              "\n".join(script) + "\n",
              files, timeout=180 + limit * len(tests))
    bad, lines, count = [], [], 0
    for t in listed:
        m = re.search(rf"^@@ begin {t}\n(.*?)\n@@ end {t} (\d+)$", r.control,
                      re.M | re.S)
        if not m:
            bad.append(f"{t} left no result")
            continue
        bad += problems(t, m[1], int(m[2]))
        count += len(re.findall(r"^ok \d+", m[1], re.M))
        lines += [f"{t}: {x}" for x in differences(m[1])]
        if name in kernels.OURS:
            bad += [f"{t}: {x}" for x in differences(m[1])
                    if not KNOWN.search(x)]
    bad += r.bad_lines()
    if not r.ok():
        bad += r.failure()
    if bad:
        raise CaseFailed("\n".join(bad))
    return "\n".join([f"{count} tests of {len(tests)} programs"] + lines)


ALL = ("launch, GHCB by MSR and page, page state changes, AP creation, reset "
       "hold, disagreement about memory, hostile use of vCPUs; none without the "
       "TDP MMU; ")
BLOCKS = "blocks of 2 MiB, each change of the RMP counted"


def one(name, what, order, option="", thread="single", psp=(), with_=None,
        **kwargs):
    tests = ALL * (with_ != NX) + BLOCKS * (name in kernels.OURS)
    return Case(f"bare.{name.replace('-debug', '.debug')}" +
                (f".{with_}" if with_ else ""),
                f"our own SNP selftests ({tests.rstrip('; ')}) pass on {what}",
                lambda: on(name, option, thread, psp, with_), order=order,
                **kwargs)


CASES = [
    one("debian-13", "Debian 13's host, with one thread a CPU and every "
        "cached translation compared with the RMP", 44, "--spare --old",
        "multi", ["self-check=on"]),
    one("debian-backports", "the newest stock host", 44, "--spare"),
    one("ours", "our host, every cached translation compared with the RMP",
        48, psp=["self-check=on"]),
    one("ours", "our host with kvm.gmem_huge=0, with 512 changes of the RMP "
        "for each 2 MiB", 48, with_=SMALL),
    one("ours", "our host with kvm.nx_huge_pages=force, where what is executed "
        "is mapped in pages", 48, with_=NX),
    one("ours-debug", "our host with a kernel that checks itself (KASAN, "
        "lockdep, sleeping while atomic), without a splat", 56, full=True),
]
