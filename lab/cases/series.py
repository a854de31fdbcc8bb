# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the host series is one: every patch applies in order, every new
file enters in one patch, the branch's end is what the kernel is built from."""

from lab import series
from lab.cases import Case


def applies():
    return f"{series.make()} patches"


CASES = [
    Case("series.applies", "overlay and patches become a git branch and "
         "mail; each new file enters in exactly one patch", applies,
         order=20),
]
