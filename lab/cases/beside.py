# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that cases that run side by side get in nobody's way: each has a
process, each result is told, one build at a time is under way, and who ends the
lot ends each of them."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from unittest import mock

from lab import jobs, lock, paths
from lab.cases import Case, CaseFailed

PAUSE = 0.2             # long enough for one that may run beside to be there

# Ends while two wait, one of them in a build; argv: the lab, a directory.
ENDED = """
import pathlib, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from lab import jobs, lock, paths
here = paths.OUT = pathlib.Path(sys.argv[2])

def work(task):
    try:
        (here / f"begun-{task}").touch()
        if task == "builds":
            with lock.building():
                (here / "builds").touch()
                time.sleep(600)
        time.sleep(600)
    finally:
        (here / f"ended-{task}").touch()

list(jobs.run(["waits", "builds", "later"], work, 2))
"""


def _wait_for(holds):
    """Does it hold, within a minute?"""
    for _ in range(60 * 20):
        if holds():
            return True
        time.sleep(0.05)
    return False


def _tasks(where):
    """What runs at a time, as each task's own process sees it. One that has a
    fellow stays until that has been there."""
    def work(task, fellows=("a", "b")):
        mine, been = where / task, where / f".{task}"
        mine.touch()
        been.touch()
        seen = [os.listdir(where)]
        if task in fellows:
            _wait_for(lambda: all((where / f".{f}").exists()
                                  for f in fellows))
        time.sleep(PAUSE * (1 + (task == "b")))
        seen.append(os.listdir(where))
        if task == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "fails":
            sys.stderr = open(os.devnull, "w", encoding="utf-8")
            raise RuntimeError
        mine.unlink()
        return os.getpid(), [sorted(n for n in names if n[0] != ".")
                             for names in seen]
    return work


def results():
    bad = []
    with tempfile.TemporaryDirectory() as tmp:
        names = ["a", "b", "alone", "c", "d", "e"]
        got = dict(jobs.run(names, _tasks(pathlib.Path(tmp)), 2,
                            lambda t: t == "alone"))
        if sorted(got) != sorted(names) or None in got.values():
            raise CaseFailed(f"not all are told: {got}")
        if len({pid for pid, _ in got.values()} | {os.getpid()}) != 7:
            bad.append("two had one process")
        if got["alone"][1] != [["alone"]] * 2:
            bad.append(f"beside what has to be alone: {got['alone'][1]}")
        if ["a", "b"] not in got["a"][1] or \
                any(len(x) > 2 for _, seen in got.values() for x in seen):
            bad.append(f"not two at a time: {got}")
    with tempfile.TemporaryDirectory() as tmp:
        got = dict(jobs.run(["dies", "fails", "c"], _tasks(pathlib.Path(tmp)),
                            1))
        if [got["dies"], got["fails"]] != [None, None] or not got["c"]:
            bad.append(f"those that die: {got}")
    return bad


def _built(where):
    """One that makes something; who is inside is in the file."""
    @lock.alone
    def work(_task):
        seen = (where / "inside").read_text()
        with lock.building():
            (where / "inside").write_text("somebody")
            time.sleep(PAUSE)
        (where / "inside").write_text("")
        return seen
    return work


def builds():
    with tempfile.TemporaryDirectory() as tmp, \
            mock.patch.object(paths, "OUT", pathlib.Path(tmp)):
        (paths.OUT / "inside").write_text("")
        got = dict(jobs.run(range(3), _built(paths.OUT), 3))
    return [] if got == {0: "", 1: "", 2: ""} else [f"two build: {got}"]


def ends():
    """Told to end, all of them do, and what is not begun does not begin."""
    bad = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with tempfile.TemporaryDirectory() as tmp:
            where = pathlib.Path(tmp)
            child = subprocess.Popen(
                [sys.executable, "-c", ENDED, paths.ROOT, where],
                stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                _wait_for(lambda: {"begun-waits", "builds"} <=
                          set(os.listdir(tmp)))
                child.send_signal(number)
                child.wait(60)
            except subprocess.TimeoutExpired:
                bad.append(f"{number!r}: it did not end")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            there = set(os.listdir(where))
            if not {"ended-waits", "ended-builds"} <= there or \
                    "begun-later" in there:
                bad.append(f"{number!r}: {sorted(there)}")
    return bad


def beside():
    bad = results() + builds() + ends()
    if bad:
        raise CaseFailed("\n".join(bad))


CASES = [
    Case("lab.beside", "cases side by side have a process each, one that "
         "tolerates nothing beside it has nothing, one build at a time is under "
         "way, one that dies is told, who ends the lot ends each", beside,
         order=2),
]
