# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp clean"""

import os
import shutil

from lab import paths, say


def options(p):
    p.add_argument("--yes", action="store_true",
                   help="remove it; without this only say what there is")
    p.add_argument("what", nargs="*", help="parts of out/ (default: all)")


def size(top):
    total, seen = 0, set()
    for here, _, files in os.walk(top):
        for name in files:
            st = os.lstat(os.path.join(here, name))
            if st.st_nlink == 1 or st.st_ino not in seen:
                seen.add(st.st_ino)
                total += st.st_blocks * 512
    return total


def do(args):
    if not paths.OUT.is_dir():
        print("out/ holds nothing")
        return
    names = args.what or sorted(p.name for p in paths.OUT.iterdir())
    total = 0
    for name in names:
        where = paths.OUT / name
        if where.parent != paths.OUT or not where.exists():
            raise say.Stop(f"out/ has no {name}", "lab/snp clean lists it")
        n = size(where) if where.is_dir() else where.stat().st_size
        total += n
        print(f"{n / (1 << 20):10.1f} MiB  out/{name}")
    print(f"{total / (1 << 20):10.1f} MiB  " +
          ("freed" if args.yes else "would be freed by --yes"))
    if args.yes:
        # stamps first: nothing half removed may be trusted
        if not args.what:
            shutil.rmtree(paths.STAMPS, ignore_errors=True)
        for name in names:
            where = paths.OUT / name
            if where.is_dir():
                shutil.rmtree(where)
            else:
                where.unlink(missing_ok=True)
