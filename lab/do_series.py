# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp series"""

from lab import build, paths, series


def options(p):
    pass


def do(args):
    build.prepare()
    n = series.make()
    if not n:
        print("patches/series is empty: nothing to make")
        return
    print(f"{n} commits on branch {series.BRANCH} of "
          f"{paths.shown(series.GIT)}, mail in {paths.shown(series.MAIL)}")
