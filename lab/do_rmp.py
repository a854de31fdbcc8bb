# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp rmp"""

import json
import pathlib
import tempfile

from lab import draw, observe, paths, platform, png, rmp, say


def options(p):
    p.add_argument("run", nargs="?", help="name of a run, live or finished "
                   "(default: the latest)")
    p.add_argument("--at", metavar="MOMENT", help="which dump of a finished "
                   "run (default: guest, else the latest); of a live one, too")
    p.add_argument("--entry", metavar="ADDRESS",
                   help="the entry of a physical address, decoded")
    p.add_argument("--png", metavar="FILE", help="draw it")
    p.add_argument("--json", action="store_true",
                   help="print JSON instead of a table")
    p.add_argument("--list", action="store_true",
                   help="runs there are, and their moments")


def address(text):
    try:
        spa = int(text, 0)
    except ValueError:
        spa = -1
    if not 0 <= spa < 1 << 52:
        raise say.Stop(f"'{text}' is not a physical address",
                       "give one in bytes, for example 0x13ea00000")
    return spa


def dump_file(where, moment):
    """Path of a run's dump; Stop if it has none of that moment."""
    have = observe.moments(where)
    if not have:
        raise say.Stop(f"run '{where.name}' has left no RMP",
                       "was it a run of the SNP machine, to its end?")
    if moment is None:
        moment = "guest" if "guest" in have else have[-1]
    if moment not in have:
        raise say.Stop(f"run '{where.name}' has no moment '{moment}'",
                       "it has " + ", ".join(have))
    return where / observe.moment_file(moment)


def _table(name, where, moment):
    if moment is None and observe.live(name):
        # into a directory of its own: the run's is the run's
        with tempfile.TemporaryDirectory() as tmp, observe.interrupted(), \
                observe.attach(where) as monitor:
            return rmp.read(observe.dump(monitor, where, "now", name,
                                         pathlib.Path(tmp)))
    return rmp.read(dump_file(where, moment))


def _entry(name, where, moment, spa):
    if moment is None and observe.live(name):
        with observe.attach(where) as monitor, observe.asking(where):
            return machine_entry(monitor, spa)
    return rmp.read(dump_file(where, moment)).entry(spa)


def machine_entry(monitor, spa):
    """The machine's own decoding of an entry."""
    psp = monitor.find(platform.PSP)
    if psp is None:
        raise say.Failed("the machine has no secure processor")
    monitor.command("qom-set", path=psp, property="rmp-entry", value=str(spa))
    return json.loads(monitor.get(psp, "rmp-entry"))


def show_entry(e):
    for key, value in e.items():
        if key == "perms":
            for vmpl, mask in enumerate(value):
                print(f"vmpl{vmpl:<15} {rmp.rights(mask)}")
        else:
            text = (f"{value:#x}" if key in ("spa", "gpa") else
                    {True: "yes", False: "no"}.get(value, value)
                    if isinstance(value, bool) else value)
            print(f"{key:19} {text}")


def show_histogram(table):
    by_asid = table.histogram()
    h = table.header
    print(f"run {h['run']}, moment {h['moment']}; {table.pages} pages, table "
          f"{table.base:#x} - {table.end:#x}")
    used = [s for s in rmp.STATES
            if any(s in states for states in by_asid.values())]
    print("asid  " + "".join(f"{s:>15}" for s in used))
    for asid, states in sorted(by_asid.items(), key=lambda x: int(x[0])):
        print(f"{asid if asid != '0' else '-':6}" +
              "".join(f"{states.get(s, 0):15}" for s in used))


def do(args):
    if args.list:
        if args.run or args.at or args.entry or args.png or args.json:
            raise say.Stop("--list is a request by itself",
                           "give nothing else with it")
        for name in observe.runs():
            have = observe.moments(paths.RUNS / name)
            print(f"{name:32} {'live ' * observe.live(name)}"
                  f"{' '.join(have)}")
        return
    if args.entry is not None and args.png:
        raise say.Stop("--entry and --png are two requests", "give one")
    if args.png and args.json:
        raise say.Stop("--png and --json are two requests", "give one")
    spa = address(args.entry) if args.entry is not None else None
    name, where = observe.choose(args.run)
    if args.png:
        png.check(args.png)
    if spa is not None:
        e = _entry(name, where, args.at, spa)
        if args.json:
            print(json.dumps(e, indent=1))
        else:
            show_entry(e)
        return
    table = _table(name, where, args.at)
    if args.png:
        draw.rmp_picture(table)[0].save(args.png)
        print(f"{args.png}: run {name}, moment {table.header['moment']}")
    elif args.json:
        print(json.dumps({**table.header, "histogram": table.histogram()},
                         indent=1))
    else:
        show_histogram(table)
