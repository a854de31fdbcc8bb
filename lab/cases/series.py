# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the host series is one: every patch applies in order, every new
file enters in one patch, the branch's end is what the kernel is built from,
and the kernel builds after each patch."""

from lab import prefixes, series
from lab.cases import Case, CaseFailed


def applies():
    return f"{series.make()} patches"


def builds():
    seen = prefixes.build()
    bad = [f"{subject}:\n{wrong}" for subject, wrong in seen if wrong]
    if bad:
        raise CaseFailed("\n".join(bad))
    return f"{len(seen)} prefixes"


CASES = [
    Case("series.applies", "overlay and patches become a git branch and "
         "mail; each new file enters in exactly one patch", applies,
         order=20, inputs=("linux",)),
    Case("series.builds", "the kernel builds after each patch of the series",
         builds, full=True, order=55, inputs=("linux",)),
]
