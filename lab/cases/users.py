# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that our host serves what stock users do: VMMs that are killed at any
moment and, in as few rows as have each pair, all QEMUs, OVMFs, guests' kernels,
sizes, boots and devices that Debian has."""

import random

from lab import guest, judge, kernels, pairs, run, sources
from lab.cases import Case, CaseFailed, plain

# Lines of QEMU's trace for pages that it launches with: before anything runs.
LAUNCHES = (1, 3)
# Exits of a guest of 2 vCPUs after which its VMM is killed, about: in firmware,
# in its boot loader, while its kernel boots, while it reads and converts.
EXITS = (1, 2000, 15000, 60000, 120000)
SEED = 4

KILL = r"""
modprobe ccp && modprobe kvm_amd || exit 9
n=0
for point in POINTS; do
	n=$((n + 1)) what=${point%:*} at=${point#*:}
	"${COMMAND[@]}" < /dev/null > /tmp/killed 2>&1 &
	pid=$! seen=0
	while kill -0 $pid 2> /dev/null; do
		if [ $what = launch ]; then
			seen=$(grep -ac snp_launch_update /tmp/killed)
		else
			read -r seen < /sys/kernel/debug/kvm/exits
		fi
		[ "$seen" -lt "$at" ] || break
		sleep 0.02
	done
	kill -9 $pid
	wait $pid
	say "killed $n $what $at $seen $?"
	# the VM goes with its last file, which is closed by now or soon
	for try in $(seq 300); do
		[ -n "$(find /sys/kernel/debug/kvm -mindepth 1 -type d)" ] || break
		sleep 0.1
	done
	audit kill-$n
	mark kill-$n
done
"""


def points(seed=SEED):
    """[(what is counted, how often before the VMM is killed)], the same for a
    seed: each anywhere between two thirds and four thirds of what is above."""
    chance = random.Random(seed)
    return [("launch", n) for n in LAUNCHES] + \
        [("exits", max(1, int(n * chance.uniform(2 / 3, 4 / 3))))
         for n in EXITS]


def judged(name, expected, **kwargs):
    """A guest that has to be good after what `first` did. expected: of the
    verdict, a list of what is wrong besides."""
    verdict = run.go(run.Request(name=name, **kwargs))
    bad = expected(verdict)
    if not verdict.ok():
        bad.append(plain.explain(verdict))
    if bad:
        raise CaseFailed("\n".join(bad))
    return verdict


def _all_back(result, word, want):
    """What is left after each of the moments of that word, by the kernel's word
    and the machine's."""
    bad = []
    for n in range(1, want + 1):
        when = f"{word}-{n}"
        lines = judge.said(result, f"audit-{when}")
        seen = result.marks.get(when)
        if lines[-1:] != ["BALANCED"] or "leaked 0" not in lines:
            bad.append(f"{when}: audit {lines[-3:]}")
        if not seen or seen["rmp-summary"]["asids"] or seen["guests"]["snp"]:
            bad.append(f"{when}: the machine has " + (
                f"{seen['rmp-summary']['asids']} {seen['guests']['snp']}"
                if seen else "not answered"))
    return bad


def killed(host="ours"):
    todo = points()

    def wrong(verdict):
        bad = _all_back(verdict.result, "kill", len(todo))
        seen = [x.split() for x in judge.said(verdict.result, "killed")]
        for n, (what, at) in enumerate(todo, 1):
            mine = [x for x in seen if x[0] == str(n)]
            # 137: by the signal, not before it came
            if len(mine) != 1 or mine[0][1:3] != [what, str(at)] or \
                    int(mine[0][3]) < at or mine[0][4] != "137":
                bad.append(f"kill {n} after {at} {what}: {mine}")
        return bad

    words = " ".join(f"{what}:{at}" for what, at in todo)
    judged("users.killed", wrong, host=host, smp=2, memory="256M",
           timeout=3600, first=KILL.replace("POINTS", words))
    return f"killed after {words}"


FACTORS = {
    "qemu": ("debian-13", "debian-backports"),
    "ovmf": ("debian-13", "sid"),
    "guest": tuple(kernels.GUESTS),
    "smp": (1, 2, 4, 8),
    "memory": ("256M", "512M", "1G", "4G"),
    "boot": guest.BOOTS,
    "device": tuple(guest.DEVICES),
}
CORNERS = [{"smp": smp, "memory": memory} for smp in (1, 8)
           for memory in ("256M", "4G")]
ROWS = pairs.cover(FACTORS, CORNERS)


def in_words(row):
    return (f"QEMU of {row['qemu']}, OVMF of {row['ovmf']}, guest "
            f"{row['guest']}, {row['smp']} vCPU{'s' * (row['smp'] > 1)}, "
            f"{row['memory']}, {row['boot']} boot, {row['device']}")


def covered():
    bad = [f"no row has {pair}" for pair in pairs.missing(FACTORS, ROWS)]
    bad += [f"no row has the corner {c}" for c in CORNERS
            if not any(c.items() <= row.items() for row in ROWS)]
    bad += [f"row {row}" for row in ROWS if any(
        row[name] not in values for name, values in FACTORS.items())]
    if ROWS != pairs.cover(FACTORS, CORNERS):
        bad.append("the rows are others when they are made again")
    # the judgement itself: each row has a pair that no other has, or a corner
    needless = [n for n, row in enumerate(ROWS, 1)
                if not pairs.missing(FACTORS, ROWS[:n - 1] + ROWS[n:])]
    corners = [n for n, row in enumerate(ROWS, 1)
               if any(c.items() <= row.items() for c in CORNERS)]
    if set(needless) - set(corners):
        bad.append(f"rows {needless} bring nothing")
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(pairs.all_of(FACTORS))} pairs in {len(ROWS)} rows"


def row_runs(name, row):
    gib = run.size(row["memory"]) >> 30
    qemu = None if row["qemu"] == "debian-13" else \
        str(sources.unpacked("host.qemu-backports"))
    ovmf = None if row["ovmf"] == "debian-13" else \
        str(sources.unpacked("host.ovmf-sid") / run.OVMF_INSIDE)
    return plain.judged(
        name=name, host="ours", smp=row["smp"], memory=row["memory"],
        host_memory=f"{max(3, gib + 2)}G", qemu=qemu, ovmf=ovmf,
        guest=row["guest"], boot=row["boot"], device=row["device"],
        timeout=3600)


def one_row(n, row):
    name = f"users.row.{n:02}"
    return Case(name, f"a stock SNP guest on our host: {in_words(row)}",
                lambda: row_runs(name, row), full=True, order=57)


CASES = [
    Case("users.killed", "a VMM that is killed while it launches, or after so "
         "many exits, leaves nothing: after each kernel and machine find every "
         "page given back, and a guest after them all is as good as any",
         killed, full=True, order=57),
    Case("users.rows", "the rows of users.row.* have each pair of what a stock "
         "user may choose, and the smallest and largest guests", covered,
         order=3, inputs=()),
    *(one_row(n, row) for n, row in enumerate(ROWS, 1)),
]
