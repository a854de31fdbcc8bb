# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the machine still is a good ordinary computer: a stock host
boots an ordinary KVM guest with stock QEMU and OVMF to its power-off, with
one and two vCPUs, all CPUs of the machine on one thread or one each."""

from lab import run
from lab.cases import Case, CaseFailed


def judged(**kwargs):
    """Runs a request; CaseFailed names every check that did not hold."""
    verdict = run.go(run.Request(**kwargs))
    if not verdict.ok():
        raise CaseFailed(explain(verdict))
    return f"{len(verdict.checks)} checks"


def explain(verdict):
    from lab import paths, say
    r = verdict.result
    lines = [x for x in (verdict.refused, verdict.died) if x]
    lines += [f"{n}: {seen}" for n, ok, seen in verdict.checks if not ok]
    for log in ("console", "guest"):
        lines.append(f"end of {paths.shown(r.logs[log])}:")
        lines += ["    " + x for x in say.tail(r.logs[log], 6)]
    lines += r.last
    if verdict.died:
        lines.append(f"died: {verdict.died}")
    return "\n".join(lines)


def one(smp, thread):
    # the corners in each check; the others in the full one
    full = (smp == 1) == (thread == "multi")
    name = f"plain.smp{smp}.{thread}"
    return Case(name, f"an ordinary OVMF guest of {smp} vCPU"
                f"{'s' * (smp > 1)} runs on Debian 13's host, machine "
                f"threads: {thread}",
                lambda: judged(host="debian-13", smp=smp, thread=thread,
                               kind="plain", name=name, timeout=600),
                full=full, order=59 if full else 40, inputs=("machine",))


CASES = [one(smp, thread) for smp in (1, 2)
         for thread in ("single", "multi")]
