# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp counts"""

import json

from lab import contract, counts, do_run, observe, say


def options(p):
    p.add_argument("file", nargs="?", help="a summary written by run --json "
                   "(default: the last run)")
    p.add_argument("--run", metavar="NAME", help="all counters since its "
                   "machine's start, of a run that is live or finished")
    p.add_argument("--beside", metavar="FILE", help="a summary of a run on "
                   "another host: what the guest cost on each, and the ratio")
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


def do(args):
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
