# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a secure processor that does not answer any more costs our host
the pages it had, and nothing else: nobody else gets them, later commands are
refused, guests go on and end, the modules can be taken out."""

import re

from lab import host, kernels, machine
from lab.cases import Case, CaseFailed
from lab.cases import bare

TEST = "snp_dead_test"


def on(name):
    files = bare.stripped(TEST)
    limit = bare.LIMIT_DEBUG if kernels.OURS.get(name) else bare.LIMIT
    bad, count = [], 0
    for option in ("", "--buffer", "--vmsa"):
        script = ["modprobe ccp && modprobe kvm_amd || exit 9", "cd /lab",
                  "echo '@@ begin'", f"timeout -k 5 {limit} ./{TEST} {option}"
                  " 2>&1", "echo; echo '@@ end' $?",
                  "modprobe -r kvm_amd && modprobe -r ccp || exit 8"]
        h = host.Host(kernels.get(name), machine.build().binary, smp=2,
                      thread="single", unbalanced=True)
        r = h.run(f"dead-{name}{option}", "\n".join(script) + "\n",
                  files, timeout=180 + limit)
        m = re.search(r"^@@ begin\n(.*?)\n@@ end (\d+)$", r.control,
                      re.M | re.S)
        if m:
            bad += bare.problems(f"{TEST} {option}".strip(), m[1], int(m[2]))
            count += len(re.findall(r"^ok \d+", m[1], re.M))
        else:
            bad.append(f"{TEST} {option} left no result")
        bad += r.bad_lines()
        if not r.ok():
            bad += r.failure()
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{count} tests"


def one(name, host_name, **kwargs):
    return Case(name, "a secure processor that falls silent, with a guest's "
                "memory or with a buffer: what it has is leaked, what comes "
                "later refused, guests go on and end", lambda: on(host_name),
                **kwargs)


CASES = [one("dead.ours", "ours", order=48),
         one("dead.ours.debug", "ours-debug", order=56, full=True)]
