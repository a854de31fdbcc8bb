# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp bench: how long a guest's boot takes on the machine, and on QEMU
without our changes. Nothing is judged by it: it prints what it measured."""

import dataclasses
import json
import os
import statistics

from lab import kernels, observe, paths, run, say

LEAST = 5
BUSY = 0.5              # of other work on the computer
# QEMU without our changes ends hosts with KVM by an assertion, or they hang,
# every other time: such a run is made again
AGAIN = 9
HANGS = 200
FIRST, LAST = "guest: firmware", "guest: power-off"


@dataclasses.dataclass(frozen=True)
class Config:
    what: str
    request: dict           # of run.Request


CONFIGS = {
    "qemu": Config("an ordinary guest, QEMU without our changes",
                   {"kind": "plain", "snp": False, "pristine": True}),
    "machine": Config("an ordinary guest, the machine as ordinary computer",
                      {"kind": "plain", "snp": False}),
    "host": Config("an ordinary guest of an SNP host", {"kind": "plain"}),
    "snp": Config("an SNP guest", {"kind": "snp"}),
}
# what is divided by what, and what the quotient is of
RATIOS = (("machine", "qemu", "one command line, the machine by QEMU"),
          ("host", "machine", "what an active RMP costs an ordinary guest"),
          ("snp", "host", "an SNP guest by an ordinary one"))


def options(p):
    p.add_argument("--runs", type=int, default=LEAST, metavar="N",
                   help=f"of each configuration, by turns; {LEAST} at least")
    p.add_argument("--host", default="debian-13", choices=kernels.NAMES,
                   help="the kernel that hosts (default: debian-13)")
    p.add_argument("--thread", choices=["single", "multi"], default="multi",
                   help="one thread for all CPUs of the machine, or one each "
                        "(default: multi)")
    p.add_argument("--json", metavar="FILE", help="all that was measured")


def boot(name):
    """Seconds from the guest's QEMU to its power-off, of the last run of that
    name. Failed if it was not seen."""
    at = {p["phase"]: p["seconds"] for p in json.loads(
        (paths.RUNS / name / observe.TIMELINE).read_text())["phases"]}
    if FIRST not in at or LAST not in at:
        raise say.Failed(f"run {name} did not get from '{FIRST}' to '{LAST}'")
    return at[LAST] - at[FIRST]


def measure(key, args, lost):
    """Seconds of one run. Runs that QEMU without our changes ended by itself
    are counted in lost, and made again."""
    name = f"bench-{key}"
    config = CONFIGS[key]
    pristine = config.request.get("pristine", False)
    for _ in range(1 + AGAIN * pristine):
        verdict = run.go(run.Request(host=args.host, smp=2, name=name,
                                     thread=args.thread, counted=False,
                                     **({"timeout": HANGS} if pristine else {}),
                                     **config.request))
        if verdict.ok():
            return boot(name)
        if not verdict.died:
            break
        lost[key] += 1
    bad = [c[0] for c in verdict.checks if not c[1]]
    raise say.Failed(f"run {name}: " + (verdict.died or verdict.refused or
                                        "; ".join(bad)))


def spread(values):
    return (f"{statistics.median(values):8.2f} "
            f"{min(values):8.2f} {max(values):8.2f}")


def do(args):
    if args.runs < LEAST:
        raise say.Stop(f"{args.runs} runs tell nothing",
                       f"give --runs {LEAST} or more")
    say.may_write("--json", args.json)
    if os.getloadavg()[0] > BUSY:
        say.note("the computer does other work, too: what is measured now is "
                 "worth little")
    seconds = {key: [] for key in CONFIGS}
    lost = {key: 0 for key in CONFIGS}
    for _ in range(args.runs):
        for key in CONFIGS:
            seconds[key].append(round(measure(key, args, lost), 2))
    ratios = {f"{a}/{b}": [round(x / y, 3) for x, y in
                           zip(seconds[a], seconds[b])] for a, b, _ in RATIOS}
    threads = "one thread a CPU" if args.thread == "multi" else "one thread"
    print(f"{args.host}, 2 CPUs ({threads}), 2 vCPUs, {args.runs} runs each, "
          f"by turns; from the guest's QEMU to its power-off\n"
          f"{'':58}  median      min      max")
    for key, config in CONFIGS.items():
        print(f"{key:8} {config.what:48} {spread(seconds[key])} s")
    for a, b, what in RATIOS:
        print(f"{a + '/' + b:16} {what:40} {spread(ratios[f'{a}/{b}'])}")
    for key in CONFIGS:
        if lost[key]:
            print(f"{key}: {lost[key]} more runs aborted or hung, and were made "
                  f"again")
    say.to_json(args.json, {"host": args.host, "thread": args.thread,
                            "seconds": seconds, "ratios": ratios,
                            "lost": lost})
