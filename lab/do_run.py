# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp run"""

from lab import say


def options(p):
    pass


def do(args):
    raise say.Stop("not written yet")
