# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/snp update"""

from lab import sources


def options(p):
    pass


def do(args):
    sources.update()
