# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine into a file, and out of it, by way of its monitor."""

import time

from lab import say

LIMIT = 300             # seconds for either


def save(monitor, file):
    """The machine into a file. It stands still then."""
    monitor.command("stop")
    monitor.command("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    monitor.command("migrate", uri=f"file:{file}")
    end = time.monotonic() + LIMIT
    while True:
        seen = monitor.command("query-migrate")
        if seen.get("status") == "completed":
            break
        if seen.get("status") in ("failed", "cancelled") or \
                time.monotonic() > end:
            raise say.Failed("the machine was not saved: " +
                             seen.get("error-desc", seen.get("status", "")))
        time.sleep(0.05)


def loaded(monitor):
    """Waits until a machine that was started with a snapshot has it, and has
    it go on."""
    end = time.monotonic() + LIMIT
    while monitor.command("query-status")["status"] == "inmigrate":
        if time.monotonic() > end:
            raise say.Failed(f"it was not loaded in {LIMIT} s")
        time.sleep(0.05)
    monitor.command("cont")
