# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp build"""

from lab import build, machine, paths

WHAT = ("machine", "linux", "host", "guest")


def options(p):
    p.add_argument("what", nargs="?", default="all", choices=WHAT + ("all",),
                   help="what to build (default: all)")
    p.add_argument("--pristine", action="store_true",
                   help="the machine without our changes, for comparison")
    p.add_argument("--install", action="store_true",
                   help="only install the Debian packages builds need")


def do(args):
    if args.install:
        build.prepare()
        return
    what = [w for w in WHAT] if args.what == "all" else [args.what]
    build.parts(what, args.pristine)
    if "machine" in what:
        m = machine.Machine(args.pristine)
        print(f"machine: {paths.shown(m.binary)}")
