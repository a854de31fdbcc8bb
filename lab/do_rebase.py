# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp rebase"""

import pathlib

from lab import build, drift, say


def options(p):
    p.add_argument("source", nargs="?", metavar="DIR",
                   help="a source of Linux 6.1 (default: the newest "
                   "linux-source-6.1 of bookworm's security and proposed "
                   "updates)")


def do(args):
    if args.source:
        source = pathlib.Path(args.source).resolve()
        if not source.is_dir():
            raise say.Stop(f"{args.source} is no directory", "check the path")
        name = f"Linux {drift.version_of(source)} in {args.source}"
    else:
        build.prepare()
        version = drift.offered()
        if version == drift.made_for():
            print(f"{version}, which the series is for, is the newest that "
                  "the archive offers")
            return 0
        source, name = drift.fetched(version), f"linux-source-6.1 {version}"
    return report(name, *drift.hooks(source))


def report(name, hooks, differ):
    for file in differ:
        print(f"changed  {file}")
    for h in hooks:
        word, _, why = h.how.partition(": ")
        print(f"{word:8} {h.patch}: {h.file}: {why or h.where}")
    gone = [h for h in hooks if h.how.startswith("gone")]
    print(f"{name}: of the files that the series hooks {len(differ)} differ; "
          f"{len(gone)} hooks do not apply, {len(hooks) - len(gone)} apply "
          "where patch guesses")
    return 1 if hooks else 0
