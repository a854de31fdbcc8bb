# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp deb"""

from lab import build, debs, needs, paths


def options(p):
    p.add_argument("--small", action="store_true",
                   help="with what the lab's kernel has, and what Debian 12 "
                   "needs to boot it, in minutes; without this with Debian's "
                   "own configuration, in hours: interrupted, it goes on")


def do(args):
    build.prepare()
    needs.install(debs.TOOLS)
    p = debs.build("small" if args.small else "debian")
    for kind, file in p.files().items():
        print(f"{kind:8} {paths.shown(file)}")
