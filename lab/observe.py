# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves for later, in out/run/<name>/: counts at each phase of
the boot, dumps of the RMP; and how to ask a machine that runs.

    timeline.json       phases in order, written as the run goes
    rmp-<moment>.gz     see lab/rmp.py; "guest": before the guest powers off,
                        "end": when the host has
    qmp                 while it runs: a monitor of the machine's own
"""

import contextlib
import fcntl
import json
import math
import os
import re
import shutil
import signal
import socket
import time

from lab import paths, platform, qmp, rmp, say

TIMELINE = "timeline.json"
SOCKET = "qmp"
LOCK = "asking"                 # held by who stops the machine, see asking()
PORTS = ("console", "guest", "control")

# (port, what its line says, the phase that begins then). A line of the guest
# may have an event of its QEMU in the middle: more than one will do.
PHASES = [(port, re.compile(pattern), name) for port, pattern, name in (
    ("console", r"\bLinux version ", "host: kernel"),
    ("console", r"Run /init as init process", "host: user space"),
    ("console", r"ccp .*: (?:psp|sev) enabled", "host: firmware and KVM"),
    ("control", r"^@lab mark before\b", "guest: firmware"),
    ("guest", r"\bLinux version ", "guest: kernel"),
    ("guest", r"lab-guest: (?:begin|cpus|flags)", "guest: user space"),
    ("guest", r"lab-guest: (?:reading|disk)", "guest: disk, conversions"),
    ("guest", r"lab-guest: (?:read-end|end)|reboot: Power down",
     "guest: power-off"),
    ("control", r"^@lab mark guest-gone\b", "host: guest is gone"),
    ("control", r"^@lab end\b", "host: power-off"),
    ("control", r"^@lab mark (?!before|guest-gone|after)\S+", None),
)]
FIRST = "machine: firmware"
RESUMED = "host: from a snapshot"
DUMPED = {"guest: power-off": "guest"}
MARKS = 64                      # that are recorded of a run
WAIT = 20                       # seconds for another asker to be done
GREETING = 5                    # seconds for the machine to say hello
ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)   # ask a process to end


def moment_file(moment):
    return f"rmp-{moment}.gz"


def keep(where):
    """Removes of a run's directory what is not for later. Others may be at it,
    too: what is gone by itself is as good, and what stays harms nobody."""
    try:
        there = list(where.iterdir())
    except OSError:
        return
    for path in there:
        if path.name != TIMELINE and not re.fullmatch(r"rmp-[a-z0-9-]+\.gz",
                                                      path.name):
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
    with contextlib.suppress(OSError):
        where.rmdir()           # nothing is left


@contextlib.contextmanager
def asking(where):
    """One asker of a machine at a time, of all there are: each has a monitor
    of its own. Failed if another is not done in time."""
    with open(where / LOCK, "w") as lock:
        end = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > end:
                    raise say.Failed("somebody else is asking the machine of "
                                     f"{where.name}") from e
                time.sleep(0.02)
        yield


@contextlib.contextmanager
def interrupted():
    """A signal that asks this process to end is an exception, once: what is
    stopped goes on before the process ends."""
    def handler(_number, _frame):
        for one in ENDS:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    kept = {n: signal.signal(n, handler)
            for n in ENDS}
    try:
        yield
    finally:
        for number, old in kept.items():
            signal.signal(number, old)


def _read(monitor, psp, raw):
    """Summary and histogram as the machine has them now, and the table's
    bytes, which come by way of a file; the machine stands still meanwhile."""
    runs = monitor.command("query-status")["status"] == "running"
    try:
        if runs:
            monitor.command("stop")
        summary = json.loads(monitor.get(psp, "rmp-summary"))
        histogram = json.loads(monitor.get(psp, "rmp-histogram"))
        if not 0 < summary["pages"] <= rmp.MOST:
            raise say.Failed("the machine has no RMP")
        parts = []
        for s in rmp.segments(summary):
            monitor.command("pmemsave", val=s["at"],
                            size=s["pages"] * rmp.ENTRY,
                            filename=str(raw.absolute()))
            parts.append((s["covers"], raw.read_bytes()))
            if len(parts[-1][1]) != s["pages"] * rmp.ENTRY:
                raise say.Failed("the machine gave less of its RMP than it "
                                 "said there was")
    finally:
        if runs:
            monitor.command("cont")
    return summary, histogram, rmp.whole(summary, parts)


def dump(monitor, where, moment, run, to=None):
    """The RMP of a live run as it is now, as a dump in the run's directory or
    another. Returns its path. Failed if the machine does not answer."""
    to = to or where
    psp = monitor.find(platform.PSP)
    if psp is None:
        raise say.Failed("the machine has no secure processor")
    raw = to / f"rmp-{os.getpid()}.raw"
    path = to / moment_file(moment)
    try:
        with asking(where):
            summary, histogram, table = _read(monitor, psp, raw)
        header = {"format": rmp.FORMAT, "run": run, "moment": moment,
                  "base": summary["base"], "end": summary["end"],
                  "pages": summary["pages"], "histogram": histogram,
                  "segments": rmp.segments(summary)}
        rmp.write(path, header, table)
    finally:
        raw.unlink(missing_ok=True)
    return path


class Recorder:
    """Of one run. A machine that does not answer ends the recording, never
    the run. What a guest prints can make each phase begin once, no more."""

    def __init__(self, name, where, resumes=False):
        self.name, self.where = name, where
        self.first = RESUMED if resumes else FIRST
        self.begin = time.monotonic()
        self.phases, self.lines = [], dict.fromkeys(PORTS, 0)
        self.psp, self.off = None, False
        self.seen, self.marks = set(), 0

    def _safely(self, what, *args):
        if self.off:
            return
        try:
            what(*args)
        except (say.Failed, OSError, LookupError, ValueError, TypeError,
                AttributeError) as e:
            self.off = True
            say.note(f"run {self.name} is recorded no further: {e}")

    def start(self, monitor):
        self._safely(self._start, monitor)

    def _start(self, monitor):
        self.psp = monitor.find(platform.PSP)
        self._phase(self.first, monitor)

    def _phase(self, name, monitor):
        stats = {}
        if self.psp:
            stats = json.loads(monitor.get(self.psp, "stats"))
        self.phases.append({
            "phase": name, "seconds": round(time.monotonic() - self.begin, 2),
            "lines": dict(self.lines), "stats": stats})
        text = json.dumps({"run": self.name, "phases": self.phases})
        tmp = self.where / f"{TIMELINE}.tmp"
        tmp.write_text(text + "\n")
        tmp.replace(self.where / TIMELINE)

    def line(self, port, text, monitor):
        """A line of a port that has arrived."""
        for where, pattern, name in PHASES:
            if where == port and (m := pattern.search(text)):
                if self._news(name):
                    name = name or f"mark: {m.group().split()[-1]}"
                    self._safely(self._turn, name, monitor)
                break
        self.lines[port] += 1

    def _news(self, name):
        """Does a phase begin? None: at a mark of the script's own."""
        if name is None:
            self.marks += 1
            return self.marks <= MARKS
        new = name not in self.seen
        self.seen.add(name)
        return new

    def _turn(self, name, monitor):
        self._phase(name, monitor)
        if self.psp and name in DUMPED:
            dump(monitor, self.where, DUMPED[name], self.name)

    def end(self, monitor):
        """The machine has stopped and still answers. What was at the first
    such moment counts: a panic's, not that of the reset after it."""
        if self._news("end"):
            self._safely(self._end, monitor)

    def _end(self, monitor):
        self._phase("end", monitor)
        if self.psp:
            dump(monitor, self.where, "end", self.name)


