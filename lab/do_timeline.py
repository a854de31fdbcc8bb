# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp timeline"""

import json

from lab import draw, judge, observe, png, say


def options(p):
    p.add_argument("run", nargs="?", help="name of a run, live or finished "
                   "(default: the latest)")
    p.add_argument("--png", metavar="FILE", help="draw it")
    p.add_argument("--json", action="store_true",
                   help="print JSON instead of a table")


def total(value):
    """Sum of a count, or of its kinds."""
    if isinstance(value, dict):
        return sum(total(v) for v in value.values())
    return value if isinstance(value, int) else 0


def _pvalidate(stats):
    return sum(v for k, v in stats.items() if k.startswith("pvalidate-"))


# What is counted of a phase: how, from the machine's counters and the lines
# of console and guest. An event is in one column, but for those of PARTS.
COLUMNS = {
    "console lines": lambda s, n: n["console"] + n["guest"],
    "firmware": lambda s, n: s.get("psp-commands", 0),
    "RMPUPDATE": lambda s, n: total(s.get("rmpupdate", {})),
    "PSMASH": lambda s, n: s.get("psmash", 0),
    "PVALIDATE": lambda s, n: _pvalidate(s),
    "RMPADJUST": lambda s, n: s.get("rmpadjust", 0),
    "#VC": lambda s, n: total(s.get("vc", {})),
    "#VMEXIT": lambda s, n: s.get("vmexit", 0),
    "of these #NPF": lambda s, n: s.get("npf", 0),
    "VMGEXIT": lambda s, n: total(s.get("vmgexit", {})) +
    total(s.get("vmgexit-msr", {})),
}
# These are among the #VMEXITs: the axis leaves them out.
PARTS = ("of these #NPF", "VMGEXIT")


def phases(recorded):
    """What happened between each moment and the next: [{"phase", "seconds",
    "counts", "axis"}], counts that never occur left out. Returns it with the
    axis' unit and the columns."""
    out = []
    for this, after in zip(recorded, recorded[1:]):
        stats = judge.difference(this["stats"], after["stats"])
        lines = judge.difference(this["lines"], after["lines"])
        counts = {c: f(stats, lines) for c, f in COLUMNS.items()}
        worlds = stats.get("instructions", {})
        if worlds:
            counts["host insns"] = worlds.get("host", 0)
            counts["guest insns"] = total(worlds) - worlds.get("host", 0)
        out.append({"phase": this["phase"],
                    "seconds": after["seconds"] - this["seconds"],
                    "counts": counts,
                    "axis": total(worlds) or
                    sum(n for c, n in counts.items()
                        if c not in PARTS and not c.endswith(" insns"))})
    columns = [c for c in [*COLUMNS, "host insns", "guest insns"]
               if any(p["counts"].get(c) for p in out)]
    counted = any("instructions" in p["stats"] for p in recorded)
    return out, "instructions" if counted else "counted events", columns


def show(rows, unit, columns):
    print(f"{'phase':26} {'seconds':>8} {unit:>15}" +
          "".join(f" {c:>13}" for c in columns))
    for p in rows:
        print(f"{p['phase']:26} {p['seconds']:8.1f} {p['axis']:15}" +
              "".join(f" {p['counts'][c]:13}" for c in columns))


def under_way(recorded):
    """Name of the phase that had not ended, and is none of the rows; None if
    the run was recorded to its end."""
    last = recorded[-1]["phase"]
    return None if last == "end" else last


def do(args):
    if args.png and args.json:
        raise say.Stop("--png and --json are two requests", "give one")
    name, where = observe.choose(args.run)
    if args.png:
        png.check(args.png)
    recorded = observe.timeline(where)
    rows, unit, columns = phases(recorded)
    rest = under_way(recorded)
    without = f"without '{rest}', which had not ended" if rest else ""
    if args.png:
        draw.timeline_picture(f"run {name}", unit, rows,
                              columns)[0].save(args.png)
        print(f"{args.png}: run {name}, {len(rows)} phases {without}".rstrip())
    elif args.json:
        print(json.dumps({"unit": unit, "phases": rows, "under-way": rest},
                         indent=1))
    else:
        show(rows, unit, columns)
        if rest:
            print(without)
