# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp counts"""

import json

from lab import do_run, say


def options(p):
    p.add_argument("file", nargs="?", help="a summary written by run --json "
                   "(default: the last run)")
    p.add_argument("--json", action="store_true")


def do(args):
    try:
        with open(args.file or do_run.LAST) as f:
            summary = json.load(f)
    except (OSError, ValueError) as e:
        raise say.Stop("there is no summary of a run to read",
                       "lab/snp run makes one") from e
    if args.json:
        print(json.dumps(summary["counts"], indent=1))
    else:
        show("", summary["counts"])


def show(prefix, value):
    for key, item in value.items():
        if isinstance(item, dict):
            show(f"{prefix}{key}.", item)
        else:
            print(f"{prefix + key:44} {item}")
