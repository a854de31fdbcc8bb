# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp series"""

from lab import build, corners, linux, paths, prefixes, say, series


def options(p):
    p.add_argument("--check", action="store_true",
                   help="build each prefix of the series, with W=1, in each "
                   "corner, and boot it on the machine: hours; interrupted, "
                   "it goes on")
    p.add_argument("--corner", action="append", metavar="NAME",
                   help="with --check: in this one only, and boot nothing: " +
                   ", ".join(c.name for c in corners.ALL) + "; or "
                   "allmodconfig, of the end of the series only: a day")


def check(names):
    if names == [corners.ALLMOD.name]:
        linux.lay()
        bad = corners.build(corners.ALLMOD, linux.WORK, corners.TOP)
        print("\n".join(bad + [f"{len(bad)} complaints"]))
        return 1 if bad else 0
    for name in names or []:
        if name not in [c.name for c in corners.ALL]:
            raise say.Stop(f"--corner {name}: there is none",
                           "`lab/snp series --help` names them")
    seen = prefixes.build(names, boot=not names)
    bad = [f"{subject}: {line}" for subject, wrong in seen for line in wrong]
    print("\n".join(bad + [f"{len(seen)} builds, {len(bad)} complaints"]))
    return 1 if bad else 0


def do(args):
    if args.corner and not args.check:
        raise say.Stop("--corner is of --check", "give both")
    build.prepare()
    if args.check:
        return check(args.corner)
    n = series.make()
    if not n:
        print("patches/series is empty: nothing to make")
        return 0
    print(f"{n} commits on branch {series.BRANCH} of "
          f"{paths.shown(series.GIT)}, mail in {paths.shown(series.MAIL)}")
    return 0
