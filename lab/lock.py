# SPDX-License-Identifier: GPL-2.0-or-later
"""One build at a time in out/, whoever asks for it; runs may be as many as
fit."""

import contextlib
import fcntl
import functools
import time

from lab import paths, say

QUIET = 3                       # seconds of waiting that nothing is said of
_depth = 0


def _took(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def building():
    """Held while something below out/ is made. Who has it may take it again;
    nobody forks meanwhile."""
    global _depth
    if _depth:
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1
        return
    paths.OUT.mkdir(parents=True, exist_ok=True)
    with open(paths.OUT / "lock", "w", encoding="utf-8") as f:
        with say.Step("wait for the other lab/snp that builds here",
                      quiet=QUIET) as step:
            while not _took(f):
                time.sleep(0.05)
                step.tick()
        _depth = 1
        try:
            yield
        finally:
            _depth = 0


def alone(make):
    """Decorates what makes something below out/, or finds that it is there."""
    @functools.wraps(make)
    def locked(*args, **named):
        with building():
            return make(*args, **named)
    return locked
