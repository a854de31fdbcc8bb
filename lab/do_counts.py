# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp counts"""

import json

from lab import (contract, counts, do_run, kernels, measure, observe, run,
                 say)


STOCK = "debian-backports"


def options(p):
    p.add_argument("file", nargs="?", help="a summary written by run --json "
                   "(default: the last run)")
    p.add_argument("--run", metavar="NAME", help="all counters since its "
                   "machine's start, of a run that is live or finished")
    p.add_argument("--beside", metavar="FILE", help="a summary of a run on "
                   "another host: what the guest cost on each, and the ratio")
    p.add_argument("--both", metavar="HOST", nargs="?", const=STOCK,
                   choices=sorted(kernels.STOCK),
                   help="run guests on our host and on another (default "
                   f"{STOCK}), one after another, and print what they cost "
                   "on each, and the ratio: a stock guest, and a GiB's worth "
                   "of a bare one")
    p.add_argument("--json", action="store_true",
                   help="print JSON instead of a table")


def of_run(name):
    """The machine's counters now, or as the run left them."""
    name, where = observe.choose(name)
    if observe.live(name):
        with observe.attach(where) as monitor:
            side = counts.machine(monitor)
        if side is None:
            raise say.Failed("the machine has no secure processor")
        if "error" in side["stats"]:
            raise say.Failed("the machine does not tell its counters: "
                             f"{side['stats']['error']}")
        return side["stats"]
    return observe.timeline(where)[-1]["stats"]


def stock_guest(name):
    """Counts of the guest of snp.*, two vCPUs, on the host of that name."""
    verdict = run.go(run.Request(host=name, smp=2, name=f"counts-{name}",
                                 timeout=1800))
    if not verdict.ok():
        bad = [f"{n}: {seen}" for n, ok, seen in verdict.checks if not ok]
        raise say.Failed(verdict.refused or verdict.died or "; ".join(bad))
    return verdict.summary["counts"]


def both(args):
    """Our host beside another: everything is run anew."""
    ours, other = ({"guest": stock_guest(name), "bare": measure.on(name)}
                   for name in ("ours", args.both))
    if args.json:
        print(json.dumps({"ours": ours, args.both: other}, indent=1))
        return
    print(f"a stock SNP guest of 512 MiB, 2 vCPUs; other: {args.both}")
    print("\n".join(contract.table(ours["guest"], other["guest"])))
    print("a bare SNP guest")
    print("\n".join(measure.table(ours["bare"], other["bare"])))


def do(args):
    if args.both is not None:
        if args.file or args.beside or args.run is not None:
            raise say.Stop("--both runs guests, and reads no run",
                           "give it alone")
        both(args)
        return
    if args.run is not None:
        if args.file or args.beside:
            raise say.Stop("a file and --run are two requests", "give one")
        out(of_run(args.run), args.json)
        return
    value = of_summary(args.file or do_run.LAST)
    if args.beside is None:
        out(value, args.json)
        return
    other = of_summary(args.beside)
    try:
        rows = list(contract.rows(value, other))
    except (LookupError, TypeError) as e:
        raise say.Stop("one of the runs was on another machine: it has no "
                       f"count {e}", "run both anew") from e
    if args.json:
        print(json.dumps([dict(zip(("name", "ours", "other", "ratio"), r))
                          for r in rows], indent=1))
    else:
        print("\n".join(contract.table(value, other)))


def of_summary(file):
    """The counts of a summary that run --json wrote."""
    try:
        with open(file) as f:
            value = json.load(f)["counts"]
        if not isinstance(value, dict):
            raise ValueError("counts")
    except (OSError, ValueError, LookupError, TypeError,
            RecursionError) as e:
        raise say.Stop("there is no summary of a run to read",
                       "lab/snp run makes one") from e
    return value


def out(value, as_json):
    if as_json:
        print(json.dumps(value, indent=1))
    else:
        show("", value)


def show(prefix, value):
    for key, item in value.items():
        if isinstance(item, dict):
            show(f"{prefix}{key}.", item)
        else:
            print(f"{prefix + key:44} {item}")