# ---- runs there are ----

def live(name):
    """Does the run of this name still go on?"""
    try:
        with open(paths.RUNS / f"{name}.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return (paths.RUNS / name / SOCKET).exists()
    except OSError:
        pass
    return False


def _mtime(path):
    """0 if it is there no more."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def _when(name):
    try:
        return max(map(_mtime, (paths.RUNS / name).iterdir()), default=0)
    except OSError:
        return 0


def runs():
    """Names of runs that can be looked at, the latest last."""
    if not paths.RUNS.is_dir():
        return []
    names = [p.name for p in paths.RUNS.iterdir() if p.is_dir() and
             ((p / TIMELINE).exists() or any(p.glob("rmp-*.gz")) or
              live(p.name))]
    return sorted(names, key=_when)


def choose(name):
    """The run of a name, or the latest one: (name, directory). Stop if there
    is none."""
    have = runs()
    if name is None and not have:
        raise say.Stop("no run has left anything to look at",
                       "lab/snp run makes one")
    if name is not None and name not in have:
        raise say.Stop(f"there is no run named '{name}'",
                       "lab/snp rmp --list names those there are")
    return name or have[-1], paths.RUNS / (name or have[-1])


def moments(where):
    """Names of the dumps of a run, the latest last."""
    files = sorted(where.glob("rmp-*.gz"), key=_mtime)
    return [p.name[4:-3] for p in files]


@contextlib.contextmanager
def attach(where):
    """A monitor of a machine that runs."""
    with socket.socket(socket.AF_UNIX) as sock:
        # by way of the directory: such a path is short
        fd = os.open(where, os.O_PATH)
        try:
            sock.settimeout(10)
            sock.connect(f"/proc/self/fd/{fd}/{SOCKET}")
        except OSError as e:
            raise say.Stop(f"the machine of {where.name} cannot be asked: "
                           f"{e.strerror or e}", "has it ended?") from e
        finally:
            os.close(fd)
        monitor = qmp.Monitor(sock)
        try:
            monitor.greet(GREETING)
        except say.Failed as e:
            # the machine listens to one at a time
            raise say.Stop(f"the machine of {where.name} does not answer: "
                           "somebody else may be asking it",
                           "try again") from e
        yield monitor


def _counts(value, depth=3):
    """Is this a number of times, or such by name?"""
    if isinstance(value, dict):
        return depth > 0 and all(_counts(v, depth - 1) for v in value.values())
    return isinstance(value, int) and 0 <= value < 1 << 64


def _phase_ok(one):
    return (isinstance(one, dict) and isinstance(one.get("phase"), str) and
            isinstance(one.get("seconds"), (int, float)) and
            math.isfinite(one["seconds"]) and
            all(isinstance(one.get(k), dict) and _counts(one[k])
                for k in ("lines", "stats")) and
            all(isinstance(one["lines"].get(p), int) for p in PORTS))


def timeline(where):
    """Phases of a run; Stop if it has left none."""
    try:
        phases = json.loads((where / TIMELINE).read_text())["phases"]
        if not isinstance(phases, list) or not phases or \
                not all(map(_phase_ok, phases)):
            raise ValueError("phases")
    except (OSError, ValueError, LookupError, TypeError,
            RecursionError) as e:
        raise say.Stop(f"run '{where.name}' has left no timeline",
                       "lab/snp run makes one") from e
    return phases
